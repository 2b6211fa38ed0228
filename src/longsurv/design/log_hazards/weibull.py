"""A Weibull hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longsurv.design.log_hazards.baseline import Baseline


@dataclass(frozen=True)
class WeibullLogHazard(Baseline):
    """log h0 = g0 + g1 log(t / unit), whose Weibull shape is 1 + g1."""

    kind: ClassVar[str] = "weibull"
    power: ClassVar[float] = 4.0

    @property
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""
        return ("log_hazard", "shape_minus_1")

    @property
    def levels(self) -> int:
        """How many coefficients, the first, move the level; the others shape the hazard."""
        return 1

    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, 2), at times of shape (n,)."""
        t = np.asarray(t, dtype=float)
        # Who leaves at time 0 without an event needs a number there, which then counts 0 times.
        later = np.maximum(t, np.finfo(float).tiny)
        return np.column_stack([np.ones(len(t)), np.log(later / self.unit)])
