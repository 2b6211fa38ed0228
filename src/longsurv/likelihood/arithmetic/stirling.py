"""What Stirling's formula leaves of log Gamma, for counts of any size.

    S(x) = log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 = 1 / (12 x) - 1 / (360 x^3) + ...

and the logarithms that go with it, without differences of nearly equal numbers (Loader 2000, Fast
and accurate computation of binomial probabilities).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.special import gammaln, xlogy

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
FEW = 16
"""Counts below this are summed term by term, and the series is for 1 / kappa from there on."""
NEAR = 0.05
"""Below this size of x the series in x are used; they end below rounding after ten terms."""
_COUNTS = np.arange(FEW, dtype=float)
SATURATED = xlogy(_COUNTS, _COUNTS) - _COUNTS - gammaln(_COUNTS + 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def stirling(kappa):
    """T = S(1 / kappa) and its first three derivatives in kappa >= 0.

    The series for kappa <= 1 / 16, and the recurrence in 1 / kappa above.
    """
    x, lift, d1, d2, d3 = 1.0, 0.0, 0.0, 0.0, 0.0
    k = kappa
    if kappa * FEW > 1.0:
        x = 1.0 / kappa
        while x < FEW:
            one = x + 1.0
            both = x * one
            step = math.log1p(1.0 / x)
            lift += (x + 0.5) * step - 1.0
            # In x: of (x + 1/2) log((x + 1) / x) - 1.
            d1 += step - (x + 0.5) / both
            d2 += 0.5 / (both * both)
            d3 -= (x + 0.5) * 2.0 / (both * both * both)
            x = one
        k = 1.0 / x
    k2 = k * k
    value = k * (1 / 12 - k2 * (1 / 360 - k2 * (1 / 1260 - k2 * (1 / 1680 - k2 / 1188))))
    t1 = 1 / 12 - k2 * (
        1 / 120 - k2 * (1 / 252 - k2 * (1 / 240 - k2 * (1 / 132 - k2 * (691 / 32760))))
    )
    t2 = -k * (1 / 60 - k2 * (1 / 63 - k2 * (1 / 40 - k2 * (2 / 33 - k2 * (691 / 3276)))))
    t3 = -(1 / 60 - k2 * (1 / 21 - k2 * (1 / 8 - k2 * (14 / 33 - k2 * (691 / 364)))))
    if kappa * FEW <= 1.0:
        return value, t1, t2, t3
    # From derivatives in k at the lifted place to those in x, which add up, and back.
    s1 = -k2 * t1 + d1
    s2 = k2 * k * (k * t2 + 2.0 * t1) + d2
    s3 = -k2 * k2 * (k2 * t3 + 6.0 * k * t2 + 6.0 * t1) + d3
    x = 1.0 / kappa
    x2 = x * x
    return (
        value + lift,
        -x2 * s1,
        x2 * x * (x * s2 + 2.0 * s1),
        -x2 * x2 * (x2 * s3 + 6.0 * x * s2 + 6.0 * s1),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def saturated(y):
    """Log probability of a Poisson count y whose mean it is."""
    if y < FEW:
        return SATURATED[int(y)]
    return -0.5 * math.log(y) - HALF_LOG_2PI - stirling(1.0 / y)[0]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def excess(d, exp_d):
    """exp(d) - 1 - d, given exp(d)."""
    p = 1.0 / 39916800.0
    p = p * d + 1.0 / 3628800.0
    p = p * d + 1.0 / 362880.0
    p = p * d + 1.0 / 40320.0
    p = p * d + 1.0 / 5040.0
    p = p * d + 1.0 / 720.0
    p = p * d + 1.0 / 120.0
    p = p * d + 1.0 / 24.0
    p = p * d + 1.0 / 6.0
    p = p * d + 0.5
    near, far = p * d * d, exp_d - 1.0 - d
    return near if abs(d) < 0.1 else far


@njit(cache=True, nogil=True, error_model="numpy")
def log_parts(x, one):
    """Of L = log(1 + x), x > -1: L / x, (1 - L / x) / x, and (L / x - 1 / (1 + x)) / x.

    `one` is 1 + x, to more digits than a sum of x near -1 would have.
    """
    if abs(x) < NEAR:
        first = second = third = 0.0
        for n in range(11, -1, -1):
            first = 1.0 / (n + 1.0) - x * first
            second = 1.0 / (n + 2.0) - x * second
            third = (n + 1.0) / (n + 2.0) - x * third
        return first, second, third
    ratio = math.log(one) / x
    return ratio, (1.0 - ratio) / x, (ratio - 1.0 / one) / x
