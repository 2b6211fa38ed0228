"""Marginal likelihood of the joint model of one marker and an event.

    y_i = X_i beta + Z_i b_i + e_i,   b_i ~ N(0, D),   e_i ~ N(0, sigma^2 I)
    log h_i(t) = B(t)' gamma + w_i' omega + sum_k alpha_k f_k(t; beta, b_i)

where every link f_k is linear in (beta, b_i): the marker's current value, its slope, its area. The
likelihood of a patient is that of the marker alone, which is exact, times the mean of p(T_i, d_i | b_i)
over b_i given the marker, a normal distribution:

    b_i | y_i = m_i + T_i v,   v ~ N(0, I),   T_i = F C_i^-T,   m_i = T_i T_i' Z_i'r_i / sigma^2,

with D = F F' and C_i C_i' = I + F' Z_i'Z_i F / sigma^2. Only that mean needs quadrature
(`longsurv.likelihood.joint_factor`), and its integrand is well scaled whatever the units.

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data; Henderson, Diggle & Dobson
(2000), Biostatistics 1:465-480.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from longsurv.likelihood import lmm
from longsurv.likelihood.covariance import correlation_cholesky, correlation_pullback, lower_cholesky
from longsurv.likelihood.joint_factor import (
    SUMS,
    cholesky_pullback,
    lower_inverse,
    survival_factor,
    work_space,
)


@dataclass(frozen=True)
class JointData:
    """Arrays of the joint model.

    Each patient has a block of points in time: the first is the time of exit, the others are those of
    the quadrature over (entry, exit].

    Attributes
    ----------
    marker : LMMData
        Sufficient statistics of the marker, N patients.
    event : ndarray, shape (N,)
        1.0 for an event at exit.
    covariates : ndarray, shape (N, c)
        w_i.
    start : ndarray of int, shape (N + 1,)
        Points start[i] to start[i + 1] - 1 are those of patient i.
    weight : ndarray, shape (G,)
        Quadrature weights; 0 at exits.
    basis : ndarray, shape (m, G)
        B(t).
    link_x : ndarray, shape (K, p, G)
    link_z : ndarray, shape (K, q, G)
        f_k = beta'link_x[k] + b'link_z[k] - link_centre[k], b in natural units.
    link_centre : ndarray, shape (K, G)
        Constants taken off the links, so that the baseline is that of a typical marker.
    nodes, index, log_weight : ndarray
        Gauss-Hermite rule in q dimensions (`longsurv.design.quadrature.normal_grid`).
    """

    marker: lmm.LMMData
    event: np.ndarray
    covariates: np.ndarray
    start: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    link_x: np.ndarray
    link_z: np.ndarray
    link_centre: np.ndarray
    nodes: np.ndarray
    index: np.ndarray
    log_weight: np.ndarray

    @property
    def n_marker(self) -> int:
        """Number of parameters of the marker, the first of theta."""
        p, q = self.marker.p, self.marker.q
        return p + 1 + q + q * (q - 1) // 2

    @property
    def n_theta(self) -> int:
        """Length of the parameter vector."""
        n_event = self.basis.shape[0] + self.covariates.shape[1] + self.link_x.shape[0]
        return self.n_marker + n_event

    def _arguments(self) -> tuple:
        d = self.marker
        marker = (d.ztz, d.ztw, d.r, d.beta_ols, d.z_scale)
        event = (self.event, self.covariates, self.start, self.weight)
        links = (self.basis, self.link_x, self.link_z, self.link_centre)
        return tuple(range(d.q)), marker, event, links, (self.nodes, self.index, self.log_weight)


@njit(cache=True, nogil=True)
def _conditional(axes, F, A, zr, precision, M, C, Ci, T, t, mean):
    """Random effects given the marker: fills C, its inverse Ci, T, t = T'Z'r / sigma^2 and mean = T t."""
    q = len(axes)
    for i in range(q):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, q):
                for m in range(j, q):
                    s += F[k, i] * A[k, m] * F[m, j]
            M[i, j] = s * precision
            M[j, i] = s * precision
        M[i, i] += 1.0
    if not lower_cholesky(M, C):
        return False
    lower_inverse(C, Ci)
    for i in range(q):
        for j in range(q):
            s = 0.0
            for k in range(min(i, j) + 1):
                s += F[i, k] * Ci[j, k]
            T[i, j] = s
    for j in range(q):
        s = 0.0
        for i in range(q):
            s += T[i, j] * zr[i]
        t[j] = s * precision
    for i in range(q):
        mean[i] = 0.0
        for j in range(q):
            mean[i] += T[i, j] * t[j]
    return True


@njit(cache=True, nogil=True, fastmath=SUMS)
def _hazard(axes, first, n, risk, theta, at, arrays, z_scale, T, mean, e, a, c, f):
    """Log hazard of a patient's points at v = 0 (e) and its derivative in v (a); links f, dlog h/db c."""
    basis, link_x, link_z, link_centre = arrays
    at_base, at_link = at
    q = len(axes)
    for g in range(n):
        e[g] = risk
    for j in range(q):
        for g in range(n):
            c[j, g] = 0.0
            a[j, g] = 0.0
    for k in range(basis.shape[0]):
        gamma = theta[at_base + k]
        for g in range(n):
            e[g] += gamma * basis[k, first + g]
    for k in range(link_x.shape[0]):
        alpha = theta[at_link + k]
        for g in range(n):
            f[k, g] = -link_centre[k, first + g]
        for j in range(link_x.shape[1]):
            beta = theta[j]
            for g in range(n):
                f[k, g] += beta * link_x[k, j, first + g]
        for j in range(q):
            scale, shift = alpha / z_scale[j], mean[j] / z_scale[j]
            for g in range(n):
                c[j, g] += scale * link_z[k, j, first + g]
                f[k, g] += shift * link_z[k, j, first + g]
        for g in range(n):
            e[g] += alpha * f[k, g]
    for j in range(q):
        for k in range(q):
            for g in range(n):
                a[j, g] += T[k, j] * c[k, g]


