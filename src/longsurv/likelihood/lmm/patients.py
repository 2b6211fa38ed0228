"""What the Gaussian mixed model says of each patient: random effects and log-likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import lower_cholesky
from longsurv.likelihood.lmm.kernel import Effects
from longsurv.likelihood.lmm.loglik import LOG_2PI, relative_factor
from longsurv.likelihood.lmm.statistics import LMMData


@dataclass(frozen=True)
class RandomEffects(Effects):
    """Conditional distribution of the random effects given the data and the parameters.

    Attributes
    ----------
    coupling : ndarray, shape (N, q, p)
        D Z' V^-1 X: how much the mean falls as beta rises.
    """

    coupling: np.ndarray

    def mapped(self, J: np.ndarray) -> RandomEffects:
        """The distribution of J b."""
        return RandomEffects(self.mean @ J.T, J @ self.cov @ J.T, J @ self.coupling)


def random_effects(data: LMMData, lam: np.ndarray, sigma: float, beta: np.ndarray) -> RandomEffects:
    """Random effects of Z given y, beta (p,), sigma and the relative covariance factor lam (q, q)
    in the kernel's columns."""
    return own_effects(data, lam, sigma, beta).mapped(np.linalg.inv(data.z_basis))


def own_effects(data: LMMData, lam: np.ndarray, sigma: float, beta: np.ndarray) -> RandomEffects:
    """The same of the effects of the kernel's columns."""
    M = np.eye(data.q) + lam.T @ data.ztz @ lam
    half = lam @ np.linalg.inv(M) @ lam.T
    solved = half @ data.ztw
    gamma = data.r @ (beta - data.beta_ols)
    return RandomEffects(
        mean=solved @ np.append(-gamma, 1.0),
        cov=sigma**2 * half,
        coupling=solved[:, :, :-1] @ data.r,
    )


@njit(cache=True, nogil=True, error_model="numpy")
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
        lam, _ = relative_factor(
            log_sigma, thetas[s, p + 1 : p + 1 + q], thetas[s, p + 1 + q :], np.ones(q)
        )
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
            for a in range(q):
                for b in range(q):
                    M[a, b] = 1.0 if a == b else 0.0
                    for c in range(q):
                        M[a, b] += lam[c, a] * AL[c, b]
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
    thetas: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    group: np.ndarray,
    n_groups: int,
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
