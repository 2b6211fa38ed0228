# Risks and mean times of three arms weighted by a multinomial propensity, and their doubly robust
# risks, with the jackknife through the score. Writes weighted_arms.csv, and three_arms.csv, the
# made-up cohort that they are of.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(numDeriv); library(nnet)})

set.seed(47)
n <- 150
cohort <- data.frame(age = round(rnorm(n, 60, 12)), crp = round(exp(rnorm(n, 3, 0.8)), 1))
lp <- cbind(0, -0.2 + 0.04 * (cohort$age - 60), 0.1 - 0.03 * (cohort$age - 60) +
              0.4 * (log(cohort$crp) - 3))
cohort$arm <- c("control", "high", "low")[apply(exp(lp), 1, function(p) sample(3, 1, prob = p))]
rate <- 0.03 * exp(0.04 * (cohort$age - 60) - 0.6 * (cohort$arm == "high") -
                     0.3 * (cohort$arm == "low"))
death <- rexp(n, rate); home <- rexp(n, 0.02); lost <- runif(n, 5, 60)
cohort$exit <- ceiling(pmin(pmin(death, home, lost), 28))
cohort$status <- ifelse(pmin(death, home, lost) > 28, 0,
                        ifelse(death < pmin(home, lost), 1, ifelse(home < lost, 2, 0)))
write_data(cohort, "three_arms")
cohort <- read_data("three_arms")
arms <- c("control", "high", "low")
a <- match(cohort$arm, arms)
X <- cbind(1, (cohort$age - 60) / 10, log(cohort$crp) - 3)
p <- ncol(X); k <- length(arms)

softmax <- function(B) { # B: p x (k - 1), of each arm against the first
  eta <- cbind(0, X %*% B)
  e <- exp(eta - apply(eta, 1, max))
  e / rowSums(e)
}
score <- function(count) { # the multinomial logit by Newton's method, each patient `count` times
  B <- matrix(0, p, k - 1)
  Z <- outer(a, 2:k, "==") * 1
  for (step in 1:100) {
    e <- softmax(B)[, -1]
    info <- matrix(0, p * (k - 1), p * (k - 1))
    for (i in 1:(k - 1)) for (j in 1:(k - 1)) {
      w <- count * e[, i] * ((i == j) - e[, j])
      info[(i - 1) * p + 1:p, (j - 1) * p + 1:p] <- crossprod(X, w * X)
    }
    d <- solve(info, as.vector(crossprod(X, count * (Z - e))))
    B <- B + matrix(d, p)
    if (max(abs(d)) < 1e-13) break
  }
  B
}
# nnet agrees as far as its own search goes
fit <- multinom(factor(arm, arms) ~ I((age - 60) / 10) + I(log(crp) - 3), cohort, trace = FALSE,
                reltol = 1e-15, maxit = 1000)
stopifnot(max(abs(t(coef(fit)) - score(rep(1, n)))) < 1e-6)
chance <- softmax(score(rep(1, n)))
note("score", "chance", as.vector(chance[1:5, ]), as.vector(outer(1:5, arms, paste)))
note("score", "loglik", sum(log(chance[cbind(1:n, a)])))

tilts <- list(
  ATE = function(e) rep(1, nrow(e)),
  `ATT control` = function(e) e[, 1],
  `ATT high` = function(e) e[, 2],
  `ATT low` = function(e) e[, 3],
  overlap = function(e) 1 / rowSums(1 / e),
  matching = function(e) apply(e, 1, min))

