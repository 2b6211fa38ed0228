"""The prior that keeps a spline baseline smooth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from longsurv.arguments import checked

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@njit(cache=True, nogil=True)
def _multivariate_t(gamma: np.ndarray, df: float, scale: float) -> tuple[float, np.ndarray]:
    """Log density of the second differences d of gamma, and its gradient."""
    k, spread, squares = len(gamma) - 2, df * scale**2, 0.0
    d = gamma[2:] - 2.0 * gamma[1:-1] + gamma[:-2]
    for one in d:
        squares += one * one
    value = (
        math.lgamma(0.5 * (df + k)) - math.lgamma(0.5 * df) - 0.5 * k * math.log(math.pi * spread)
    )
    value -= 0.5 * (df + k) * math.log1p(squares / spread)
    slope = -(df + k) / (spread + squares) * d
    gradient = np.zeros(k + 2)
    gradient[:-2] += slope
    gradient[1:-1] -= 2.0 * slope
    gradient[2:] += slope
    return value, gradient


@checked
@dataclass(frozen=True)
class Smoothing:
    """Prior of the second differences of a spline's coefficients.

    They are normal around 0 with one common variance, which has an inverse-gamma prior and is
    integrated out: a multivariate Student's t, without the funnel that sampling the variance would
    bring (the scale mixture of Lang & Brezger 2004, J Comput Graph Stat 13:183-212).

    Attributes
    ----------
    df : float
    scale : float
        Typical size of a second difference of the log hazard from knot to knot.
    """

    df: float = 5.0
    scale: float = 0.5

    def value_and_gradient(self, gamma: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density of the second differences of gamma, shape (m,), and its gradient.

        Parameters
        ----------
        gamma : ndarray, shape (m,)
            Coefficients of the spline.
        """
        return _multivariate_t(gamma, self.df, self.scale)

    def to_pymc(self, gamma: TensorVariable) -> TensorVariable:
        """The same log density, of a PyMC vector.

        Parameters
        ----------
        gamma : TensorVariable
            Coefficients of the spline.
        """
        import pymc as pm

        d = gamma[2:] - 2.0 * gamma[1:-1] + gamma[:-2]
        k, spread = d.shape[0], self.df * self.scale**2
        return -0.5 * (self.df + k) * pm.math.log1p((d**2).sum() / spread)

    def __str__(self) -> str:
        return f"second differences ~ multivariate StudentT({self.df:g}, 0, {self.scale:g})"
