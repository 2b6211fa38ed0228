# Generalised mixed models of patients seen at several sites, (1 | patient) + (1 | site): Laplace's
# approximation over the effects of the sites around patients integrated by brute force, written
# out here and maximised; the integral over both by brute force where that is largest; glmer's and
# glmmTMB's Laplace approximation over both beside it. Writes glmm_crossed.csv and
# crossed_visits.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressMessages({library(lme4); library(glmmTMB)})
RNGversion("4.0.0")

set.seed(23)
patients <- 40; visits <- 5; sites <- 3
d <- data.frame(patient = rep(seq_len(patients), each = visits),
                time = rep(seq_len(visits) - 1, patients))
d$site <- 1 + (d$patient + d$time * (d$patient %% 3)) %% sites
d$treated <- (d$patient %/% 2) %% 2
eta <- -0.4 + 0.3 * d$time - 0.6 * d$treated + rnorm(patients, 0, 0.9)[d$patient] +
  c(-1, 0.2, 0.9)[d$site]
d$positive <- rbinom(nrow(d), 1, plogis(eta))
d$count <- rpois(nrow(d), exp(0.5 * eta))
write_data(d, "crossed_visits")

X <- model.matrix(~ time + treated, d)
grid <- seq(-7.2, 7.2, by = 0.3)                     # of a patient's standard normal effect
log_weight <- dnorm(grid, log = TRUE) + log(0.3)
log_sum <- function(m) {                             # by row
  top <- apply(m, 1, max)
  top + log(rowSums(exp(m - top)))
}
# Log density of each row at predictors (rows by places), its derivative and minus the second one.
families <- list(
  bernoulli = list(
    log = function(e) plogis((2 * d$positive - 1) * e, log.p = TRUE),
    slope = function(e) d$positive - plogis(e),
    bend = function(e) plogis(e) * plogis(-e)),
  poisson = list(
    log = function(e) array(dpois(d$count, exp(e), log = TRUE), dim(e)),
    slope = function(e) d$count - exp(e),
    bend = function(e) exp(e)))

# Of the patients' log-likelihood at effects b of the sites: value, gradient, minus the Hessian
# (Louis 1982, J R Stat Soc B 44:226-233).
given <- function(f, beta, tau, b) {
  e <- outer(as.vector(X %*% beta) + b[d$site], tau * grid, "+")
  joint <- sweep(rowsum(f$log(e), d$patient), 2, log_weight, "+")
  value <- log_sum(joint)
  w <- exp(joint - value)                            # patients by places
  row_w <- w[d$patient, ]
  slope <- f$slope(e)
  by_site <- lapply(seq_len(sites), function(j) rowsum(slope * (d$site == j), d$patient))
  mean_by_site <- vapply(by_site, function(s) rowSums(s * w), numeric(patients))
  bend <- diag(vapply(seq_len(sites), function(j) sum((f$bend(e) * row_w)[d$site == j, ]), 0))
  for (j in seq_len(sites)) for (k in seq_len(sites))
    bend[j, k] <- bend[j, k] - sum(by_site[[j]] * by_site[[k]] * w) +
      sum(mean_by_site[, j] * mean_by_site[, k])
  list(value = sum(value), slope = colSums(mean_by_site), bend = bend)
}
laplace <- function(f, par) {
  tau <- exp(par[4]); s <- exp(par[5]); z <- numeric(sites)
  for (step in 1:50) {
    at <- given(f, par[1:3], tau, s * z)
    H <- diag(sites) + s^2 * at$bend
    move <- solve(H, s * at$slope - z)
    if (max(abs(move)) < 1e-11) break
    z <- z + move
  }
  list(value = at$value - sum(z^2) / 2 - determinant(H)$modulus / 2, z = z, H = H)
}
# Both integrals by trapezoidal rules: of a site around its mode, with steps small beside its
# spread given the others.
exact <- function(f, par) {
  tau <- exp(par[4]); s <- exp(par[5]); found <- laplace(f, par)
  step <- 0.6 / sqrt(max(diag(found$H)))
  far <- ceiling(6.5 * sqrt(max(diag(solve(found$H)))) / step)
  at <- outer(step * (-far:far), found$z, "+")       # places by sites
  cells <- as.matrix(expand.grid(rep(list(seq_len(nrow(at))), sites)))
  total <- sites * log(step)
  for (k in seq_len(sites)) total <- total + dnorm(at[cells[, k], k], log = TRUE)
  base <- as.vector(X %*% par[1:3])
  by_place <- lapply(seq_len(nrow(at)), function(k)
    f$log(outer(base + s * at[k, d$site], tau * grid, "+")))
  for (i in seq_len(patients)) {
    joint <- matrix(log_weight, nrow(cells), length(grid), byrow = TRUE)
    for (j in which(d$patient == i)) {
      own <- do.call(rbind, lapply(by_place, function(m) m[j, ]))
      joint <- joint + own[cells[, d$site[j]], ]
    }
    total <- total + log_sum(joint)
  }
  log_sum(matrix(total, 1))
}

for (name in names(families)) {
  f <- families[[name]]
  fn <- function(par) -as.numeric(laplace(f, par)$value)
  rough <- optim(c(-0.3, 0.2, -0.3, -0.4, -0.5), fn, method = "BFGS",
                 control = list(reltol = 1e-10))
  end <- newton(fn, rough$par)
  se <- sqrt(diag(solve(end$hessian)))
  note(name, "coef", end$par[1:3], colnames(X))
  note(name, "se", se[1:3], colnames(X))
  note(name, "sd", exp(end$par[4:5]), c("patient", "site"))
  note(name, "log_sd_se", se[4:5], c("patient", "site"))
  note(name, "loglik", -fn(end$par))
  note(name, "mode", exp(end$par[5]) * laplace(f, end$par)$z, seq_len(sites))
  note(name, "exact_loglik", exact(f, end$par))
  response <- if (name == "poisson") "count" else "positive"
  formula <- reformulate(c("time", "treated", "(1 | patient)", "(1 | site)"), response)
  family <- if (name == "poisson") poisson() else binomial()
  fit <- glmer(formula, d, family = family)
  note(name, "glmer_loglik", logLik(fit))
  note(name, "glmer_coef", fixef(fit))
  note(name, "glmer_sd", sqrt(unlist(VarCorr(fit))), c("patient", "site"))
  tmb <- glmmTMB(formula, d, family = family)
  note(name, "glmmTMB_loglik", logLik(tmb))
}
write_rows("glmm_crossed")
