# Gray's test with more than two groups, and with small, heavily tied ones. Writes gray.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages(library(cmprsk))

record <- function(model, time, status, group) {
  tests <- cuminc(time, status, group)$Tests
  for (k in rownames(tests)) {
    cause <- paste("cause", k)
    note(model, "statistic", tests[k, "stat"], cause)
    note(model, "p_value", tests[k, "pv"], cause)
    note(model, "df", tests[k, "df"], cause)
  }
}

m <- read_data("competing")
record("three", m$etime, m$status, m$id %% 3)
record("five", m$etime, m$status, m$id %% 5)
record("years", ceiling(m$etime / 12), m$status, m$id %% 3)
few <- m[seq_len(41), ]
record("few", ceiling(few$etime / 40), few$status, few$sex)

write_rows("gray")
