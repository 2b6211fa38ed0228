"""The survival factor of one patient: E[p(T, d | v)] over v ~ N(0, I), and its exact derivatives.

On the scale where the random effects given the marker are standard normal, the log of the integrand is

    s(v) - v'v / 2,    s(v) = d (e_0 + a_0'v) - sum_g w_g exp(e_g + a_g'v),

with point 0 the time of exit and points g >= 1 those of the quadrature over time. It is strictly concave,
with negative Hessian H = I + sum_g w_g h_g a_g a_g'. Adaptive Gauss-Hermite quadrature puts nodes at
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

NEWTON_TOLERANCE = 1e-16
NEWTON_STEPS = 100
LARGEST_EXPONENT = 230.0


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
def cholesky_pullback(L, inverse, L_bar, A_bar):
    """Write into A_bar the symmetric derivative with respect to A = L L', given that in L.

    A_bar = (S + S') / 2 with S = L^-T Phi(L' L_bar) L^-1, where Phi keeps the lower triangle and
    halves its diagonal (Murray 2016, arXiv:1602.07527, equation 10).
    """
    q = L.shape[0]
    phi = np.zeros((q, q))
    for i in range(q):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, q):
                s += L[k, i] * L_bar[k, j]
            phi[i, j] = 0.5 * s if i == j else s
    for i in range(q):
        for j in range(q):
            s = 0.0
            for k in range(i, q):
                for m in range(j, k + 1):
                    s += inverse[k, i] * phi[k, m] * inverse[m, j]
            A_bar[i, j] = s
    for i in range(q):
        for j in range(i):
            s = 0.5 * (A_bar[i, j] + A_bar[j, i])
            A_bar[i, j] = s
            A_bar[j, i] = s


@njit(cache=True, nogil=True)
def _find_mode(axes, e, a, w, n, event, h, v, L):
    """Newton's method from v = 0. Leaves w_g h_g in h, the mode in v and chol(H) in L.

    Returns the log integrand at the mode, or -inf if it is not finite anywhere near.
    """
    q = len(axes)
    H = np.empty((q, q))
    step = np.zeros(q)
    gradient = np.empty(q)
    value = -np.inf
    for j in range(q):
        v[j] = 0.0
    for _ in range(NEWTON_STEPS):
        new = event * e[0]
        for j in range(q):
            new += v[j] * (event * a[0, j] - 0.5 * v[j])
            gradient[j] = event * a[0, j] - v[j]
            for k in range(j + 1):
                H[j, k] = 0.0
            H[j, j] = 1.0
        for g in range(1, n):
            t = e[g]
            for j in range(q):
                t += a[g, j] * v[j]
            t = w[g] * math.exp(t)
            h[g] = t
            new -= t
            for j in range(q):
                u = t * a[g, j]
                gradient[j] -= u
                for k in range(j + 1):
                    H[j, k] += u * a[g, k]
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


@njit(cache=True, nogil=True)
def survival_factor(axes, e, a, w, n, event, nodes, index, log_weight, h, hk, want, e_bar, a_bar, moments):
    """Log of the survival factor of one patient.

    Parameters
    ----------
    axes : tuple of length q
        Only its length matters, which so becomes a constant of the compiled loops.
    e : ndarray, shape (>= n,)
        Log hazard at v = 0; point 0 is the time of exit.
    a : ndarray, shape (>= n, q)
        Derivative of the log hazard in v.
    w : ndarray, shape (>= n,)
        Weights of the integral over time; that of point 0 is not used.
    n : int
        Number of points.
    event : float
        1 if the event happened at exit.
    nodes, index, log_weight
        The rule of `longsurv.design.quadrature.normal_grid`.
    h, hk : ndarray, shapes (>= n,) and (>= n, number of grid points)
        Work space.
    want : int
        0: the value; 1: its derivatives too; 2: the moments of v instead.
    e_bar, a_bar : ndarray, shapes of e and a
        Derivatives with respect to e and a (written when want is 1).
    moments : ndarray, shape (1 + q, q)
        Mean of v and its covariance, by the same rule (written when want is 2).
    """
    q = len(axes)
    K = index.shape[0]
    m = nodes.shape[0]
    v = np.empty(q)
    L = np.zeros((q, q))
    if _find_mode(axes, e, a, w, n, event, h, v, L) == -np.inf:
        return -np.inf
    Li = np.empty((q, q))
    lower_inverse(L, Li)  # R = Li'

    # Log integrand at the nodes.
    log_p = np.empty(K)
    vk = np.empty((K, q))
    half = m // 2
    for k in range(K):
        s = log_weight[k] + event * e[0]
        for j in range(q):
            t = v[j]
            for i in range(j, q):
                t += Li[i, j] * nodes[index[k, i]]
            vk[k, j] = t
            s += t * (event * a[0, j] - 0.5 * t)
        log_p[k] = s
    E = np.ones((q, m))
    for g in range(1, n):
        for j in range(q):
            t = 0.0
            for i in range(j + 1):
                t += Li[j, i] * a[g, i]
            for i in range(half):
                up = math.exp(min(max(nodes[m - 1 - i] * t, -LARGEST_EXPONENT), LARGEST_EXPONENT))
                E[j, m - 1 - i] = up
                E[j, i] = 1.0 / up
        for k in range(K):
            t = h[g]
            for j in range(q):
                t *= E[j, index[k, j]]
            hk[g, k] = t
            log_p[k] -= t
    top = log_p[0]
    for k in range(1, K):
        top = max(top, log_p[k])
    total = 0.0
    for k in range(K):
        log_p[k] = math.exp(log_p[k] - top)
        total += log_p[k]
    value = top + math.log(total)
    for j in range(q):
        value -= math.log(L[j, j])
    if want == 0:
        return value
    mean = np.zeros(q)
    for k in range(K):
        log_p[k] /= total
        for j in range(q):
            mean[j] += log_p[k] * vk[k, j]
    if want == 2:
        for j in range(q):
            moments[0, j] = mean[j]
            for i in range(q):
                s = 0.0
                for k in range(K):
                    s += log_p[k] * (vk[k, i] - mean[i]) * (vk[k, j] - mean[j])
                moments[1 + i, j] = s
        return value

    # Derivatives at fixed nodes, and those of the value in the mode and in R.
    v_bar = np.empty(q)
    R_bar = np.zeros((q, q))
    y = np.empty(q)
    for j in range(q):
        v_bar[j] = event * a[0, j] - mean[j]
        a_bar[0, j] = event * mean[j]
    e_bar[0] = event
    for k in range(K):
        for i in range(q):
            s = log_p[k] * nodes[index[k, i]]
            for j in range(q):
                R_bar[j, i] += s * (event * a[0, j] - vk[k, j])
    for g in range(1, n):
        p0 = 0.0
        for j in range(q):
            y[j] = 0.0
        for k in range(K):
            s = log_p[k] * hk[g, k]
            p0 += s
            for j in range(q):
                y[j] += s * nodes[index[k, j]]
        e_bar[g] = -p0
        for j in range(q):
            s = p0 * v[j]
            for i in range(j, q):
                s += Li[i, j] * y[i]
            a_bar[g, j] = -s
            v_bar[j] -= p0 * a[g, j]
            for i in range(q):
                R_bar[j, i] -= a[g, j] * y[i]

    # R = L^-T, so L_bar = -tril(R R_bar' R), with the derivative of -log det L on top.
    RR = np.empty((q, q))
    L_bar = np.zeros((q, q))
    H_bar = np.empty((q, q))
    for i in range(q):
        for j in range(q):
            s = 0.0
            for k in range(i, q):
                s += Li[k, i] * R_bar[j, k]
            RR[i, j] = s
    for i in range(q):
        for j in range(i + 1):
            s = 0.0
            for k in range(j + 1):
                s -= RR[i, k] * Li[j, k]
            L_bar[i, j] = s
        L_bar[i, i] -= Li[i, i]
    cholesky_pullback(L, Li, L_bar, H_bar)
    for g in range(1, n):
        s = 0.0
        for i in range(q):
            t = 0.0
            for j in range(q):
                t += H_bar[i, j] * a[g, j]
            y[i] = t
            s += t * a[g, i]
        s *= h[g]
        e_bar[g] += s
        for j in range(q):
            a_bar[g, j] += s * v[j] + 2.0 * h[g] * y[j]
            v_bar[j] += s * a[g, j]

    # The mode moves by H^-1 times the derivative of the score.
    lam = np.empty(q)
    for j in range(q):
        s = 0.0
        for i in range(q):
            t = 0.0
            for k in range(max(i, j), q):
                t += Li[k, j] * Li[k, i]
            s += t * v_bar[i]
        lam[j] = s
    for j in range(q):
        a_bar[0, j] += event * lam[j]
    for g in range(1, n):
        s = 0.0
        for j in range(q):
            s += a[g, j] * lam[j]
        s *= h[g]
        e_bar[g] -= s
        for j in range(q):
            a_bar[g, j] -= s * v[j] + h[g] * lam[j]
    return value
