"""The events of one site with its effect on the log hazard integrated out.

A site with D events and the cumulative hazard H contributes, beside what does not depend on its
effect b, exp(D b - H e^b). With w = e^b, r = (D - H w) b and means, variances and covariances over
the distribution of b given the site's data, the log G of its mean over a distribution of standard
deviation s has the derivatives

    G_H = -E w,   G_HH = var w,   G_s = E r,   G_ss = var r + E[r - H w b^2],
    G_Hs = -E[w b] - cov(w, r),

s standing for log s. A normal b = s z is integrated by the trapezoidal rule in z around the top of
the integrand, from where to where exp(-45) of that is left. The steps are at most 0.25 in b and 0.7
of the spread at the top, so that the error is below 1e-10 (Trefethen & Weideman 2014, SIAM Review
56:385-458): exp(-2 pi^2 / 0.7^2) for what is normal, exp(-pi^2 / 0.25) for the double exponential.
Gamma effects have a closed form (Klein 1992, Biometrics 48:795-806).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

STEP_IN_B, STEP_IN_SPREAD, LEFT_OVER = 0.25, 0.7, 45.0
FINER = 16
"""Steps of the distribution function that effects are drawn from, in one of the integral."""
SERIES = 0.02
"""Size of s^2 H below which a series is used."""
WIDEST = 500.0
"""Standard deviation of the log hazard beyond which there is no likelihood: NaN."""


@njit(cache=True, nogil=True, error_model="numpy")
def _log_weight(D, H, s, z):
    """Log of the integrand, up to a constant."""
    b = s * z
    return D * b - H * math.exp(b) - 0.5 * z * z


@njit(cache=True, nogil=True, error_model="numpy")
def _mode(D, H, s):
    """Where the integrand is largest, in z; NaN where H is not a number from 0 on.

    There b = s^2 (D - H e^b), so that x = s^2 H e^b solves x + log x = c: Wright's omega function.
    """
    if not 0.0 <= H < math.inf:
        return math.nan
    if H == 0.0:
        return s * D
    c = 2.0 * math.log(s) + math.log(H) + s * s * D
    u = c if c < 1.0 else math.log(c)
    for _ in range(50):
        move = (math.exp(u) + u - c) / (math.exp(u) + 1.0)
        u -= move
        if abs(move) < 1e-15 * (1.0 + abs(u)):
            break
    return s * D - math.exp(u) / s


@njit(cache=True, nogil=True, error_model="numpy")
def _grid(D, H, s):
    """First place in z, step and number of steps between which the integrand counts; its top."""
    z = _mode(D, H, s)
    top = _log_weight(D, H, s, z)
    step = STEP_IN_SPREAD / math.sqrt(s * s * (H * math.exp(s * z)) + 1.0)
    if s * step > STEP_IN_B:
        step = STEP_IN_B / s
    below, above = 1, 1
    while _log_weight(D, H, s, z - below * step) > top - LEFT_OVER:
        below += 1
    while _log_weight(D, H, s, z + above * step) > top - LEFT_OVER:
        above += 1
    return z - below * step, step, below + above, top


@njit(cache=True, nogil=True, error_model="numpy")
def normal_integrals(D, H, s):
    """G, E w, var w, G_s, G_ss, G_Hs, then E b, var b, cov(b, w) and E b by log s: shape (10, J).

    Of D and H, shape (J,), and normal effects of standard deviation s.
    """
    J = len(D)
    out = np.zeros((10, J))
    if not s < WIDEST:
        out[:] = np.nan
        return out
    for j in range(J):
        first, step, steps, top = _grid(D[j], H[j], s)
        total, w1, r1, b1, bend, wb = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(steps + 1):
            z = first + k * step
            b = s * z
            w = math.exp(b)
            p = math.exp(D[j] * b - H[j] * w - 0.5 * z * z - top)
            total += p
            w1 += p * w
            r1 += p * (D[j] - H[j] * w) * b
            b1 += p * b
            bend -= p * H[j] * w * b * b
            wb += p * w * b
        w1, r1, b1, bend, wb = w1 / total, r1 / total, b1 / total, bend / total, wb / total
        ww, rr, bb, wr, bw, br = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(steps + 1):
            z = first + k * step
            b = s * z
            w = math.exp(b)
            p = math.exp(D[j] * b - H[j] * w - 0.5 * z * z - top) / total
            r = (D[j] - H[j] * w) * b - r1
            ww += p * (w - w1) ** 2
            rr += p * r * r
            bb += p * (b - b1) ** 2
            wr += p * (w - w1) * r
            bw += p * (w - w1) * (b - b1)
            br += p * (b - b1) * r
        out[0, j] = top + math.log(total * step) - 0.5 * math.log(2.0 * math.pi)
        out[1, j] = w1
        out[2, j] = ww
        out[3, j] = r1
        out[4, j] = rr + r1 + bend
        out[5, j] = -wb - wr
        out[6, j] = b1
        out[7, j] = bb
        out[8, j] = bw
        out[9, j] = b1 + br
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def normal_draws(D, H, s, chance):
    """Effects at probabilities `chance` of their distribution given the data, all of shape
    (draws, J) but D (J,) and s (draws,).

    The density is taken to be linear between places a twentieth of its spread apart.
    """
    out = np.empty(H.shape)
    for i in range(H.shape[0]):
        for j in range(H.shape[1]):
            first, step, steps, top = _grid(D[j], H[i, j], s[i])
            fine, n = step / FINER, steps * FINER
            total = 0.0
            before = math.exp(_log_weight(D[j], H[i, j], s[i], first) - top)
            for k in range(1, n + 1):
                here = math.exp(_log_weight(D[j], H[i, j], s[i], first + k * fine) - top)
                total += 0.5 * (before + here)
                before = here
            left = chance[i, j] * total
            before = math.exp(_log_weight(D[j], H[i, j], s[i], first) - top)
            z = first + n * fine
            for k in range(1, n + 1):
                here = math.exp(_log_weight(D[j], H[i, j], s[i], first + k * fine) - top)
                own = 0.5 * (before + here)
                if left <= own:
                    # before x + (here - before) x^2 / 2 = left
                    root = math.sqrt(max(before * before + 2.0 * (here - before) * left, 0.0))
                    x = 2.0 * left / (before + root) if before + root > 0.0 else 1.0
                    z = first + (k - 1.0 + x) * fine
                    break
                left -= own
                before = here
            out[i, j] = s[i] * z
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _log_ratio(x):
    """log(1 + x) / x and its first two derivatives."""
    if x < SERIES:
        value, first, second, power = 0.0, 0.0, 0.0, 1.0
        for k in range(12):
            sign = 1.0 - 2.0 * (k % 2)
            value += sign * power / (k + 1.0)
            first -= sign * (k + 1.0) * power / (k + 2.0)
            second += sign * (k + 2.0) * (k + 1.0) * power / (k + 3.0)
            power *= x
        return value, first, second
    value = math.log1p(x) / x
    first = (1.0 / (1.0 + x) - value) / x
    second = (-1.0 / (1.0 + x) ** 2 - 2.0 * first) / x
    return value, first, second


@njit(cache=True, nogil=True, error_model="numpy")
def gamma_integrals(D, H, s):
    """G, E w, var w, G_s, G_ss and G_Hs of effects whose exponential w has a gamma distribution of
    mean 1 and variance v = s^2: shape (6, J).

    G = sum_{k < D} log(1 + k v) - log(1 + v H) / v - D log(1 + v H), D being whole. NaN where H is
    not a number from 0 on, as of hazards that rounding has made negative.
    """
    v, out = s * s, np.zeros((6, len(D)))
    for j in range(len(D)):
        d, h = D[j], H[j]
        if not 0.0 <= h < math.inf:
            out[:, j] = math.nan
            continue
        more = 1.0 + v * h
        value, by_v, by_vv = 0.0, 0.0, 0.0
        for k in range(round(d)):
            value += math.log1p(k * v)
            by_v += k / (1.0 + k * v)
            by_vv -= (k / (1.0 + k * v)) ** 2
        ratio, ratio1, ratio2 = _log_ratio(v * h)
        value -= h * ratio + d * math.log1p(v * h)
        by_v -= h * h * ratio1 + d * h / more
        by_vv -= h**3 * ratio2 - d * (h / more) ** 2
        out[0, j] = value
        out[1, j] = (1.0 + d * v) / more
        out[2, j] = v * (1.0 + d * v) / more**2
        out[3, j] = 2.0 * v * by_v
        out[4, j] = 4.0 * v * by_v + 4.0 * v * v * by_vv
        out[5, j] = -2.0 * v * (d - h) / more**2
    return out
