"""Intervals that stay where their quantity is: of proportions, of shares of a time, of differences.

A normal approximation on the quantity's own scale can pass 0, 1 or -1. On the logit scale a
proportion cannot, on Fisher's z scale (the inverse hyperbolic tangent) the difference of two
proportions cannot, and limits put together from those of two proportions cannot either.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special


def drawn_limits(values: np.ndarray, level: float) -> tuple[float, float]:
    """Quantiles of draws that leave as much on either side; infinite ones count as such.

    Parameters
    ----------
    values : ndarray, shape (n,)
        A ratio is infinite, or its logarithm, where a risk that was drawn is 0 or 1.
    level : float
    """
    tails = [0.5 - level / 2.0, 0.5 + level / 2.0]
    with np.errstate(invalid="ignore"):
        between = np.quantile(values, tails)
    # Between two infinite draws there is nothing to interpolate.
    low, high = np.where(np.isnan(between), np.quantile(values, tails, method="nearest"), between)
    return float(low), float(high)


def mover(
    group: tuple[float, float, float], reference: tuple[float, float, float]
) -> tuple[float, float]:
    """Limits of the difference of two independent quantities from their own limits.

    By the triangle inequality they lie between the difference of the one's lower and the other's
    upper limit and the reverse.

    Parameters
    ----------
    group, reference : (float, float, float)
        Estimate, lower and upper limit.

    References
    ----------
    Zou GY, Donner A. Construction of confidence limits about effect measures: a general approach.
    Stat Med 2008;27:1693-1702.
    """
    (p, p_low, p_high), (q, q_low, q_high) = group, reference
    return (
        p - q - math.hypot(p - p_low, q_high - q),
        p - q + math.hypot(p_high - p, q - q_low),
    )


def within(
    difference: float, std_error: float, quantile: float, bound: float = 1.0
) -> tuple[float, float]:
    """Limits of a difference that lies between -bound and bound, by Fisher's z.

    Parameters
    ----------
    difference, std_error : float
    quantile : float
        Of the standard normal or Student's t distribution.
    bound : float

    Returns
    -------
    (float, float)
        NaN at the bounds and without a standard error, where there is no approximation.
    """
    share = difference / bound
    if not (abs(share) < 1 and std_error > 0):
        return math.nan, math.nan
    step = quantile * std_error / bound / (1 - share * share)
    centre = math.atanh(share)
    return bound * math.tanh(centre - step), bound * math.tanh(centre + step)


def proportion(
    value: float, std_error: float, quantile: float, bound: float = 1.0
) -> tuple[float, float]:
    """Limits of a quantity between 0 and `bound`, by its logit; NaN as in `within`."""
    share = value / bound
    if not (0 < share < 1 and std_error > 0):
        return math.nan, math.nan
    step = quantile * std_error / bound / (share * (1 - share))
    centre = float(special.logit(share))
    low, high = special.expit([centre - step, centre + step])
    return bound * float(low), bound * float(high)
