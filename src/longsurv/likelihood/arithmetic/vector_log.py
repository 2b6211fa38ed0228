"""A logarithm that loops can be vectorised around, as `vector_exp` is an exponential.

x = 2^k z with z between sqrt(1/2) and sqrt(2): k is read off the exponent of a double, and log z is
2 artanh((z - 1) / (z + 1)), whose Taylor series ends below rounding after eleven terms. The
relative error is below 5e-16, close to x = 1 too.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.vector_exp import LOG_2_HIGH, LOG_2_LOW, MANTISSA, ROUNDER

SQRT_HALF_AS_BITS = np.sqrt(0.5).view(np.int64)
ROUNDER_AS_BITS = np.float64(ROUNDER).view(np.int64)


@njit(cache=True, nogil=True, fastmath={"contract"})
def log(x: float) -> float:
    """log(x), for positive, finite x that are not subnormal."""
    bits = np.float64(x).view(np.int64)
    k = (bits - SQRT_HALF_AS_BITS) >> MANTISSA
    z = np.int64(bits - (k << MANTISSA)).view(np.float64)
    # The lowest bits of the rounder hold an integer, which is k as a double once it is taken off.
    power = np.int64(k + ROUNDER_AS_BITS).view(np.float64) - ROUNDER
    s = (z - 1.0) / (z + 1.0)
    t = s * s
    p = 1.0 / 21.0
    p = p * t + 1.0 / 19.0
    p = p * t + 1.0 / 17.0
    p = p * t + 1.0 / 15.0
    p = p * t + 1.0 / 13.0
    p = p * t + 1.0 / 11.0
    p = p * t + 1.0 / 9.0
    p = p * t + 1.0 / 7.0
    p = p * t + 1.0 / 5.0
    p = p * t + 1.0 / 3.0
    p = p * t + 1.0
    return power * LOG_2_HIGH + (2.0 * s * p + power * LOG_2_LOW)
