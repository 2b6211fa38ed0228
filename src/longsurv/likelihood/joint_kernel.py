"""The compiled loops of `longsurv.likelihood.joint`, patients in lanes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.covariance import correlation_cholesky, correlation_pullback
from longsurv.likelihood.joint_factor import survival_factors, work_space
from longsurv.likelihood.lanes import cholesky, cholesky_pullback


@njit(cache=True, nogil=True, fastmath={"contract"})
def _conditional(q, F, A, zr, precision, M, C, inverse, T, t, mean):
    """Random effects given the marker: C C' = M = I + F'AF / sigma^2, T = F C^-T, mean = T t."""
    lanes = zr.shape[1]
    for i in range(q):
        for j in range(i + 1):
            for n in range(lanes):
                M[i, j, n] = 1.0 if i == j else 0.0
            for k in range(i, q):
                for m in range(j, q):
                    s = F[k, i] * F[m, j] * precision
                    for n in range(lanes):
                        M[i, j, n] += s * A[k, m, n]
    cholesky(q, M, C, inverse)
    for i in range(q):
        for j in range(q):
            for n in range(lanes):
                T[i, j, n] = 0.0
            for k in range(min(i, j) + 1):
                s = F[i, k]
                for n in range(lanes):
                    T[i, j, n] += s * inverse[j, k, n]
    for j in range(q):
        for n in range(lanes):
            t[j, n] = 0.0
        for i in range(q):
            for n in range(lanes):
                t[j, n] += T[i, j, n] * zr[i, n] * precision
    for i in range(q):
        for n in range(lanes):
            mean[i, n] = 0.0
        for j in range(q):
            for n in range(lanes):
                mean[i, n] += T[i, j, n] * t[j, n]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _conditional_pullback(
    q,
    F,
    A,
    zr,
    precision,
    M,
    C,
    inverse,
    T,
    t,
    t_bar,
    mean_bar,
    T_bar,
    zr_bar,
    C_bar,
    M_bar,
    F_bar,
    sigma_bar,
):
    """Carry mean_bar and T_bar back to Z'r, F (added to F_bar) and log sigma (sigma_bar)."""
    lanes = zr.shape[1]
    for j in range(q):  # mean = T t with t = precision T'zr
        for n in range(lanes):
            t_bar[j, n] = 0.0
        for k in range(q):
            for n in range(lanes):
                t_bar[j, n] += T[k, j, n] * mean_bar[k, n]
        for k in range(q):
            for n in range(lanes):
                T_bar[k, j, n] += mean_bar[k, n] * t[j, n]
            for n in range(lanes):
                T_bar[k, j, n] += precision * zr[k, n] * t_bar[j, n]
    for j in range(q):
        for n in range(lanes):
            zr_bar[j, n] = 0.0
        for k in range(q):
            for n in range(lanes):
                zr_bar[j, n] += T[j, k, n] * t_bar[k, n] * precision
        for n in range(lanes):
            sigma_bar[n] -= 2.0 * zr_bar[j, n] * zr[j, n]
    for j in range(q):  # T = F C^-T
        for k in range(j + 1):
            for n in range(lanes):
                C_bar[j, k, n] = 0.0
            for m in range(j, q):
                for o in range(q):
                    for n in range(lanes):
                        C_bar[j, k, n] -= inverse[m, j, n] * T_bar[o, m, n] * T[o, k, n]
    cholesky_pullback(q, C, inverse, C_bar, M_bar)
    for j in range(q):  # M = I + precision F'AF
        for k in range(j + 1):
            for m in range(k, q):
                for n in range(lanes):
                    F_bar[j, k, n] += T_bar[j, m, n] * inverse[m, k, n]
            for m in range(q):
                for o in range(m + 1):
                    s = 2.0 * precision * F[m, o]
                    for n in range(lanes):
                        F_bar[j, k, n] += s * A[j, m, n] * M_bar[o, k, n]
            twice = 1.0 if j == k else 2.0
            for n in range(lanes):
                below = M[j, k, n] - (1.0 if j == k else 0.0)
                sigma_bar[n] -= 2.0 * twice * M_bar[j, k, n] * below