@njit(cache=True, nogil=True, fastmath=SUMS)
def _hazard_pullback(
    axes, first, n, theta, at, arrays, z_scale, T, c, f, e_bar, a_bar, Ta, gradient, mean_bar, T_bar
):
    """Carry e_bar and a_bar back to the parameters of the hazard, beta, the mean of b and T."""
    basis, link_x, link_z, _ = arrays
    at_base, at_link = at
    q = len(axes)
    for j in range(q):
        s = 0.0
        for g in range(n):
            s += e_bar[g] * c[j, g]
            Ta[j, g] = 0.0
        mean_bar[j] = s
        for k in range(q):
            s = 0.0
            for g in range(n):
                s += c[j, g] * a_bar[k, g]
                Ta[j, g] += T[j, k] * a_bar[k, g]
            T_bar[j, k] = s
    for k in range(basis.shape[0]):
        s = 0.0
        for g in range(n):
            s += e_bar[g] * basis[k, first + g]
        gradient[at_base + k] += s
    for k in range(link_x.shape[0]):
        s = 0.0
        for g in range(n):
            s += e_bar[g] * f[k, g]
        for j in range(q):
            u = 0.0
            for g in range(n):
                u += link_z[k, j, first + g] * Ta[j, g]
            s += u / z_scale[j]
        gradient[at_link + k] += s
        for j in range(link_x.shape[1]):
            s = 0.0
            for g in range(n):
                s += e_bar[g] * link_x[k, j, first + g]
            gradient[j] += theta[at_link + k] * s


