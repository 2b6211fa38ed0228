"""Marginal likelihood of the Gaussian linear mixed model, random effects integrated out.

    y_i = X_i beta + Z_i b_i + e_i,   b_i ~ N(0, D),   e_i ~ N(0, sigma^2 I)

With D = sigma^2 Lam Lam', V_i = sigma^2 (I + Z_i Lam Lam' Z_i') and the Woodbury identity, the data
enter only through Z'Z, Z'X, Z'y of each patient and the pooled cross products of (X, y): a value
and its gradient cost a few small matrix products a patient, however many visits there were
(Bates et al. 2015, J Stat Softw 67(1), section 3; Wolfinger, Tobias & Sall 1994).

Internally X is orthonormalised (X = Q R), y is replaced by its least-squares residual, and the
columns of Z are scaled to unit root mean square, so that units and offsets cost no digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.linalg import solve_triangular

from longsurv.likelihood.covariance import correlation_cholesky, correlation_pullback, lower_cholesky

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class LMMData:
    """Per-patient sufficient statistics.

    Attributes
    ----------
    ztz : ndarray, shape (N, q, q)
        Z'Z of each patient, in scaled columns of Z.
    ztw : ndarray, shape (N, q, p + 1)
        Z'(Q, y - Q Q'y) of each patient.
    cross : ndarray, shape (p + 1, p + 1)
        Pooled cross products of (Q, y - Q Q'y).
    r : ndarray, shape (p, p)
        Upper triangle with X = Q r.
    beta_ols : ndarray, shape (p,)
        Least-squares coefficients.
    z_scale : ndarray, shape (q,)
        Root mean square of the columns of Z.
    nobs : int
        Number of observations.
    """

    ztz: np.ndarray
    ztw: np.ndarray
    cross: np.ndarray
    r: np.ndarray
    beta_ols: np.ndarray
    z_scale: np.ndarray
    nobs: int

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return self.r.shape[0]

    @property
    def q(self) -> int:
        """Number of random effects a patient."""
        return self.ztz.shape[1]

    @property
    def log_det_r(self) -> float:
        """log |det R|."""
        return float(np.log(np.abs(np.diag(self.r))).sum())


@dataclass(frozen=True)
class Profile:
    """The likelihood at one relative covariance factor Lam, with beta at its optimum.

    Attributes
    ----------
    log_det : float
        log |V / sigma^2|; for REML plus log |X' (V / sigma^2)^-1 X|.
    quad : float
        Weighted residual sum of squares.
    dof : int
        n for ML, n - p for REML.
    gamma : ndarray, shape (p,)
        Coefficients in the orthonormal coordinates.
    spread : ndarray, shape (p, p)
        Upper triangle; spread @ spread.T is the inverse of Q' (V / sigma^2)^-1 Q.
    trace : ndarray, shape (q, q)
        Derivative of log_det with respect to D / sigma^2.
    outer : ndarray, shape (q, q)
        Minus the derivative of quad with respect to D / sigma^2.
    """

    log_det: float
    quad: float
    dof: int
    gamma: np.ndarray
    spread: np.ndarray
    trace: np.ndarray
    outer: np.ndarray

    @property
    def sigma2(self) -> float:
        """Residual variance that maximises the likelihood at this Lam."""
        return self.quad / self.dof

    def deviance(self, sigma2: float) -> float:
        """-2 log-likelihood (the REML criterion for REML) at a residual variance."""
        return self.log_det + self.dof * (LOG_2PI + math.log(sigma2)) + self.quad / sigma2

    def curvature(self, sigma2: float) -> np.ndarray:
        """Derivative of the deviance with respect to D / sigma^2, shape (q, q).

        Its diagonal is not negative where a variance of zero is optimal.
        """
        return self.trace - self.outer / sigma2


def prepare(X: np.ndarray, y: np.ndarray, Z: np.ndarray, group: np.ndarray, n_groups: int) -> LMMData:
    """Reduce the rows to sufficient statistics.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Fixed-effects design of full column rank.
    y : ndarray, shape (n,)
        Response.
    Z : ndarray, shape (n, q)
        Random-effects design.
    group : ndarray of int, shape (n,)
        Patient of each row, 0 to n_groups - 1; rows may be in any order.
    n_groups : int
        Number of patients.

    Returns
    -------
    LMMData
    """
    r = np.linalg.qr(X, mode="r")
    Q = solve_triangular(r, X.T, trans="T", lower=False).T
    # A second pass removes what rounding left of the columns' dependence.
    fit = Q.T @ y
    fit += Q.T @ (y - Q @ fit)
    W = np.column_stack([Q, y - Q @ fit])
    z_scale = np.sqrt(np.mean(Z**2, axis=0))
    z_scale = np.where(z_scale > 0.0, z_scale, 1.0)
    ztz, ztw = _patient_sums(np.ascontiguousarray(Z / z_scale), W, group, n_groups)
    return LMMData(ztz, ztw, W.T @ W, r, solve_triangular(r, fit, lower=False), z_scale, len(y))


@njit(cache=True, nogil=True)
def _patient_sums(Z, W, group, n_groups):
    n, q = Z.shape
    k = W.shape[1]
    ztz = np.zeros((n_groups, q, q))
    ztw = np.zeros((n_groups, q, k))
    for i in range(n):
        g = group[i]
        for a in range(q):
            z = Z[i, a]
            for b in range(q):
                ztz[g, a, b] += z * Z[i, b]
            for b in range(k):
                ztw[g, a, b] += z * W[i, b]
    return ztz, ztw


@njit(cache=True, nogil=True)
def _forward(lam, ztz, ztw, cross):
    """Sums over patients at the relative covariance factor lam.

    Returns log |V / sigma^2|; T = W' (V / sigma^2)^-1 W; G = sum Z' (V / sigma^2)^-1 Z;
    and H_i = Z_i' (V_i / sigma^2)^-1 W_i for each patient.
    """
    n_groups, q, k = ztw.shape
    log_det = 0.0
    T = cross.copy()
    G = np.zeros((q, q))
    H = np.empty((n_groups, q, k))
    AL = np.empty((q, q))
    M = np.empty((q, q))
    L = np.zeros((q, q))
    U = np.empty((q, k))
    for i in range(n_groups):
        A = ztz[i]
        B = ztw[i]
        for a in range(q):
            for b in range(q):
                s = 0.0
                for c in range(b, q):
                    s += A[a, c] * lam[c, b]
                AL[a, b] = s
        for a in range(q):
            for b in range(a + 1):
                s = 0.0
                for c in range(a, q):
                    s += lam[c, a] * AL[c, b]
                M[a, b] = s
            M[a, a] += 1.0
        lower_cholesky(M, L)
        det = 1.0
        for a in range(q):
            det *= L[a, a]
        log_det += 2.0 * math.log(det)
        for b in range(k):
            for a in range(q):
                s = 0.0
                for c in range(a, q):
                    s += lam[c, a] * B[c, b]
                for c in range(a):
                    s -= L[a, c] * U[c, b]
                U[a, b] = s / L[a, a]
        for a in range(q):
            for b in range(k):
                u = U[a, b]
                for c in range(b + 1):
                    T[b, c] -= u * U[a, c]
        # AL becomes (L^-1 Lam'A)', row a the a-th column of A.
        for a in range(q):
            for b in range(q):
                s = AL[a, b]
                for c in range(b):
                    s -= L[b, c] * AL[a, c]
                AL[a, b] = s / L[b, b]
        for a in range(q):
            for b in range(a + 1):
                s = A[a, b]
                for c in range(q):
                    s -= AL[a, c] * AL[b, c]
                G[a, b] += s
            for b in range(k):
                s = B[a, b]
                for c in range(q):
                    s -= AL[a, c] * U[c, b]
                H[i, a, b] = s
    for b in range(k):
        for c in range(b):
            T[c, b] = T[b, c]
    for a in range(q):
        for b in range(a):
            G[b, a] = G[a, b]
    return log_det, T, G, H


@njit(cache=True, nogil=True)
def _outer_sum(H, C):
    """Sum over patients of (H_i C)(H_i C)', shape (q, q), for C of shape (k, m)."""
    n_groups, q, k = H.shape
    m = C.shape[1]
    out = np.zeros((q, q))
    E = np.empty((q, m))
    for i in range(n_groups):
        for a in range(q):
            for j in range(m):
                s = 0.0
                for b in range(k):
                    s += H[i, a, b] * C[b, j]
                E[a, j] = s
        for a in range(q):
            for b in range(a + 1):
                s = 0.0
                for j in range(m):
                    s += E[a, j] * E[b, j]
                out[a, b] += s
    for a in range(q):
        for b in range(a):
            out[b, a] = out[a, b]
    return out


@njit(cache=True, nogil=True)
def _profile(lam, ztz, ztw, cross, reml):
    p = cross.shape[0] - 1
    log_det, T, trace, H = _forward(lam, ztz, ztw, cross)
    chol = np.zeros((p, p))
    definite = lower_cholesky(T[:p, :p], chol)
    spread = np.zeros((p + 1, p))
    for j in range(p):
        for i in range(j, p):
            s = 1.0 if i == j else 0.0
            for k in range(j, i):
                s -= chol[i, k] * spread[j, k]
            spread[j, i] = s / chol[i, i]
    residual = np.zeros((p + 1, 1))
    residual[p, 0] = 1.0
    quad = T[p, p]
    for j in range(p):
        s = 0.0
        for i in range(j + 1):
            s += spread[i, j] * T[i, p]
        quad -= s * s
        for i in range(j + 1):
            residual[i, 0] -= spread[i, j] * s
    outer = _outer_sum(H, residual)
    if reml:
        for j in range(p):
            log_det += 2.0 * math.log(chol[j, j])
        trace = trace - _outer_sum(H, spread)
    return definite, log_det, quad, -residual[:p, 0], spread[:p], trace, outer


def profile(data: LMMData, lam: np.ndarray, reml: bool) -> Profile:
    """Solve for beta at the relative covariance factor lam (q, q), lower triangular.

    The criterion is lme4's (Bates et al. 2015, equations 34 and 41), in the original coordinates of X.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X' V^-1 X is not positive definite at this lam.
    """
    definite, log_det, quad, gamma, spread, trace, outer = _profile(
        lam, data.ztz, data.ztw, data.cross, reml
    )
    if not definite:
        raise np.linalg.LinAlgError("X' V^-1 X is not positive definite")
    if reml:
        log_det += 2.0 * data.log_det_r
    dof = data.nobs - (data.p if reml else 0)
    return Profile(log_det, max(quad, 1e-300), dof, gamma, spread, trace, outer)


def profiled_deviance(data: LMMData, lam: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
    """Deviance profiled over beta and sigma, and its gradient (q, q) with respect to lam.

    Only the gradient's lower triangle has a meaning.
    """
    at = profile(data, lam, reml)
    return at.deviance(at.sigma2), 2.0 * at.curvature(at.sigma2) @ lam


def coefficients(data: LMMData, gamma: np.ndarray) -> np.ndarray:
    """beta (p,), in the coordinates of X, from gamma (p,) in the orthonormal ones."""
    return data.beta_ols + solve_triangular(data.r, gamma, lower=False)


@dataclass(frozen=True)
class RandomEffects:
    """Conditional distribution of the random effects given the data and the parameters.

    Attributes
    ----------
    mean : ndarray, shape (N, q)
    cov : ndarray, shape (N, q, q)
        Given beta as well.
    coupling : ndarray, shape (N, q, p)
        D Z' V^-1 X: how much the mean falls as beta rises.
    """

    mean: np.ndarray
    cov: np.ndarray
    coupling: np.ndarray


def random_effects(
    data: LMMData, lam: np.ndarray, sigma: float, beta: np.ndarray
) -> RandomEffects:
    """Random effects given y, beta (p,), sigma and the relative covariance factor lam (q, q)."""
    M = np.eye(data.q) + lam.T @ data.ztz @ lam
    half = lam @ np.linalg.inv(M) @ lam.T
    solved = half @ data.ztw / data.z_scale[:, None]
    gamma = data.r @ (beta - data.beta_ols)
    return RandomEffects(
        mean=solved @ np.append(-gamma, 1.0),
        cov=sigma**2 * half / np.outer(data.z_scale, data.z_scale),
        coupling=solved[:, :, :-1] @ data.r,
    )


# The unprofiled form, for inference on all parameters together --------------------------------


@njit(cache=True, nogil=True)
def _relative_factor(log_sigma, log_tau, z, z_scale):
    q = log_tau.shape[0]
    K = correlation_cholesky(z, q)
    scale = np.exp(log_tau - log_sigma) * z_scale
    lam = np.empty((q, q))
    for a in range(q):
        for b in range(q):
            lam[a, b] = scale[a] * K[a, b]
    return lam, scale


@njit(cache=True, nogil=True)
def _value_and_gradient(theta, ztz, ztw, cross, r, beta_ols, z_scale, nobs):
    p = r.shape[0]
    q = z_scale.shape[0]
    log_sigma = theta[p]
    log_tau = theta[p + 1 : p + 1 + q]
    z = theta[p + 1 + q :]
    lam, scale = _relative_factor(log_sigma, log_tau, z, z_scale)
    log_det, T, G, H = _forward(lam, ztz, ztw, cross)
    u = np.ones((p + 1, 1))
    for a in range(p):
        s = 0.0
        for b in range(a, p):
            s -= r[a, b] * (theta[b] - beta_ols[b])
        u[a, 0] = s
    Tu = np.zeros(p + 1)
    quad = 0.0
    for a in range(p + 1):
        for b in range(p + 1):
            Tu[a] += T[a, b] * u[b, 0]
        quad += u[a, 0] * Tu[a]
    precision = math.exp(-2.0 * log_sigma)
    value = -0.5 * (nobs * (LOG_2PI + 2.0 * log_sigma) + log_det + quad * precision)

    gradient = np.zeros(theta.shape[0])
    for a in range(p):
        for b in range(a, p):
            gradient[b] += r[a, b] * Tu[a] * precision
    S = G - precision * _outer_sum(H, u)
    dK = np.zeros((q, q))
    total = 0.0
    for a in range(q):
        row = 0.0
        for b in range(a + 1):
            d = 0.0
            for c in range(b, q):
                d -= S[a, c] * lam[c, b]
            row += d * lam[a, b]
            dK[a, b] = d * scale[a]
        gradient[p + 1 + a] = row
        total += row
    gradient[p] = -nobs + quad * precision - total
    gradient[p + 1 + q :] = correlation_pullback(z, q, dK)
    return value, gradient


def loglik(data: LMMData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood and its gradient.

    Parameters
    ----------
    data : LMMData
    theta : ndarray, shape (p + 1 + q + q (q - 1) / 2,)
        beta; log sigma; log tau (standard deviations of the random effects); unconstrained
        correlations (see `longsurv.likelihood.covariance`).

    Returns
    -------
    value : float
    gradient : ndarray, same shape as theta
    """
    return _value_and_gradient(
        theta, data.ztz, data.ztw, data.cross, data.r, data.beta_ols, data.z_scale, data.nobs
    )


@njit(cache=True, nogil=True)
def _pointwise(thetas, X, y, Z, group, n_groups):
    S = thetas.shape[0]
    n, p = X.shape
    q = Z.shape[1]
    out = np.empty((S, n_groups))
    count = np.zeros(n_groups)
    ztz = np.zeros((n_groups, q, q))
    for i in range(n):
        g = group[i]
        count[g] += 1.0
        for a in range(q):
            for b in range(q):
                ztz[g, a, b] += Z[i, a] * Z[i, b]
    M = np.empty((q, q))
    L = np.zeros((q, q))
    for s in range(S):
        log_sigma = thetas[s, p]
        lam, _ = _relative_factor(log_sigma, thetas[s, p + 1 : p + 1 + q], thetas[s, p + 1 + q :], np.ones(q))
        rtr = np.zeros(n_groups)
        ztr = np.zeros((n_groups, q))
        for i in range(n):
            r = y[i]
            for a in range(p):
                r -= X[i, a] * thetas[s, a]
            rtr[group[i]] += r * r
            for a in range(q):
                ztr[group[i], a] += Z[i, a] * r
        for g in range(n_groups):
            AL = ztz[g] @ lam
            M[:] = lam.T @ AL
            for a in range(q):
                M[a, a] += 1.0
            lower_cholesky(M, L)
            quad = rtr[g]
            log_det = 0.0
            u = lam.T @ ztr[g]
            for a in range(q):
                for c in range(a):
                    u[a] -= L[a, c] * u[c]
                u[a] /= L[a, a]
                quad -= u[a] * u[a]
                log_det += 2.0 * math.log(L[a, a])
            precision = math.exp(-2.0 * log_sigma)
            out[s, g] = -0.5 * (count[g] * (LOG_2PI + 2.0 * log_sigma) + log_det + quad * precision)
    return out


def pointwise(
    thetas: np.ndarray, X: np.ndarray, y: np.ndarray, Z: np.ndarray, group: np.ndarray, n_groups: int
) -> np.ndarray:
    """Marginal log-likelihood of each patient at each parameter vector.

    Parameters
    ----------
    thetas : ndarray, shape (S, d)
        As for `loglik`.
    X, y, Z, group, n_groups
        As for `prepare`.

    Returns
    -------
    ndarray, shape (S, n_groups)
    """
    return _pointwise(np.ascontiguousarray(thetas), X, y, Z, group, n_groups)