@njit(cache=True, nogil=True, fastmath={"contract"})
def _hazard(q, rows, points, sizes, theta, z_scale, T, mean, risk, e, a, c, f):
    """Log hazard at v = 0 (e), its derivatives in v (a) and b (c), the links (f)."""
    lanes = risk.shape[0]
    n_base, n_link, p, at_base, at_link = sizes
    for g in range(points):
        row = rows[g]
        for n in range(lanes):
            e[g, n] = risk[n]
        for j in range(q):
            for n in range(lanes):
                c[g, j, n] = 0.0
        for k in range(n_base):
            s = theta[at_base + k]
            for n in range(lanes):
                e[g, n] += s * row[1 + k, n]
        at = 1 + n_base
        for k in range(n_link):
            alpha = theta[at_link + k]
            for n in range(lanes):
                f[g, k, n] = -row[at, n]
            for j in range(p):
                s = theta[j]
                for n in range(lanes):
                    f[g, k, n] += s * row[at + 1 + j, n]
            for j in range(q):
                s = 1.0 / z_scale[j]
                for n in range(lanes):
                    f[g, k, n] += s * row[at + 1 + p + j, n] * mean[j, n]
                s *= alpha
                for n in range(lanes):
                    c[g, j, n] += s * row[at + 1 + p + j, n]
            for n in range(lanes):
                e[g, n] += alpha * f[g, k, n]
            at += 1 + p + q
        for j in range(q):
            for n in range(lanes):
                a[g, j, n] = 0.0
            for k in range(q):
                for n in range(lanes):
                    a[g, j, n] += T[k, j, n] * c[g, k, n]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _hazard_pullback(
    q,
    rows,
    points,
    sizes,
    theta,
    z_scale,
    T,
    c,
    f,
    e_bar,
    a_bar,
    Ta,
    bars,
    mean_bar,
    T_bar,
    risk_bar,
):
    """Carry e_bar and a_bar back to theta (added to bars), E[b], T and the covariates' sum."""
    lanes = risk_bar.shape[0]
    n_base, n_link, p, at_base, at_link = sizes
    for n in range(lanes):
        risk_bar[n] = 0.0
    for j in range(q):
        for n in range(lanes):
            mean_bar[j, n] = 0.0
        for k in range(q):
            for n in range(lanes):
                T_bar[j, k, n] = 0.0
    for g in range(points):
        row = rows[g]
        for n in range(lanes):
            risk_bar[n] += e_bar[g, n]
        for j in range(q):
            for n in range(lanes):
                mean_bar[j, n] += e_bar[g, n] * c[g, j, n]
            for n in range(lanes):
                Ta[j, n] = 0.0
            for k in range(q):
                for n in range(lanes):
                    T_bar[j, k, n] += c[g, j, n] * a_bar[g, k, n]
                for n in range(lanes):
                    Ta[j, n] += T[j, k, n] * a_bar[g, k, n]
        for k in range(n_base):
            for n in range(lanes):
                bars[at_base + k, n] += e_bar[g, n] * row[1 + k, n]
        at = 1 + n_base
        for k in range(n_link):
            alpha = theta[at_link + k]
            for n in range(lanes):
                bars[at_link + k, n] += e_bar[g, n] * f[g, k, n]
            for j in range(p):
                for n in range(lanes):
                    bars[j, n] += alpha * e_bar[g, n] * row[at + 1 + j, n]
            for j in range(q):
                s = 1.0 / z_scale[j]
                for n in range(lanes):
                    bars[at_link + k, n] += s * row[at + 1 + p + j, n] * Ta[j, n]
            at += 1 + p + q


@njit(cache=True, nogil=True, fastmath={"contract"})
def _place(q, T, mean, z_scale, v_moments, out):
    """Moments of b = mean + T v in natural units, from those of v."""
    for n in range(mean.shape[1]):
        for j in range(q):
            s = mean[j, n]
            for k in range(q):
                s += T[j, k, n] * v_moments[0, k, n]
            out[0, j, n] = s / z_scale[j]
            for k in range(q):
                s = 0.0
                for m in range(q):
                    for o in range(q):
                        s += T[j, m, n] * v_moments[1 + m, o, n] * T[k, o, n]
                out[1 + j, k, n] = s / (z_scale[j] * z_scale[k])


