# Generalised mixed models of patients nested in sites, (1 | patient) + (1 | site): likelihoods
# integrated by brute force at both levels and maximised here, with their standard errors; glmer's
# and clmm's Laplace approximations beside them. Writes glmm_sites.csv and site_visits.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressMessages({library(lme4); library(ordinal)})
RNGversion("4.0.0")

set.seed(71)
patients <- 48; visits <- 4; sites <- 8
d <- data.frame(patient = rep(seq_len(patients), each = visits),
                time = rep(seq_len(visits) - 1, patients))
d$site <- 1 + d$patient %% sites
d$treated <- (d$patient %/% sites) %% 2
eta <- -0.4 + 0.3 * d$time - 0.6 * d$treated + rnorm(patients, 0, 0.9)[d$patient] +
  rnorm(sites, 0, 0.8)[d$site]
d$positive <- rbinom(nrow(d), 1, plogis(eta))
d$count <- rpois(nrow(d), exp(0.6 * eta))
d$score <- findInterval(eta + rlogis(nrow(d)), c(-1, 0.2, 1.5))
value <- eta + rnorm(nrow(d), 0, 0.7)
d$below <- as.integer(value < -0.8)
d$value <- signif(pmax(value, -0.8), 6)
write_data(d, "site_visits")

# Trapezoidal rules over standard normals: of patients, and of sites.
grid <- seq(-7.2, 7.2, by = 0.3)
log_weight <- dnorm(grid, log = TRUE) + log(0.3)
log_sum <- function(m) {                       # by column
  top <- apply(m, 2, max)
  top + log(colSums(exp(sweep(m, 2, top))))
}
home <- d$site[match(seq_len(patients), d$patient)]

# Minus the marginal log-likelihood: f gives log densities at a matrix of predictors, rows by
# places; rows that are alike are computed once.
brute <- function(eta, s_patient, s_site, response, f) {
  key <- paste(eta, response)
  once <- which(!duplicated(key))
  shift <- as.vector(outer(grid * s_patient, grid * s_site, "+"))
  density <- f(once, outer(eta[once], shift, "+"))
  log_patient <- rowsum(density[match(key, key[once]), ], d$patient)
  log_patient <- apply(log_patient, 1, function(l)
    log_sum(matrix(l, length(grid)) + log_weight))
  -sum(vapply(seq_len(sites), function(j)
    log_sum(matrix(rowSums(log_patient[, home == j]) + log_weight)), 0))
}
record <- function(model, fn, start, names) {
  rough <- optim(start, fn, method = "BFGS", control = list(reltol = 1e-9))
  end <- newton(fn, rough$par)
  k <- length(start)
  se <- sqrt(diag(solve(end$hessian)))
  note(model, "coef", end$par[seq_along(names)], names)
  note(model, "se", se[seq_along(names)], names)
  note(model, "sd", exp(end$par[k - 1:0]), c("patient", "site"))
  note(model, "log_sd_se", se[k - 1:0], c("patient", "site"))
  note(model, "loglik", -fn(end$par))
}
record_laplace <- function(model, fit) note(model, "laplace_loglik", logLik(fit))

X <- model.matrix(~ time + treated, d)
record("bernoulli", function(par)
  brute(as.vector(X %*% par[1:3]), exp(par[4]), exp(par[5]), d$positive,
        function(rows, e) plogis((2 * d$positive[rows] - 1) * e, log.p = TRUE)),
  c(-0.5, 0.2, 0, 0.2, -0.5), colnames(X))
record_laplace("bernoulli", glmer(positive ~ time + treated + (1 | patient) + (1 | site), d,
                                  family = binomial))

record("poisson", function(par)
  brute(as.vector(X %*% par[1:3]), exp(par[4]), exp(par[5]), d$count,
        function(rows, e) dpois(d$count[rows], exp(e), log = TRUE)),
  c(-0.3, 0.2, -0.2, -1, -0.6), colnames(X))
record_laplace("poisson", glmer(count ~ time + treated + (1 | patient) + (1 | site), d,
                                family = poisson))

# Thresholds after the coefficients, as in the package.
record("ordinal", function(par)
  brute(as.vector(X[, -1] %*% par[1:2]), exp(par[6]), exp(par[7]), d$score, function(rows, e) {
    cuts <- c(-Inf, par[3:5], Inf)
    k <- d$score[rows] + 1
    log(pmax(plogis(cuts[k + 1] - e) - plogis(cuts[k] - e), 1e-300))
  }), c(0.3, -0.5, -0.9, 0.5, 2.1, 0.1, 0.3), c("time", "treated", "0|1", "1|2", "2|3"))
record_laplace("ordinal", clmm(factor(score) ~ time + treated + (1 | patient) + (1 | site), data = d))

record("censored", function(par)
  brute(as.vector(X %*% par[1:3]), exp(par[5]), exp(par[6]), seq_along(d$value), function(rows, e) {
    z <- (d$value[rows] - e) / exp(par[4])
    below <- d$below[rows] == 1
    l <- dnorm(z, log = TRUE) - par[4]
    l[below, ] <- pnorm(z[below, ], log.p = TRUE)
    l
  }), c(-0.3, 0.2, -0.5, -0.4, -0.2, -0.2), c(colnames(X), "log sigma"))

write_rows("glmm_sites")
