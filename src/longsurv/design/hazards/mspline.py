"""Cubic M-splines, each with an integral of 1 over follow-up.

Ramsay (1988), Statistical Science 3:425-441.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from longsurv.design.hazards.baseline import Additive
from longsurv.design.splines import bsplines

DEGREE = 3
MOST_KNOTS = 6
EVENTS_PER_KNOT = 5


@dataclass(frozen=True)
class MSpline(Additive):
    """M_k are M-splines between `lower` and `upper`; afterwards the hazard stays as it was there.

    Its parameters are a level, the log mean cumulative hazard over follow-up, and a shape.
    """

    kind: ClassVar[str] = "mspline"
    words: ClassVar[str] = "M-spline"
    smoothed: ClassVar[bool] = True

    @classmethod
    def knots_for(cls, events: int) -> int | None:
        """How many knots so many events bear; None where there are none at all."""
        return min(max(1, events // EVENTS_PER_KNOT), MOST_KNOTS)

    @cached_property
    def _full(self) -> np.ndarray:
        return np.r_[[self.lower] * (DEGREE + 1), self.knots, [self.upper] * (DEGREE + 1)]

    @cached_property
    def _widths(self) -> np.ndarray:
        """(t_(k+4) - t_k) / 4: B-spline over M-spline."""
        full = self._full
        return (full[DEGREE + 1 :] - full[: -DEGREE - 1]) / (DEGREE + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, without the shape."""
        return ("log_cumulative_hazard",)

    @property
    def size(self) -> int:
        """Number of bases K."""
        return len(self.knots) + DEGREE + 1

    @property
    def levels(self) -> int:
        """How many parameters, the first, are levels; the others, 0 at a constant hazard, shape
        it."""
        return 1

    def level(self, rate: float, each: float) -> float:
        """The level of a constant hazard with `rate` events a unit of time, `each` a patient."""
        return float(np.log(each))

    @property
    def constant(self) -> np.ndarray:
        """Weights of the M-splines, of sum 1, that make the hazard constant, shape (K,)."""
        return self._widths / (self.upper - self.lower)

    def hazard(self, t: np.ndarray) -> np.ndarray:
        """M(t), shape (n, K), at times of shape (n,)."""
        inside = np.clip(np.asarray(t, dtype=float), self.lower, self.upper)
        return bsplines(self._full, inside, DEGREE) / self._widths

    def cumulative(self, t: np.ndarray) -> np.ndarray:
        """Integrals of M from `lower` to t (I-splines), shape (n, K)."""
        t = np.asarray(t, dtype=float)
        inside = np.clip(t, self.lower, self.upper)
        raised = np.r_[self.lower, self._full, self.upper]
        B = bsplines(raised, inside, DEGREE + 1)
        # the integral of M_k is the sum of the later B-splines of one degree more
        later = B[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        return later + (t - inside)[:, None] * self.hazard(t)