@njit(cache=True, nogil=True)
def kernel(theta, q, scales, patients, blocks, rows, sizes, grid, want, out, moments):
    """Log survival factors of all patients, and their sum's gradient.

    Parameters
    ----------
    theta : ndarray, shape (d,)
    q : int
        Random effects a patient.
    scales : tuple of ndarray
        r, beta_ols and z_scale of `longsurv.likelihood.lmm.LMMData`.
    patients : tuple of ndarray
        event (blocks, lanes), covariates (blocks, c, lanes), Z'Z (blocks, q, q, lanes) and Z'W
        (blocks, q, p + 1, lanes).
    blocks : ndarray of int, shape (blocks + 1,)
        First point of each block.
    rows : ndarray, shape (points, R, lanes)
        Weight, basis and for each link its centre, x and z, of every point.
    sizes : tuple of int
        Coefficients of the baseline, links, p, and the places of the baseline and the links in
        theta.
    grid : tuple of ndarray
        Gauss-Hermite rule.
    want : int
        0: the factors into `out`; 1: their sum and its gradient; 2: moments of b as well as `out`.
    out : ndarray, shape (blocks, lanes)
    moments : ndarray, shape (blocks, 1 + q, q, lanes)

    Returns
    -------
    value : float
        Sum of the log factors.
    gradient : ndarray, shape (d,)
        Zero unless want is 1.
    """
    r, beta_ols, z_scale = scales
    event, covariates, ztz, ztw = patients
    _, n_link, p, at_base, at_link = sizes
    lanes, n_cov = event.shape[1], covariates.shape[1]
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

    longest = np.diff(blocks).max()
    work = work_space(q, longest, grid[0].shape[0], grid[1].shape[0], lanes)
    e, e_bar = np.empty((longest, lanes)), np.empty((longest, lanes))
    a, a_bar = np.empty((longest, q, lanes)), np.empty((longest, q, lanes))
    c, f = np.empty((longest, q, lanes)), np.empty((longest, n_link, lanes))
    M, C, inverse, T = (
        np.empty((q, q, lanes)), np.zeros((q, q, lanes)),
        np.zeros((q, q, lanes)), np.empty((q, q, lanes)),
    )  # fmt: skip
    T_bar, C_bar, M_bar, F_bar = (
        np.empty((q, q, lanes)), np.zeros((q, q, lanes)),
        np.empty((q, q, lanes)), np.zeros((q, q, lanes)),
    )  # fmt: skip
    zr, t, mean, Ta = (
        np.empty((q, lanes)), np.empty((q, lanes)), np.empty((q, lanes)), np.empty((q, lanes))
    )  # fmt: skip
    mean_bar, zr_bar = np.empty((q, lanes)), np.empty((q, lanes))
    v_moments = np.empty((1 + q, q, lanes))
    risk, risk_bar, sigma_bar = np.empty(lanes), np.empty(lanes), np.zeros(lanes)
    bars, u_bar = np.zeros((theta.shape[0], lanes)), np.zeros((p + 1, lanes))

    for b in range(event.shape[0]):
        points = blocks[b + 1] - blocks[b]
        block = rows[blocks[b] : blocks[b + 1]]
        for j in range(q):
            for n in range(lanes):
                zr[j, n] = 0.0
            for k in range(p + 1):
                for n in range(lanes):
                    zr[j, n] += u[k] * ztw[b, j, k, n]
        _conditional(q, F, ztz[b], zr, precision, M, C, inverse, T, t, mean)
        for n in range(lanes):
            risk[n] = 0.0
        for k in range(n_cov):
            s = theta[at_link - n_cov + k]
            for n in range(lanes):
                risk[n] += s * covariates[b, k, n]
        _hazard(q, block, points, sizes, theta, z_scale, T, mean, risk, e, a, c, f)
        survival_factors(
            q,
            e,
            a,
            block[:, 0],
            points,
            event[b],
            grid,
            work,
            want,
            out[b],
            e_bar,
            a_bar,
            v_moments,
        )
        if want == 2:
            _place(q, T, mean, z_scale, v_moments, moments[b])
        if want != 1:
            continue
        _hazard_pullback(
            q, block, points, sizes, theta, z_scale, T, c, f, e_bar, a_bar, Ta, bars,
            mean_bar, T_bar, risk_bar,
        )  # fmt: skip
        for k in range(n_cov):
            for n in range(lanes):
                bars[at_link - n_cov + k, n] += risk_bar[n] * covariates[b, k, n]
        _conditional_pullback(
            q, F, ztz[b], zr, precision, M, C, inverse, T, t, Ta, mean_bar, T_bar, zr_bar,
            C_bar, M_bar, F_bar, sigma_bar,
        )  # fmt: skip
        for j in range(q):
            for k in range(p + 1):
                for n in range(lanes):
                    u_bar[k, n] += ztw[b, j, k, n] * zr_bar[j, n]

    gradient = np.zeros(theta.shape[0])
    if want != 1:
        return 0.0, gradient
    for j in range(theta.shape[0]):
        gradient[j] = bars[j].sum()
    for i in range(p):
        s = u_bar[i].sum()
        for j in range(i, p):
            gradient[j] -= r[i, j] * s
    gradient[p] = sigma_bar.sum()
    K_bar = np.zeros((q, q))
    for i in range(q):
        scale = math.exp(theta[p + 1 + i]) * z_scale[i]
        for j in range(i + 1):
            s = F_bar[i, j].sum()
            gradient[p + 1 + i] += s * F[i, j]
            K_bar[i, j] = s * scale
    gradient[p + 1 + q : at_base] = correlation_pullback(theta[p + 1 + q : at_base], q, K_bar)
    return out.sum(), gradient
