"""A binary response: P(y = 1) = F(eta), F the logistic distribution function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numba import njit
from scipy.special import expit, logit

from longsurv.likelihood.arithmetic.logistic import logistic
from longsurv.likelihood.arithmetic.vector_exp import exp
from longsurv.likelihood.arithmetic.vector_log import log
from longsurv.likelihood.glmm.family import Family

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

CODE = 0


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, eta):
    """The eleven numbers of a row."""
    sign = 1.0 if y > 0.5 else -1.0
    F, log_F, _ = logistic(sign * eta)
    f = F * (1.0 - F)
    # The derivative of f in eta; the mirror image for y = 0.
    slope = sign * f * (1.0 - 2.0 * F)
    return log_F, sign * (1.0 - F), -f, f, slope, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_nodes(y, at, h, l1):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    sign = 1.0 if y > 0.5 else -1.0
    for k in range(at.shape[0]):
        x = sign * at[k]
        e = exp(-abs(x))
        d = 1.0 / (1.0 + e)
        h[k] += min(x, 0.0) - log(1.0 + e)
        l1[k] = sign * (e * d if x >= 0.0 else d)


@dataclass(frozen=True)
class Bernoulli(Family):
    """0 or 1."""

    name: ClassVar[str] = "bernoulli"
    code: ClassVar[int] = CODE
    response: ClassVar[Literal["binary", "ordered", "number"]] = "binary"
    logit: ClassVar[bool] = True
    wanted: ClassVar[str] = "a binary response is 0 or 1"
    separated: ClassVar[str] = (
        "{terms} separate its values: for some combination of them only one outcome occurs"
    )

    def start(
        self, X: np.ndarray, y: np.ndarray, levels: int, size: int, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """beta of one step from the share of ones."""
        n = len(y)
        share = float(np.clip(y.mean(), 0.5 / n, 1.0 - 0.5 / n))
        return X.T @ (logit(share) + 4.0 * (y - share) - offset) / n, np.zeros(0)

    def refused(self, y: np.ndarray) -> np.ndarray:
        """Which values are neither."""
        return (y != 0.0) & (y != 1.0)

    def mean(self, eta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """P(y = 1) at predictors of any shape."""
        return expit(eta)

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """Of a standard logistic variable."""
        return math.pi**2 / 3.0

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y)."""
        below = np.where(y < 0.0, 0.0, np.where(y < 1.0, expit(-eta), 1.0))
        above = np.where(y < 0.0, 1.0, np.where(y < 1.0, expit(eta), 0.0))
        return below, above

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """0 or 1 at predictors (n,)."""
        return (rng.random(len(eta)) < expit(eta)).astype(float)

    def rising(
        self, X: np.ndarray, outcome: np.ndarray, levels: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predictors rise where y is 1, and fall where it is 0."""
        return np.eye(X.shape[1]), np.where(outcome > 0.5, 1.0, -1.0)[:, None] * X

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

        pm.Bernoulli("y", logit_p=mean, observed=y.astype(int), dims="row")
