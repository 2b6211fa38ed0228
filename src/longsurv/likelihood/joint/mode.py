"""Modes of the integrands of `longsurv.likelihood.joint.factor`, patients in lanes."""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.lanes import cholesky
from longsurv.likelihood.arithmetic.normal_cdf import log_normal_cdf
from longsurv.likelihood.arithmetic.vector_exp import exp

NEWTON_TOLERANCE = 1e-16
NEWTON_STEPS = 100
SMALLEST = -1e300
# Below this a start is worse than 0: Newton's method undoes a steep hazard by a factor of e a step.
WORST_START = -1e3


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _evaluate(q, e, a, weight, ends, curves, v, value, gradient, H):
    """Log integrand at v, its gradient and negative Hessian H; leaves derivatives in curves."""
    lanes = value.shape[0]
    first, hazards, points = ends
    linear, h, h2, h3 = curves
    for n in range(lanes):
        value[n] = linear[0, n]
    for j in range(q):
        for n in range(lanes):
            gradient[j, n] = linear[1 + j, n] - v[j, n]
        for n in range(lanes):
            value[n] += v[j, n] * (gradient[j, n] + 0.5 * v[j, n])
        for k in range(j + 1):
            for n in range(lanes):
                H[j, k, n] = 1.0 if j == k else 0.0
    for g in range(first, points):
        for n in range(lanes):
            h[g, n] = e[g, n]
        for j in range(q):
            for n in range(lanes):
                h[g, n] += v[j, n] * a[g, j, n]
        if g < hazards:
            for n in range(lanes):
                h[g, n] = weight[g, n] * exp(h[g, n])
            for n in range(lanes):
                value[n] -= h[g, n]
        else:
            for n in range(lanes):
                w = weight[g, n]
                if w == 0.0:
                    h[g, n] = h2[g, n] = h3[g, n] = 0.0
                    continue
                log_cdf, m, m1, m2 = log_normal_cdf(h[g, n])
                value[n] += w * log_cdf
                h[g, n], h2[g, n], h3[g, n] = -w * m, -w * m1, -w * m2
        for j in range(q):
            for n in range(lanes):
                gradient[j, n] -= h[g, n] * a[g, j, n]
            for k in range(j + 1):
                c = h[g] if g < hazards else h2[g]
                for n in range(lanes):
                    H[j, k, n] += c[n] * a[g, j, n] * a[g, k, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def find_modes(q, e, a, weight, ends, curves, v, L, inverse, H, scalars, gradient, step):
    """Newton's method from v. Leaves modes in v, chol(H) in L and its inverse, and `curves`.

    The first of the scalars holds the log integrand at each mode. Where it is too low at the
    given v the method starts from 0; if it is not finite there, -inf is left.
    """
    value, new, decrement = scalars
    lanes = value.shape[0]
    for n in range(lanes):
        value[n] = -np.inf
    for j in range(q):
        for n in range(lanes):
            step[j, n] = 0.0
    for _ in range(NEWTON_STEPS):
        _evaluate(q, e, a, weight, ends, curves, v, new, gradient, H)
        cholesky(q, H, L, inverse)
        for n in range(lanes):
            decrement[n] = 0.0
        for j in range(q):  # u = L^-1 gradient, kept in the gradient
            i = q - 1 - j
            for n in range(lanes):
                gradient[i, n] *= inverse[i, i, n]
            for k in range(i):
                for n in range(lanes):
                    gradient[i, n] += inverse[i, k, n] * gradient[k, n]
            for n in range(lanes):
                decrement[n] += gradient[i, n] * gradient[i, n]
        moving = False
        for n in range(lanes):
            # A step too long is halved; one that is not possible at all leaves its lane alone.
            better = new[n] >= max(value[n], SMALLEST) - 1e-9 * (1.0 + min(abs(value[n]), 1e300))
            if value[n] == -np.inf:
                away = False
                for j in range(q):
                    away = away or v[j, n] != 0.0
                better = new[n] > (WORST_START if away else SMALLEST)
                if not better:
                    for j in range(q):
                        v[j, n] = 0.0
                    moving = moving or away
                    continue
            if better:
                value[n] = new[n]
                if decrement[n] < NEWTON_TOLERANCE:
                    continue
                for j in range(q):
                    s = 0.0
                    for k in range(j, q):
                        s += inverse[k, j, n] * gradient[k, n]
                    step[j, n] = s
                    v[j, n] += s
            else:
                for j in range(q):
                    step[j, n] *= 0.5
                    v[j, n] -= step[j, n]
            moving = True
        if not moving:
            return
