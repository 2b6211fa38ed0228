"""A constant hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from longsurv.design.hazards.piecewise import PiecewiseHazard


@dataclass(frozen=True)
class ExponentialHazard(PiecewiseHazard):
    """One piece."""

    kind: ClassVar[str] = "exponential"
    words: ClassVar[str] = "exponential"

    @classmethod
    def knots_for(cls, events: int) -> int | None:
        """None: there are no knots."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("log_hazard",)
