# Residual correlation structures, maximum likelihood and REML, with and without random effects.
# Each fit is a dense marginal Gaussian likelihood written out here, maximised and polished by
# Newton steps, and must agree with nlme (gls or lme) where nlme has the structure: nlme alone
# stops at about five digits. Kenward-Roger (after Kenward & Roger 1997) and Satterthwaite for the
# same fits; the Kenward-Roger code must agree with pbkrtest on a random-intercept model. Reads
# visits.csv; writes lmm_residual.csv and orthodont.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
source("tests/reference/dense.R")
suppressMessages({library(nlme); library(lme4); library(pbkrtest)})

# ---- structures: unconstrained parameters, and the quantities reported ---------------------------

# Durbin-Levinson: partial autocorrelations to autocorrelations.
partial_to_auto <- function(partial) {
  rho <- phi <- partial[1]
  for (k in seq_along(partial)[-1]) {
    innovation <- 1 - sum(phi * rho)
    rho <- c(rho, sum(phi * rev(rho)) + partial[k] * innovation)
    phi <- c(phi - partial[k] * rev(phi), partial[k])
  }
  rho
}

# corr(q, visit, time): a correlation matrix; report(q): what is shown of it; start: a first q.
correlations <- function(T) {
  lag <- function(v) abs(outer(v, v, "-"))
  list(
    independent = list(corr = function(q, v, t) diag(length(v)), report = function(q) NULL,
                       start = numeric(0)),
    cs = list(corr = function(q, v, t) tanh(q)^(lag(v) > 0), report = function(q) c(rho = tanh(q)),
              start = 0.5),
    ar1 = list(corr = function(q, v, t) tanh(q)^lag(v), report = function(q) c(rho = tanh(q)),
               start = 0.6),
    exponential = list(corr = function(q, v, t) plogis(q)^lag(t), start = 1,
                       report = function(q) c(phi = plogis(q), range = -1 / log(plogis(q)))),
    toeplitz = list(
      corr = function(q, v, t) matrix(c(1, partial_to_auto(tanh(q)))[lag(v) + 1], length(v)),
      report = function(q) setNames(partial_to_auto(tanh(q)), paste("rho lag", seq_len(T - 1))),
      start = c(0.6, rep(0.1, T - 2))))
}

# One standard deviation, or one a visit, around a correlation.
equal <- function(s, T) list(
  covariance = function(par, v, t) exp(2 * par[1]) * s$corr(par[-1], v, t),
  report = function(par) c(sd = exp(par[1]), s$report(par[-1])),
  start = c(0.2, s$start))
by_visit_sd <- function(s, T) list(
  covariance = function(par, v, t) s$corr(par[-(1:T)], v, t) * tcrossprod(exp(par[v])),
  report = function(par) c(setNames(exp(par[1:T]), paste("sd visit", 1:T)),
                           s$report(par[-(1:T)])),
  start = c(rep(0.2, T), s$start))
unstructured <- function(T) {
  sigma <- function(par) {
    L <- diag(exp(par[1:T]))
    L[lower.tri(L)] <- par[-(1:T)]
    tcrossprod(L)
  }
  pairs <- which(upper.tri(diag(T)), arr.ind = TRUE)
  list(covariance = function(par, v, t) sigma(par)[v, v, drop = FALSE],
       report = function(par) c(
         setNames(sqrt(diag(sigma(par))), paste("sd visit", 1:T)),
         setNames(cov2cor(sigma(par))[pairs], paste("rho", pairs[, 1], "|", pairs[, 2]))),
       start = c(rep(0.2, T), rep(0.5, nrow(pairs))))
}
with_intercept <- function(s) list(
  covariance = function(par, v, t) exp(2 * par[1]) + s$covariance(par[-1], v, t),
  report = function(par) c("sd patient" = exp(par[1]), s$report(par[-1])),
  start = c(0, s$start))

structures <- function(T) {
  r <- correlations(T)
  plain <- lapply(r, equal, T)
  het <- setNames(lapply(r, by_visit_sd, T), paste0(names(r), "_het"))
  c(plain, het, list(unstructured = unstructured(T),
                     intercept_exponential = with_intercept(plain$exponential),
                     intercept_ar1 = with_intercept(plain$ar1),
                     intercept_het = with_intercept(het$independent_het)))
}

