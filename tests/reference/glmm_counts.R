# Mixed models of counts: lme4::glmer (Poisson, by the number of quadrature nodes), glmer.nb and
# glmmTMB (nbinom2 and nbinom1, Laplace), each likelihood also integrated by brute force and climbed
# to its maximum here. Writes glmm_counts.csv and episodes.csv.
source("tests/reference/common.R")
suppressMessages({library(lme4); library(glmmTMB)})
RNGversion("4.0.0")
source("tests/reference/polished.R")

# A made-up trial: units transfused in four periods of unequal length, more variable than Poisson's.
set.seed(17)
episodes <- do.call(rbind, lapply(1:48, function(k) {
  b <- rnorm(1, 0, 0.6)
  treated <- k %% 2
  period <- 0:3
  days <- sample(2:14, 4, replace = TRUE)
  mu <- days * exp(-1.2 + b - 0.15 * period - 0.4 * treated)
  data.frame(patient = k, treated = treated, period = period, days = days,
             units = rpois(4, mu * rgamma(4, 3, 3)))
}))
write_data(episodes, "episodes")
formula <- units ~ period * treated + offset(log(days)) + (1 | patient)

tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
for (nodes in c(1, 5, 9, 15, 25)) {
  fit <- glmer(formula, episodes, poisson, nAGQ = nodes, control = tight)
  model <- paste0("poisson_nodes", nodes)
  note(model, "coef", fixef(fit))
  note(model, "se", sqrt(diag(as.matrix(vcov(fit)))), names(fixef(fit)))
  note(model, "sd", sqrt(VarCorr(fit)$patient[1]), "(Intercept)")
  # With several nodes glmer leaves out what the counts alone decide.
  if (nodes == 1) note(model, "loglik", logLik(fit))
}
fit <- glmer.nb(formula, episodes, control = tight)
note("glmer.nb", "coef", fixef(fit))
note("glmer.nb", "theta", getME(fit, "glmer.nb.theta"))
note("glmer.nb", "sd", sqrt(VarCorr(fit)$patient[1]), "(Intercept)")
note("glmer.nb", "loglik", logLik(fit))
for (name in c("nbinom2", "nbinom1", "poisson")) {
  fit <- glmmTMB(formula, data = episodes, family = match.fun(name)(),
                 control = glmmTMBControl(optCtrl = list(rel.tol = 1e-14, x.tol = 1e-12)))
  model <- paste0("glmmTMB_", name)
  note(model, "coef", fixef(fit)$cond)
  note(model, "se", sqrt(diag(vcov(fit)$cond)), names(fixef(fit)$cond))
  note(model, "sd", sqrt(VarCorr(fit)$cond$patient[1]), "(Intercept)")
  if (name != "poisson") note(model, "dispersion", sigma(fit))
  note(model, "loglik", logLik(fit))
}

grid <- seq(-12, 12, by = 0.05)
log_integral <- function(l) {
  v <- l(grid) + dnorm(grid, log = TRUE)
  max(v) + log(sum(exp(v - max(v)))) + log(0.05)
}
X <- model.matrix(~ period * treated, episodes)
y <- episodes$units
# par: coefficients, log SD, and log theta (nbinom2) or log phi (nbinom1)
brute <- function(density) function(par) {
  eta <- as.vector(X %*% par[1:4]) + log(episodes$days)
  -sum(vapply(split(seq_along(y), episodes$patient), function(rows) log_integral(function(b) {
    mu <- exp(outer(eta[rows], exp(par[5]) * b, "+"))
    colSums(matrix(density(y[rows], mu, exp(par[6])), nrow = length(rows)))
  }), 0))
}
exact <- list(
  poisson = function(y, mu, own) dpois(y, mu, log = TRUE),
  negative_binomial = function(y, mu, own) dnbinom(y, mu = mu, size = own, log = TRUE),
  nbinom1 = function(y, mu, own) dnbinom(y, mu = mu, size = mu / own, log = TRUE))
for (name in names(exact)) {
  fn <- brute(exact[[name]])
  start <- c(-1.2, -0.15, -0.4, 0, log(0.6), if (name != "poisson") log(1.5))
  rough <- optim(start, fn, method = "BFGS", control = list(reltol = 1e-12))
  end <- newton(fn, rough$par)
  se <- sqrt(diag(solve(end$hessian)))
  model <- paste0(name, "_exact")
  note(model, "coef", end$par[1:4], colnames(X))
  note(model, "se", se[1:4], colnames(X))
  note(model, "sd", exp(end$par[5]), "(Intercept)")
  note(model, "log_sd_se", se[5])
  if (name != "poisson") note(model, "dispersion", exp(end$par[6]))
  if (name != "poisson") note(model, "log_dispersion_se", se[6])
  note(model, "loglik", -fn(end$par))
}
# glmer's Laplace of a random slope.
fit <- glmer(units ~ period * treated + offset(log(days)) + (period | patient), episodes, poisson,
             control = tight)
note("poisson_slope_laplace", "coef", fixef(fit))
note("poisson_slope_laplace", "loglik", logLik(fit))

write_rows("glmm_counts")
