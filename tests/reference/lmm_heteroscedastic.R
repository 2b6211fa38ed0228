# Residual standard deviations by group, alone and with correlations (common, or each group's own),
# and precision weights. Each fit is the dense likelihood of dense.R, maximised and polished, and must
# agree with nlme (varIdent, varFixed) where nlme has the model, and with lme4's weights. Kenward-Roger
# and Satterthwaite of the same fits. Reads visits.csv, penicillin.csv; writes
# lmm_heteroscedastic.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
source("tests/reference/dense.R")
suppressMessages({library(nlme); library(lme4)})

visits <- read_data("visits")
visits$arm <- factor(visits$arm, c("control", "active"))
visits$patient <- factor(visits$patient)
visits$occasion <- factor(visits$visit)
visits$w <- 1 + visits$visit %% 3
visits$v <- 1 / visits$w
visits$cell <- interaction(visits$occasion, visits$arm)
n <- nrow(visits)
# The covariances below are functions of rows, which stand in the place of visits.
problem <- list(y = visits$y, X = model.matrix(~ day * arm, visits),
                blocks = split(seq_len(n), visits$patient), visit = seq_len(n), time = visits$day)
arm <- as.integer(visits$arm); occasion <- visits$visit; cell <- as.integer(visits$cell)
lag <- function(rows) abs(outer(occasion[rows], occasion[rows], "-"))
T <- 5
partial_corr <- function(q) {   # any correlation matrix, row by row on the unit sphere
  L <- diag(T); L[lower.tri(L)] <- q
  cov2cor(tcrossprod(L))
}

# A structure in natural parameters tau (variances, then correlations or covariances); `to` maps
# unconstrained ones to tau; `linear` if V is linear in tau.
structures <- list(
  group_intercept = list(
    V = function(tau, r) tau[3] + diag(tau[arm[r]], length(r)),
    to = exp, shown = sqrt, names = c("sd control", "sd active", "sd patient"),
    start = c(-1, -1, 0), linear = TRUE),
  group_ar1 = list(
    V = function(tau, r) outer(sqrt(tau[arm[r]]), sqrt(tau[arm[r]])) * tau[3]^lag(r),
    to = function(q) c(exp(q[1:2]), tanh(q[3])), shown = function(tau) c(sqrt(tau[1:2]), tau[3]),
    names = c("sd control", "sd active", "rho"), start = c(0, 0, 0.6), linear = FALSE),
  apart_ar1 = list(
    V = function(tau, r) tau[arm[r[1]]] * tau[2 + arm[r[1]]]^lag(r),
    to = function(q) c(exp(q[1:2]), tanh(q[3:4])), shown = function(tau) c(sqrt(tau[1:2]), tau[3:4]),
    names = c("sd control", "sd active", "rho control", "rho active"), start = c(0, 0, 0.6, 0.6),
    linear = FALSE),
  group_cells_cs = list(
    V = function(tau, r) outer(sqrt(tau[cell[r]]), sqrt(tau[cell[r]])) * tau[11]^(lag(r) > 0),
    to = function(q) c(exp(q[1:10]), tanh(q[11])),
    shown = function(tau) c(sqrt(tau[1:10]), tau[11]),
    names = c(paste("sd", levels(visits$cell)), "rho"), start = c(rep(0, 10), 0.8), linear = FALSE),
  weighted_intercept = list(
    V = function(tau, r) tau[2] + diag(tau[1] * visits$v[r], length(r)),
    to = exp, shown = sqrt, names = c("sd", "sd patient"), start = c(-1, 0), linear = TRUE),
  weighted_ar1 = list(
    V = function(tau, r) tau[1] * outer(sqrt(visits$v[r]), sqrt(visits$v[r])) * tau[2]^lag(r),
    to = function(q) c(exp(q[1]), tanh(q[2])), shown = function(tau) c(sqrt(tau[1]), tau[2]),
    names = c("sd", "rho"), start = c(0, 0.6), linear = FALSE),
  weighted_group_intercept = list(
    V = function(tau, r) tau[3] + diag(tau[arm[r]] * visits$v[r], length(r)),
    to = exp, shown = sqrt, names = c("sd control", "sd active", "sd patient"),
    start = c(-1, -1, 0), linear = TRUE))

