"""A hazard that is constant between knots."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from longsurv.design.hazards.baseline import Additive
from longsurv.words import told_apart

MOST_KNOTS = 5
EVENTS_PER_PIECE = 3


@dataclass(frozen=True)
class PiecewiseHazard(Additive):
    """M_k(t) is 1 between the knots k and k + 1, the later included, and 0 elsewhere."""

    kind: ClassVar[str] = "piecewise"
    words: ClassVar[str] = "piecewise"

    @classmethod
    def knots_for(cls, events: int) -> int | None:
        """How many knots so many events bear; None where there are none at all."""
        return min(max(0, events // EVENTS_PER_PIECE - 1), MOST_KNOTS)

    @property
    def pieces(self) -> list[tuple[float, float]]:
        """Where the pieces begin and end."""
        return list(pairwise((0.0, *self.knots, np.inf)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        edges = told_apart([self.pieces[0][0], *(stop for _, stop in self.pieces)])
        return tuple(f"log_hazard({a},{b}]" for a, b in pairwise(edges))

    @property
    def size(self) -> int:
        """Number of parameters of the kernel."""
        return len(self.knots) + 1

    def hazard(self, t: np.ndarray) -> np.ndarray:
        """M(t), shape (n, K), at times of shape (n,)."""
        piece = np.searchsorted(self.knots, np.asarray(t, dtype=float), side="left")
        return (piece[:, None] == np.arange(self.size)).astype(float)

    def cumulative(self, t: np.ndarray) -> np.ndarray:
        """Times spent in each piece up to t, shape (n, K)."""
        start, stop = np.array(self.pieces).T
        return np.clip(np.asarray(t, dtype=float)[:, None], start, stop) - start

    def without_events(self, times: np.ndarray) -> list[str]:
        """The pieces in which no event time lies."""
        events = self.hazard(times).sum(axis=0)
        return [f"({a:g}, {b:g}]" for (a, b), n in zip(self.pieces, events, strict=True) if n == 0]
