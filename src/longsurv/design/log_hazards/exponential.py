"""A constant hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longsurv.design.log_hazards.baseline import Baseline


@dataclass(frozen=True)
class ExponentialLogHazard(Baseline):
    """log h0 = g0."""

    kind: ClassVar[str] = "exponential"

    @property
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""
        return ("log_hazard",)

    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, 1), at times of shape (n,)."""
        return np.ones((len(np.asarray(t)), 1))
