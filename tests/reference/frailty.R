# Site effects in Cox models: coxme (Gaussian, Laplace) and survival's frailty terms (gamma by EM,
# Gaussian at a given variance). Writes centres.csv and frailty.csv. coxme is not in Debian: give the
# library it is in as R_LIBS.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(coxme)})

set.seed(20)
n <- 240
site <- sample(rep(1:12, times = c(6, 8, 10, 12, 15, 18, 20, 22, 26, 30, 33, 40)))
effect <- round(rnorm(12, 0, 0.7), 2)
s <- data.frame(site = site, arm = rbinom(n, 1, 0.5), age = round(rnorm(n, 60, 10)),
                ward = rbinom(n, 1, 0.4), w = 1 + rbinom(n, 2, 0.3))
time <- rexp(n, 0.04 * exp(effect[site] - 0.5 * s$arm + 0.03 * (s$age - 60)))
s$entry <- ifelse(runif(n) < 0.3, sample(1:4, n, TRUE), 0)
s$exit <- s$entry + ceiling(pmin(time, runif(n, 10, 40)))
s$died <- as.integer(time <= s$exit - s$entry)
write_data(s, "centres")
s <- read_data("centres")

control <- coxme.control(eps = 1e-14, toler.chol = 1e-14, iter.max = 200,
                         optpar = list(method = "BFGS", control = list(reltol = 1e-15)))
formulas <- list(plain = Surv(exit, died) ~ arm + age + (1 | site),
                 entry = Surv(entry, exit, died) ~ arm + age + (1 | site),
                 strata = Surv(exit, died) ~ arm + age + strata(ward) + (1 | site))
for (name in names(formulas)) for (ties in c("efron", "breslow")) for (weighted in c(FALSE, TRUE)) {
  if (weighted && name != "plain") next
  model <- paste("coxme", name, ties, if (weighted) "weighted" else "")
  args <- list(formulas[[name]], data = s, ties = ties, control = control)
  if (weighted) args$weights <- s$w
  fit <- do.call(coxme, args)
  note(model, "coef", fixef(fit))
  note(model, "variance", unlist(VarCorr(fit)), "site")
  note(model, "loglik", fit$loglik, c("null", "integrated", "penalised"))
  args$vfixed <- list(site = 0.3) # no search: the digits of the climb alone
  fixed <- do.call(coxme, args)
  note(paste(model, "at 0.3"), "coef", fixef(fixed))
  note(paste(model, "at 0.3"), "se", sqrt(diag(as.matrix(vcov(fixed)))), names(fixef(fixed)))
  note(paste(model, "at 0.3"), "loglik", fixed$loglik, c("null", "integrated", "penalised"))
  note(paste(model, "at 0.3"), "effect", ranef(fixed)$site)
}

exact <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 200, outer.max = 200)
for (ties in c("efron", "breslow")) {
  fit <- coxph(Surv(exit, died) ~ arm + age + frailty(site, distribution = "gaussian", theta = 0.3,
               sparse = FALSE), s, ties = ties, control = exact)
  model <- paste("gaussian at 0.3", ties)
  note(model, "coef", coef(fit)[1:2])
  note(model, "se", sqrt(diag(vcov(fit)))[1:2], names(coef(fit))[1:2])
  note(model, "effect", coef(fit)[-(1:2)], 1:12)
  fit <- coxph(Surv(exit, died) ~ arm + age + frailty(site, distribution = "gamma", theta = 0.3,
               sparse = FALSE), s, ties = ties, control = exact)
  model <- paste("gamma at 0.3", ties)
  note(model, "coef", coef(fit)[1:2])
  note(model, "se", sqrt(diag(vcov(fit)))[1:2], names(coef(fit))[1:2])
  note(model, "effect", coef(fit)[-(1:2)], 1:12)
  fit <- coxph(Surv(exit, died) ~ arm + age + frailty(site, distribution = "gamma", eps = 1e-12,
               sparse = FALSE), s, ties = ties, control = exact)
  model <- paste("gamma", ties)
  h <- fit$history[[1]]
  note(model, "coef", coef(fit)[1:2])
  note(model, "variance", h$theta, "site")
  note(model, "loglik", c(fit$loglik[1], h$c.loglik), c("null", "integrated"))
}
write_rows("frailty")
