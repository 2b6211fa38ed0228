# Weighted and stratified log-rank tests and max-combo, Cox models with coefficients that change
# over time, and accelerated failure times. Writes weighted_log_rank.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(mvtnorm)})

set.seed(1)
pairs <- list(c(0, 0), c(1, 0), c(0, 1), c(1, 1))
label <- function(k) paste0("(", k[1], ", ", k[2], ")")
pieces <- function(d) { # U of each weight, and their covariance, written out
  U <- numeric(4); V <- matrix(0, 4, 4); S <- 1
  for (t in sort(unique(d$exit[d$event == 1]))) {
    at <- d$entry < t & d$exit >= t; dead <- d$exit == t & d$event == 1
    y <- sum(at); y1 <- sum(at & d$g == 1); m <- sum(dead); m1 <- sum(dead & d$g == 1)
    w <- sapply(pairs, function(k) S^k[1] * (1 - S)^k[2])
    U <- U + w * (m1 - m * y1 / y)
    if (y > 1) V <- V + outer(w, w) * m * (y1 / y) * (1 - y1 / y) * (y - m) / (y - 1)
    S <- S * (1 - m / y)
  }
  list(U = U, V = V)
}
record <- function(model, d, strata = rep(1, nrow(d))) {
  parts <- lapply(split(d, strata), pieces)
  U <- Reduce(`+`, lapply(parts, `[[`, "U")); V <- Reduce(`+`, lapply(parts, `[[`, "V"))
  z <- U / sqrt(diag(V))
  note(model, "z", z, sapply(pairs, label))
  p <- 1 - pmvnorm(rep(-max(abs(z)), 4), rep(max(abs(z)), 4), corr = cov2cor(V),
                   algorithm = GenzBretz(maxpts = 2e7, abseps = 1e-7))
  note(model, "max_combo_p", p)
  if (all(d$entry == 0)) for (rho in 0:1) {
    fit <- survdiff(Surv(exit, event) ~ g + strata(strata), transform(d, strata = strata), rho = rho)
    stopifnot(abs(fit$chisq - z[rho + 1]^2) < 1e-8)
    note(model, "survdiff_chisq", fit$chisq, paste0("rho ", rho))
  }
}
lung <- read_data("lung"); veteran <- read_data("veteran"); icu <- read_data("icu")
as_rows <- function(exit, event, g, entry = 0)
  data.frame(entry = entry, exit = exit, event = event, g = as.numeric(g))
record("lung", as_rows(lung$time, lung$status, lung$sex == 2))
record("veteran", as_rows(veteran$time, veteran$status, veteran$trt == 2))
record("veteran strata", as_rows(veteran$time, veteran$status, veteran$trt == 2), veteran$celltype)
record("icu", as_rows(icu$exit, icu$event, icu$group == "ivig", icu$entry))

# Treatment's coefficient in log time, and in pieces.
control <- coxph.control(eps = 1e-13, toler.chol = 1e-14)
for (ties in c("efron", "breslow")) {
  fit <- coxph(Surv(time, status) ~ trt + karno + tt(trt), veteran, ties = ties, control = control,
               tt = function(x, t, ...) x * log(t))
  note(paste("veteran log", ties), "coef", coef(fit))
  note(paste("veteran log", ties), "se", sqrt(diag(vcov(fit))), names(coef(fit)))
  note(paste("veteran log", ties), "loglik", fit$loglik[2])
  long <- survSplit(Surv(time, status) ~ ., veteran, cut = c(60, 150), episode = "piece")
  fit <- coxph(Surv(tstart, time, status) ~ karno + trt:factor(piece), long, ties = ties,
               control = control)
  names <- c("karno", paste("piece", 1:3))
  note(paste("veteran pieces", ties), "coef", coef(fit), names)
  note(paste("veteran pieces", ties), "se", sqrt(diag(vcov(fit))), names)
  note(paste("veteran pieces", ties), "loglik", fit$loglik[2])
  one <- coxph(Surv(time, status) ~ trt + karno, veteran, ties = ties, control = control)
  note(paste("veteran pieces", ties), "chisq", 2 * (fit$loglik[2] - one$loglik[2]))
}
for (dist in c("weibull", "lognormal", "loglogistic")) {
  fit <- survreg(Surv(time, status) ~ sex + age, lung, dist = dist,
                 control = survreg.control(rel.tolerance = 1e-12))
  note(paste("lung", dist), "coef", coef(fit))
  note(paste("lung", dist), "se", sqrt(diag(vcov(fit)))[1:3], names(coef(fit)))
  # survival averaged over all patients under either sex, its error by the delta method
  theta <- c(coef(fit), log(fit$scale))
  for (sex in 1:2) for (t in c(100, 400)) {
    averaged <- function(theta) {
      eta <- theta[1] + theta[2] * sex + theta[3] * lung$age
      mean(1 - psurvreg(t, eta, exp(theta[4]), dist))
    }
    slope <- sapply(1:4, function(j) {
      h <- 1e-5 * (1:4 == j)
      (averaged(theta + h) - averaged(theta - h)) / 2e-5
    })
    term <- paste(sex, t)
    note(paste("lung", dist), "survival", averaged(theta), term)
    note(paste("lung", dist), "survival_se", sqrt(drop(slope %*% vcov(fit) %*% slope)), term)
  }
}
write_rows("weighted_log_rank")
