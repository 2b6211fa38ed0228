"""A Weibull hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.design.hazards.baseline import HazardBaseline, Spent
from longsurv.likelihood.hazard.forms import WEIBULL, Form

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

TURNS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Logarithms of how many times over the cumulative hazard grows between first entry and last
exit."""


@dataclass(frozen=True)
class WeibullHazard(HazardBaseline):
    """Cumulative hazard exp(a) (t / unit)^k, with parameters a and log k.

    In place of a basis the kernel takes v = log(t / unit).
    """

    kind: ClassVar[str] = "weibull"
    words: ClassVar[str] = "Weibull"
    form: ClassVar[Form] = WEIBULL

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return (f"log_cumulative_hazard(t={self.unit:g})", "log_shape")

    @property
    def size(self) -> int:
        """Number of parameters of the kernel."""
        return 2

    @property
    def levels(self) -> int:
        """How many parameters, the first, are levels; the others, 0 at a constant hazard, shape
        it."""
        return 1

    @property
    def shapes(self) -> tuple[float, ...]:
        """Values of log k to begin at where time counts from long before follow-up. There a
        constant hazard is none of the shapes that can be told apart: k is large or the hazard
        hardly changes."""
        if not self.lower > self.upper - self.lower:
            return ()
        span = float(np.log(self.upper / self.lower))
        return tuple(float(np.log(turn / span)) for turn in TURNS)

    def level(self, rate: float, each: float) -> float:
        """The level of a constant hazard with `rate` events a unit of time, `each` a patient."""
        return float(np.log(rate * self.unit))

    def basis(self, t: np.ndarray) -> np.ndarray:
        """v, shape (n, 1), at times of shape (n,)."""
        return np.log(t / self.unit)[:, None]

    def left_out(self, t: np.ndarray) -> np.ndarray:
        """t: the hazard is k exp(a + k v) / t."""
        return t

    def spent(self, start: np.ndarray, stop: np.ndarray) -> Spent:
        """The times from 0 to `stop`, then those up to later starts, which are taken off."""
        since, late = np.flatnonzero(stop > 0), np.flatnonzero(start > 0)
        sign = np.concatenate([np.ones(len(since)), -np.ones(len(late))])
        t = np.concatenate([stop[since], start[late]])
        return Spent(np.concatenate([since, late]), sign, self.basis(t))

    def twin_hazard(self, natural: TensorVariable, t: np.ndarray) -> TensorVariable:
        """The hazard at times (n,), in PyMC."""
        level, k = natural[0], natural[1]
        return level * k / t * (t / self.unit) ** k

    def twin_between(
        self, natural: TensorVariable, entry: np.ndarray, exit: np.ndarray
    ) -> TensorVariable:
        """The cumulative hazard between times (n,), in PyMC."""
        level, k = natural[0], natural[1]
        return level * ((exit / self.unit) ** k - (entry / self.unit) ** k)
