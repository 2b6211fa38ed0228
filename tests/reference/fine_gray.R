# Fine and Gray's model: survival's finegray with coxph, and cmprsk's crr. Writes fine_gray.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(cmprsk)})

control <- coxph.control(eps = 1e-13, toler.chol = 1e-14)
expand <- function(data, formula, etype, weighted = FALSE) {
  data$state <- factor(data$status, 0:2, c("censored", "event", "other"))
  data$who <- seq_len(nrow(data))
  if (weighted) finegray(formula, data, weights = w, id = who, etype = etype)
  else finegray(formula, data, id = who, etype = etype)
}
record <- function(model, long, formula, ties, rows = "who") {
  long$whose <- long[[rows]]
  fit <- coxph(formula, long, weights = fgwt, ties = ties, control = control, cluster = whose,
               robust = TRUE)
  model <- paste(model, ties)
  note(model, "coef", coef(fit))
  note(model, "robust_se", sqrt(diag(vcov(fit))), names(coef(fit)))
  note(model, "naive_se", sqrt(diag(fit$naive.var)), names(coef(fit)))
  note(model, "loglik", fit$loglik[2])
  note(model, "rows", nrow(long))
  fit
}

# Every fourth patient of mgus2: progression (1) and death (2), months, many ties.
m <- read_data("competing")
m$age <- 55 + (m$id * 37) %% 31 # made up, as are entry, strata and weights
m$entry <- pmin(m$id %% 7, m$etime / 2)
m$later <- (m$id %/% 4) %% 2
m$w <- 1 + (m$id %% 5) %% 3 # whole numbers: each row so many times
m$male <- as.numeric(m$sex == "M")
for (ties in c("efron", "breslow")) {
  long <- expand(m, Surv(etime, state) ~ ., etype = "event")
  fit <- record("mgus", long, Surv(fgstart, fgstop, fgstatus) ~ age + male, ties)
  new <- data.frame(age = c(60, 75), male = c(0, 1))
  plain <- coxph(Surv(fgstart, fgstop, fgstatus) ~ age + male, long, weights = fgwt, ties = ties,
                 control = control)
  curve <- summary(survfit(plain, newdata = new), times = c(24, 60, 120))
  for (k in 1:2) {
    note(paste("mgus", ties), "incidence", 1 - curve$surv[, k], paste(k, c(24, 60, 120)))
  }
  record("mgus other", expand(m, Surv(etime, state) ~ ., etype = "other"),
         Surv(fgstart, fgstop, fgstatus) ~ age + male, ties)
  record("mgus strata", expand(m, Surv(etime, state) ~ . + strata(later), etype = "event"),
         Surv(fgstart, fgstop, fgstatus) ~ age + male + strata(later), ties)
  if (ties == "breslow") record("mgus weights", expand(m[rep(seq_len(nrow(m)), m$w), ], Surv(etime, state) ~ ., "event"),
         Surv(fgstart, fgstop, fgstatus) ~ age + male, ties, "id")
  record("mgus entry", expand(m, Surv(entry, etime, state) ~ ., etype = "event"),
         Surv(fgstart, fgstop, fgstatus) ~ age + male, ties)
}
# The made-up cohort without ties: cmprsk, whose variance counts the estimated censoring curve.
w <- read_data("weighted_cohort")
w$logcrp <- log(w$crp)
for (cause in 1:2) {
  fit <- crr(w$exact, w$status, as.matrix(w[c("arm", "age", "logcrp")]), failcode = cause,
             gtol = 1e-13, maxiter = 100)
  model <- paste("crr", cause)
  note(model, "coef", fit$coef)
  note(model, "se", sqrt(diag(fit$var)), names(fit$coef))
  note(model, "loglik", fit$loglik)
  p <- predict(fit, rbind(c(1, 60, 3), c(0, 70, 4)))
  for (t in c(5, 10, 20)) {
    at <- max(which(p[, 1] <= t))
    note(model, "incidence", p[at, 2:3], paste(1:2, t))
  }
}
long <- expand(transform(w, time = exact), Surv(time, state) ~ ., etype = "event")
record("cohort", long, Surv(fgstart, fgstop, fgstatus) ~ arm + age + logcrp, "breslow")
write_rows("fine_gray")
