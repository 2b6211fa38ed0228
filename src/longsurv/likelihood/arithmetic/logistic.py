"""The logistic distribution function, for kernels."""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def logistic(x):
    """F(x), log F(x) and log F(-x)."""
    e = math.exp(-abs(x))
    d = 1.0 / (1.0 + e)
    log_larger = -math.log(1.0 + e)
    if x >= 0.0:
        return d, log_larger, log_larger - x
    return e * d, log_larger + x, log_larger
