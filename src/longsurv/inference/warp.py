"""Coordinates in which a standard deviation close to zero does not slow the sampler down.

Where the data hardly tell a standard deviation tau from zero, its posterior on the log scale has an
exponential tail towards minus infinity, which no whitening at the mode can mend. With

    tau = -scale log(1 - Phi(x))

an exponential prior with that mean is a standard normal in x, so that the tail is no longer than
a normal's wherever the likelihood is flat. Density and draws are changed consistently: nothing but
the speed depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from longsurv.inference.density import LogDensity

HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)


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
            at = x[self.index]
            log_tail = log_ndtr(-at)
            ratio = np.exp(-0.5 * at * at - HALF_LOG_2PI - log_tail)  # phi(x) / (1 - Phi(x))
            theta = np.array(x)
            theta[self.index] = self.log_scale + np.log(-log_tail)
            value, gradient = density(theta)
            slope = ratio / -log_tail
            gradient = np.array(gradient)
            gradient[self.index] = gradient[self.index] * slope - at + ratio - slope
            return value + float(np.log(slope).sum()), gradient

        return warped
