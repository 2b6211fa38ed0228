"""Coordinates in which a standard deviation close to zero does not slow the sampler down.

Where the data hardly tell a standard deviation tau from zero, its posterior on the log scale has an
exponential tail towards minus infinity, which no whitening at the mode can mend. With

    tau = -scale log(1 - Phi(x))

an exponential prior with that mean is a standard normal in x, so that the tail is no longer than
a normal's wherever the likelihood is flat. Density and draws are changed consistently: nothing but
the speed depends on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import log_ndtr, ndtri_exp

from longsurv.inference.density import LogDensity

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
SQRT_HALF = math.sqrt(0.5)


@dataclass(frozen=True, eq=False)
class Warp:
    """Replaces some log standard deviations of a parameter vector by x.

    Attributes
    ----------
    index : ndarray of int, shape (k,)
        Where they are in the vector.
    log_scale : ndarray, shape (k,)
        Log of the mean of each one's exponential prior.
    """

    index: np.ndarray
    log_scale: np.ndarray

    def outward(self, x: np.ndarray) -> np.ndarray:
        """The parameter vector, shape (..., d), from the warped one."""
        theta = np.array(x, dtype=float)
        hazard = -log_ndtr(-theta[..., self.index])  # -log(1 - Phi(x))
        theta[..., self.index] = self.log_scale + np.log(hazard)
        return theta

    def inward(self, theta: np.ndarray) -> np.ndarray:
        """The warped vector from the parameter vector."""
        x = np.array(theta, dtype=float)
        x[..., self.index] = -ndtri_exp(-np.exp(x[..., self.index] - self.log_scale))
        return x

    def log_jacobian(self, x: np.ndarray) -> np.ndarray:
        """Log of |d theta / d x|, shape (...), at the warped vectors x of shape (..., d)."""
        at = x[..., self.index]
        log_tail = log_ndtr(-at)
        return (-0.5 * at * at - HALF_LOG_2PI - log_tail - np.log(-log_tail)).sum(axis=-1)

    def density(self, density: LogDensity) -> LogDensity:
        """The log density of the warped vector, the Jacobian included."""

        def warped(x: np.ndarray) -> tuple[float, np.ndarray]:
            theta, log_jacobian = _outward(x, self.index, self.log_scale)
            value, gradient = density(theta)
            return value + log_jacobian, _pulled_back(x, gradient, self.index)

        return warped


@njit(cache=True, nogil=True, error_model="numpy")
def _log_upper_tail(x: float) -> float:
    """log(1 - Phi(x))."""
    if x < 0.0:
        return math.log1p(-0.5 * math.erfc(-x * SQRT_HALF))
    if x < 35.0:
        return math.log(0.5 * math.erfc(x * SQRT_HALF))
    # The complementary error function is about to underflow: its asymptotic series.
    r = 1.0 / (x * x)
    return -0.5 * x * x - math.log(x) - HALF_LOG_2PI + math.log1p(-r * (1.0 - r * (3.0 - 15.0 * r)))


@njit(cache=True, nogil=True, error_model="numpy")
def _hazards(x: float) -> tuple[float, float]:
    """-log(1 - Phi(x)) and its derivative phi(x) / (1 - Phi(x))."""
    log_tail = _log_upper_tail(x)
    return -log_tail, math.exp(-0.5 * x * x - HALF_LOG_2PI - log_tail)


@njit(cache=True, nogil=True, error_model="numpy")
def _outward(x: np.ndarray, index: np.ndarray, log_scale: np.ndarray) -> tuple[np.ndarray, float]:
    """theta at x, and log |d theta / d x|."""
    theta = x.copy()
    log_jacobian = 0.0
    for k in range(index.shape[0]):
        hazard, ratio = _hazards(x[index[k]])
        theta[index[k]] = log_scale[k] + math.log(hazard)
        log_jacobian += math.log(ratio / hazard)
    return theta, log_jacobian


@njit(cache=True, nogil=True, error_model="numpy")
def _pulled_back(x: np.ndarray, gradient: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Gradient of the log density of x, given that of theta."""
    out = gradient.copy()
    for j in index:
        hazard, ratio = _hazards(x[j])
        slope = ratio / hazard
        out[j] = gradient[j] * slope - x[j] + ratio - slope
    return out
