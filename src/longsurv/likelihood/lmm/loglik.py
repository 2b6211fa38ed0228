"""Marginal likelihood of the Gaussian linear mixed model, random effects integrated out.

    y_i = X_i beta + Z_i b_i + e_i,   b_i ~ N(0, D),   e_i ~ N(0, sigma^2 I)

With D = sigma^2 Lam Lam', V_i = sigma^2 (I + Z_i Lam Lam' Z_i') and the Woodbury identity, the data
enter only through Z'Z, Z'X, Z'y of each patient and the pooled cross products of (X, y): a value
and its gradient cost a few small matrix products a patient, however many visits there were
(Bates et al. 2015, J Stat Softw 67(1), section 3; Wolfinger, Tobias & Sall 1994).

Internally X is orthonormalised (X = Q R), y is replaced by its least-squares residual, and the
columns of Z are orthogonalised within each block of correlated effects and scaled to unit root mean
square, so that neither units nor the origin of time cost digits: with calendar years an intercept
is the patient's level two thousand years ago, and D all but singular. The model is the same in any
columns that span the same space; D = B^-1 D* B^-T where Z = Z* B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from scipy.linalg import solve_triangular

from longsurv.likelihood.arithmetic.covariance import (
    correlation_cholesky,
    correlation_pullback,
    lower_cholesky,
)
from longsurv.likelihood.lmm.sums import in_blocks, outer_sum, patient_sums

LOG_2PI = math.log(2.0 * math.pi)
SMALLEST_QUAD = 1e-300
"""In place of a residual sum of squares of 0, which has no logarithm."""


@dataclass(frozen=True)
class LMMData:
    """Per-patient sufficient statistics.

    Attributes
    ----------
    ztz : ndarray, shape (N, q, q)
        Z'Z of each patient, in the kernel's own columns of Z.
    ztw : ndarray, shape (N, q, p + 1)
        Z'(Q, y - Q Q'y) of each patient.
    blocks : tuple of ndarray
        `ztz` and `ztw` laid out for `longsurv.likelihood.lmm.sums`.
    cross : ndarray, shape (p + 1, p + 1)
        Pooled cross products of (Q, y - Q Q'y).
    r : ndarray, shape (p, p)
        Upper triangle with X = Q r.
    beta_ols : ndarray, shape (p,)
        Least-squares coefficients.
    z_basis : ndarray, shape (q, q)
        Z is the kernel's columns times this B; the random effects b of Z are B b there.
    z_scale : ndarray, shape (q,)
        The SDs of `loglik` are of the effects of the kernel's columns over this.
    nobs : int
        Number of observations.
    """

    ztz: np.ndarray
    ztw: np.ndarray
    blocks: tuple[np.ndarray, np.ndarray]
    cross: np.ndarray
    r: np.ndarray
    beta_ols: np.ndarray
    z_basis: np.ndarray
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

    @cached_property
    def log_det_r(self) -> float:
        """log |det R|."""
        return float(np.log(np.abs(np.diag(self.r))).sum())


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


def prepare(
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    blocks: tuple[int, ...] | None = None,
    to: np.ndarray | None = None,
) -> LMMData:
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
    blocks : tuple of int, optional
        How many neighbouring columns of Z each block of correlated effects has; they are
        orthogonalised. By default columns are scaled only.
    to : ndarray, shape (q, q), optional
        Instead, the kernel's columns are those of Z to^-1, scaled: the SDs and correlations of
        `loglik` are of the effects `to` @ b.

    Returns
    -------
    LMMData
    """
    r = triangle(X)
    W = _orthonormal(np.ascontiguousarray(X, dtype=float), r)
    Q = W[:, :-1]
    # A second pass removes what rounding left of the columns' dependence.
    fit = Q.T @ y
    fit += Q.T @ (y - Q @ fit)
    W[:, -1] = y - Q @ fit
    z_basis, z_scale = random_basis(Z, blocks, to)
    to_own = np.linalg.inv(z_basis)
    ztz, ztw = _patient_sums(np.ascontiguousarray(Z, dtype=float), to_own, W, group, n_groups)
    return LMMData(
        ztz=ztz,
        ztw=ztw,
        blocks=(in_blocks(ztz), in_blocks(ztw)),
        cross=W.T @ W,
        r=r,
        beta_ols=solve_triangular(r, fit, lower=False),
        z_basis=z_basis,
        z_scale=z_scale,
        nobs=len(y),
    )


def random_basis(
    Z: np.ndarray, blocks: tuple[int, ...] | None = None, to: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """B, shape (q, q), for which the columns of Z B^-1 have unit root mean square; their scales.

    Z has shape (n, q). Within blocks, if given, those columns are also orthogonal and B an upper
    triangle; a block of dependent columns is scaled only. With `to`, they are those of Z to^-1.
    """
    columns = Z if to is None else Z @ np.linalg.inv(to)
    size = np.sqrt(np.diag(columns.T @ columns) / len(Z))
    basis = np.diag(np.where(size > 0.0, size, 1.0))
    if to is not None:
        return basis @ to, np.diag(basis).copy()
    start = 0
    for count in blocks or ():
        at, start = slice(start, start + count), start + count
        if count > 1 and (size[at] > 0.0).all():
            r = triangle(Z[:, at]) / math.sqrt(len(Z))
            if (np.diag(r) > 1e-13 * size[at]).all():
                basis[at, at] = r
    return basis, np.diag(basis).copy()


def triangle(X: np.ndarray) -> np.ndarray:
    """Upper triangle r with a positive diagonal for which the columns of X r^-1 are orthonormal,
    nearly if not to rounding.

    Nothing after it takes them for exactly so, and the root of X'X is the faster way to r; columns
    close to dependence need the other one.
    """
    products = X.T @ X
    size = np.sqrt(np.diag(products))
    scaled = products / np.outer(size, size)  # of full column rank, so no size is 0
    if np.linalg.eigvalsh(scaled).min(initial=1.0) > 1e-6:
        return np.linalg.cholesky(products).T
    r = np.linalg.qr(X, mode="r")
    return r * np.where(np.diag(r) < 0.0, -1.0, 1.0)[:, None]


@njit(cache=True, nogil=True, error_model="numpy")
def _orthonormal(X, r):
    """X r^-1, shape (n, p), and room for one more column."""
    n, p = X.shape
    W = np.empty((n, p + 1))
    for i in range(n):
        for j in range(p):
            s = X[i, j]
            for k in range(j):
                s -= W[i, k] * r[k, j]
            W[i, j] = s / r[j, j]
    return W


@njit(cache=True, nogil=True, error_model="numpy")
def _patient_sums(Z, to_own, W, group, n_groups):
    """Sums over patients of the products of the columns of Z @ to_own."""
    n, q = Z.shape
    k = W.shape[1]
    ztz = np.zeros((n_groups, q, q))
    ztw = np.zeros((n_groups, q, k))
    own = np.empty(q)
    for i in range(n):
        g = group[i]
        for a in range(q):
            s = 0.0
            for b in range(q):
                s += Z[i, b] * to_own[b, a]
            own[a] = s
        for a in range(q):
            z = own[a]
            for b in range(q):
                ztz[g, a, b] += z * own[b]
            for b in range(k):
                ztw[g, a, b] += z * W[i, b]
    return ztz, ztw


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
    return deviance + (2.0 * data.log_det_r if reml else 0.0), gradient


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
    S = G - precision * outer_sum(H, u)
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
        correlations (see `longsurv.likelihood.arithmetic.covariance`). The random effects are those
        of the kernel's columns over `z_scale`: b itself where the columns of Z are scaled only.

    Returns
    -------
    value : float
    gradient : ndarray, same shape as theta
    """
    return _value_and_gradient(
        theta, *data.blocks, data.cross, data.r, data.beta_ols, data.z_scale, data.nobs
    )
