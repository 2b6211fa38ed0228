# Rscript tests/reference/bench_frailty.R data.csv {gamma|gaussian} [repeats]
# Times a Cox model with site effects: survival's gamma frailty or coxme, medians of 3 repeats unless
# given. survival's search for the variance ends after ten steps unless told otherwise, wherever it
# is, and says nothing; here it goes on until it has arrived.
# Prints one line: frailty,<rows>,<seconds>,<variance>
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
repeats <- if (length(arguments) >= 3) as.integer(arguments[3]) else 3L
suppressPackageStartupMessages(library(survival))
if (arguments[2] == "gaussian") suppressPackageStartupMessages(library(coxme))
fit <- function() {
  if (arguments[2] == "gaussian") {
    m <- coxme(Surv(time, event) ~ arm + age + (1 | site), data)
    return(unlist(VarCorr(m)))
  }
  m <- coxph(Surv(time, event) ~ arm + age + frailty(site), data,
             control = coxph.control(outer.max = 200))
  m$history[[1]]$theta
}
variance <- NULL
seconds <- vapply(seq_len(repeats), function(i) {
  gc()
  start <- Sys.time()
  variance <<- fit()
  as.numeric(difftime(Sys.time(), start, units = "secs"))
}, 0)
cat(paste(c("frailty", nrow(data), format(median(seconds), digits = 6), format(variance, digits = 8)),
          collapse = ","), "\n", sep = "")
