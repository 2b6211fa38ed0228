"""Continuous-time autoregression, for visits at irregular times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.likelihood.residuals.correlation import Correlation, Pairs

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class ExponentialCorrelation(Correlation):
    """rho^time.

    psi and rho are about the correlation across the shortest lag: per unit of time rho may be
    beyond floating point.
    """

    name: ClassVar[str] = "exponential"
    in_time: ClassVar[bool] = True
    lower: ClassVar[float] = -18.0
    boundary: ClassVar[str] = (
        "Boundary: rho is estimated as 0; the data show no correlation between the "
        "residuals of a patient, however close in time."
    )

    def start(self, size: int) -> np.ndarray:
        """psi, shape (size,), of moderate correlation."""
        return np.zeros(size)

    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """rho across the shortest lag, shape (1,)."""
        return 1.0 / (1.0 + np.exp(-psi))

    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,)."""
        return rho[0] ** (pairs.lag / pairs.shortest)

    def shown(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """rho per unit of time."""
        return rho ** (1.0 / pairs.shortest)

    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` in PyMC."""
        import pymc as pm

        return pm.math.sigmoid(psi[0]) ** (pairs.lag / pairs.shortest)
