"""Marginal likelihood of the Gaussian linear mixed model, random effects integrated out.

    y_i = X_i beta + Z_i b_i + e_i,   b_i ~ N(0, D),   e_i ~ N(0, sigma^2 I)

With D = sigma^2 Lam Lam', V_i = sigma^2 (I + Z_i Lam Lam' Z_i') and the Woodbury identity, the data
enter only through Z'Z, Z'X, Z'y of each patient and the pooled cross products of (X, y): a value
and its gradient cost a few small matrix products a patient, however many visits there were
(Bates et al. 2015, J Stat Softw 67(1), section 3; Wolfinger, Tobias & Sall 1994).

All in the columns of `statistics`: X orthonormal, those of Z orthogonal and scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.linalg import solve_triangular

from longsurv.likelihood.arithmetic.covariance import (
    correlation_cholesky,
    correlation_pullback,
    lower_cholesky,
)
from longsurv.likelihood.lmm.statistics import LMMData
from longsurv.likelihood.lmm.sums import outer_sum, patient_sums

LOG_2PI = math.log(2.0 * math.pi)
SMALLEST_QUAD = 1e-300
"""In place of a residual sum of squares of 0, which has no logarithm."""


@dataclass(frozen=True)
class ProfiledLikelihood:
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


@njit(cache=True, nogil=True, error_model="numpy")
def _profile(lam, ztz, ztw, cross, reml):
    p = cross.shape[0] - 1
    log_det, T, trace, H = patient_sums(lam, ztz, ztw, cross)
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
    outer = outer_sum(H, residual)
    if reml:
        for j in range(p):
            log_det += 2.0 * math.log(chol[j, j])
        trace = trace - outer_sum(H, spread)
    return definite, log_det, quad, -residual[:p, 0], spread[:p], trace, outer


def profile(data: LMMData, lam: np.ndarray, reml: bool) -> ProfiledLikelihood:
    """Solve for beta at the relative covariance factor lam (q, q), lower triangular.

    The criterion is lme4's (Bates et al. 2015, equations 34 and 41), in the original coordinates of
    X.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X' V^-1 X is not positive definite at this lam.
    """
    definite, log_det, quad, gamma, spread, trace, outer = _profile(
        lam, *data.blocks, data.cross, reml
    )
    if not definite:
        raise np.linalg.LinAlgError("X' V^-1 X is not positive definite")
    log_det -= data.log_weight
    if reml:
        log_det += 2.0 * data.log_det_r
    dof = data.nobs - (data.p if reml else 0)
    return ProfiledLikelihood(log_det, max(quad, SMALLEST_QUAD), dof, gamma, spread, trace, outer)


@njit(cache=True, nogil=True, error_model="numpy")
def _profiled_deviance(x, rows, columns, ztz, ztw, cross, dof, reml):
    q = ztz.shape[1]
    lam = np.zeros((q, q))
    for e in range(x.shape[0]):
        lam[rows[e], columns[e]] = x[e]
    definite, log_det, quad, _, _, trace, outer = _profile(lam, ztz, ztw, cross, reml)
    quad = max(quad, SMALLEST_QUAD)
    sigma2 = quad / dof
    deviance = log_det + dof * (LOG_2PI + math.log(sigma2)) + quad / sigma2
    gradient = np.empty(x.shape[0])
    for e in range(x.shape[0]):
        s = 0.0
        for c in range(q):
            s += (trace[rows[e], c] - outer[rows[e], c] / sigma2) * lam[c, columns[e]]
        gradient[e] = 2.0 * s
    return definite, deviance, gradient


def profiled_deviance(
    data: LMMData, x: np.ndarray, elements: tuple[np.ndarray, np.ndarray], reml: bool
) -> tuple[float, np.ndarray]:
    """Deviance profiled over beta and sigma, and its gradient, in some elements of the relative
    covariance factor.

    Parameters
    ----------
    data : LMMData
    x : ndarray, shape (m,)
        Elements of the lower triangle; the others are 0.
    elements : (rows, columns), ndarrays of int, shape (m,)
        Where they stand.
    reml : bool

    Raises
    ------
    numpy.linalg.LinAlgError
        If X' V^-1 X is not positive definite there.
    """
    dof = data.nobs - (data.p if reml else 0)
    definite, deviance, gradient = _profiled_deviance(
        x, *elements, *data.blocks, data.cross, dof, reml
    )
    if not definite:
        raise np.linalg.LinAlgError("X' V^-1 X is not positive definite")
    return deviance - data.log_weight + (2.0 * data.log_det_r if reml else 0.0), gradient


def coefficients(data: LMMData, gamma: np.ndarray) -> np.ndarray:
    """beta (p,), in the coordinates of X, from gamma (p,) in the orthonormal ones."""
    return data.beta_ols + solve_triangular(data.r, gamma, lower=False)


@njit(cache=True, nogil=True, error_model="numpy")
def relative_factor(log_sigma, log_tau, z, z_scale):
    """Lam (q, q) in scaled columns of Z, and its row scales tau / sigma times the columns'
    scale."""
    q = log_tau.shape[0]
    K = correlation_cholesky(z, q)
    scale = np.exp(log_tau - log_sigma) * z_scale
    lam = np.empty((q, q))
    for a in range(q):
        for b in range(q):
            lam[a, b] = scale[a] * K[a, b]
    return lam, scale


@njit(cache=True, nogil=True, error_model="numpy")
def relative_pullback(S, lam, scale, z):
    """Gradients of -tr(S D / sigma^2) / 2 in log tau (q,) and in z, for `relative_factor`'s lam
    and scale; that in log sigma is less the first one's sum."""
    q = lam.shape[0]
    by_row = np.zeros(q)
    dK = np.zeros((q, q))
    for a in range(q):
        for b in range(a + 1):
            d = 0.0
            for c in range(b, q):
                d -= S[a, c] * lam[c, b]
            by_row[a] += d * lam[a, b]
            dK[a, b] = d * scale[a]
    return by_row, correlation_pullback(z, q, dK)


@njit(cache=True, nogil=True, error_model="numpy")
def _value_and_gradient(theta, ztz, ztw, cross, r, beta_ols, z_scale, nobs):
    p = r.shape[0]
    q = z_scale.shape[0]
    log_sigma = theta[p]
    log_tau = theta[p + 1 : p + 1 + q]
    z = theta[p + 1 + q :]
    lam, scale = relative_factor(log_sigma, log_tau, z, z_scale)
    log_det, T, G, H = patient_sums(lam, ztz, ztw, cross)
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
    by_row, by_z = relative_pullback(G - precision * outer_sum(H, u), lam, scale, z)
    gradient[p] = -nobs + quad * precision
    for a in range(q):
        gradient[p + 1 + a] = by_row[a]
        gradient[p] -= by_row[a]
    for k in range(by_z.shape[0]):
        gradient[p + 1 + q + k] = by_z[k]
    return value, gradient


def loglik(data: LMMData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood and its gradient.

    Parameters
    ----------
    data : LMMData
    theta : ndarray, shape (p + 1 + q + q (q - 1) / 2,)
        beta; log sigma; log tau (standard deviations of the random effects); unconstrained
        correlations (see `longsurv.likelihood.arithmetic.covariance`). The random effects are those
        of the kernel's columns over `z_scale`: b itself where the columns of Z are scaled only.

    Returns
    -------
    value : float
    gradient : ndarray, same shape as theta
    """
    value, gradient = _value_and_gradient(
        theta, *data.blocks, data.cross, data.r, data.beta_ols, data.z_scale, data.nobs
    )
    return value + 0.5 * data.log_weight, gradient
