# Rscript tests/reference/bench_lme4.R data.csv formula [repeats] [reml] [term]
# Times lme4::lmer (5 repeats, REML unless given), e.g. with "y ~ time + (time | id)". With a term,
# also times the fit together with pbkrtest's Kenward-Roger test of that coefficient.
# Prints one line: lme4,<rows>,<seconds, median>,<criterion>[,<seconds with Kenward-Roger>]
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) < 2) stop("usage: bench_lme4.R data.csv formula [repeats] [reml] [kr term]")
suppressMessages(library(lme4))
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
formula <- as.formula(arguments[2])
repeats <- if (length(arguments) >= 3) as.integer(arguments[3]) else 5L
reml <- if (length(arguments) >= 4) as.logical(arguments[4]) else TRUE
median_seconds <- function(f) median(vapply(seq_len(repeats), function(i) {
  gc()
  start <- Sys.time()
  f()
  as.numeric(difftime(Sys.time(), start, units = "secs"))
}, 0))
fit <- lmer(formula, data, REML = reml)      # not timed: loads methods
line <- c("lme4", nrow(data), format(median_seconds(function() lmer(formula, data, REML = reml)),
                                     digits = 6),
          format(if (reml) REMLcrit(fit) else deviance(fit), digits = 12))
if (length(arguments) >= 5) {
  suppressMessages(library(pbkrtest))
  L <- matrix(as.numeric(names(fixef(fit)) == arguments[5]), 1)
  if (!any(L == 1)) stop("no coefficient named ", arguments[5], "; there are ",
                         toString(names(fixef(fit))))
  KRmodcomp(fit, L)
  line <- c(line, format(median_seconds(function() KRmodcomp(lmer(formula, data, REML = reml), L)),
                         digits = 6))
}
cat(paste(line, collapse = ","), "\n", sep = "")
