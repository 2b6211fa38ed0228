# Site effects in parametric hazard models. Normal ones with a piecewise constant hazard: a Poisson
# mixed model of follow-up split at the cuts (lme4's glmer, 25 nodes). Otherwise likelihoods written
# out here: normal effects summed over a fine grid, gamma effects in closed form.
# Reads centres.csv; writes hazard_sites.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressPackageStartupMessages({library(survival); library(lme4)})

s <- read_data("centres")
X <- as.matrix(s[c("arm", "age")])
centre <- colMeans(X)

record_glmer <- function(model, entry, cuts) {
  data <- s
  data$from <- if (entry) s$entry else 0
  data$age <- data$age - centre["age"]
  split <- data
  if (length(cuts))
    split <- survSplit(Surv(from, exit, died) ~ ., data, cut = cuts, episode = "piece")
  split$exposure <- split$exit - split$from
  pieces <- if (length(cuts)) "0 + factor(piece)" else "1"
  formula <- as.formula(paste("died ~", pieces, "+ arm + age + (1 | site)"))
  fit <- glmer(formula, split, poisson, offset = log(exposure), nAGQ = 25,
               control = glmerControl(optimizer = "polished", calc.derivs = FALSE,
                                      tolPwrss = 1e-13))
  beta <- fixef(fit)
  note(model, "coef", beta[c("arm", "age")])
  level <- beta[setdiff(names(beta), c("arm", "age"))]
  note(model, "log_hazard", unname(level) + beta["arm"] * centre["arm"],
       paste("piece", seq_along(level)))
  note(model, "sd", attr(VarCorr(fit)$site, "stddev"), "site")
  # glmer's AGQ deviance leaves out what does not depend on the parameters: the likelihood again,
  # each site's effect summed over a fine grid
  eta <- drop(model.matrix(fit) %*% beta)
  b <- seq(-6, 6, length.out = 4001)
  total <- 0
  for (j in unique(split$site)) {
    own <- split$site == j
    D <- sum(split$died[own]); H <- sum((exp(eta) * split$exposure)[own])
    sd <- attr(VarCorr(fit)$site, "stddev")
    log <- D * b - H * exp(b) + dnorm(b, 0, sd, log = TRUE)
    total <- total + sum((split$died * eta)[own]) + max(log) +
      log(sum(exp(log - max(log))) * (b[2] - b[1]))
  }
  note(model, "loglik", total)
}
record_glmer("exponential gaussian", FALSE, c())
record_glmer("piecewise gaussian", FALSE, c(5, 12))
record_glmer("piecewise gaussian entry", TRUE, c(5, 12))

# Weibull: (arm, age, log cumulative hazard at 10 days, log shape, log sd of the effects)
minus_loglik <- function(par, kind, entry) {
  eta <- drop(sweep(X, 2, centre) %*% par[1:2]) + par[3]
  k <- exp(par[4]); sd <- exp(par[5])
  from <- if (entry) s$entry else rep(0, nrow(s))
  H <- tapply(exp(eta) * ((s$exit / 10)^k - (from / 10)^k), s$site, sum)
  D <- tapply(s$died, s$site, sum)
  events <- sum(s$died * (eta + par[4] + k * log(s$exit / 10) - log(s$exit)))
  if (kind == "gamma") {
    nu <- sd^-2
    sites <- lgamma(nu + D) - lgamma(nu) + nu * log(nu) - (nu + D) * log(nu + H)
  } else {
    z <- seq(-12, 12, length.out = 1201)
    sites <- mapply(function(D, H) {
      log <- D * sd * z - H * exp(sd * z) + dnorm(z, log = TRUE)
      max(log) + log(sum(exp(log - max(log))) * (z[2] - z[1]))
    }, D, H)
  }
  -events - sum(sites)
}

for (kind in c("gaussian", "gamma")) for (entry in c(FALSE, TRUE)) {
  model <- paste("weibull", kind, if (entry) "entry" else "")
  size <- c(0.2, 0.01, 0.2, 0.08, 0.25)
  fn <- function(u) minus_loglik(u * size, kind, entry)
  u <- c(-0.3, 0.02, -1, 0, -0.6) / size
  for (round in 1:3) u <- optim(u, fn, method = "BFGS", control = list(reltol = 1e-15))$par
  found <- newton(fn, u, step_size = 0.1)
  par <- found$par * size
  se <- sqrt(diag(solve(found$hessian))) * size
  note(model, "coef", par[1:2], c("arm", "age"))
  note(model, "se", se[1:2], c("arm", "age"))
  note(model, "log_shape", par[4])
  note(model, "log_shape_se", se[4])
  note(model, "sd", exp(par[5]))
  note(model, "sd_se", exp(par[5]) * se[5])
  note(model, "loglik", -minus_loglik(par, kind, entry))
}

write_rows("hazard_sites")