# ---- fits ----------------------------------------------------------------------------------------
record <- function(model, problem, structure, tests) {
  for (reml in c(TRUE, FALSE)) {
    fit <- maximise(structure$start, problem, structure$covariance, reml)
    label <- paste(model, if (reml) "reml" else "ml", sep = "_")
    names(fit$beta) <- colnames(problem$X)
    note(label, "coef", fit$beta)
    note(label, "se", sqrt(diag(fit$vcov)), names(fit$beta))
    note(label, "loglik", -fit$value / 2)
    note(label, "n_covariance", length(fit$par))
    shown <- structure$report(fit$par)
    note(label, "covariance_parameter", shown)
    if (reml) {
      for (name in names(fit$beta)) {
        L <- matrix(as.numeric(names(fit$beta) == name), 1)
        note(label, "satterthwaite_df", satterthwaite_df(fit, problem, structure$covariance, L),
             name)
      }
      if (tests) record_kr(label, problem, structure, fit, shown)
    }
    fits[[label]] <<- c(fit, list(shown = shown))
  }
}

# Linear structures in variances and covariances; the others in (variance, correlation).
record_kr <- function(label, problem, structure, fit, shown) {
  if (grepl("unstructured", label)) {
    T <- max(problem$visit)
    R <- diag(T); R[upper.tri(R)] <- shown[-(1:T)]; R[lower.tri(R)] <- t(R)[lower.tri(R)]
    S <- R * outer(shown[1:T], shown[1:T])
    at <- lower.tri(S, diag = TRUE)
    covariance <- function(tau, v, time) {
      M <- matrix(0, T, T); M[at] <- tau; M <- M + t(M) - diag(diag(M), T)
      M[v, v, drop = FALSE]
    }
    tau <- S[at]; second <- FALSE
  } else {
    base <- structure$covariance
    transform <- switch(sub(".*_(cs|ar1|exponential)_reml$", "\\1", label), exponential = qlogis,
                        atanh)
    covariance <- function(tau, v, time) base(c(log(tau[1]) / 2, transform(tau[2])), v, time)
    tau <- c(shown[[1]]^2, shown[[2]]); second <- TRUE
  }
  forms <- if (second) c(kr = TRUE, kr_linear = FALSE) else c(kr = FALSE)
  for (form in names(forms)) {
    kr <- kenward_roger(tau, covariance, problem, forms[[form]])
    note(label, paste0(form, "_se"), sqrt(diag(kr$adjusted)), names(fit$beta))
    for (k in seq_along(fit$beta)) {
      test <- kr_test(kr, fit$beta, diag(length(fit$beta))[k, , drop = FALSE])
      note(label, paste0(form, "_df"), test[["df"]], names(fit$beta)[k])
      note(label, paste0(form, "_p"), test[["p"]], names(fit$beta)[k])
    }
    joint <- diag(length(fit$beta))[grepl(":", names(fit$beta)), , drop = FALSE]
    test <- kr_test(kr, fit$beta, joint)
    note(label, paste0(form, "_joint_", names(test)), test, "interaction")
  }
}

fits <- list()
visits <- read_data("visits")
visits$arm <- factor(visits$arm, c("control", "active"))
visits$patient <- factor(visits$patient)
visits$occasion <- factor(visits$visit)
problem_of <- function(formula, data, group, visit, time)
  list(y = model.response(model.frame(formula, data)), X = model.matrix(formula, data),
       blocks = split(seq_len(nrow(data)),
                      data[[group]]), visit = data[[visit]], time = data[[time]])
linear <- problem_of(y ~ day * arm, visits, "patient", "visit", "day")
by_visit <- problem_of(y ~ occasion * arm, visits, "patient", "visit", "day")

# The Kenward-Roger code above against pbkrtest on the model both have.
check <- lmer(y ~ day * arm + (1 | patient), visits, control = polished_control())
tau <- c(as.numeric(VarCorr(check)$patient), sigma(check)^2)
own <- kenward_roger(tau, function(tau, v, t) tau[1] + diag(tau[2], length(v)), linear)
stopifnot(max(abs(own$adjusted / as.matrix(vcovAdj(check)) - 1)) < 1e-6)
L2 <- diag(4)[c(3, 4), ]
stats <- KRmodcomp(check, L2)$stats
mine <- kr_test(own, fixef(check), L2)
stopifnot(abs(mine[["f"]] / stats$Fstat - 1) < 1e-6, abs(mine[["df"]] / stats$ddf - 1) < 1e-6)

