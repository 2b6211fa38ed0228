# Differences in change adjusted for the baseline: analysis of covariance (stats), a common baseline
# mean (nlme's gls, unstructured), overlap weights with the variance of the stacked estimating
# equations, their derivative by numDeriv. Reads twoarm.csv and visits.csv; writes adjustment.csv.
source("tests/reference/common.R")
suppressMessages({library(nlme); library(numDeriv)})

tight <- glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-12, msTol = 1e-14)

# ---- two phases ----------------------------------------------------------------------------------
two <- read_data("twoarm")
two$visit <- ifelse(two$phase == "baseline", 1, 2)
two$treated <- as.numeric(two$group == "ivig")
wide <- reshape(two[c("patient", "treated", "age", "visit", "y")], direction = "wide", v.names = "y",
                timevar = "visit", idvar = c("patient", "treated", "age"))
pairs <- wide[complete.cases(wide), ]
note("twoarm", "pairs", nrow(pairs))

ancova <- lm(y.2 ~ treated + y.1, pairs)
note("twoarm_baseline", "coef", coef(ancova))
note("twoarm_baseline", "se", sqrt(diag(vcov(ancova))), names(coef(ancova)))
note("twoarm_baseline", "p", summary(ancova)$coefficients["treated", 4])
note("twoarm_baseline", "confint", confint(ancova)["treated", ], c("low", "high"))

record_clda <- function(model, data, terms) {
  data$occasion <- factor(data$visit)
  fit <- gls(reformulate(c("occasion", terms), "y"), data, method = "REML", control = tight,
             correlation = corSymm(form = ~ visit | patient),
             weights = varIdent(form = ~ 1 | occasion))
  note(model, "coef", coef(fit))
  note(model, "se", sqrt(diag(vcov(fit))), names(coef(fit)))
  note(model, "loglik", as.numeric(logLik(fit)))
}
two$later <- two$treated * (two$visit == 2)
record_clda("twoarm_clda", two, "later")

# ---- overlap weights -----------------------------------------------------------------------------
overlap <- function(data, outcome, X) {
  z <- data$treated
  theta_hat <- coef(glm(z ~ X - 1, family = binomial, epsilon = 1e-14, maxit = 100))
  p <- ncol(X)
  equations <- function(theta) {
    e <- plogis(drop(X %*% theta[1:p]))
    cbind(X * (z - e), z * (1 - e) * (outcome - theta[p + 1]),
          (1 - z) * e * (outcome - theta[p + 2]))
  }
  e <- plogis(drop(X %*% theta_hat))
  theta <- c(theta_hat, weighted.mean(outcome[z == 1], (1 - e)[z == 1]),
             weighted.mean(outcome[z == 0], e[z == 0]))
  stopifnot(max(abs(colSums(equations(theta)))) < 1e-8)
  bread <- solve(jacobian(function(t) colSums(equations(t)), theta))
  V <- bread %*% crossprod(equations(theta)) %*% t(bread)
  L <- c(rep(0, p), 1, -1)
  n <- length(z)
  c(estimate = sum(L * theta), se = sqrt(drop(t(L) %*% V %*% L) * n / (n - p)),
    effective_1 = sum((1 - e)[z == 1])^2 / sum((1 - e)[z == 1]^2),
    effective_0 = sum(e[z == 0])^2 / sum(e[z == 0]^2))
}
change <- pairs$y.2 - pairs$y.1
found <- overlap(pairs, change, cbind(1, pairs$age, pairs$y.1))
note("twoarm_overlap", "value", found)

# ---- several later phases ------------------------------------------------------------------------
visits <- read_data("visits")
visits <- visits[visits$visit %in% 1:3, ]
visits$treated <- as.numeric(visits$arm == "active")
note("visits", "patients", length(unique(visits$patient)))
visits$at2 <- visits$treated * (visits$visit == 2)
visits$at3 <- visits$treated * (visits$visit == 3)
record_clda("visits_clda", visits, c("at2", "at3"))

first <- visits[visits$visit == 1, ]
later <- visits[visits$visit > 1 & visits$patient %in% first$patient, ]
later$baseline <- first$y[match(later$patient, first$patient)]
later$occasion <- factor(later$visit)
fit <- gls(y ~ occasion * (treated + baseline), later, method = "REML", control = tight,
           correlation = corSymm(form = ~ 1 | patient), weights = varIdent(form = ~ 1 | occasion))
at3 <- c(0, 0, 1, 0, 1, 0)
stopifnot(names(coef(fit))[c(3, 5)] == c("treated", "occasion3:treated"))
note("visits_baseline", "estimate", sum(at3 * coef(fit)))
note("visits_baseline", "se", sqrt(drop(at3 %*% vcov(fit) %*% at3)))
note("visits_baseline", "patients", length(unique(later$patient)))

write_rows("adjustment")
