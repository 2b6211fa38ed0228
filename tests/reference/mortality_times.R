# Quantiles of survival with Brookmeyer and Crowley's limits, follow-up by reverse Kaplan-Meier,
# and analyses of deviance of Cox models. Writes mortality_times.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(prodlim)})

p <- c(0.1, 0.25, 0.5, 0.75)
record <- function(model, formula, data) for (type in c("log-log", "log", "plain")) {
  q <- quantile(survfit(formula, data, conf.type = type), p)
  for (part in c("quantile", "lower", "upper")) {
    m <- rbind(q[[part]]); rownames(m) <- if (nrow(m) == 1) "all" else rownames(m)
    note_matrix(paste(model, type), part, m)
  }
}
lung <- read_data("lung"); veteran <- read_data("veteran"); icu <- read_data("icu")
tied <- read_data("tied")
record("lung", Surv(time, status) ~ sex, lung)
record("veteran", Surv(time, status) ~ trt, veteran)
record("icu", Surv(entry, exit, event) ~ group, icu)
record("tied", Surv(entry, exit, event) ~ 1, tied)
half <- data.frame(time = 1:8, event = c(1, 1, 0, 1, 1, 1, 1, 1))
record("half", Surv(time, event) ~ 1, half)
even <- data.frame(time = c(1, 2, 5, 9), event = 1) # survival is a half between 2 and 5
record("even", Surv(time, event) ~ 1, even)

# Deaths before censorings at a tie, as in prodlim.
for (name in c("lung", "veteran")) {
  d <- get(name); d$group <- if (name == "lung") d$sex else d$trt
  for (g in sort(unique(d$group))) {
    fit <- prodlim(Hist(time, status) ~ 1, d[d$group == g, ], reverse = TRUE)
    left <- fit$n.lost > 0
    note(paste("reverse", name, g), "surv", fit$surv[left], fit$time[left])
    note(paste("reverse", name, g), "se", fit$se.surv[left], fit$time[left])
  }
}

devs <- function(model, table) {
  rownames(table) <- seq_len(nrow(table)) - 1
  for (column in c("loglik", "Chisq", "Df", "Pr(>|Chi|)"))
    note(model, column, table[[column]], rownames(table))
}
control <- coxph.control(eps = 1e-13, toler.chol = 1e-14)
for (ties in c("efron", "breslow")) {
  fit <- coxph(Surv(time, status) ~ sex + age * ecog + strata(inst > 5), lung, ties = ties,
               control = control)
  devs(paste("lung sequence", ties), as.data.frame(anova(fit)))
  one <- coxph(Surv(time, status) ~ sex, lung, ties = ties, control = control)
  two <- coxph(Surv(time, status) ~ sex + age, lung, ties = ties, control = control)
  three <- coxph(Surv(time, status) ~ sex + age * ecog, lung, ties = ties, control = control)
  table <- as.data.frame(anova(one, two, three))
  names(table)[names(table) == "P(>|Chi|)"] <- "Pr(>|Chi|)"
  devs(paste("lung models", ties), table)
}
write_rows("mortality_times")
