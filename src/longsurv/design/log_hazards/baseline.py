"""What a baseline hazard that is log-linear in its coefficients has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Baseline(ABC):
    """A basis for the log baseline hazard.

    Attributes
    ----------
    kind : str
        What `JointModel` calls it.
    default_knots : int or None
        How many at most unless the user says; None where there are none at all.
    power : float
        Power of the time scale in which quadrature is accurate down to time 0.
    knots : tuple of float
        Interior knots, ascending.
    upper : float
        Last time of follow-up; beyond it a spline keeps its last value.
    unit : float
        A typical event time: where logarithms of time are 0.
    lower : float
        First time at risk, where a spline begins.
    """

    kind: ClassVar[str]
    default_knots: ClassVar[int | None] = None
    power: ClassVar[float] = 1.0

    knots: tuple[float, ...]
    upper: float
    unit: float = 1.0
    lower: float = 0.0

    def for_events(self, number: int) -> Baseline:
        """The shape that so many events carry, where the user chose no knots.

        Parameters
        ----------
        number : int
        """
        return self

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""

    @property
    def smoothed(self) -> bool:
        """Whether it is a curve that bends, whose prior keeps it smooth."""
        return False

    @property
    def levels(self) -> int:
        """How many coefficients, the first, move the level; the others shape the hazard."""
        return len(self.names)

    @property
    def breaks(self) -> tuple[float, ...]:
        """Times where the hazard jumps, across which no quadrature should reach."""
        return ()

    @abstractmethod
    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, m), at times of shape (n,)."""

    def log_hazard(self, t: np.ndarray, gamma: np.ndarray) -> np.ndarray:
        """log h0 at times (n,) for coefficients (..., m): shape (..., n)."""
        return gamma @ self.basis(t).T
