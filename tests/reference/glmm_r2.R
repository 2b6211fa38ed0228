# Nakagawa, Johnson and Schielzeth's R squared of generalised mixed models, written out from fits of
# lme4 (glmer, 15 nodes) and ordinal (clmm, 15 nodes), and by brute force. Writes glmm_r2.csv.
source("tests/reference/common.R")
suppressMessages({library(lme4); library(ordinal)})

shares <- function(model, fixed, random, around) {
  total <- fixed + random + around
  note(model, "r2", c(marginal = fixed / total, conditional = (fixed + random) / total))
}
tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
fixed_variance <- function(X, beta) var(as.vector(X %*% beta))

cbpp <- read.csv(file.path(reference_dir, "cbpp_bernoulli.csv"))
fit <- glmer(disease ~ factor(period) + (1 | herd), cbpp, binomial, nAGQ = 15, control = tight)
shares("cbpp", fixed_variance(model.matrix(fit), fixef(fit)), VarCorr(fit)$herd[1], pi^2 / 3)

data(wine)
fit <- clmm(rating ~ temp + contact + (1 | judge), wine, nAGQ = 15, control = list(gradTol = 1e-10))
X <- model.matrix(~ temp + contact, wine)[, -1]
shares("wine", fixed_variance(X, fit$beta), VarCorr(fit)$judge[1], pi^2 / 3)

episodes <- read.csv(file.path(reference_dir, "episodes.csv"))
slope <- units ~ period + treated + (period | patient)
fit <- glmer(slope, episodes, poisson, control = tight)
null <- glmer(units ~ 1 + (period | patient), episodes, poisson, control = tight)
random <- function(fit) {
  Z <- cbind(1, episodes$period)
  mean(rowSums((Z %*% as.matrix(VarCorr(fit)$patient)) * Z))
}
m <- exp(fixef(null)[[1]] + random(null) / 2)
shares("poisson_slope", fixed_variance(model.matrix(fit), fixef(fit)), random(fit), log1p(1 / m))

formula <- units ~ period * treated + (1 | patient)
fit <- glmer(formula, episodes, poisson, nAGQ = 15, control = tight)
null <- glmer(units ~ 1 + (1 | patient), episodes, poisson, nAGQ = 15, control = tight)
m <- exp(fixef(null)[[1]] + VarCorr(null)$patient[1] / 2)
shares("poisson", fixed_variance(model.matrix(fit), fixef(fit)), VarCorr(fit)$patient[1], log1p(1 / m))

# The negative binomials by their likelihood, integrated on a grid, and its maximum.
RNGversion("4.0.0")
source("tests/reference/polished.R")
grid <- seq(-8, 8, by = 0.1)
log_integral <- function(l) {
  v <- l(grid) + dnorm(grid, log = TRUE)
  max(v) + log(sum(exp(v - max(v)))) + log(0.1)
}
y <- episodes$units
best <- function(X, size) {
  k <- ncol(X)
  # par: coefficients, log SD, log theta (nbinom2) or log phi (nbinom1)
  fn <- function(par) {
    eta <- as.vector(X %*% par[1:k])
    -sum(vapply(split(seq_along(y), episodes$patient), function(rows) log_integral(function(b) {
      mu <- exp(outer(eta[rows], exp(par[k + 1]) * b, "+"))
      colSums(matrix(dnbinom(y[rows], mu = mu, size = size(mu, exp(par[k + 2])), log = TRUE),
                     nrow = length(rows)))
    }), 0))
  }
  rough <- optim(c(log(mean(y)), rep(0, k - 1), log(0.6), 0.4), fn, method = "BFGS",
                 control = list(reltol = 1e-12, maxit = 500))
  newton(fn, rough$par)$par
}
X <- model.matrix(~ period * treated, episodes)
for (name in c("nbinom2", "nbinom1")) {
  size <- if (name == "nbinom2") function(mu, own) own else function(mu, own) mu / own
  full <- best(X, size)
  null <- best(X[, 1, drop = FALSE], size)
  m <- exp(null[1] + exp(2 * null[2]) / 2)
  own <- exp(full[6])
  around <- if (name == "nbinom2") log1p(1 / m + 1 / own) else log1p((1 + own) / m)
  shares(name, fixed_variance(X, full[1:4]), exp(2 * full[5]), around)
}
write_rows("glmm_r2")
