"""The integral over the random effects of a patient all of whose values were measured.

With normal noise the integrand is a parabola in logarithms, for which any number of nodes is exact,
and none is needed.
"""

from __future__ import annotations

import math

from numba import njit

from longsurv.likelihood.arithmetic.covariance import lower_cholesky, solve_factor
from longsurv.likelihood.arithmetic.normal_cdf import HALF_LOG_2PI


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def closed_form(y, eta, V, X, Z, par, work, want_gradient, d_beta, raw, d_Lam):
    """Log of the patient's integral; leaves the mode in work.u. With the gradient, the rows' slopes
    take the place of the predictors, and the rest is added to d_beta, `raw` and d_Lam.

    With w = 1 / sigma^2, H = I + w V'V, the mode m = w H^-1 V'(y - eta) and e = y - eta - V m,

        -n log sigma - (w e'e + m'm + log |H|) / 2
    """
    u, g, t, H, L = work.u, work.slope, work.trial, work.H, work.L
    q, n, w = u.shape[0], y.shape[0], par[1, 0] * par[1, 0]
    for a in range(q):
        g[a] = 0.0
        for b in range(q):
            H[a, b] = 1.0 if a == b else 0.0
    for j in range(n):
        r = y[j] - eta[j]
        for a in range(q):
            v = w * V[j, a]
            g[a] += v * r
            for b in range(a + 1):
                H[a, b] += v * V[j, b]
    if not lower_cholesky(H, L):
        return -math.inf
    solve_factor(L, g, u)
    squares = twice = 0.0
    for a in range(q):
        squares += u[a] * u[a]
        twice += 2.0 * math.log(L[a, a])
    noise = known = 0.0
    for j in range(n):
        e = y[j] - eta[j]
        for a in range(q):
            e -= V[j, a] * u[a]
        noise += w * e * e
        if want_gradient:
            eta[j] = w * e
    value = -n * (par[0, 1] + HALF_LOG_2PI) - 0.5 * (noise + squares + twice)
    if not -math.inf < value < math.inf:
        return -math.inf
    if not want_gradient:
        return value
    for j in range(n):
        slope = eta[j]
        for b in range(X.shape[1]):
            d_beta[b] += slope * X[j, b]
        for a in range(q):
            g[a] = w * V[j, a]
        solve_factor(L, g, t)
        for b in range(q):
            known += t[b] * V[j, b]
            s = slope * u[b] - t[b]
            for a in range(b, q):
                d_Lam[a, b] += Z[j, a] * s
    raw[0] += noise + known - n
    return value
