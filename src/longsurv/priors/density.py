"""The log density of priors, compiled: of one, of a mixture, of several at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from longsurv.priors.prior import Prior

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
LOG_2 = math.log(2.0)


@njit(cache=True, nogil=True, error_model="numpy")
def scalar_log_density(code: int, a: float, b: float, c: float, x: float) -> tuple[float, float]:
    """Log density and derivative at x of one scalar prior."""
    if code == 0:
        u = (x - a) / b
        return -0.5 * u * u - math.log(b) - HALF_LOG_2PI, -u / b
    if code == 1:
        u = (x - a) / b
        constant = math.lgamma(0.5 * (c + 1.0)) - math.lgamma(0.5 * c) - 0.5 * math.log(c * math.pi)
        value = constant - math.log(b) - 0.5 * (c + 1.0) * math.log1p(u * u / c)
        return value, -(c + 1.0) * u / (c + u * u) / b
    if code == 2:
        return -0.5 * (x / a) ** 2 - math.log(a) - HALF_LOG_2PI + math.log(2.0), -x / (a * a)
    if code == 3:
        return -x / a - math.log(a), -1.0 / a
    if code == 6 or code == 8:
        u = (x - a) / b if code == 6 else x / a
        size = b if code == 6 else a
        value = -math.log(math.pi * size) - math.log1p(u * u) + (0.0 if code == 6 else LOG_2)
        return value, -2.0 * u / (1.0 + u * u) / size
    if code == 7:
        u = (x - a) / b
        return -abs(u) - math.log(2.0 * b), -np.sign(u) / b
    if code == 9:
        return c - (a + 1.0) * math.log(x) - b / x, (b / x - (a + 1.0)) / x
    return c + (a - 1.0) * math.log(x) - b * x, (a - 1.0) / x - b


@njit(cache=True, nogil=True, error_model="numpy")
def mixed_log_density(
    first: int,
    last: int,
    log_weights: np.ndarray,
    codes: np.ndarray,
    constants: np.ndarray,
    x: float,
) -> tuple[float, float]:
    """Log density and derivative at x of the components from `first` up to `last`."""
    top, slope = scalar_log_density(
        codes[first], constants[first, 0], constants[first, 1], constants[first, 2], x
    )
    if last == first + 1:
        return top, slope
    # Relative to the largest so far, as densities far out underflow.
    top += log_weights[first]
    total, slopes = 1.0, slope
    for j in range(first + 1, last):
        value, slope = scalar_log_density(
            codes[j], constants[j, 0], constants[j, 1], constants[j, 2], x
        )
        value += log_weights[j]
        if value > top:
            shrunk = math.exp(top - value)
            total, slopes, top = total * shrunk + 1.0, slopes * shrunk + slope, value
        else:
            part = math.exp(value - top)
            total, slopes = total + part, slopes + part * slope
    return top + math.log(total), slopes / total


@njit(cache=True, nogil=True, error_model="numpy")
def _each_flat(
    log_weights: np.ndarray, codes: np.ndarray, constants: np.ndarray, x: np.ndarray
) -> np.ndarray:
    out = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        out[i] = mixed_log_density(0, codes.shape[0], log_weights, codes, constants, x[i])[0]
    return out


class Packed(NamedTuple):
    """Components of several priors as arrays, those of prior j from `first[j]` to `first[j + 1]`.

    Attributes
    ----------
    first : ndarray of int, shape (m + 1,)
    log_weights : ndarray, shape (c,)
    codes : ndarray of int, shape (c,)
    constants : ndarray, shape (c, 3)
    """

    first: np.ndarray
    log_weights: np.ndarray
    codes: np.ndarray
    constants: np.ndarray


def packed(priors: Sequence[Prior]) -> Packed:
    """Scalar priors as the compiled log density takes them."""
    parts = [prior.components for prior in priors]
    every = [component for some in parts for component in some]
    return Packed(
        np.concatenate([[0], np.cumsum([len(some) for some in parts])]).astype(np.int64),
        np.array([component.log_weight for component in every], dtype=float),
        np.array([component.code for component in every], dtype=np.int64),
        np.array([component.constants for component in every], dtype=float).reshape(-1, 3),
    )


def log_densities(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Log density of a scalar prior at each x, of any shape."""
    one, flat = packed((prior,)), np.ascontiguousarray(x, dtype=float).ravel()
    return _each_flat(one.log_weights, one.codes, one.constants, flat).reshape(x.shape)


def log_density(prior: Prior, x: float) -> tuple[float, float]:
    """Log density of a scalar prior at x, and its derivative."""
    one = packed((prior,))
    value, slope = mixed_log_density(
        0, len(one.codes), one.log_weights, one.codes, one.constants, float(x)
    )
    return float(value), float(slope)
