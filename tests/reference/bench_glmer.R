# Rscript tests/reference/bench_glmer.R data.csv formula family [repeats] [nAGQ]
# Times lme4::glmer of "poisson" or "binomial", or glmmTMB of "nbinom2" (5 repeats), e.g. with
# "y ~ time + (1 | id)"; nAGQ nodes where there is one random effect, Laplace's approximation unless
# given. Prints one line: tool,<rows>,<seconds, median>,<log-likelihood>
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) < 3) stop("usage: bench_glmer.R data.csv formula family [repeats] [nAGQ]")
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
formula <- as.formula(arguments[2])
family <- arguments[3]
repeats <- if (length(arguments) >= 4) as.integer(arguments[4]) else 5L
nodes <- if (length(arguments) >= 5) as.integer(arguments[5]) else 1L
if (family == "nbinom2") {
  suppressMessages(library(glmmTMB))
  run <- function() glmmTMB(formula, data, family = nbinom2())
} else {
  suppressMessages(library(lme4))
  run <- function() glmer(formula, data, family = get(family)(), nAGQ = nodes)
}
fit <- run()  # not timed: loads methods
spent <- vapply(seq_len(repeats), function(i) {
  gc()
  start <- Sys.time()
  run()
  as.numeric(difftime(Sys.time(), start, units = "secs"))
}, 0)
tool <- if (family == "nbinom2") "glmmTMB" else "lme4"
cat(tool, nrow(data), format(median(spent), digits = 6), format(logLik(fit), digits = 12),
    sep = ",")
cat("\n")
