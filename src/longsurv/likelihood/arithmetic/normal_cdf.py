"""The logarithm of the normal distribution function, for kernels."""

from __future__ import annotations

import math

from numba import njit

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
SQRT_HALF = math.sqrt(0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def log_normal_cdf(r):
    """log Phi(r), m = phi / Phi at r, and the first two derivatives of m.

    Below -5 by the continued fraction of Mills' ratio, x + 1/(x + 2/(x + 3/(x + ...))) = m with
    x = -r, arranged so that m + r and what follows from it are never differences of large numbers.
    """
    if r > -5.0:
        log_phi = -0.5 * r * r - HALF_LOG_2PI
        cdf = 0.5 * math.erfc(-r * SQRT_HALF)
        m = math.exp(log_phi) / cdf
        m1 = -m * (r + m)
        return math.log(cdf), m, m1, -m1 * (r + m) - m * (1.0 + m1)
    x = -r
    e = x
    for k in range(30, 3, -1):
        e = x + k / e
    c = x + 3.0 / e
    g = 1.0 / (x + 2.0 / c)
    m = x + g
    m2 = 2.0 * m * g * (g / c) * (3.0 / e - 2.0 / c)
    return -0.5 * x * x - HALF_LOG_2PI - math.log(m), m, -m * g, m2
