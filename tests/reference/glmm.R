# Binary mixed models (lme4::glmer) and ordinal ones (ordinal::clmm) by adaptive Gauss-Hermite
# quadrature, each log-likelihood also integrated by brute force here. Writes glmm.csv,
# cbpp_bernoulli.csv, dic.csv, wine.csv, detection_limit.csv.
source("tests/reference/common.R")
suppressMessages({library(lme4); library(ordinal)})
RNGversion("4.0.0")

record_glmer <- function(model, fit) {
  note(model, "coef", fixef(fit))
  note(model, "se", sqrt(diag(as.matrix(vcov(fit)))), names(fixef(fit)))
  note(model, "loglik", logLik(fit))
  vc <- as.data.frame(VarCorr(fit))
  for (i in seq_len(nrow(vc))) {
    pair <- !is.na(vc$var2[i])
    note(model, if (pair) "correlation" else "sd", vc$sdcor[i],
         if (pair) paste(vc$var1[i], vc$var2[i], sep = " | ") else vc$var1[i])
  }
}

# log of the integral over a standard normal b of exp(l(b)): the trapezoid rule on a fine grid,
# which for a smooth integrand that dies out at both ends is right to rounding. l takes the grid
# and returns a patient's log-likelihood.
grid <- seq(-12, 12, by = 0.05)
log_integral <- function(l) {
  v <- l(grid) + dnorm(grid, log = TRUE)
  max(v) + log(sum(exp(v - max(v)))) + log(0.05)
}

# -log marginal likelihood of a random-intercept logit model: the arbiter.
brute_logit <- function(par, X, y, group) {
  p <- ncol(X)
  eta <- as.vector(X %*% par[1:p])
  s <- exp(par[p + 1])
  -sum(vapply(split(seq_along(y), group), function(rows)
    log_integral(function(b) colSums(plogis((2 * y[rows] - 1) * outer(eta[rows], s * b, "+"),
                                            log.p = TRUE))), 0))
}
source("tests/reference/polished.R")
record_exact <- function(model, fn, start, names, sd_name) {
  rough <- optim(start, fn, method = "BFGS", control = list(reltol = 1e-12))
  end <- newton(fn, rough$par)
  k <- length(start)
  V <- solve(end$hessian)
  note(model, "coef", end$par[-k], names)
  note(model, "se", sqrt(diag(V))[-k], names)
  note(model, "sd", exp(end$par[k]), sd_name)
  note(model, "log_sd_se", sqrt(V[k, k]))
  note(model, "loglik", -fn(end$par))
}

glmer_tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5),
                            check.conv.singular = "ignore")

# cbpp: one row an animal
data(cbpp, package = "lme4")
cbpp_rows <- cbpp[rep(seq_len(nrow(cbpp)), cbpp$size), c("herd", "period")]
cbpp_rows$disease <- unlist(Map(function(k, n) rep(c(1L, 0L), c(k, n - k)), cbpp$incidence,
                                cbpp$size))
write_data(cbpp_rows, "cbpp_bernoulli")
for (nodes in c(1, 5, 9, 15, 25))
  record_glmer(paste0("cbpp_nodes", nodes),
               glmer(disease ~ period + (1 | herd), cbpp_rows, binomial, nAGQ = nodes,
                     control = glmer_tight))
X <- model.matrix(~ period, cbpp_rows)
record_exact("cbpp_exact", function(par) brute_logit(par, X, cbpp_rows$disease, cbpp_rows$herd),
             c(-1.4, -1, -1.1, -1.6, log(0.65)), colnames(X), "(Intercept)")

# A made-up trial with a large random intercept and few visits, where Laplace is poor: DIC-positive
# days.
set.seed(8)
dic <- do.call(rbind, lapply(1:60, function(k) {
  b <- rnorm(1, 0, 2.2)
  slope <- rnorm(1, 0, 0.5)
  treated <- k %% 2
  week <- 0:(3 - (k %% 6 == 0))
  data.frame(patient = k, treated = treated, time = week,
             positive = rbinom(length(week), 1, plogis(0.4 + b + (slope - 0.5 - 0.4 * treated) *
                                                       week)))
}))
write_data(dic, "dic")
for (nodes in c(1, 5, 9, 15, 25))
  record_glmer(paste0("dic_nodes", nodes),
               glmer(positive ~ time * treated + (1 | patient), dic, binomial, nAGQ = nodes,
                     control = glmer_tight))
X <- model.matrix(~ time * treated, dic)
record_exact("dic_exact", function(par) brute_logit(par, X, dic$positive, dic$patient),
             c(0.5, -0.5, 0, -0.5, log(2)), colnames(X), "(Intercept)")
# glmer has only Laplace (one node) for a vector of random effects.
record_glmer("dic_slope_laplace",
             glmer(positive ~ time * treated + (time | patient), dic, binomial, nAGQ = 1,
                   control = glmer_tight))

