"""Unconstrained parameters of a random-effects covariance matrix.

D = diag(tau) C diag(tau), with C = K K' a correlation matrix whose Cholesky factor K is built
from canonical partial correlations r = tanh(z) (Lewandowski, Kurowicka & Joe 2009, section 2.4).
Elements below the diagonal are taken row by row: (1,0), (2,0), (2,1), ...
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def correlation_cholesky(z: np.ndarray, q: int) -> np.ndarray:
    """Cholesky factor K (q, q) of the correlation matrix with unconstrained elements z."""
    K = np.zeros((q, q))
    K[0, 0] = 1.0
    m = 0
    for i in range(1, q):
        rest = 1.0
        for j in range(i):
            K[i, j] = math.tanh(z[m]) * math.sqrt(rest)
            rest -= K[i, j] * K[i, j]
            if rest < 0.0:
                rest = 0.0
            m += 1
        K[i, i] = math.sqrt(rest)
    return K


@njit(cache=True, nogil=True, error_model="numpy")
def correlation_pullback(z: np.ndarray, q: int, dK: np.ndarray) -> np.ndarray:
    """Gradient with respect to z, given the gradient dK (q, q) with respect to K.

    Row i of K is x_j = r_j s_j with s_j = prod_{k<j} sqrt(1 - r_k^2), and its last element is s_i.
    Walking a row from its end, `tail` holds sum_{k>j} dK_k x_k / s_{j+1}, so that no division by
    a vanishing s is needed.
    """
    out = np.zeros(z.shape[0])
    start = 0
    for i in range(1, q):
        tail = dK[i, i]
        for j in range(i - 1, -1, -1):
            r = math.tanh(z[start + j])
            c = math.sqrt(1.0 - r * r)
            s = 1.0
            for k in range(j):
                rk = math.tanh(z[start + k])
                s *= math.sqrt(1.0 - rk * rk)
            # dr/dz = 1 - r^2; ds_{j+1}/dr = -r s_j / c
            out[start + j] = s * (dK[i, j] * (1.0 - r * r) - tail * r * c)
            tail = dK[i, j] * r + tail * c
        start += i
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def lower_cholesky(A: np.ndarray, L: np.ndarray) -> bool:
    """Write the lower Cholesky factor of the small matrix A into L; False if A is not positive
    definite."""
    q = A.shape[0]
    for j in range(q):
        d = A[j, j]
        for k in range(j):
            d -= L[j, k] * L[j, k]
        if not d > 0.0:
            return False
        L[j, j] = math.sqrt(d)
        for i in range(j + 1, q):
            s = A[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            L[i, j] = s / L[j, j]
    return True


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def solve_factor(L, b, out):
    """out = (L L')^-1 b."""
    q = L.shape[0]
    for a in range(q):
        s = b[a]
        for c in range(a):
            s -= L[a, c] * out[c]
        out[a] = s / L[a, a]
    for a in range(q - 1, -1, -1):
        s = out[a]
        for c in range(a + 1, q):
            s -= L[c, a] * out[c]
        out[a] = s / L[a, a]


def count_correlations(q: int) -> int:
    """Number of correlations among q random effects."""
    return q * (q - 1) // 2


def covariance(tau: np.ndarray, z: np.ndarray) -> np.ndarray:
    """D (q, q) from standard deviations tau (q,) and unconstrained correlations z."""
    K = correlation_cholesky(np.asarray(z, dtype=float), len(tau))
    half = np.asarray(tau, dtype=float)[:, None] * K
    return half @ half.T


def partial_correlations(correlation: np.ndarray) -> np.ndarray:
    """Unconstrained z of a positive definite correlation matrix (inverse of
    `correlation_cholesky`)."""
    q = correlation.shape[0]
    K = np.linalg.cholesky(correlation)
    z = np.empty(count_correlations(q))
    m = 0
    for i in range(1, q):
        rest = 1.0
        for j in range(i):
            z[m] = math.atanh(K[i, j] / math.sqrt(rest))
            rest -= K[i, j] ** 2
            m += 1
    return z
