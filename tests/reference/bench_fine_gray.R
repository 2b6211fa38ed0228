# Rscript tests/reference/bench_fine_gray.R data.csv {survival|cmprsk} [repeats]
# Times Fine and Gray's model with robust standard errors: finegray with coxph, or crr.
# Prints one line: fine_gray,<rows>,<seconds, median>,<first coefficient>
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
repeats <- if (length(arguments) >= 3) as.integer(arguments[3]) else 3L
suppressPackageStartupMessages(library(survival))
if (arguments[2] == "cmprsk") suppressPackageStartupMessages(library(cmprsk))
covariates <- setdiff(names(data), c("time", "status"))
fit <- function() {
  if (arguments[2] == "cmprsk") {
    return(crr(data$time, data$status, as.matrix(data[covariates]))$coef[1])
  }
  data$state <- factor(data$status, 0:2, c("censored", "event", "other"))
  data$who <- seq_len(nrow(data))
  long <- finegray(Surv(time, state) ~ ., data, id = who, etype = "event")
  right <- reformulate(covariates, response = quote(Surv(fgstart, fgstop, fgstatus)))
  coef(coxph(right, long, weights = fgwt, cluster = who, robust = TRUE))[1]
}
first <- NULL
seconds <- vapply(seq_len(repeats), function(i) {
  gc()
  start <- Sys.time()
  first <<- fit()
  as.numeric(difftime(Sys.time(), start, units = "secs"))
}, 0)
cat(paste(c("fine_gray", nrow(data), format(median(seconds), digits = 6), format(first, digits = 8)),
          collapse = ","), "\n", sep = "")
