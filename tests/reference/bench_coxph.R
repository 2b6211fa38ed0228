# Rscript tests/reference/bench_coxph.R data.csv [ties] [repeats] [formula]
# Times survival::coxph (ties efron, 3 repeats and "Surv(time, event) ~ ." unless given).
# Prints one line: coxph,<rows>,<ties>,<seconds, median>,<log partial likelihood>
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) < 1) stop("usage: bench_coxph.R data.csv [ties] [repeats] [formula]")
suppressMessages(library(survival))
fast <- requireNamespace("data.table", quietly = TRUE)
data <- if (fast) data.table::fread(arguments[1], data.table = FALSE) else read.csv(arguments[1])
ties <- if (length(arguments) >= 2) arguments[2] else "efron"
repeats <- if (length(arguments) >= 3) as.integer(arguments[3]) else 3L
formula <- as.formula(if (length(arguments) >= 4) arguments[4] else "Surv(time, event) ~ .")
fit <- NULL
seconds <- vapply(seq_len(repeats), function(i) {
  gc()
  start <- Sys.time()
  fit <<- coxph(formula, data, ties = ties)
  as.numeric(difftime(Sys.time(), start, units = "secs"))
}, 0)
cat(paste(c("coxph", nrow(data), ties, format(median(seconds), digits = 6),
            format(fit$loglik[2], digits = 12)),
          collapse = ","), "\n", sep = "")