@njit(cache=True, nogil=True)
def _conditional_pullback(
    axes, F, A, zr, precision, M, C, Ci, T, t, mean_bar, T_bar, zr_bar, C_bar, M_bar, F_bar
):
    """Carry mean_bar and T_bar back to Z'r (zr_bar) and F (added to F_bar); returns that in log sigma."""
    q = len(axes)
    log_sigma_bar = 0.0
    for j in range(q):  # mean = T t with t = precision T'zr
        s = 0.0
        for k in range(q):
            s += T[k, j] * mean_bar[k]
        for k in range(q):
            T_bar[k, j] += mean_bar[k] * t[j] + precision * zr[k] * s
        C_bar[0, j] = s
    for j in range(q):
        s = 0.0
        for k in range(q):
            s += T[j, k] * C_bar[0, k]
        zr_bar[j] = s * precision
        log_sigma_bar -= 2.0 * zr_bar[j] * zr[j]
    for j in range(q):  # T = F C^-T
        for k in range(q):
            s = 0.0
            if k <= j:
                for m in range(j, q):
                    for o in range(q):
                        s -= Ci[m, j] * T_bar[o, m] * T[o, k]
            C_bar[j, k] = s
    cholesky_pullback(axes, C, Ci, C_bar, M_bar)
    for j in range(q):  # M = I + precision F'AF
        for k in range(j + 1):
            s = 0.0
            for m in range(k, q):
                s += T_bar[j, m] * Ci[m, k]
            for m in range(q):
                for o in range(m + 1):
                    s += 2.0 * precision * A[j, m] * F[m, o] * M_bar[o, k]
            F_bar[j, k] += s
        for k in range(q):
            log_sigma_bar -= 2.0 * M_bar[j, k] * (M[j, k] - (1.0 if j == k else 0.0))
    return log_sigma_bar


@njit(cache=True, nogil=True)
def _kernel(theta, axes, marker, event_arrays, links, grid, want, out, moments):
    """Log survival factors: their sum and its gradient (want 1), or each (0), or random effects (2).

    `out` (N,) receives the log survival factors for want 0 and 2; `moments` (N, 1 + q, q) the mean and
    covariance of b given marker and event for want 2.
    """
    ztz, ztw, r, beta_ols, z_scale = marker
    event, covariates, start, weight = event_arrays
    basis, link_x = links[0], links[1]
    q = len(axes)
    N, n_cov = covariates.shape
    p = r.shape[0]
    at_base = p + 1 + q + q * (q - 1) // 2
    at_cov = at_base + basis.shape[0]
    at = (at_base, at_cov + n_cov)

    gradient = np.zeros(theta.shape[0])
    value = 0.0
    precision = math.exp(-2.0 * theta[p])
    K = correlation_cholesky(theta[p + 1 + q : at_base], q)
    F = np.empty((q, q))  # D = F F', b in the scaled columns of Z
    for i in range(q):
        scale = math.exp(theta[p + 1 + i]) * z_scale[i]
        for j in range(q):
            F[i, j] = scale * K[i, j]
    u = np.ones(p + 1)
    for i in range(p):
        s = 0.0
        for j in range(i, p):
            s -= r[i, j] * (theta[j] - beta_ols[j])
        u[i] = s

    longest = 0
    for i in range(N):
        longest = max(longest, start[i + 1] - start[i])
    work = work_space(axes, longest, grid[0].shape[0], grid[1].shape[0])
    e, e_bar, f = np.empty(longest), np.empty(longest), np.empty((link_x.shape[0], longest))
    a, a_bar, c, Ta = (
        np.empty((q, longest)), np.empty((q, longest)), np.empty((q, longest)), np.empty((q, longest))
    )  # fmt: skip
    M, C, Ci, T = np.empty((q, q)), np.zeros((q, q)), np.empty((q, q)), np.empty((q, q))
    t, mean, zr, v_moments = np.empty(q), np.empty(q), np.empty(q), np.empty((1 + q, q))
    T_bar, C_bar, M_bar, F_bar = (
        np.empty((q, q)), np.empty((q, q)), np.empty((q, q)), np.zeros((q, q))
    )  # fmt: skip
    mean_bar, zr_bar, u_bar = np.empty(q), np.empty(q), np.zeros(p + 1)
    log_sigma_bar = 0.0

    for i in range(N):
        for j in range(q):
            s = 0.0
            for k in range(p + 1):
                s += ztw[i, j, k] * u[k]
            zr[j] = s
        factor = -np.inf
        if _conditional(axes, F, ztz[i], zr, precision, M, C, Ci, T, t, mean):
            first = start[i]
            n = start[i + 1] - first
            risk = 0.0
            for k in range(n_cov):
                risk += covariates[i, k] * theta[at_cov + k]
            _hazard(axes, first, n, risk, theta, at, links, z_scale, T, mean, e, a, c, f)
            factor = survival_factor(
                axes, e, a, weight, first, n, event[i], grid, work, want, e_bar, a_bar, v_moments
            )
        if want != 1:
            out[i] = factor
            if want == 2:
                _place(axes, T, mean, z_scale, v_moments, moments[i])
            continue
        if not math.isfinite(factor):
            return -np.inf, gradient
        value += factor
        _hazard_pullback(
            axes, first, n, theta, at, links, z_scale, T, c, f, e_bar, a_bar, Ta, gradient, mean_bar, T_bar
        )
        s = 0.0
        for g in range(n):
            s += e_bar[g]
        for k in range(n_cov):
            gradient[at_cov + k] += s * covariates[i, k]
        log_sigma_bar += _conditional_pullback(
            axes, F, ztz[i], zr, precision, M, C, Ci, T, t, mean_bar, T_bar, zr_bar, C_bar, M_bar, F_bar
        )
        for j in range(q):
            for k in range(p + 1):
                u_bar[k] += ztw[i, j, k] * zr_bar[j]

    if want == 1:
        for i in range(p):
            for j in range(i, p):
                gradient[j] -= r[i, j] * u_bar[i]
        gradient[p] += log_sigma_bar
        for i in range(q):
            scale = math.exp(theta[p + 1 + i]) * z_scale[i]
            for j in range(i + 1):
                gradient[p + 1 + i] += F_bar[i, j] * F[i, j]
                F_bar[i, j] *= scale
        gradient[p + 1 + q : at_base] += correlation_pullback(theta[p + 1 + q : at_base], q, F_bar)
    return value, gradient


