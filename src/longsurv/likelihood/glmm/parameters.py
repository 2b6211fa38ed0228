"""The parameter vector of a generalised mixed model, and gradients in it.

Its parts are beta (p,), m family parameters, and the random-effects factor Lam (q, q): its lower
triangle row by row, or the logarithms of the standard deviations and unconstrained correlations.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import correlation_cholesky, correlation_pullback
from longsurv.likelihood.glmm.families import STUDENT, from_climbed, to_climbed


@njit(cache=True, nogil=True, error_model="numpy")
def full_phi(phi, code, kappa):
    """Family parameters with a fixed kappa in its place."""
    if code == STUDENT and phi.shape[0] == 1:
        return np.array([phi[0], kappa])
    return phi.copy()


@njit(cache=True, nogil=True, error_model="numpy")
def triangle(theta, p, q, m):
    """Lam of a vector with its whole lower triangle."""
    Lam = np.zeros((q, q))
    k = p + m
    for a in range(q):
        for b in range(a + 1):
            Lam[a, b] = theta[k]
            k += 1
    return Lam


@njit(cache=True, nogil=True, error_model="numpy")
def triangle_gradient(m, d_beta, d_phi, d_Lam):
    """The gradient in such a vector from that in its parts."""
    p, q = d_beta.shape[0], d_Lam.shape[0]
    gradient = np.empty(p + m + q * (q + 1) // 2)
    for b in range(p):
        gradient[b] = d_beta[b]
    for k in range(m):
        gradient[p + k] = d_phi[k]
    k = p + m
    for a in range(q):
        for b in range(a + 1):
            gradient[k] = d_Lam[a, b]
            k += 1
    return gradient


@njit(cache=True, nogil=True, error_model="numpy")
def natural(theta, p, q, m, kappa, code):
    """Family parameters, Lam and the correlation factor of an unconstrained vector."""
    phi = full_phi(theta[p : p + m], code, kappa)
    to_climbed(code, phi, m)
    K = correlation_cholesky(theta[p + m + q :], q)
    Lam = np.empty((q, q))
    for a in range(q):
        tau = math.exp(theta[p + m + a])
        for b in range(q):
            Lam[a, b] = tau * K[a, b]
    return phi, Lam


@njit(cache=True, nogil=True, error_model="numpy")
def unconstrained_gradient(theta, m, code, phi, Lam, d_beta, d_phi, d_Lam):
    """The gradient in an unconstrained vector from that in its parts."""
    p, q = d_beta.shape[0], d_Lam.shape[0]
    gradient = np.zeros(theta.shape[0])
    for b in range(p):
        gradient[b] = d_beta[b]
    for k in range(m):
        gradient[p + k] = d_phi[k]
    from_climbed(code, phi, m, gradient[p : p + m])
    dK = np.zeros((q, q))
    for a in range(q):
        tau = math.exp(theta[p + m + a])
        for b in range(a + 1):
            gradient[p + m + a] += d_Lam[a, b] * Lam[a, b]
            dK[a, b] = tau * d_Lam[a, b]
    by_cor = correlation_pullback(theta[p + m + q :], q, dK)
    for k in range(by_cor.shape[0]):
        gradient[p + m + q + k] = by_cor[k]
    return gradient