incidence <- function(w, mine, horizon, cause = 1) {
  free <- 1; risk <- 0
  for (s in sort(unique(cohort$exit[mine & cohort$status > 0 & cohort$exit <= horizon]))) {
    y <- sum(w[mine & cohort$exit >= s])
    risk <- risk + free * sum(w[mine & cohort$exit == s & cohort$status == cause]) / y
    free <- free * (1 - sum(w[mine & cohort$exit == s & cohort$status > 0]) / y)
  }
  risk
}
mean_time <- function(w, mine, horizon) {
  free <- 1; area <- 0; last <- 0
  for (s in sort(unique(cohort$exit[mine & cohort$status == 1 & cohort$exit < horizon]))) {
    area <- area + free * (s - last); last <- s
    free <- free * (1 - sum(w[mine & cohort$exit == s & cohort$status == 1]) /
                      sum(w[mine & cohort$exit >= s]))
  }
  area + free * (horizon - last)
}
pairs <- list(c(2, 1), c(3, 1), c(3, 2))
named <- sapply(pairs, function(q) paste(arms[q[1]], "-", arms[q[2]]))
for (name in names(tilts)) {
  weight <- function(count) { e <- softmax(score(count)); tilts[[name]](e) / e[cbind(1:n, a)] }
  all_of <- function(count) {
    w <- count * weight(count)
    r <- sapply(1:k, function(j) incidence(w, a == j, 20))
    m <- sapply(1:k, function(j) mean_time(w, a == j, 20))
    c(r, m, sapply(pairs, function(q) r[q[1]] - r[q[2]]),
      sapply(pairs, function(q) log(r[q[1]] / r[q[2]])),
      sapply(pairs, function(q) m[q[1]] - m[q[2]]))
  }
  what <- c(paste("risk of", arms), paste("mean time of", arms), paste("risk difference", named),
            paste("risk ratio", named), paste("mean time difference", named))
  phi <- jacobian(all_of, rep(1, n)) # the infinitesimal jackknife, the score fitted again
  note(name, "value", all_of(rep(1, n)), what)
  note(name, "se", sqrt(rowSums(phi^2) * n / (n - p * (k - 1))), what)
  w <- weight(rep(1, n))
  note(name, "effective_n", sapply(1:k, function(j) sum(w[a == j])^2 / sum(w[a == j]^2)), arms)
  for (j in 1:k) { # survival's curves with these weights
    fit <- survfit(Surv(exit, status == 1) ~ 1, cohort[a == j, ], weights = w[a == j])
    note(name, "survival", summary(fit, times = c(5, 10, 20))$surv, paste(arms[j], c(5, 10, 20)))
  }
  age <- sapply(1:k, function(j) weighted.mean(cohort$age[a == j], w[a == j]))
  sds <- sapply(1:k, function(j) sd(cohort$age[a == j]))
  note(name, "balance of age", sapply(pairs, function(q)
    (age[q[1]] - age[q[2]]) / sqrt((sds[q[1]]^2 + sds[q[2]]^2) / 2)), named)
}

# Doubly robust: a logistic regression, weighted by censoring, of the event by 20 in all arms.
logistic <- function(X, y, count) {
  g <- rep(0, ncol(X))
  for (step in 1:200) {
    e <- plogis(drop(X %*% g))
    d <- solve(crossprod(X, count * e * (1 - e) * X), crossprod(X, count * (y - e)))
    g <- g + drop(d)
    if (max(abs(d)) < 1e-13) break
  }
  g
}
robust <- function(count, horizon = 20) {
  e <- softmax(score(count))
  known <- cohort$exit >= horizon | cohort$status > 0
  y <- as.numeric(cohort$exit <= horizon & cohort$status == 1)
  G <- rep(1, n)
  for (j in 1:k) for (s in sort(unique(cohort$exit[a == j & cohort$status == 0 &
                                                     cohort$exit < horizon]))) {
    ended <- sum(count[a == j & cohort$exit == s & cohort$status == 0])
    there <- sum(count[a == j & (cohort$exit > s | (cohort$exit == s & cohort$status == 0))])
    later <- a == j & pmin(cohort$exit, horizon) > s
    G[later] <- G[later] * (1 - ended / there)
  }
  v <- known / G
  dummies <- outer(a, 2:k, "==") * 1
  beta <- logistic(cbind(dummies, X), y, count * v)
  sapply(1:k, function(j) {
    under <- matrix(rep((2:k == j) * 1, each = n), n)
    f <- plogis(drop(cbind(under, X) %*% beta))
    sum(count * (f + (a == j) / e[, j] * v * (y - f))) / sum(count)
  })
}
phi <- jacobian(robust, rep(1, n))
df <- n - p - (k - 1)
note("doubly robust", "value", robust(rep(1, n)), paste("risk of", arms))
note("doubly robust", "se", sqrt(rowSums(phi^2) * n / df), paste("risk of", arms))
note("doubly robust", "se", sapply(pairs, function(q) sqrt(sum((phi[q[1], ] - phi[q[2], ])^2) * n /
                                                            df)), paste("risk difference", named))
write_rows("weighted_arms")
