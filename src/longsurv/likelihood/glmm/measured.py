"""What responses with a residual spread sigma have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numba import njit
from scipy.special import ndtr

from longsurv.likelihood.glmm.family import Family

if TYPE_CHECKING:
    from longsurv.priors.prior import Prior


@njit(cache=True, nogil=True, error_model="numpy")
def constants(phi, par):
    """Write sigma and log sigma; 1 / sigma."""
    par[0, 0] = math.exp(phi[0])
    par[0, 1] = phi[0]
    par[1, 0] = math.exp(-phi[0])


@dataclass(frozen=True)
class Measured(Family):
    """A measurement around eta, with phi = (log sigma, ...)."""

    measured: ClassVar[bool] = True
    row_variance: ClassVar[Literal["none", "known", "free"]] = "free"

    def names(self, labels: Sequence[str], df: float | None) -> tuple[str, ...]:
        """sigma."""
        return ("sigma",)

    def size(self, levels: int, kappa: float) -> int:
        """Number of parameters that are estimated."""
        return 1

    def start(
        self, X: np.ndarray, y: np.ndarray, levels: int, size: int, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """No effects on a response whose spread is 1."""
        phi = np.zeros(size)
        phi[0] = math.log(0.7)
        return np.zeros(X.shape[1]), phi

    def natural(self, phi: np.ndarray) -> np.ndarray:
        """sigma."""
        return np.exp(phi)

    def level(self, y: np.ndarray, offset: np.ndarray) -> float:
        """The mean."""
        return float((y - offset).mean())

    def spread(self, y: np.ndarray, offset: np.ndarray) -> float:
        """The standard deviation."""
        return float(np.std(y - offset, ddof=1)) or 1.0

    def mean(self, eta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """eta itself."""
        return eta

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """sigma^2."""
        return math.exp(2.0 * phi[0])

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y), of normal noise."""
        at = (y - eta) / math.exp(phi[0])
        return ndtr(at), ndtr(-at)

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Measurements at predictors (n,), with normal noise."""
        return eta + math.exp(phi[0]) * rng.standard_normal(len(eta))

    def default_priors(self, names: Sequence[str], spread: float) -> dict[str, Prior]:
        """Of sigma."""
        from longsurv.priors.families import Exponential

        return {"sigma": Exponential(spread)}
