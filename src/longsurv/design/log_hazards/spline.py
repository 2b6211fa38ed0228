"""B-splines of the log hazard: cubic, or plainer where there are few events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from longsurv.design.log_hazards.baseline import Baseline
from longsurv.design.splines import bsplines

DEGREE = 3


@dataclass(frozen=True)
class Spline(Baseline):
    """log h0 = sum_k g_k B_k(t), constant after the last time of follow-up.

    A curve bends as freely as the events can say: a stretch before the first of them, or after the
    last, with a coefficient nearly to itself has a likelihood that rises for ever as the hazard
    there falls to nothing. With fewer than 9 events it is quadratic, with fewer than 6 a line.

    Attributes
    ----------
    degree : int
        Of the polynomials between knots: 1, 2 or 3.

    Notes
    -----
    It has no breaks: a cubic spline has two continuous derivatives, and 15 points of quadrature
    over the whole of each follow-up then cost less than pieces and leave estimates within 1 % of a
    standard error.
    """

    kind: ClassVar[str] = "spline"
    default_knots: ClassVar[int | None] = 5

    degree: int = DEGREE

    def for_events(self, number: int) -> Spline:
        """Of a degree that so many events carry: 3 of them for each.

        Parameters
        ----------
        number : int
        """
        return replace(self, degree=min(DEGREE, max(1, number // 3)))

    @property
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""
        return tuple(f"spline[{j + 1}]" for j in range(len(self.knots) + self.degree + 1))

    @property
    def smoothed(self) -> bool:
        """Whether there are second differences: a line has none."""
        return len(self.names) > 2

    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, m), at times of shape (n,)."""
        inside = np.clip(np.asarray(t, dtype=float), self.lower, self.upper)
        ends = self.degree + 1
        full = np.r_[[self.lower] * ends, self.knots, [self.upper] * ends]
        return bsplines(full, inside, self.degree)
