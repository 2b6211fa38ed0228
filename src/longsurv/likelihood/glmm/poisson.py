"""A count whose variance is its mean: y ~ Poisson(exp(eta))."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.stirling import excess, saturated
from longsurv.likelihood.arithmetic.vector_exp import exp
from longsurv.likelihood.glmm.counted import HIGHEST, Counted, counts, tails

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

CODE = 4


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, eta):
    """The eleven numbers of a row.

    With d = eta - log y, log f is its value at mu = y less y (exp(d) - 1 - d): no difference of
    large numbers, however large the count.
    """
    eta = min(eta, HIGHEST)
    if y == 0.0:
        mu = math.exp(eta)
        return -mu, -mu, -mu, mu, mu, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    d = eta - math.log(y)
    e = math.exp(d)
    over = excess(d, e)
    mu = y * e
    return saturated(y) - y * over, -y * (over + d), -mu, mu, mu, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_nodes(y, at, h, l1):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    if y == 0.0:
        for k in range(at.shape[0]):
            mu = exp(min(at[k], HIGHEST))
            h[k] -= mu
            l1[k] = -mu
        return
    constant, centre = saturated(y), math.log(y)
    for k in range(at.shape[0]):
        d = min(at[k], HIGHEST) - centre
        over = excess(d, exp(d))
        h[k] += constant - y * over
        l1[k] = -y * (over + d)


@dataclass(frozen=True)
class Poisson(Counted):
    """0, 1, 2, ... whose variance is its mean."""

    name: ClassVar[str] = "poisson"
    code: ClassVar[int] = CODE
    wider: ClassVar[str] = "negative_binomial"
    row_variance: ClassVar[Literal["none", "known", "free"]] = "known"

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """Of the logarithm of a lognormal variable with the count's moments."""
        return math.log1p(1.0 / mean)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y)."""
        return tails(y, np.exp(eta))

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Counts at predictors (n,)."""
        return counts(np.exp(eta), rng)

    def twin(
        self,
        mean: TensorVariable,
        own: Sequence[TensorVariable],
        y: np.ndarray,
        extent: np.ndarray,
        df: float | None,
    ) -> None:
        """State y in the PyMC model in context."""
        import pymc as pm

        pm.Poisson("y", pm.math.exp(mean), observed=y.astype(int), dims="row")
