"""The compiled loop of `longsurv.likelihood.joint`, patients in lanes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import correlation_cholesky, correlation_pullback
from longsurv.likelihood.joint.conditional import conditional, conditional_pullback
from longsurv.likelihood.joint.factor import survival_factors, work_space
from longsurv.likelihood.joint.predictor import predict, predict_pullback, risks


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
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


@njit(cache=True, nogil=True, error_model="numpy")
def _spans(kind, n_causes, starts):
    """Points of one kind in a block: its exit, if it is a cause, and the others."""
    exit = (kind, kind + 1) if kind < n_causes else (0, 0)
    return exit, (starts[1 + kind], starts[2 + kind])


@njit(cache=True, nogil=True, error_model="numpy")
def kernel(theta, u, markers, patients, blocks, rows, layout, grid, near, want, out, moments):
    """Log-likelihoods of all patients but for what is the same at any random effects.

    Parameters
    ----------
    theta : ndarray, shape (d,)
    u : ndarray, shape (markers, most + 1)
        The residuals of marker m are W u[m], with W as in `MarkerData`.
    markers : tuple of ndarray
        Number of coefficients of each marker; marker and z_scale of each random effect.
    patients : tuple of ndarray
        event (blocks, causes, lanes), covariates (blocks, c, lanes), Z'Z (blocks, q, q, lanes) and
        Z'W (blocks, q, most + 1, lanes) with W of the random effect's own marker.
    blocks : ndarray of int, shape (blocks, kinds + 2)
        First point of the exits and of each kind of points, and where the last kind ends.
    rows : ndarray, shape (points, R, lanes)
        See `longsurv.likelihood.joint.predictor`; z is in scaled units.
    layout : tuple of ndarray
        Kinds of points (kinds, 7) and links (links, 4), see `predictor.py`; place of each
        link's alpha in theta; whether it is exp(-theta) there. Kinds are the causes of the event,
        then the markers with censored values.
    grid : tuple of ndarray
        Gauss-Hermite rule.
    near : ndarray, shape (blocks, q, lanes)
        Where Newton's method for the modes of v starts.
    want : int
        0: only `out`; 1: the gradient too; 2: moments of b as well as `out`; 3: instead of these,
        the modes of v, in moments[:, 0].
    out : ndarray, shape (2, blocks, lanes)
        Log of the mean of p(events, censored values | b) over b given the measured values; the
        patient's part of the likelihood of these.
    moments : ndarray, shape (blocks, 1 + q, q, lanes)

    Returns
    -------
    gradient : ndarray, shape (d,)
        Of the sum of `out`; zero unless want is 1.
    u_bar : ndarray, shape of u
        Its gradient with respect to u, not yet in that of theta.
    """
    n_x, owner, z_scale = markers
    event, covariates, ztz, ztw = patients
    kinds, links, at_alpha, inverted = layout
    q, p, n_markers = owner.shape[0], n_x.sum(), n_x.shape[0]
    n_blocks, n_causes, lanes = event.shape
    n_kinds, n_links = kinds.shape[0], links.shape[0]
    at_tau = p + n_markers
    at_cor = at_tau + q
    at_event = at_cor + q * (q - 1) // 2

    root = np.empty(q)
    for j in range(q):
        root[j] = math.exp(-theta[p + owner[j]])
    K = correlation_cholesky(theta[at_cor:at_event], q)
    F = np.empty((q, q))  # D = F F', b in the scaled columns of Z
    for i in range(q):
        scale = math.exp(theta[at_tau + i]) * z_scale[i]
        for j in range(q):
            F[i, j] = scale * K[i, j]
    alpha = np.empty(n_links)
    for k in range(n_links):
        alpha[k] = math.exp(-theta[at_alpha[k]]) if inverted[k] else theta[at_alpha[k]]

    longest = np.int64(0)  # not a literal, for which callees would be compiled once more
    for b in range(n_blocks):
        longest = max(longest, blocks[b, -1] - blocks[b, 0])
    censored = n_kinds > n_causes
    work = work_space(q, longest, censored, grid[0].shape[0], grid[1].shape[0], lanes)
    v = work[1][0]
    e, e_bar = np.empty((longest, lanes)), np.empty((longest, lanes))
    a, a_bar = np.empty((longest, q, lanes)), np.empty((longest, q, lanes))
    c, f = np.empty((longest, q, lanes)), np.empty((longest, max(n_links, 1), lanes))
    T, t, mean = np.empty((q, q, lanes)), np.empty((q, lanes)), np.empty((q, lanes))
    given = (
        np.empty((q, q, lanes)), np.zeros((q, q, lanes)), np.zeros((q, q, lanes)), T, t, mean,
    )  # fmt: skip
    spare = (np.empty((q, lanes)), np.zeros((q, q, lanes)), np.empty((q, q, lanes)))
    T_bar, F_bar = np.empty((q, q, lanes)), np.zeros((q, q, lanes))
    zr, Ta = np.empty((q, lanes)), np.empty((q, lanes))
    mean_bar, zr_bar = np.empty((q, lanes)), np.empty((q, lanes))
    log_root_bar, v_moments = np.zeros((q, lanes)), np.empty((1 + q, q, lanes))
    risk, risk_bar = np.empty((n_kinds, lanes)), np.empty(lanes)
    bars, alpha_bar = np.zeros((theta.shape[0], lanes)), np.zeros((max(n_links, 1), lanes))
    u_bars = np.zeros((*u.shape, lanes))

    for b in range(n_blocks):
        starts = blocks[b] - blocks[b, 0]
        block = rows[blocks[b, 0] : blocks[b, -1]]
        ends = (n_causes, starts[1 + n_causes], starts[1 + n_kinds])
        for j in range(q):
            s, m = root[j] * root[j], owner[j]
            for n in range(lanes):
                zr[j, n] = 0.0
            for k in range(n_x[m] + 1):
                for n in range(lanes):
                    zr[j, n] += s * u[m, k] * ztw[b, j, k, n]
        conditional(q, F, root, ztz[b], zr, given, out[1, b])
        for s in range(n_kinds):
            risks(kinds[s], theta, covariates[b], risk[s])
            for low, high in _spans(s, n_causes, starts):
                predict(
                    q, block, low, high, kinds[s], links, theta, alpha, T, mean, risk[s], e, a, c, f
                )
        for j in range(q):
            for n in range(lanes):
                v[j, n] = near[b, j, n]
        survival_factors(
            q, e, a, block[:, 0], ends, event[b], grid, work, want, out[0, b], e_bar, a_bar,
            v_moments,
        )  # fmt: skip
        if want == 2:
            _place(q, T, mean, z_scale, v_moments, moments[b])
        elif want == 3:
            for j in range(q):
                for n in range(lanes):
                    moments[b, 0, j, n] = v[j, n]
        if want != 1:
            continue
        mean_bar[:] = 0.0
        T_bar[:] = 0.0
        for s in range(n_kinds):
            risk_bar[:] = 0.0
            for low, high in _spans(s, n_causes, starts):
                predict_pullback(
                    q, block, low, high, kinds[s], links, alpha, T, c, f, e_bar, a_bar, Ta, bars,
                    alpha_bar, mean_bar, T_bar, risk_bar,
                )  # fmt: skip
            n_cov, at_cov, in_cov = kinds[s, 2], kinds[s, 3], kinds[s, 4]
            for k in range(n_cov):
                for n in range(lanes):
                    bars[at_cov + k, n] += risk_bar[n] * covariates[b, in_cov + k, n]
        conditional_pullback(
            q, F, root, zr, given, spare, mean_bar, T_bar, zr_bar, F_bar, log_root_bar
        )
        for j in range(q):
            s, m = root[j] * root[j], owner[j]
            for n in range(lanes):
                log_root_bar[j, n] += 2.0 * zr_bar[j, n] * zr[j, n]
            for k in range(n_x[m] + 1):
                for n in range(lanes):
                    u_bars[m, k, n] += s * ztw[b, j, k, n] * zr_bar[j, n]

    gradient = np.zeros(theta.shape[0])
    u_bar = np.zeros(u.shape)
    if want != 1:
        return gradient, u_bar
    for j in range(theta.shape[0]):
        gradient[j] = bars[j].sum()
    for m in range(u.shape[0]):
        for k in range(u.shape[1]):
            u_bar[m, k] = u_bars[m, k].sum()
    for j in range(q):
        gradient[p + owner[j]] -= log_root_bar[j].sum()
    for k in range(n_links):
        s = alpha_bar[k].sum()
        gradient[at_alpha[k]] += -s * alpha[k] if inverted[k] else s
    K_bar = np.zeros((q, q))
    for i in range(q):
        scale = math.exp(theta[at_tau + i]) * z_scale[i]
        for j in range(i + 1):
            s = F_bar[i, j].sum()
            gradient[at_tau + i] += s * F[i, j]
            K_bar[i, j] = s * scale
    by_cor = correlation_pullback(theta[at_cor:at_event], q, K_bar)
    for k in range(by_cor.shape[0]):
        gradient[at_cor + k] = by_cor[k]
    return gradient, u_bar
