# Posteriors of a random-intercept model by integration: what brms, rstanarm or any other sampler
# would have to find, without their Monte Carlo error. Base R only. Reads sleepstudy.csv; writes
# mixed_posterior.csv.
#
# y = X b + u + e, u ~ N(0, tau^2) by subject, e ~ N(0, sigma^2); b has independent normal priors,
# tau and sigma half-normal ones. Given tau and sigma the posterior of b is normal in closed form, and
# so is the density of y; what is left is an integral over two numbers, taken by the trapezoidal rule
# on a fine grid of their logarithms.
source("tests/reference/common.R")

data <- read.csv("tests/reference/sleepstudy.csv")
X <- cbind(1, data$Days)
y <- data$Reaction
subject <- as.integer(factor(data$Subject))
n <- as.vector(table(subject))

posterior <- function(model, mean, sd, tau_scale, sigma_scale, points = 401) {
  log_tau <- seq(log(2), log(200), length.out = points)
  log_sigma <- seq(log(15), log(80), length.out = points)
  P0 <- diag(1 / sd^2)
  XtX <- crossprod(X); Xty <- crossprod(X, y); yty <- sum(y^2)
  Sx <- rowsum(X, subject); Sy <- rowsum(y, subject)
  value <- matrix(-Inf, points, points)
  m1 <- m2 <- v1 <- v2 <- matrix(0, points, points)
  for (i in seq_len(points)) for (j in seq_len(points)) {
    tau2 <- exp(2 * log_tau[i]); s2 <- exp(2 * log_sigma[j])
    k <- tau2 / (s2 + n * tau2)          # V^-1 = (I - k 1 1') / s2 in each subject
    A <- (XtX - crossprod(Sx * k, Sx)) / s2
    a <- (Xty - crossprod(Sx * k, Sy)) / s2
    q <- (yty - sum(k * Sy^2)) / s2
    P <- A + P0
    b <- solve(P, a + P0 %*% mean)
    log_det <- sum(n * log(s2) + log1p(n * tau2 / s2)) + log(det(P)) + sum(log(sd^2))
    rest <- q + sum(mean^2 / sd^2) - sum(b * (P %*% b))
    prior <- -tau2 / (2 * tau_scale^2) - s2 / (2 * sigma_scale^2)
    # The Jacobian of the logarithms is tau * sigma.
    value[i, j] <- -0.5 * (log_det + rest) + prior + log_tau[i] + log_sigma[j]
    m1[i, j] <- b[1]; m2[i, j] <- b[2]
    V <- solve(P); v1[i, j] <- V[1, 1]; v2[i, j] <- V[2, 2]
  }
  w <- exp(value - max(value))
  stopifnot(max(w[1, ], w[points, ], w[, 1], w[, points]) < 1e-7)   # the grid holds it all
  w <- w / sum(w)
  moments <- function(first, second, term) {
    centre <- sum(w * first)
    note(model, "mean", centre, term)
    note(model, "sd", sqrt(sum(w * second) - centre^2), term)
  }
  moments(m1, v1 + m1^2, "Intercept")
  moments(m2, v2 + m2^2, "Days")
  tau <- matrix(exp(log_tau), points, points)
  sigma <- matrix(exp(log_sigma), points, points, byrow = TRUE)
  moments(tau, tau^2, "sd(Intercept|Subject)")
  moments(sigma, sigma^2, "sigma")
}

posterior("sleepstudy_weak", c(250, 0), c(100, 100), 50, 50)
posterior("sleepstudy_own", c(250, 5), c(100, 1), 50, 50)

write_rows("mixed_posterior")