all_structures <- structures(5)
for (name in names(all_structures))
  record(paste0("visits_", name), linear, all_structures[[name]],
         tests = name %in% c("cs", "ar1", "exponential", "unstructured"))
for (name in c("cs", "unstructured"))
  record(paste0("mmrm_", name), by_visit, all_structures[[name]], tests = TRUE)

orthodont <- transform(as.data.frame(Orthodont), Subject = as.character(Subject),
                       visit = (age - 6) / 2)
write_data(orthodont[c("Subject", "Sex", "age", "visit", "distance")], "orthodont")
ortho <- problem_of(distance ~ age * Sex, orthodont, "Subject", "visit", "age")
ortho_structures <- structures(4)
for (name in c("independent", "cs", "cs_het", "ar1", "exponential", "toeplitz", "unstructured",
               "intercept_het"))
  record(paste0("orthodont_", name), ortho, ortho_structures[[name]], tests = FALSE)

# ---- nlme must agree -----------------------------------------------------------------------------
tight <- glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
tight_lme <- lmeControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
agree <- function(label, fit) {
  ours <- fits[[label]]
  ll <- as.numeric(logLik(fit))
  b <- if (inherits(fit, "lme")) fixef(fit) else coef(fit)
  note(label, "nlme_loglik", ll)
  note(label, "nlme_coef", b)
  cat(sprintf("%-36s loglik %11.5f  nlme - own %9.2e  largest coefficient difference %9.2e\n",
              label,
              -ours$value / 2, ll + ours$value / 2, max(abs(b - ours$beta))))
  stopifnot(abs(ll + ours$value / 2) < 1e-4, abs(b - ours$beta) < 1e-3)
}
het <- varIdent(form = ~ 1 | occasion)
for (method in c("REML", "ML")) {
  fit <- function(correlation = NULL, weights = NULL, formula = y ~ day * arm)
    eval(bquote(gls(.(formula), visits, correlation = correlation, weights = weights,
                    method = method, control = tight)))
  add <- function(model, f) agree(paste(model, tolower(method), sep = "_"), f)
  visit_form <- ~ visit | patient
  add("visits_independent", fit())
  add("visits_independent_het", fit(weights = het))
  add("visits_cs", fit(corCompSymm(form = ~ 1 | patient)))
  add("visits_cs_het", fit(corCompSymm(form = ~ 1 | patient), het))
  add("visits_ar1", fit(corAR1(form = visit_form)))
  add("visits_ar1_het", fit(corAR1(form = visit_form), het))
  add("visits_exponential", fit(corCAR1(form = ~ day | patient)))
  add("visits_exponential_het", fit(corCAR1(form = ~ day | patient), het))
  add("visits_toeplitz", fit(corARMA(c(0.6, 0.1, 0.05, 0.02), form = visit_form, p = 4)))
  add("visits_unstructured", fit(corSymm(form = visit_form), het))
  add("mmrm_cs", fit(corCompSymm(form = ~ 1 | patient), formula = y ~ occasion * arm))
  add("mmrm_unstructured", fit(corSymm(form = visit_form), het, y ~ occasion * arm))
  add("visits_intercept_exponential", lme(y ~ day * arm, visits, ~ 1 | patient,
                                          corCAR1(form = ~ day | patient),
                                          method = method, control = tight_lme))
  add("visits_intercept_ar1", lme(y ~ day * arm, visits, ~ 1 | patient, corAR1(form = visit_form),
                                  method = method,
                                  control = tight_lme))
  add("visits_intercept_het", lme(y ~ day * arm, visits, ~ 1 | patient, weights = het,
                                  method = method,
                                  control = tight_lme))
  orthodont$occasion <- factor(orthodont$visit)
  ofit <- function(correlation, weights = NULL)
    gls(distance ~ age * Sex, orthodont, correlation = correlation, weights = weights,
        method = method, control = tight)
  add("orthodont_cs", ofit(corCompSymm(form = ~ 1 | Subject)))
  add("orthodont_ar1", ofit(corAR1(form = ~ visit | Subject)))
  add("orthodont_unstructured", ofit(corSymm(form = ~ visit | Subject),
                                     varIdent(form = ~ 1 | occasion)))
}

write_rows("lmm_residual")
