"""Coordinates in which a spline's shape is as uncertain whatever its smoothing.

Given the smoothing s, the data tell the j-th axis z_j of the shape with information s^2 k_j next to
the prior's 1. With y_j = z_j sqrt(1 + s^2 k_j) the posterior of y_j has about unit variance for
every s, so that a sampler's one step size fits everywhere. Density and draws are changed
consistently: nothing but the speed depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longsurv.inference import Draws
from longsurv.inference.density import LogDensity


@dataclass(frozen=True, eq=False)
class ShapeCoordinates:
    """Replaces z by y in a parameter vector that has (z, log s) somewhere.

    Attributes
    ----------
    first : int
        Place of the first z.
    information : ndarray, shape (K - 1,)
        k: of the log-likelihood on s z, at a constant hazard.
    """

    first: int
    information: np.ndarray

    @property
    def _at(self) -> tuple[slice, int]:
        """Places of z, and that of log s."""
        last = self.first + len(self.information)
        return slice(self.first, last), last

    def outward(self, y: np.ndarray) -> np.ndarray:
        """The parameter vector, shape (..., d), from the one with y.

        Parameters
        ----------
        y : ndarray, shape (..., d)
        """
        theta = np.array(y, dtype=float)
        theta[..., self._at[0]] *= np.exp(self._log_scale(y)[0])
        return theta

    def _log_scale(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log of z / y, and minus its derivative by log s, shape (..., K - 1)."""
        last = self._at[1]
        told = np.exp(2.0 * y[..., last : last + 1]) * self.information
        return -0.5 * np.log1p(told), told / (1.0 + told)

    def density(self, density: LogDensity) -> LogDensity:
        """The log density of the vector with y, the Jacobian included.

        Parameters
        ----------
        density : callable
            Of the parameter vector: its logarithm and gradient.
        """
        own, last = self._at

        def rescaled(y: np.ndarray) -> tuple[float, np.ndarray]:
            log_scale, fall = self._log_scale(y)
            scale = np.exp(log_scale)
            theta = y.copy()
            theta[own] *= scale
            value, gradient = density(theta)
            gradient = gradient.copy()
            by_z = gradient[own]
            gradient[last] -= fall @ (by_z * theta[own]) + fall.sum()
            gradient[own] = by_z * scale
            return value + float(log_scale.sum()), gradient

        return rescaled

    def drawn(self, draws: Draws) -> Draws:
        """The same draws, of the parameter vector itself.

        Parameters
        ----------
        draws : Draws
            Of the vector with y.
        """
        log_jacobian = self._log_scale(draws.theta)[0].sum(axis=-1)
        stats = draws.stats | {"lp": draws.stats["lp"] - log_jacobian}
        return replace(draws, theta=self.outward(draws.theta), stats=stats)
