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
from longsurv.likelihood.joint_factor import cholesky_pullback, lower_inverse, survival_factor


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
    basis : ndarray, shape (G, m)
        B(t).
    link_x : ndarray, shape (G, K, p)
    link_z : ndarray, shape (G, K, q)
        Rows with f_k = link_x beta + link_z b - link_centre, b in natural units.
    link_centre : ndarray, shape (G, K)
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
        n_event = self.basis.shape[1] + self.covariates.shape[1] + self.link_x.shape[1]
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


@njit(cache=True, nogil=True)
def _kernel(theta, axes, marker, event_arrays, links, grid, want, out, moments):
    """Log survival factors: their sum and its gradient (want 1), or each (0), or random effects (2).

    `out` (N,) receives the log survival factors for want 0 and 2; `moments` (N, 1 + q, q) the mean and
    covariance of b given marker and event for want 2.
    """
    ztz, ztw, r, beta_ols, z_scale = marker
    event, covariates, start, weight = event_arrays
    basis, link_x, link_z, link_centre = links
    nodes, index, log_weight = grid
    q = len(axes)
    N = ztz.shape[0]
    p = r.shape[0]
    n_cor = q * (q - 1) // 2
    n_base = basis.shape[1]
    n_cov = covariates.shape[1]
    n_link = link_x.shape[1]
    at_base = p + 1 + q + n_cor
    at_cov = at_base + n_base
    at_link = at_cov + n_cov

    gradient = np.zeros(theta.shape[0])
    value = 0.0
    alpha = theta[at_link:]
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
    e = np.empty(longest)
    a = np.empty((longest, q))
    c = np.empty((longest, q))
    f = np.empty((longest, n_link))
    h = np.empty(longest)
    hk = np.empty((longest, index.shape[0]))
    e_bar = np.empty(longest)
    a_bar = np.empty((longest, q))
    M = np.empty((q, q))
    C = np.zeros((q, q))
    Ci = np.empty((q, q))
    T = np.empty((q, q))
    t = np.empty(q)
    mean = np.empty(q)
    zr = np.empty(q)
    v_moments = np.empty((1 + q, q))
    T_bar = np.empty((q, q))
    C_bar = np.zeros((q, q))
    M_bar = np.empty((q, q))
    F_bar = np.zeros((q, q))
    mean_bar = np.empty(q)
    t_bar = np.empty(q)
    zr_bar = np.empty(q)
    u_bar = np.zeros(p + 1)
    log_sigma_bar = 0.0

    for i in range(N):
        A = ztz[i]
        for j in range(q):
            s = 0.0
            for k in range(p + 1):
                s += ztw[i, j, k] * u[k]
            zr[j] = s
        if not _conditional(axes, F, A, zr, precision, M, C, Ci, T, t, mean):
            out[i] = -np.inf
            return -np.inf, gradient
        first = start[i]
        n = start[i + 1] - first
        risk = 0.0
        for k in range(n_cov):
            risk += covariates[i, k] * theta[at_cov + k]
        for g in range(n):
            s = risk
            for k in range(n_base):
                s += basis[first + g, k] * theta[at_base + k]
            for j in range(q):
                c[g, j] = 0.0
            for k in range(n_link):
                x = -link_centre[first + g, k]
                for j in range(p):
                    x += link_x[first + g, k, j] * theta[j]
                for j in range(q):
                    z = link_z[first + g, k, j] / z_scale[j]
                    x += z * mean[j]
                    c[g, j] += alpha[k] * z
                f[g, k] = x
                s += alpha[k] * x
            e[g] = s
            for j in range(q):
                s = 0.0
                for k in range(q):
                    s += T[k, j] * c[g, k]
                a[g, j] = s
        factor = survival_factor(
            axes, e, a, weight[first : first + n], n, event[i], nodes, index, log_weight,
            h, hk, want, e_bar, a_bar, v_moments,
        )  # fmt: skip
        if not math.isfinite(factor):
            out[i] = -np.inf
            if want == 1:
                return -np.inf, gradient
            continue
        value += factor
        if want != 1:
            out[i] = factor
            if want == 2:
                for j in range(q):
                    s = mean[j]
                    for k in range(q):
                        s += T[j, k] * v_moments[0, k]
                    moments[i, 0, j] = s / z_scale[j]
                    for k in range(q):
                        s = 0.0
                        for m in range(q):
                            for o in range(q):
                                s += T[j, m] * v_moments[1 + m, o] * T[k, o]
                        moments[i, 1 + j, k] = s / (z_scale[j] * z_scale[k])
            continue

        for j in range(q):
            mean_bar[j] = 0.0
            for k in range(q):
                T_bar[j, k] = 0.0
        e_total = 0.0
        for g in range(n):
            eb = e_bar[g]
            e_total += eb
            for k in range(n_base):
                gradient[at_base + k] += eb * basis[first + g, k]
            for j in range(q):
                mean_bar[j] += eb * c[g, j]
                for k in range(q):
                    T_bar[j, k] += c[g, j] * a_bar[g, k]
            for k in range(n_link):
                s = eb * f[g, k]
                for j in range(q):
                    z = link_z[first + g, k, j] / z_scale[j]
                    for m in range(q):
                        s += z * T[j, m] * a_bar[g, m]
                gradient[at_link + k] += s
                s = eb * alpha[k]
                for j in range(p):
                    gradient[j] += s * link_x[first + g, k, j]
        for k in range(n_cov):
            gradient[at_cov + k] += e_total * covariates[i, k]

        # mean = T t, t = T' zr precision
        for j in range(q):
            s = 0.0
            for k in range(q):
                s += T[k, j] * mean_bar[k]
            t_bar[j] = s
        for j in range(q):
            for k in range(q):
                T_bar[j, k] += mean_bar[j] * t[k] + precision * zr[j] * t_bar[k]
        for j in range(q):
            s = 0.0
            for k in range(q):
                s += T[j, k] * t_bar[k]
            zr_bar[j] = s * precision
            log_sigma_bar -= 2.0 * zr_bar[j] * zr[j]
        for k in range(p + 1):
            for j in range(q):
                u_bar[k] += ztw[i, j, k] * zr_bar[j]
        # T = F C^-T
        for j in range(q):
            for k in range(j + 1):
                s = 0.0
                for m in range(j, q):
                    for o in range(q):
                        s += Ci[m, j] * T_bar[o, m] * T[o, k]
                C_bar[j, k] = -s
        cholesky_pullback(C, Ci, C_bar, M_bar)
        # M = I + precision F'AF
        for j in range(q):
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
