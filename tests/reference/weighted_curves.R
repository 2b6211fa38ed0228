# Curves, risks and mean times of groups weighted by propensity, and the doubly robust risk. Writes
# weighted_curves.csv, and weighted_cohort.csv, the made-up cohort that they are of.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(numDeriv); library(mets)})

set.seed(31)
n <- 90
cohort <- data.frame(age = round(rnorm(n, 60, 12)), crp = round(exp(rnorm(n, 3, 0.8)), 1))
cohort$arm <- rbinom(n, 1, plogis(-0.3 + 0.04 * (cohort$age - 60) + 0.3 * (log(cohort$crp) - 3)))
rate <- 0.03 * exp(0.04 * (cohort$age - 60) - 0.5 * cohort$arm)
death <- rexp(n, rate); home <- rexp(n, 0.02); lost <- runif(n, 5, 60)
cohort$exact <- pmin(pmin(death, home, lost), 28)
cohort$exit <- ceiling(cohort$exact)
cohort$status <- ifelse(pmin(death, home, lost) > 28, 0,
                        ifelse(death < pmin(home, lost), 1, ifelse(home < lost, 2, 0)))
write_data(cohort, "weighted_cohort")
cohort <- read_data("weighted_cohort")
z <- cohort$arm
X <- cbind(1, cohort$age, log(cohort$crp))

score <- function(count) { # logistic regression in which each patient counts `count` times
  g <- rep(0, ncol(X))
  for (k in 1:100) {
    e <- plogis(drop(X %*% g))
    step <- solve(crossprod(X, count * e * (1 - e) * X), crossprod(X, count * (z - e)))
    g <- g + drop(step)
    if (max(abs(step)) < 1e-13) break
  }
  plogis(drop(X %*% g))
}
kinds <- list(
  ATE = function(e) ifelse(z == 1, 1 / e, 1 / (1 - e)),
  ATT = function(e) ifelse(z == 1, 1, e / (1 - e)),
  overlap = function(e) ifelse(z == 1, 1 - e, e),
  matching = function(e) pmin(e, 1 - e) / ifelse(z == 1, e, 1 - e))

# The definitions, written out: F(t) of a cause, and the area under Kaplan and Meier's curve.
incidence <- function(w, mine, horizon, cause = 1) {
  free <- 1; risk <- 0
  for (s in sort(unique(cohort$exit[mine & cohort$status > 0 & cohort$exit <= horizon]))) {
    y <- sum(w[mine & cohort$exit >= s])
    risk <- risk + free * sum(w[mine & cohort$exit == s & cohort$status == cause]) / y
    free <- free * (1 - sum(w[mine & cohort$exit == s & cohort$status > 0]) / y)
  }
  risk
}
mean_time <- function(w, mine, horizon) {
  free <- 1; area <- 0; last <- 0
  for (s in sort(unique(cohort$exit[mine & cohort$status == 1 & cohort$exit < horizon]))) {
    area <- area + free * (s - last); last <- s
    free <- free * (1 - sum(w[mine & cohort$exit == s & cohort$status == 1]) /
                      sum(w[mine & cohort$exit >= s]))
  }
  area + free * (horizon - last)
}
p <- ncol(X)
for (name in names(kinds)) {
  all_of <- function(count) {
    w <- count * kinds[[name]](score(count))
    r <- c(incidence(w, z == 1, 20), incidence(w, z == 0, 20))
    m <- c(mean_time(w, z == 1, 20), mean_time(w, z == 0, 20))
    c(r, r[1] - r[2], log(r[1] / r[2]), m, m[1] - m[2])
  }
  value <- all_of(rep(1, n))
  phi <- jacobian(all_of, rep(1, n)) # the infinitesimal jackknife, the score fitted again
  se <- sqrt(rowSums(phi^2) * n / (n - p))
  what <- c("risk 1", "risk 0", "risk difference", "log risk ratio", "mean 1", "mean 0",
            "mean difference")
  note(name, "value", value, what)
  note(name, "se", se, what)
  # survival's curves with these weights taken as known
  w <- kinds[[name]](score(rep(1, n)))
  for (g in 0:1) {
    fit <- survfit(Surv(exit, status == 1) ~ 1, cohort[z == g, ], weights = w[z == g],
                   robust = TRUE, id = which(z == g))
    at <- summary(fit, times = c(5, 10, 20))
    note(name, "survival", at$surv, paste(g, c(5, 10, 20)))
    note(name, "survival_se_known", at$std.err, paste(g, c(5, 10, 20)))
    state <- factor(cohort$status[z == g], 0:2, c("censored", "death", "home"))
    fit <- survfit(Surv(exit, state) ~ 1, cohort[z == g, ], weights = w[z == g], id = which(z == g))
    at <- summary(fit, times = c(5, 10, 20))
    note(name, "incidence", at$pstate[, 2], paste(g, c(5, 10, 20)))
    note(name, "incidence_se_known", at$std.err[, 2], paste(g, c(5, 10, 20)))
  }
}

# Doubly robust: logistic regressions of treatment and, weighted by censoring, of the event by 20.
logistic <- function(X, y, count) {
  g <- rep(0, ncol(X))
  for (k in 1:200) {
    e <- plogis(drop(X %*% g))
    step <- solve(crossprod(X, count * e * (1 - e) * X), crossprod(X, count * (y - e)))
    g <- g + drop(step)
    if (max(abs(step)) < 1e-13) break
  }
  g
}
robust <- function(time, horizon = 20) function(count) {
  e <- score(count)
  known <- time >= horizon | cohort$status > 0
  y <- as.numeric(time <= horizon & cohort$status == 1)
  G <- rep(1, n) # not censored before; an event at a time comes before a censoring
  for (g in 0:1) for (s in sort(unique(time[z == g & cohort$status == 0 & time < horizon]))) {
    ended <- sum(count[z == g & time == s & cohort$status == 0])
    there <- sum(count[z == g & (time > s | (time == s & cohort$status == 0))])
    later <- z == g & pmin(time, horizon) > s
    G[later] <- G[later] * (1 - ended / there)
  }
  v <- known / G
  beta <- logistic(cbind(z, X), y, count * v)
  sapply(1:0, function(a) {
    f <- plogis(drop(cbind(a, X) %*% beta))
    chance <- if (a == 1) e else 1 - e
    sum(count * (f + (z == a) / chance * v * (y - f))) / sum(count)
  })
}
for (clock in c("exit", "exact")) {
  ask <- robust(cohort[[clock]])
  phi <- jacobian(ask, rep(1, n))
  model <- paste("doubly robust", clock)
  what <- c("risk 1", "risk 0")
  note(model, "value", ask(rep(1, n)), what)
  note(model, "se", sqrt(rowSums(phi^2) * n / (n - p - 1)), what)
  note(model, "se", sqrt(sum((phi[1, ] - phi[2, ])^2) * n / (n - p - 1)), "risk difference")
}
cohort$treated <- factor(cohort$arm)
cohort$logcrp <- log(cohort$crp)
for (horizon in c(4, 20)) {
  fit <- logitIPCWATE(Event(exact, status) ~ treated + age + logcrp, cohort, cause = 1,
                      time = horizon, treat.model = treated ~ age + logcrp,
                      cens.model = ~strata(treated))
  note(paste("mets", horizon), "value", fit$riskDR, c("risk 1", "risk 0"))
  note(paste("mets", horizon), "se", fit$se.riskDR, c("risk 1", "risk 0"))
  note(paste("mets", horizon), "coef", fit$coef, c("Intercept", "arm", "age", "logcrp"))
}
write_rows("weighted_curves")
