"""The survival factor of a patient: E[p(events, censored values | v)] over v ~ N(0, I), and its
exact derivatives.

On the scale where the random effects given the measured marker values are standard normal, the log
of the integrand is s(v) - v'v / 2 with

    s(v) = sum_c d_c (e_c + a_c'v) + sum_g phi_g(e_g + a_g'v)

Points c are the exits, one for each cause of an event, with d_c = 1 if that is what happened. The
other points g are those of the quadrature of a cause's cumulative hazard, phi(x) = -w exp(x), and
marker values of which only a limit is known, phi(x) = w log Phi(x). Every phi is concave, so the
integrand is strictly log-concave, with negative Hessian H = I - sum_g phi_g'' a_g a_g'. Adaptive
Gauss-Hermite quadrature puts nodes at v_k = mode + R y_k with R R' = H^-1 (Liu & Pierce 1994,
Biometrika 81:624-629; Pinheiro & Bates 1995, J Comput Graph Stat 4:12-35).

The derivatives are those of the quadrature sum itself, the movement of the nodes included: the
mode by the implicit function theorem, R by differentiating the Cholesky factor. So value and
gradient agree to rounding with any number of nodes, one (Laplace's approximation) included.
Fisher's identity, the derivative without the movement of the nodes, is exact only in the limit of
many nodes.

As e_g + a_g'v_k is linear in v, the hazards at all nodes are products of a few exponentials. For
them the first three derivatives of -phi are all w exp(x), so where no value is censored the three
arrays that hold them are one and the same.

Patients stand side by side in lanes (`longsurv.likelihood.arithmetic.lanes`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.lanes import cholesky_pullback, weighted_moments
from longsurv.likelihood.arithmetic.normal_cdf import log_normal_cdf
from longsurv.likelihood.arithmetic.vector_exp import exp
from longsurv.likelihood.joint.mode import SMALLEST, find_modes

LARGEST_EXPONENT = 230.0


@njit(cache=True, nogil=True, error_model="numpy")
def work_space(q, points, censored, nodes, size, lanes):
    """Arrays that `survival_factors` works in, for up to so many points and a grid of `size`."""
    scalars = (np.empty(lanes), np.empty(lanes), np.empty(lanes))
    vectors = (np.empty((q, lanes)), np.empty((q, lanes)), np.empty((q, lanes)))
    matrices = (
        np.zeros((q, q, lanes)), np.zeros((q, q, lanes)), np.empty((q, q, lanes)),
        np.zeros((q, q, lanes)), np.empty((q, q, lanes)),
    )  # fmt: skip
    h = np.empty((points, lanes))
    curves = (h, np.empty((points, lanes)), np.empty((points, lanes))) if censored else (h, h, h)
    grid = (
        np.empty((q, nodes, lanes)), np.empty((points, size, lanes)), np.empty((size, lanes)),
        np.empty((size, q, lanes)),
    )  # fmt: skip
    return scalars, vectors, matrices, (np.empty((1 + q, lanes)), *curves), grid


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _at_nodes(q, e, a, weight, ends, nodes, index, inverse, h, grid):
    """Write -phi_g' at every node into hk (points, K, lanes), add the sums of phi_g to log_p."""
    lanes, m = h.shape[1], nodes.shape[0]
    first, hazards, points = ends
    E, hk, log_p, vk = grid
    for j in range(q):
        for n in range(lanes):
            E[j, m // 2, n] = 1.0
    for g in range(first, hazards):
        for j in range(q):
            t = hk[g, 0]
            for n in range(lanes):
                t[n] = inverse[j, 0, n] * a[g, 0, n]
            for i in range(1, j + 1):
                for n in range(lanes):
                    t[n] += inverse[j, i, n] * a[g, i, n]
            for i in range(m // 2):
                y = nodes[m - 1 - i]
                for n in range(lanes):
                    E[j, m - 1 - i, n] = exp(
                        min(max(y * t[n], -LARGEST_EXPONENT), LARGEST_EXPONENT)
                    )
                for n in range(lanes):
                    E[j, i, n] = 1.0 / E[j, m - 1 - i, n]
        for k in range(index.shape[0]):
            i = index[k, 0]
            for n in range(lanes):
                hk[g, k, n] = h[g, n] * E[0, i, n]
            for j in range(1, q):
                i = index[k, j]
                for n in range(lanes):
                    hk[g, k, n] *= E[j, i, n]
            for n in range(lanes):
                log_p[k, n] -= hk[g, k, n]
    for g in range(hazards, points):
        for k in range(index.shape[0]):
            for n in range(lanes):
                x = e[g, n]
                for j in range(q):
                    x += a[g, j, n] * vk[k, j, n]
                hk[g, k, n] = 0.0
                if weight[g, n] != 0.0:
                    log_cdf, m1, _, _ = log_normal_cdf(x)
                    hk[g, k, n] = -weight[g, n] * m1
                    log_p[k, n] += weight[g, n] * log_cdf


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _derivatives(q, a, event, ends, nodes, index, work, e_bar, a_bar):
    """Derivatives of the log survival factors with respect to e and a."""
    (u, _, _), (v, v_bar, lam), (L, inverse, R_bar, L_bar, H_bar), curves, (E, hk, p, vk) = work
    linear, h, h2, h3 = curves
    first, hazards, points = ends
    lanes, K = u.shape[0], index.shape[0]
    if h2.ctypes.data != h.ctypes.data:
        for g in range(first, hazards):
            for n in range(lanes):
                h2[g, n] = h3[g, n] = h[g, n]

    # At fixed nodes v_k = v + R y_k, and with respect to the mode v and to R.
    for j in range(q):
        for n in range(lanes):
            lam[j, n] = 0.0  # mean of the nodes
        for k in range(K):
            for n in range(lanes):
                lam[j, n] += p[k, n] * vk[k, j, n]
        for n in range(lanes):
            v_bar[j, n] = linear[1 + j, n] - lam[j, n]
        for c in range(first):
            for n in range(lanes):
                a_bar[c, j, n] = event[c, n] * lam[j, n]
        for i in range(q):
            for n in range(lanes):
                R_bar[i, j, n] = 0.0
            for k in range(K):
                y = nodes[index[k, j]]
                for n in range(lanes):
                    R_bar[i, j, n] += y * p[k, n] * (linear[1 + i, n] - vk[k, i, n])
    for c in range(first):
        for n in range(lanes):
            e_bar[c, n] = event[c, n]
    for g in range(first, points):
        for n in range(lanes):
            e_bar[g, n] = 0.0
        for j in range(q):
            for n in range(lanes):
                a_bar[g, j, n] = 0.0
        for k in range(K):
            for n in range(lanes):
                hk[g, k, n] *= p[k, n]
            for n in range(lanes):
                e_bar[g, n] -= hk[g, k, n]
            for j in range(q):
                y = nodes[index[k, j]]
                if y != 0.0:
                    for n in range(lanes):
                        a_bar[g, j, n] -= y * hk[g, k, n]
        for i in range(q):
            for n in range(lanes):
                v_bar[i, n] += e_bar[g, n] * a[g, i, n]
            for j in range(q):
                for n in range(lanes):
                    R_bar[i, j, n] += a_bar[g, j, n] * a[g, i, n]
        for j in range(q):  # from sums over y_k to sums over v_k; R is upper triangular
            for n in range(lanes):
                a_bar[g, j, n] *= inverse[j, j, n]
            for i in range(j + 1, q):
                for n in range(lanes):
                    a_bar[g, j, n] += inverse[i, j, n] * a_bar[g, i, n]
            for n in range(lanes):
                a_bar[g, j, n] += e_bar[g, n] * v[j, n]

    # R = L^-T, so L_bar = -tril(R R_bar' R), with the derivative of -log det L on top.
    for i in range(q):
        for j in range(q):
            for n in range(lanes):
                H_bar[i, j, n] = 0.0
            for k in range(i, q):
                for n in range(lanes):
                    H_bar[i, j, n] += inverse[k, i, n] * R_bar[j, k, n]
    for i in range(q):
        for j in range(i + 1):
            for n in range(lanes):
                L_bar[i, j, n] = -inverse[i, j, n] if i == j else 0.0
            for k in range(j + 1):
                for n in range(lanes):
                    L_bar[i, j, n] -= H_bar[i, k, n] * inverse[j, k, n]
    cholesky_pullback(q, L, inverse, L_bar, H_bar)
    for g in range(first, points):
        for n in range(lanes):
            u[n] = 0.0  # a_g'H_bar a_g times the third derivative of -phi_g
        for i in range(q):
            for j in range(q):
                s = E[0, 0]  # work space
                for n in range(lanes):
                    s[n] = H_bar[i, j, n] * a[g, j, n]
                for n in range(lanes):
                    a_bar[g, i, n] += 2.0 * h2[g, n] * s[n]
                for n in range(lanes):
                    u[n] += h3[g, n] * s[n] * a[g, i, n]
        for j in range(q):
            for n in range(lanes):
                v_bar[j, n] += u[n] * a[g, j, n]
            for n in range(lanes):
                a_bar[g, j, n] += u[n] * v[j, n]
        for n in range(lanes):
            e_bar[g, n] += u[n]

    # The mode moves by H^-1 times the derivative of the score.
    for j in range(q):
        for n in range(lanes):
            lam[j, n] = 0.0
        for i in range(q):
            for k in range(max(i, j), q):
                for n in range(lanes):
                    lam[j, n] += inverse[k, j, n] * inverse[k, i, n] * v_bar[i, n]
        for c in range(first):
            for n in range(lanes):
                a_bar[c, j, n] += event[c, n] * lam[j, n]
    for g in range(first, points):
        for n in range(lanes):
            u[n] = 0.0
        for j in range(q):
            for n in range(lanes):
                a_bar[g, j, n] -= h[g, n] * lam[j, n]
            for n in range(lanes):
                u[n] -= h2[g, n] * lam[j, n] * a[g, j, n]
        for n in range(lanes):
            e_bar[g, n] += u[n]
        for j in range(q):
            for n in range(lanes):
                a_bar[g, j, n] += u[n] * v[j, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def survival_factors(q, e, a, weight, ends, event, grid, work, want, out, e_bar, a_bar, moments):
    """Log survival factors of patients side by side.

    Parameters
    ----------
    q : int
        Random effects a patient.
    e : ndarray, shape (>= points, lanes)
        Argument of each point's function at v = 0: a log hazard, or a standardised limit.
    a : ndarray, shape (>= points, q, lanes)
        Its derivative in v.
    weight : ndarray, shape (>= points, lanes)
        Of the integrals over time; 1 for a censored value; those of exits are not used.
    ends : tuple of int
        Where the exits end, the quadrature points of hazards, and the censored values.
    event : ndarray, shape (causes, lanes)
        1 for the cause of the event at exit.
    grid : tuple of ndarray
        nodes, index and log_weight of `longsurv.design.quadrature.normal_grid`.
    work : tuple
        From `work_space`; its first vector holds where Newton's method starts, and then the modes.
    want : int
        0: the values; 1: their derivatives too; 2: the moments of v instead.
    out : ndarray, shape (lanes,)
        The values; -inf or NaN where they cannot be computed.
    e_bar, a_bar : ndarray, shapes of e and a
        Derivatives with respect to e and a (written when want is 1).
    moments : ndarray, shape (1 + q, q, lanes)
        Mean of v and its covariance, by the same rule (written when want is 2).
    """
    nodes, index, log_weight = grid
    scalars, (v, gradient, step), (L, inverse, _, _, H), curves, at_nodes = work
    value, top, total = scalars
    linear, h, _, _ = curves
    _, _, p, vk = at_nodes
    lanes, K = out.shape[0], index.shape[0]
    linear[:] = 0.0
    for c in range(ends[0]):
        for n in range(lanes):
            linear[0, n] += event[c, n] * e[c, n]
        for j in range(q):
            for n in range(lanes):
                linear[1 + j, n] += event[c, n] * a[c, j, n]
    find_modes(q, e, a, weight, ends, curves, v, L, inverse, H, scalars, gradient, step)
    for k in range(K):
        for n in range(lanes):
            p[k, n] = log_weight[k] + linear[0, n]
        for j in range(q):
            t = vk[k, j]
            for n in range(lanes):
                t[n] = v[j, n]
            for i in range(j, q):
                y = nodes[index[k, i]]
                for n in range(lanes):
                    t[n] += y * inverse[i, j, n]
            for n in range(lanes):
                p[k, n] += t[n] * (linear[1 + j, n] - 0.5 * t[n])
    _at_nodes(q, e, a, weight, ends, nodes, index, inverse, h, at_nodes)
    for n in range(lanes):
        top[n] = p[0, n]
        total[n] = 0.0
    for k in range(1, K):
        for n in range(lanes):
            top[n] = max(top[n], p[k, n])
    for k in range(K):
        for n in range(lanes):
            p[k, n] = exp(p[k, n] - top[n])
        for n in range(lanes):
            total[n] += p[k, n]
    for n in range(lanes):
        det = 1.0
        for j in range(q):
            det *= inverse[j, j, n]
        out[n] = top[n] + math.log(total[n] * det) if value[n] > SMALLEST else -np.inf
    for k in range(K):
        for n in range(lanes):
            p[k, n] /= total[n]
    if want == 1:
        _derivatives(q, a, event, ends, nodes, index, work, e_bar, a_bar)
    elif want == 2:
        weighted_moments(q, p, vk, moments)