# The same by a two-dimensional trapezoid rule: the maximum, and the value at a fixed point.
side <- seq(-7.5, 7.5, by = 0.25)
nodes <- as.matrix(expand.grid(side, side))
log_weight <- rowSums(dnorm(nodes, log = TRUE)) + 2 * log(0.25)
brute_slope <- function(par) {
  eta <- as.vector(X %*% par[1:4])
  s <- exp(par[5:6])
  r <- tanh(par[7])
  level <- s[1] * nodes[, 1]
  slope <- s[2] * (r * nodes[, 1] + sqrt(1 - r^2) * nodes[, 2])
  -sum(vapply(split(seq_along(eta), dic$patient), function(rows) {
    sign <- 2 * dic$positive[rows] - 1
    shift <- outer(rep(1, length(rows)), level) + outer(dic$time[rows], slope)
    v <- colSums(plogis(sign * (eta[rows] + shift), log.p = TRUE)) + log_weight
    max(v) + log(sum(exp(v - max(v))))
  }, 0))
}
fixed <- c(1.5, -0.7, -1, -0.2, log(1.8), log(0.9), atanh(-0.2))
note("dic_slope_exact", "loglik_at_fixed", -brute_slope(fixed))
rough <- optim(fixed, brute_slope, method = "BFGS", control = list(reltol = 1e-10, maxit = 100))
note("dic_slope_exact", "coef", rough$par[1:4], colnames(X))
note("dic_slope_exact", "sd", exp(rough$par[5:6]), c("(Intercept)", "time"))
note("dic_slope_exact", "correlation", tanh(rough$par[7]), "(Intercept) | time")
note("dic_slope_exact", "loglik", -rough$value)

# wine: bitterness in five grades, nine judges
wine_rows <- wine[c("rating", "temp", "contact", "judge")]
write_data(wine_rows, "wine")
for (nodes in c(1, 7, 15, 31)) {
  fit <- clmm(rating ~ temp + contact + (1 | judge), data = wine_rows, nAGQ = nodes,
              control = clmm.control(method = "ucminf", gradTol = 1e-6))
  model <- paste0("wine_nodes", nodes)
  note(model, "coef", coef(fit))
  note(model, "se", sqrt(diag(vcov(fit)))[names(coef(fit))])
  note(model, "sd", sqrt(VarCorr(fit)$judge[1]), "(Intercept)")
  note(model, "loglik", logLik(fit))
}
brute_ordinal <- function(par) {
  cuts <- c(-1e3, cumsum(c(par[1], exp(par[2:4]))), 1e3)
  eta <- par[5] * (wine_rows$temp == "warm") + par[6] * (wine_rows$contact == "yes")
  s <- exp(par[7])
  k <- as.integer(wine_rows$rating)
  -sum(vapply(split(seq_along(k), wine_rows$judge), function(rows) log_integral(function(b) {
    shift <- outer(eta[rows], s * b, "+")
    colSums(log(pmax(plogis(cuts[k[rows] + 1] - shift) - plogis(cuts[k[rows]] - shift), 1e-300)))
  }), 0))
}
rough <- optim(c(-1.6, log(3), log(2.7), log(2), 3, 1.8, 0.2), brute_ordinal, method = "BFGS",
               control = list(reltol = 1e-12))
end <- newton(brute_ordinal, rough$par)
ordinal_names <- c("1|2", "2|3", "3|4", "4|5", "tempwarm", "contactyes")
to_shown <- function(par) c(cumsum(c(par[1], exp(par[2:4]))), par[5:6])
J <- numDeriv::jacobian(to_shown, end$par)
note("wine_exact", "coef", to_shown(end$par), ordinal_names)
note("wine_exact", "se", sqrt(diag(J %*% solve(end$hessian) %*% t(J))), ordinal_names)
note("wine_exact", "sd", exp(end$par[7]), "(Intercept)")
note("wine_exact", "loglik", -brute_ordinal(end$par))

# Left-censored Gaussian with a random intercept: no R package here has it; brute-force integration
# is the reference.
set.seed(31)
limits <- do.call(rbind, lapply(1:30, function(k) {
  treated <- k %% 2
  b <- rnorm(1, 0, 0.8)
  time <- 0:3
  data.frame(patient = k, treated = treated, time = time, limit = ifelse(k %% 3 == 0, 0.5, 0),
             true = round(1.4 + b - 0.4 * time - 0.2 * treated * time + rnorm(4, 0, 0.6), 3))
}))
limits$censored <- as.integer(limits$true < limits$limit)
limits$y <- ifelse(limits$censored == 1, limits$limit, limits$true)
write_data(limits[c("patient", "treated", "time", "y", "censored")], "detection_limit")
XL <- model.matrix(~ time * treated, limits)
brute_tobit <- function(par) {
  eta <- as.vector(XL %*% par[1:4])
  s <- exp(par[6]); sigma <- exp(par[5])
  below <- limits$censored == 1
  -sum(vapply(split(seq_len(nrow(limits)), limits$patient),
              function(rows) log_integral(function(b) {
    mean <- outer(eta[rows], s * b, "+")
    z <- limits$y[rows] - mean
    colSums(ifelse(matrix(below[rows], nrow(z), ncol(z)), pnorm(z, 0, sigma, log.p = TRUE),
                   dnorm(z, 0, sigma, log = TRUE)))
  }), 0))
}
rough <- optim(c(1.4, -0.4, 0, -0.2, log(0.6), log(0.8)), brute_tobit, method = "BFGS",
               control = list(reltol = 1e-12))
end <- newton(brute_tobit, rough$par)
V <- solve(end$hessian)
note("detection_limit_exact", "coef", end$par[1:4], colnames(XL))
note("detection_limit_exact", "se", sqrt(diag(V))[1:4], colnames(XL))
note("detection_limit_exact", "sd", exp(end$par[5:6]), c("residual", "(Intercept)"))
note("detection_limit_exact", "log_sd_se", sqrt(diag(V))[5:6], c("residual", "(Intercept)"))
note("detection_limit_exact", "loglik", -brute_tobit(end$par))
note("detection_limit_exact", "n_censored", sum(limits$censored))

write_rows("glmm")