fits <- list()
for (name in names(structures)) for (reml in c(TRUE, FALSE)) {
  s <- structures[[name]]
  covariance <- function(par, rows, time) s$V(s$to(par), rows)
  fit <- maximise(s$start, problem, covariance, reml)
  label <- paste(name, if (reml) "reml" else "ml", sep = "_")
  names(fit$beta) <- colnames(problem$X)
  tau <- s$to(fit$par)
  note(label, "coef", fit$beta)
  note(label, "se", sqrt(diag(fit$vcov)), names(fit$beta))
  note(label, "loglik", -fit$value / 2)
  note(label, "covariance_parameter", setNames(s$shown(tau), s$names))
  if (reml) {
    kr <- kenward_roger(tau, function(tau, rows, time) s$V(tau, rows), problem, !s$linear)
    note(label, "kr_se", sqrt(diag(kr$adjusted)), names(fit$beta))
    for (k in seq_along(fit$beta)) {
      L <- diag(length(fit$beta))[k, , drop = FALSE]
      note(label, "kr_df", kr_test(kr, fit$beta, L)[["df"]], names(fit$beta)[k])
      note(label, "satterthwaite_df", satterthwaite_df(fit, problem, covariance, L),
           names(fit$beta)[k])
    }
  }
  fits[[label]] <- fit
  cat(label, "done\n")
}

# Unstructured in each arm, all of it apart: what mmrm fits as us(visit | arm / patient). With the
# means apart too the two arms are two models.
both <- 0
for (a in levels(visits$arm)) {
  one <- gls(y ~ day, subset(visits, arm == a), corSymm(form = ~ visit | patient),
             varIdent(form = ~ 1 | occasion), method = "ML",
             control = glsControl(maxIter = 500, msMaxIter = 2000, tolerance = 1e-12, msTol = 1e-14))
  both <- both + as.numeric(logLik(one))
  note("apart_unstructured_ml", "coef", setNames(coef(one), paste(a, names(coef(one)))))
}
note("apart_unstructured_ml", "loglik", both)

# ---- nlme and lme4 must agree --------------------------------------------------------------------
tight <- glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
tight_lme <- lmeControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
agree <- function(label, fit) {
  ours <- fits[[label]]
  ll <- as.numeric(logLik(fit))
  b <- if (inherits(fit, "gls")) coef(fit) else fixef(fit)
  cat(sprintf("%-32s nlme or lme4 - own %9.2e  largest coefficient difference %9.2e\n", label,
              ll + ours$value / 2, max(abs(b - ours$beta))))
  stopifnot(abs(ll + ours$value / 2) < 1e-4, abs(b - ours$beta) < 1e-3)
}
for (method in c("REML", "ML")) {
  add <- function(model, f) agree(paste(model, tolower(method), sep = "_"), f)
  mixed <- function(weights)
    lme(y ~ day * arm, visits, ~ 1 | patient, weights = weights, method = method,
        control = tight_lme)
  marginal <- function(correlation, weights)
    gls(y ~ day * arm, visits, correlation, weights, method = method, control = tight)
  by_arm <- varIdent(form = ~ 1 | arm)
  add("group_intercept", mixed(by_arm))
  add("group_ar1", marginal(corAR1(form = ~ visit | patient), by_arm))
  add("group_cells_cs", marginal(corCompSymm(form = ~ 1 | patient), varIdent(form = ~ 1 | cell)))
  add("weighted_intercept", mixed(varFixed(~ v)))
  add("weighted_intercept", lmer(y ~ day * arm + (1 | patient), visits, weights = w,
                                 REML = method == "REML", control = polished_control()))
  add("weighted_ar1", marginal(corAR1(form = ~ visit | patient), varFixed(~ v)))
  add("weighted_group_intercept", mixed(varComb(by_arm, varFixed(~ v))))
}

# Crossed groupings: lme4 alone.
penicillin <- read_data("penicillin")
penicillin$w <- 1 + seq_len(nrow(penicillin)) %% 3
for (reml in c(TRUE, FALSE)) {
  fit <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), penicillin, weights = w, REML = reml,
              control = polished_control())
  label <- paste0("weighted_penicillin_", if (reml) "reml" else "ml")
  note(label, "coef", fixef(fit))
  note(label, "se", sqrt(diag(as.matrix(vcov(fit)))), "(Intercept)")
  note(label, "loglik", as.numeric(logLik(fit)))
  note(label, "covariance_parameter",
       c(sd = sigma(fit), sapply(VarCorr(fit), function(v) attr(v, "stddev"))))
}
write_rows("lmm_heteroscedastic")
