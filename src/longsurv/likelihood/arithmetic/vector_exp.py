"""An exponential that loops can be vectorised around.

The C library's exp is a call the compiler cannot turn into vector instructions. This one is plain
arithmetic: exp(x) = 2^k exp(r) with |r| <= log(2) / 2, a Taylor polynomial for exp(r), and 2^k
made by shifting k into the exponent of a double. Its relative error is below 3e-16.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LOWEST, HIGHEST = -708.0, 709.0
# Adding and taking off 1.5 * 2^52 rounds to an integer and leaves it in the lowest bits.
ROUNDER = 6755399441055744.0
PER_LOG_2 = 1.4426950408889634
LOG_2_HIGH, LOG_2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
ONE_AS_BITS = np.int64(4607182418800017408)
MANTISSA = np.int64(52)


# The flags must be said: otherwise those of a caller are inherited, and a reassociated
# shifted - ROUNDER would round nothing.
@njit(cache=True, nogil=True, fastmath={"contract"})
def exp(x: float) -> float:
    """exp(x), for x held between -708 and 709; NaN stays NaN."""
    x = min(max(x, LOWEST), HIGHEST)
    shifted = x * PER_LOG_2 + ROUNDER
    k = shifted - ROUNDER
    r = (x - k * LOG_2_HIGH) - k * LOG_2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = np.int64((np.float64(shifted).view(np.int64) << MANTISSA) + ONE_AS_BITS)
    return p * power.view(np.float64)
