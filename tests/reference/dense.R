# A dense marginal Gaussian likelihood, its maximum polished by Newton steps, and Kenward-Roger and
# Satterthwaite after the papers. Sourced by the scripts on residual structures.

# ---- the dense likelihood ------------------------------------------------------------------------
# problem: y, X, blocks (rows of each patient), visit (1..T), time. covariance(par, visit, time) ->
# a patient's V.
minus2 <- function(par, problem, covariance, reml, parts = FALSE) {
  p <- ncol(problem$X)
  logdet <- 0; XVX <- matrix(0, p, p); XVy <- numeric(p); yVy <- 0
  for (rows in problem$blocks) {
    V <- covariance(par, problem$visit[rows], problem$time[rows])
    U <- tryCatch(chol(V), error = function(e) NULL)
    if (is.null(U)) return(1e10)
    logdet <- logdet + 2 * sum(log(diag(U)))
    A <- backsolve(U, cbind(problem$X[rows, , drop = FALSE], problem$y[rows]), transpose = TRUE)
    G <- crossprod(A)
    XVX <- XVX + G[1:p, 1:p]; XVy <- XVy + G[1:p, p + 1]; yVy <- yVy + G[p + 1, p + 1]
  }
  if (!all(is.finite(XVX)) || rcond(XVX) < 1e-14) return(1e10)
  beta <- solve(XVX, XVy)
  n <- length(problem$y)
  value <- logdet + yVy - sum(beta * XVy) + n * log(2 * pi)
  if (reml) value <- value - p * log(2 * pi) + as.numeric(determinant(XVX)$modulus)
  if (parts) list(value = value, beta = beta, vcov = solve(XVX)) else value
}

maximise <- function(start, problem, covariance, reml) {
  f <- function(par) minus2(par, problem, covariance, reml)
  par <- start
  for (k in 1:3) par <- optim(par, f, method = "BFGS", control = list(maxit = 2000,
      reltol = 1e-14))$par
  end <- newton(f, par)
  stopifnot(max(abs(end$move)) < 1e-7, all(eigen(end$hessian, TRUE, TRUE)$values > 0))
  par <- end$par
  H <- end$hessian
  c(minus2(par, problem, covariance, reml, parts = TRUE), list(par = par, hessian = H))
}

# ---- Kenward-Roger in covariance parameters tau, derivatives of V by finite differences ----------
# second: with the second derivatives of V (zero when V is linear in tau); else the "linear" form.
kenward_roger <- function(tau, covariance, problem, second = TRUE) {
  n <- length(problem$y); q <- length(tau)
  full <- function(tau) {
    V <- matrix(0, n, n)
    for (rows in problem$blocks)
      V[rows, rows] <- covariance(tau, problem$visit[rows], problem$time[rows])
    V
  }
  h <- 1e-3 * pmax(1, abs(tau))
  unit <- function(j) replace(numeric(q), j, h[j])
  first <- lapply(seq_len(q), function(j) { e <- unit(j)
    (8 * (full(tau + e) - full(tau - e)) - (full(tau + 2 * e) - full(tau - 2 * e))) / (12 * h[j]) })
  V <- full(tau); W <- solve(V); X <- problem$X
  Phi <- solve(t(X) %*% W %*% X)
  WX <- W %*% X
  P <- lapply(first, function(D) -t(WX) %*% D %*% WX)
  Q <- function(i, j) t(WX) %*% first[[i]] %*% W %*% first[[j]] %*% WX
  WD <- lapply(first, function(D) W %*% D)
  info <- matrix(0, q, q); middle <- matrix(0, ncol(X), ncol(X)); Qs <- list()
  for (i in seq_len(q)) for (j in seq_len(q)) {
    Qs[[paste(i, j)]] <- Q(i, j)
    info[i, j] <- 0.5 * (sum(WD[[i]] * t(WD[[j]])) - 2 * sum(Phi * t(Qs[[paste(i, j)]])) +
                           sum((Phi %*% P[[i]]) * t(Phi %*% P[[j]])))
  }
  cov_tau <- solve(info)
  for (i in seq_len(q)) for (j in seq_len(q)) {
    R <- 0
    if (second) {
      a <- unit(i); b <- unit(j)
      D2 <- (full(tau + a + b) - full(tau + a - b) - full(tau - a + b) + full(tau - a - b)) / (4 *
          h[i] * h[j])
      R <- t(WX) %*% D2 %*% WX
    }
    middle <- middle + cov_tau[i, j] * (Qs[[paste(i, j)]] - P[[i]] %*% Phi %*% P[[j]] - R / 4)
  }
  list(Phi = Phi, adjusted = Phi + 2 * Phi %*% middle %*% Phi, P = P, cov_tau = cov_tau)
}

kr_test <- function(kr, beta, L) {
  l <- nrow(L)
  Theta <- t(L) %*% solve(L %*% kr$Phi %*% t(L)) %*% L
  A1 <- A2 <- 0
  q <- length(kr$P)
  for (i in seq_len(q)) for (j in seq_len(q)) {
    Mi <- Theta %*% kr$Phi %*% kr$P[[i]] %*% kr$Phi; Mj <- Theta %*% kr$Phi %*% kr$P[[j]] %*% kr$Phi
    A1 <- A1 + kr$cov_tau[i, j] * sum(diag(Mi)) * sum(diag(Mj))
    A2 <- A2 + kr$cov_tau[i, j] * sum(Mi * t(Mj))
  }
  B <- (A1 + 6 * A2) / (2 * l)
  g <- ((l + 1) * A1 - (l + 4) * A2) / ((l + 2) * A2)
  den <- 3 * l + 2 * (1 - g)
  c1 <- g / den; c2 <- (l - g) / den; c3 <- (l + 2 - g) / den
  E <- 1 / (1 - A2 / l)
  V <- (2 / l) * (1 + c1 * B) / ((1 - c2 * B)^2 * (1 - c3 * B))
  rho <- V / (2 * E^2)
  df <- 4 + (l + 2) / (l * rho - 1)
  lambda <- df / (E * (df - 2))
  d <- L %*% beta
  f_unscaled <- as.numeric(t(d) %*% solve(L %*% kr$adjusted %*% t(L), d)) / l
  c(f = lambda * f_unscaled, df = df, scale = lambda, p = pf(lambda * f_unscaled, l, df,
      lower.tail = FALSE))
}

satterthwaite_df <- function(fit, problem, covariance, L) {
  v <- function(par) as.numeric(L %*% minus2(par, problem, covariance, TRUE,
                                             parts = TRUE)$vcov %*% t(L))
  g <- numDeriv::grad(function(u) v(fit$par + u - 1), rep(1, length(fit$par)),
                      method.args = list(d = 0.01))
  2 * v(fit$par)^2 / as.numeric(t(g) %*% solve(fit$hessian / 2, g))
}
