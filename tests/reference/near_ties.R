# Times that differ by rounding: (age + week / 10) - age of lung.csv's patients. R's survival merges
# them (timefix); everything must be what it is for week / 10. Writes near_ties.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages(library(survival))

lung <- read_data("lung")
lung$week <- ceiling(lung$time / 7)
lung$messy <- (lung$age + lung$week / 10) - lung$age
lung$tidy <- lung$week / 10
stopifnot(length(unique(lung$messy)) > length(unique(lung$tidy)))

for (name in c("messy", "tidy")) {
  d <- transform(lung, t = lung[[name]])
  test <- survdiff(Surv(t, status) ~ sex, d)
  note(name, "log_rank_p", test$pvalue)
  note(name, "log_rank", test$chisq)
  fit <- coxph(Surv(t, status) ~ age + sex, d)
  note(name, "coef", coef(fit))
  note(name, "se", sqrt(diag(vcov(fit))))
  note(name, "loglik", fit$loglik[2])
  note(name, "concordance", concordance(fit)$concordance)
  note(name, "zph", cox.zph(fit)$table[, "chisq"])
  km <- summary(survfit(Surv(t, status) ~ 1, d), times = c(0.3, 2.3), extend = TRUE)
  note(name, "km", km$surv, c("0.3", "2.3"))
}
write_rows("near_ties")
