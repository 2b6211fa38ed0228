"""A hazard that is constant between knots."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from longsurv.design.log_hazards.baseline import Baseline
from longsurv.words import told_apart


@dataclass(frozen=True)
class PiecewiseLogHazard(Baseline):
    """log h0 = g_k between the knots k and k + 1, the later included."""

    kind: ClassVar[str] = "piecewise"
    default_knots: ClassVar[int | None] = 6

    @property
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""
        edges = [*told_apart([self.lower, *self.knots]), "inf"]
        return tuple(f"log_hazard({a},{b}]" for a, b in pairwise(edges))

    @property
    def breaks(self) -> tuple[float, ...]:
        """Times where the hazard jumps, across which no quadrature should reach."""
        return self.knots

    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, m), at times of shape (n,)."""
        piece = np.searchsorted(self.knots, np.asarray(t, dtype=float), side="left")
        return (piece[:, None] == np.arange(len(self.knots) + 1)).astype(float)
