"""Cubic B-splines of the log hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longsurv.design.log_hazards.baseline import Baseline
from longsurv.design.splines import bsplines

DEGREE = 3


@dataclass(frozen=True)
class Spline(Baseline):
    """log h0 = sum_k g_k B_k(t), constant after the last time of follow-up.

    It has no breaks: a cubic spline has two continuous derivatives, and 15 points of quadrature
    over the whole of each follow-up then cost less than pieces and leave estimates within 1 % of a
    standard error.
    """

    kind: ClassVar[str] = "spline"
    default_knots: ClassVar[int | None] = 5
    smoothed: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""
        return tuple(f"spline[{j + 1}]" for j in range(len(self.knots) + DEGREE + 1))

    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, m), at times of shape (n,)."""
        inside = np.clip(np.asarray(t, dtype=float), self.lower, self.upper)
        full = np.r_[[self.lower] * (DEGREE + 1), self.knots, [self.upper] * (DEGREE + 1)]
        return bsplines(full, inside, DEGREE)
