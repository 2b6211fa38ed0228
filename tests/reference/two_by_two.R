# The bare 2x2 table: deaths out of n in the treated and in the control arm. Base R where it has
# the method, else computed here from the definition ("own"). Writes two_by_two.csv. The first
# table is the IVIG abstract's.
source("tests/reference/common.R")

tables <- list("1/19 4/22" = c(1, 19, 4, 22), "0/19 4/22" = c(0, 19, 4, 22),
               "3/10 10/15" = c(3, 10, 10, 15),
               "12/50 5/50" = c(12, 50, 5, 50), "0/8 0/9" = c(0, 8, 0, 9))

newcombe <- function(a, m, b, n, z = qnorm(.975)) {
  wilson <- function(x, n) (x + z^2 / 2 + c(-1, 1) * z * sqrt(x * (n - x) / n + z^2 / 4)) / (n +
      z^2)
  p <- a / m; q <- b / n; w <- wilson(a, m); v <- wilson(b, n)
  c(p - q - sqrt((p - w[1])^2 + (v[2] - q)^2), p - q + sqrt((w[2] - p)^2 + (q - v[1])^2))
}

# Score statistic of Miettinen & Nurminen (1985): the restricted maximum found by a one-dimensional
# search.
score_z <- function(delta, a, m, b, n) {
  loglik <- function(q) {
    p <- q + delta
    term <- function(x, size, r) (if (x > 0) x * log(r) else 0) + (if (x < size) (size - x) *
        log(1 - r) else 0)
    term(a, m, p) + term(b, n, q)
  }
  low <- max(0, -delta); high <- min(1, 1 - delta)
  q <- optimize(loglik, c(low, high), maximum = TRUE, tol = 1e-14)$maximum
  # the search leaves about eight digits: a Newton step on the score when inside
  for (k in 1:20) {
    p <- q + delta
    if (p <= 1e-6 || p >= 1 - 1e-6 || q <= 1e-6 || q >= 1 - 1e-6) break
    u <- a / p - (m - a) / (1 - p) + b / q - (n - b) / (1 - q)
    h <- -a / p^2 - (m - a) / (1 - p)^2 - b / q^2 - (n - b) / (1 - q)^2
    q <- q - u / h
  }
  p <- q + delta
  v <- (p * (1 - p) / m + q * (1 - q) / n) * (m + n) / (m + n - 1)
  (a / m - b / n - delta) / sqrt(v)
}
miettinen_nurminen <- function(a, m, b, n, z = qnorm(.975)) {
  d <- a / m - b / n
  edge <- 1e-9
  c(uniroot(function(x) score_z(x, a, m, b, n) - z, c(-1 + edge, d - edge), tol = 1e-13)$root,
    uniroot(function(x) score_z(x, a, m, b, n) + z, c(d + edge, 1 - edge), tol = 1e-13)$root)
}

# Unconditional exact tests: the probability, at the worst common risk, of tables at least as
# extreme.
unconditional <- function(a, m, b, n, statistic) {
  T <- outer(0:m, 0:n, Vectorize(function(i, j) statistic(i, m, j, n)))
  extreme <- T >= statistic(a, m, b, n) - 1e-10
  tail <- function(p) sum(outer(dbinom(0:m, m, p), dbinom(0:n, n, p))[extreme])
  grid <- seq(0.0005, 0.9995, 0.0005)
  v <- vapply(grid, tail, 0)
  best <- grid[order(-v)[1:5]]
  near <- function(g) {
    optimize(tail, c(max(0, g - .001), min(1, g + .001)), maximum = TRUE, tol = 1e-12)$objective
  }
  min(1, max(v, vapply(best, near, 0)))
}
pooled <- function(i, m, j, n) {
  p <- (i + j) / (m + n)
  if (p == 0 || p == 1) 0 else abs(i / m - j / n) / sqrt(p * (1 - p) * (1 / m + 1 / n))
}
unpooled <- function(i, m, j, n) {
  v <- i * (m - i) / m^3 + j * (n - j) / n^3
  d <- abs(i / m - j / n)
  if (d == 0) 0 else if (v == 0) Inf else d / sqrt(v)
}
fisher_p <- function(i, m, j, n) -fisher.test(matrix(c(i, m - i, j, n - j), 2))$p.value

