# Rubin's rules with the degrees of freedom of Barnard and Rubin. Writes pool.csv.
# (mice takes a share of variance due to what is missing below 1e-4 as 1e-4.)
source("tests/reference/common.R")
suppressPackageStartupMessages(library(mice))

record <- function(model, estimate, std_error, df) {
  # n - k of pool.scalar are the complete-data degrees of freedom
  found <- pool.scalar(estimate, std_error^2, n = df + 1, k = 1)
  for (name in c("qbar", "ubar", "b", "t", "df", "r", "fmi")) note(model, name, found[[name]])
}

record("three", c(1.2, 1.5, 0.9), c(0.40, 0.45, 0.38), 20)
record("many", sin(seq_len(20)) / 4 + 2, 0.3 + cos(seq_len(20)) / 20, 36.5)
record("large", c(-0.51, -0.48, -0.55, -0.50, -0.47), c(0.11, 0.12, 0.11, 0.10, 0.12), Inf)
record("little missing", c(3.01, 3.03, 3.02, 2.97), c(0.5, 0.5, 0.51, 0.49), 9)

write_rows("pool")
