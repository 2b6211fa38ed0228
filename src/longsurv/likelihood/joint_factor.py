"""The survival factor of one patient: E[p(T, d | v)] over v ~ N(0, I), and its exact derivatives.

On the scale where the random effects given the marker are standard normal, the log of the integrand is

    s(v) - v'v / 2,    s(v) = d (e_0 + a_0'v) - sum_g w_g exp(e_g + a_g'v),

with point 0 the time of exit (w_0 = 0) and the others those of the quadrature over time. It is strictly
concave, with negative Hessian H = I + sum_g w_g h_g a_g a_g'. Adaptive Gauss-Hermite quadrature puts nodes at
v_k = mode + R y_k with R R' = H^-1 (Liu & Pierce 1994, Biometrika 81:624-629; Pinheiro & Bates 1995).

The derivatives are those of the quadrature sum itself, the movement of the nodes included: the mode by
the implicit function theorem, R by differentiating the Cholesky factor. So value and gradient agree to
rounding with any number of nodes, one (Laplace's approximation) included. Fisher's identity, the
derivative without the movement of the nodes, is exact only in the limit of many nodes.

As e_g + a_g'v_k is linear in v, the hazards at all nodes are products of a few exponentials.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.covariance import lower_cholesky
from longsurv.likelihood.vector_exp import exp

NEWTON_TOLERANCE = 1e-16
NEWTON_STEPS = 100
LARGEST_EXPONENT = 230.0
SUMS = {"reassoc", "contract", "nsz", "arcp"}  # sums over points may be reordered into vectors


@njit(cache=True, nogil=True)
def lower_inverse(L, out):
    """Write the inverse of the lower triangle L into out (zeros above its diagonal)."""
    q = L.shape[0]
    for j in range(q):
        for i in range(j):
            out[i, j] = 0.0
        out[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, q):
            s = 0.0
            for k in range(j, i):
                s -= L[i, k] * out[k, j]
            out[i, j] = s / L[i, i]


@njit(cache=True, nogil=True)
def cholesky_pullback(axes, L, inverse, L_bar, A_bar):
    """Write into A_bar the symmetric derivative with respect to A = L L', given that in L.

    A_bar = (S + S') / 2 with S = L^-T Phi(L' L_bar) L^-1, where Phi keeps the lower triangle and
    halves its diagonal (Murray 2016, arXiv:1602.07527, equation 10). L_bar is overwritten.
    """
    q = len(axes)
    for i in range(q):  # row i of L' L_bar needs rows i and below of L_bar only
        for j in range(i + 1):
            s = 0.0
            for k in range(i, q):
                s += L[k, i] * L_bar[k, j]
            L_bar[i, j] = 0.5 * s if i == j else s
    for i in range(q):
        for j in range(q):
            s = 0.0
            for k in range(i, q):
                for m in range(j, k + 1):
                    s += inverse[k, i] * L_bar[k, m] * inverse[m, j]
            A_bar[i, j] = s
    for i in range(q):
        for j in range(i):
            s = 0.5 * (A_bar[i, j] + A_bar[j, i])
            A_bar[i, j] = s
            A_bar[j, i] = s


@njit(cache=True, nogil=True)
def work_space(axes, n, nodes, size):
    """Arrays that `survival_factor` works in, for up to n points and a grid of `size` points."""
    q = len(axes)
    points = (np.empty(n), np.empty((q, nodes, n)), np.empty((size, n)))
    grid = (np.empty(size), np.empty((size, q)))
    vectors = (np.empty(q), np.empty(q), np.empty(q))
    matrices = (np.zeros((q, q)), np.empty((q, q)), np.empty((q, q)), np.zeros((q, q)), np.empty((q, q)))
    return points, grid, vectors, matrices


@njit(cache=True, nogil=True, fastmath=SUMS)
def _evaluate(axes, e, a, weight, first, n, event, v, h, gradient, H):
    """Log integrand at v, its gradient and negative Hessian H; leaves w_g h_g in h."""
    q = len(axes)
    for g in range(n):
        h[g] = e[g]
    for j in range(q):
        for g in range(n):
            h[g] += v[j] * a[j, g]
    total = 0.0
    for g in range(n):
        h[g] = weight[first + g] * exp(h[g])
        total += h[g]
    value = event * e[0] - total
    for j in range(q):
        value += v[j] * (event * a[j, 0] - 0.5 * v[j])
        s = 0.0
        for g in range(n):
            s += h[g] * a[j, g]
        gradient[j] = event * a[j, 0] - v[j] - s
        for k in range(j + 1):
            s = 0.0
            for g in range(n):
                s += h[g] * a[j, g] * a[k, g]
            H[j, k] = s
        H[j, j] += 1.0
    return value


@njit(cache=True, nogil=True)
def _find_mode(axes, e, a, weight, first, n, event, h, v, L, H, gradient, step):
    """Newton's method from v = 0. Leaves w_g h_g in h, the mode in v and chol(H) in L.

    Returns the log integrand at the mode, or -inf if it is not finite.
    """
    q = len(axes)
    value = -np.inf
    for j in range(q):
        v[j] = 0.0
    for _ in range(NEWTON_STEPS):
        new = _evaluate(axes, e, a, weight, first, n, event, v, h, gradient, H)
        if not new >= value - 1e-9 * (1.0 + abs(value)):
            if value == -np.inf:
                return -np.inf
            for j in range(q):
                step[j] *= 0.5
                v[j] -= step[j]
            continue
        value = new
        if not lower_cholesky(H, L):
            return -np.inf
        decrement = 0.0
        for j in range(q):
            s = gradient[j]
            for k in range(j):
                s -= L[j, k] * step[k]
            step[j] = s / L[j, j]
            decrement += step[j] * step[j]
        if decrement < NEWTON_TOLERANCE:
            return value
        for i in range(q):
            j = q - 1 - i
            s = step[j]
            for k in range(j + 1, q):
                s -= L[k, j] * step[k]
            step[j] = s / L[j, j]
        for j in range(q):
            v[j] += step[j]
    return value


@njit(cache=True, nogil=True, fastmath=SUMS)
def _node_hazards(axes, a, n, nodes, index, Li, h, E, hk, log_p):
    """Write w_g h_g at every node into hk (K, n) and take their sums off log_p (K,)."""
    q = len(axes)
    m = nodes.shape[0]
    for j in range(q):
        for g in range(n):
            hk[0, g] = Li[j, 0] * a[0, g]
            E[j, m // 2, g] = 1.0
        for i in range(1, j + 1):
            for g in range(n):
                hk[0, g] += Li[j, i] * a[i, g]
        for i in range(m // 2):
            y = nodes[m - 1 - i]
            for g in range(n):
                up = exp(min(max(y * hk[0, g], -LARGEST_EXPONENT), LARGEST_EXPONENT))
                E[j, m - 1 - i, g] = up
                E[j, i, g] = 1.0 / up
    for k in range(index.shape[0]):
        i = index[k, 0]
        for g in range(n):
            hk[k, g] = h[g] * E[0, i, g]
        for j in range(1, q):
            i = index[k, j]
            for g in range(n):
                hk[k, g] *= E[j, i, g]
        s = 0.0
        for g in range(n):
            s += hk[k, g]
        log_p[k] -= s


@njit(cache=True, nogil=True)
def _moments(axes, weights, vk, moments):
    """Mean of the nodes vk (K, q) into moments[0], their covariance into moments[1:]."""
    q = len(axes)
    K = weights.shape[0]
    for j in range(q):
        s = 0.0
        for k in range(K):
            s += weights[k] * vk[k, j]
        moments[0, j] = s
    for j in range(q):
        for i in range(q):
            s = 0.0
            for k in range(K):
                s += weights[k] * (vk[k, i] - moments[0, i]) * (vk[k, j] - moments[0, j])
            moments[1 + i, j] = s


@njit(cache=True, nogil=True, fastmath=SUMS)
def _derivatives(axes, a, n, event, nodes, index, work, e_bar, a_bar):
    """Derivatives of the log survival factor with respect to e (n,) and a (q, n)."""
    (h, _, hk), (weights, vk), (v, v_bar, lam), (L, Li, R_bar, L_bar, H_bar) = work
    q = len(axes)
    K = weights.shape[0]

    # At fixed nodes v_k = v + R y_k, and with respect to the mode v and to R.
    for g in range(n):
        e_bar[g] = 0.0
    for j in range(q):
        v_bar[j] = event * a[j, 0]
        for g in range(n):
            a_bar[j, g] = 0.0
        for i in range(q):
            R_bar[i, j] = 0.0
    for k in range(K):
        for g in range(n):
            e_bar[g] -= weights[k] * hk[k, g]
        for j in range(q):
            v_bar[j] -= weights[k] * vk[k, j]
            y = weights[k] * nodes[index[k, j]]
            for g in range(n):
                a_bar[j, g] -= y * hk[k, g]
            for i in range(q):
                R_bar[i, j] += y * (event * a[i, 0] - vk[k, i])
    for i in range(q):
        lam[i] = event * a[i, 0] - v_bar[i]  # mean of the nodes
        s = 0.0
        for g in range(n):
            s += e_bar[g] * a[i, g]
        v_bar[i] += s
        for j in range(q):
            s = 0.0
            for g in range(n):
                s += a_bar[j, g] * a[i, g]
            R_bar[i, j] += s
    for j in range(q):  # from sums over y_k to sums over v_k; R is upper triangular
        for g in range(n):
            a_bar[j, g] = e_bar[g] * v[j] + Li[j, j] * a_bar[j, g]
        for i in range(j + 1, q):
            for g in range(n):
                a_bar[j, g] += Li[i, j] * a_bar[i, g]
        a_bar[j, 0] += event * lam[j]
    e_bar[0] += event

    # R = L^-T, so L_bar = -tril(R R_bar' R), with the derivative of -log det L on top.
    for i in range(q):
        for j in range(q):
            s = 0.0
            for k in range(i, q):
                s += Li[k, i] * R_bar[j, k]
            H_bar[i, j] = s
    for i in range(q):
        for j in range(i + 1):
            s = 0.0
            for k in range(j + 1):
                s -= H_bar[i, k] * Li[j, k]
            L_bar[i, j] = s
        L_bar[i, i] -= Li[i, i]
    cholesky_pullback(axes, L, Li, L_bar, H_bar)
    for g in range(n):
        hk[0, g] = 0.0  # from here on work space for h times the derivative in log h
    for i in range(q):
        for j in range(q):
            b = H_bar[i, j]
            for g in range(n):
                s = b * h[g] * a[j, g]
                a_bar[i, g] += 2.0 * s
                hk[0, g] += s * a[i, g]
    for j in range(q):
        s = 0.0
        for g in range(n):
            s += hk[0, g] * a[j, g]
        v_bar[j] += s

    # The mode moves by H^-1 times the derivative of the score.
    for j in range(q):
        s = 0.0
        for i in range(q):
            for k in range(max(i, j), q):
                s += Li[k, j] * Li[k, i] * v_bar[i]
        lam[j] = s
    for j in range(q):
        a_bar[j, 0] += event * lam[j]
        for g in range(n):
            s = h[g] * lam[j]
            hk[0, g] -= s * a[j, g]
            a_bar[j, g] -= s
    for g in range(n):
        e_bar[g] += hk[0, g]
    for j in range(q):
        for g in range(n):
            a_bar[j, g] += hk[0, g] * v[j]


@njit(cache=True, nogil=True)
def survival_factor(axes, e, a, weight, first, n, event, grid, work, want, e_bar, a_bar, moments):
    """Log of the survival factor of one patient.

    Parameters
    ----------
    axes : tuple of length q
        Only its length matters, which so becomes a constant of the compiled loops.
    e : ndarray, shape (>= n,)
        Log hazard at v = 0; point 0 is the time of exit.
    a : ndarray, shape (q, >= n)
        Derivative of the log hazard in v.
    weight : ndarray
        Weights of the integral over time, from position `first`; that of point 0 is 0.
    first, n : int
        Position of the patient's points, and their number.
    event : float
        1 if the event happened at exit.
    grid : tuple of ndarray
        nodes, index and log_weight of `longsurv.design.quadrature.normal_grid`.
    work : tuple
        From `work_space`.
    want : int
        0: the value; 1: its derivatives too; 2: the moments of v instead.
    e_bar, a_bar : ndarray, shapes of e and a
        Derivatives with respect to e and a (written when want is 1).
    moments : ndarray, shape (1 + q, q)
        Mean of v and its covariance, by the same rule (written when want is 2).
    """
    nodes, index, log_weight = grid
    (h, E, hk), (log_p, vk), (v, gradient, step), (L, Li, _, _, H) = work
    q = len(axes)
    K = index.shape[0]
    mode = _find_mode(axes, e, a, weight, first, n, event, h, v, L, H, gradient, step)
    if not math.isfinite(mode):
        return -np.inf
    lower_inverse(L, Li)  # R = Li'
    for k in range(K):
        s = log_weight[k] + event * e[0]
        for j in range(q):
            t = v[j]
            for i in range(j, q):
                t += Li[i, j] * nodes[index[k, i]]
            vk[k, j] = t
            s += t * (event * a[j, 0] - 0.5 * t)
        log_p[k] = s
    _node_hazards(axes, a, n, nodes, index, Li, h, E, hk, log_p)
    top = log_p[0]
    for k in range(1, K):
        top = max(top, log_p[k])
    total = 0.0
    for k in range(K):
        log_p[k] = exp(log_p[k] - top)
        total += log_p[k]
    det = 1.0
    for j in range(q):
        det *= Li[j, j]
    for k in range(K):
        log_p[k] /= total
    if want == 1:
        _derivatives(axes, a, n, event, nodes, index, work, e_bar, a_bar)
    elif want == 2:
        _moments(axes, log_p, vk, moments)
    return top + math.log(total * det)