for (name in names(tables)) {
  v <- tables[[name]]; a <- v[1]; m <- v[2]; b <- v[3]; n <- v[4]
  t <- matrix(c(a, m - a, b, n - b), 2)
  put <- function(quantity, value, term = "") note(name, quantity, value, term)
  ends <- c("low", "high")
  put("risk_difference", a / m - b / n)
  if (b > 0) put("risk_ratio", (a / m) / (b / n))
  if (b > 0) put("odds_ratio", a * (n - b) / (b * (m - a)))
  two <- fisher.test(t)
  put("fisher_p", two$p.value)
  put("fisher_p_less", fisher.test(t, alternative = "less")$p.value)
  put("fisher_p_greater", fisher.test(t, alternative = "greater")$p.value)
  put("conditional_odds_ratio", two$estimate)
  put("conditional_odds_ratio_exact", two$conf.int, ends)
  d <- dhyper(0:m, a + b, m + n - a - b, m)
  at <- d[a + 1]
  put("mid_p_own", sum(d[d < at * (1 - 1e-9)]) + 0.5 * sum(d[abs(d / at - 1) < 1e-9]))
  put("mid_p_observed_half_own", two$p.value - 0.5 * at)
  put("clopper_pearson_treated", binom.test(a, m)$conf.int, ends)
  put("clopper_pearson_control", binom.test(b, n)$conf.int, ends)
  put("wilson_treated", suppressWarnings(prop.test(a, m, correct = FALSE))$conf.int, ends)
  put("wilson_control", suppressWarnings(prop.test(b, n, correct = FALSE))$conf.int, ends)
  put("newcombe_own", newcombe(a, m, b, n), ends)
  put("miettinen_nurminen_own", miettinen_nurminen(a, m, b, n), ends)
  if (a + b > 0) {
    put("pearson_chisq", suppressWarnings(chisq.test(t, correct = FALSE))$statistic)
    put("pearson_chisq_p", suppressWarnings(chisq.test(t, correct = FALSE))$p.value)
    put("yates_chisq_p", suppressWarnings(chisq.test(t))$p.value)
  }
  put("barnard_pooled_own", unconditional(a, m, b, n, pooled))
  put("barnard_unpooled_own", unconditional(a, m, b, n, unpooled))
  # Two definitions in use: Fisher's two-sided p as the statistic (R's Exact), or twice the smaller
  # one-sided Boschloo p (scipy).
  put("boschloo_own", unconditional(a, m, b, n, fisher_p))
  put("boschloo_twice_one_sided_own", min(1, 2 * unconditional(a, m, b, n, function(i, m, j, n)
    -phyper(i, i + j, m + n - i - j, m)), 2 * unconditional(a, m, b, n, function(i, m, j, n)
      -phyper(i - 1, i + j, m + n - i - j, m, lower.tail = FALSE))))
  for (prior in c(0.5, 1))
    put("prob_treated_below_control_own",
        integrate(function(q) dbeta(q, b + prior, n - b + prior) *
                  pbeta(q, a + prior, m - a + prior), 0, 1,
                  rel.tol = 1e-11)$value, paste("Beta", prior))
  if (a > 0 && b > 0) {
    log_rr <- log((a / m) / (b / n)); se_rr <- sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    put("risk_ratio_wald", exp(log_rr + c(-1, 1) * qnorm(.975) * se_rr), ends)
    log_or <- log(a * (n - b) / (b * (m - a))); se_or <- sqrt(1 / a + 1 / (m - a) + 1 / b + 1 /
        (n - b))
    put("odds_ratio_wald", exp(log_or + c(-1, 1) * qnorm(.975) * se_or), ends)
    rr <- exp(-abs(log_rr))
    put("e_value", 1 / rr + sqrt(1 / rr * (1 / rr - 1)))
    cochrane_sd <- (log(1.15) - log(0.81)) / (2 * qnorm(.975))
    priors <- list("N(0,1)" = c(0, 1), "N(0,0.355)" = c(0, 0.355),
                   "Cochrane low risk of bias, centre of the interval" = c(log(0.81 * 1.15) / 2,
                       cochrane_sd),
                   "Cochrane low risk of bias, point estimate" = c(log(0.97), cochrane_sd))
    for (p in names(priors)) {
      w <- 1 / priors[[p]][2]^2 + 1 / se_or^2
      centre <- (priors[[p]][1] / priors[[p]][2]^2 + log_or / se_or^2) / w
      put("posterior_odds_ratio", exp(centre + c(0, -1, 1) * qnorm(.975) / sqrt(w)),
          paste(p, c("median", "low", "high")))
      put("posterior_prob_below_one", pnorm(-centre * sqrt(w)), p)
    }
  }
}

# The figures quoted in the study's notes, to the digits quoted there.
got <- do.call(rbind, rows$all)
check <- function(quantity, term, quoted, digits) {
  row <- got$model == "1/19 4/22" & got$quantity == quantity & got$term == term
  value <- as.numeric(got$value[row])
  ok <- abs(value - quoted) <= 0.5 * 10^-digits * 1.0001
  cat(sprintf("%-30s %-56s quoted %-9s here %.6f %s\n", quantity, term, format(quoted, digits = 6),
              value, if (ok) "" else "DIFFERS"))
}
check("risk_difference", "", -0.1292, 4); check("risk_ratio", "", 0.2895, 4); check("odds_ratio",
    "", 0.25, 4)
check("fisher_p", "", 0.3499, 4); check("mid_p_own", "", 0.2572, 4)
check("mid_p_observed_half_own", "", 0.2572, 4)
check("barnard_pooled_own", "", 0.2406, 4); check("boschloo_twice_one_sided_own", "", 0.3054, 4)
check("miettinen_nurminen_own", "low", -0.3470, 4); check("miettinen_nurminen_own", "high", 0.0950,
                                                          4)
check("newcombe_own", "low", -0.3371, 4); check("newcombe_own", "high", 0.0930, 4)
check("wilson_treated", "low", 0.0094, 4); check("wilson_treated", "high", 0.2464, 4)
check("wilson_control", "low", 0.0731, 4); check("wilson_control", "high", 0.3852, 4)
check("conditional_odds_ratio", "", 0.2577, 4)
check("conditional_odds_ratio_exact", "low", 0.0048, 4); check("conditional_odds_ratio_exact",
    "high", 2.945, 3)
check("prob_treated_below_control_own", "Beta 0.5", 0.898,
      3); check("prob_treated_below_control_own", "Beta 1", 0.873, 3)
check("e_value", "", 6.37, 2)
quoted <- list("N(0,1)" = c(0.56, 0.13, 2.46, 0.780), "N(0,0.355)" = c(0.89, 0.46, 1.73, 0.635),
               "Cochrane low risk of bias, centre of the interval" = c(0.96, 0.80, 1.14, 0.687))
for (p in names(quoted)) {
  for (k in 1:3) check("posterior_odds_ratio", paste(p, c("median", "low", "high")[k]),
                       quoted[[p]][k], 2)
  check("posterior_prob_below_one", p, quoted[[p]][4], 3)
}

write_rows("two_by_two")