@njit(cache=True, nogil=True)
def _place(axes, T, mean, z_scale, v_moments, out):
    """Moments of b = mean + T v in natural units, from those of v."""
    q = len(axes)
    for j in range(q):
        s = mean[j]
        for k in range(q):
            s += T[j, k] * v_moments[0, k]
        out[0, j] = s / z_scale[j]
        for k in range(q):
            s = 0.0
            for m in range(q):
                for o in range(q):
                    s += T[j, m] * v_moments[1 + m, o] * T[k, o]
            out[1 + j, k] = s / (z_scale[j] * z_scale[k])


def loglik(data: JointData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood and its gradient.

    Parameters
    ----------
    data : JointData
    theta : ndarray, shape (d,)
        beta (p); log sigma; log tau (q, standard deviations of the random effects); unconstrained
        correlations; gamma (baseline); omega (covariates of the hazard); alpha (links).

    Returns
    -------
    value : float
        -inf where it overflows.
    gradient : ndarray, shape (d,)
        Exact for the quadrature sum, whatever the number of nodes.
    """
    none, nothing = np.empty(len(data.event)), np.empty((0, 0, 0))
    value, gradient = _kernel(theta, *data._arguments(), 1, none, nothing)
    end = data.n_marker
    marker, slope = lmm.loglik(data.marker, theta[:end])
    gradient[:end] += slope
    return value + marker, gradient


def log_survival_factors(data: JointData, theta: np.ndarray) -> np.ndarray:
    """log of E[p(T_i, d_i | b_i) | y_i] of each patient, shape (N,)."""
    out = np.empty(len(data.event))
    _kernel(theta, *data._arguments(), 0, out, np.empty((0, 0, 0)))
    return out


def random_effects(data: JointData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, q) and covariances (N, q, q) of the random effects given marker and event."""
    N, q = len(data.event), data.marker.q
    out, moments = np.empty(N), np.empty((N, 1 + q, q))
    _kernel(theta, *data._arguments(), 2, out, moments)
    return moments[:, 0], moments[:, 1:]
