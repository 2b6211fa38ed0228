"""Baseline hazards that are log-linear in their coefficients: log h0(t) = B(t)' gamma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import BSpline

from longsurv.design.msplines import quantile_knots
from longsurv.errors import LongsurvError
from longsurv.words import told_apart

KINDS = ("spline", "weibull", "piecewise", "exponential")
DEFAULT_KNOTS = {"spline": 5, "piecewise": 6}
DEGREE = 3
WEIBULL_POWER = 4.0


@dataclass(frozen=True)
class Baseline:
    """A basis for the log baseline hazard.

    Attributes
    ----------
    kind : {"spline", "weibull", "piecewise", "exponential"}
        Cubic B-splines of the log hazard; log h0 = g0 + g1 log(t / unit), whose Weibull shape is 1
        + g1; constant between knots; constant.
    knots : tuple of float
        Interior knots, ascending.
    upper : float
        Last time of follow-up; beyond it a spline keeps its last value.
    unit : float
        Time at which the Weibull hazard is exp(g0).
    lower : float
        First time at risk, where a spline begins.
    """

    kind: str
    knots: tuple[float, ...]
    upper: float
    unit: float = 1.0
    lower: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """One name a coefficient."""
        if self.kind == "weibull":
            return ("log_hazard", "shape_minus_1")
        if self.kind == "exponential":
            return ("log_hazard",)
        if self.kind == "spline":
            return tuple(f"spline[{j + 1}]" for j in range(len(self.knots) + DEGREE + 1))
        edges = [*told_apart([self.lower, *self.knots]), "inf"]
        return tuple(f"log_hazard({a},{b}]" for a, b in pairwise(edges))

    @property
    def breaks(self) -> tuple[float, ...]:
        """Times where the hazard jumps, across which no quadrature should reach.

        A cubic spline has two continuous derivatives: 15 points over the whole of each follow-up
        then cost less than pieces and leave estimates within 1 % of a standard error.
        """
        return self.knots if self.kind == "piecewise" else ()

    @property
    def power(self) -> float:
        """Power of the time scale in which quadrature is accurate down to time 0."""
        return WEIBULL_POWER if self.kind == "weibull" else 1.0

    def basis(self, t: np.ndarray) -> np.ndarray:
        """B(t), shape (n, m), at times of shape (n,)."""
        t = np.asarray(t, dtype=float)
        if self.kind == "exponential":
            return np.ones((len(t), 1))
        if self.kind == "weibull":
            # Who leaves at time 0 without an event needs a number there, which then counts 0 times.
            later = np.maximum(t, np.finfo(float).tiny)
            return np.column_stack([np.ones(len(t)), np.log(later / self.unit)])
        if self.kind == "piecewise":
            piece = np.searchsorted(self.knots, t, side="left")
            return (piece[:, None] == np.arange(len(self.knots) + 1)).astype(float)
        full = np.r_[[self.lower] * (DEGREE + 1), self.knots, [self.upper] * (DEGREE + 1)]
        return BSpline.design_matrix(np.clip(t, self.lower, self.upper), full, DEGREE).toarray()

    def log_hazard(self, t: np.ndarray, gamma: np.ndarray) -> np.ndarray:
        """log h0 at times (n,) for coefficients (..., m): shape (..., n)."""
        return gamma @ self.basis(t).T


def baseline(
    kind: str,
    exit: np.ndarray,
    event: np.ndarray,
    *,
    lower: float = 0.0,
    knots: Sequence[float] | None = None,
    n_knots: int | None = None,
) -> Baseline:
    """Choose a baseline for a cohort.

    Parameters
    ----------
    kind : {"spline", "weibull", "piecewise", "exponential"}
    exit : ndarray, shape (N,)
        Times of event or censoring.
    event : ndarray, shape (N,)
        1 for an event.
    lower : float
        First time at risk.
    knots : sequence of float, optional
        Interior knots; by default at quantiles of the event times.
    n_knots : int, optional
        How many: 5 for splines and 6 for pieces by default, fewer where there are fewer than 3
        events for each stretch between knots.

    Raises
    ------
    LongsurvError
        For an unknown kind, knots where they have no meaning, or knots outside follow-up.
    """
    if kind not in KINDS:
        raise LongsurvError(f"baseline is one of {KINDS}, not {kind!r}")
    if kind not in DEFAULT_KNOTS and (knots is not None or n_knots is not None):
        raise LongsurvError(f"a {kind} baseline has no knots")
    if knots is not None and n_knots is not None:
        raise LongsurvError("give knots or n_knots, not both")
    times = np.asarray(exit, dtype=float)[np.asarray(event) == 1]
    upper = float(np.max(exit))
    inner: tuple[float, ...] = ()
    if knots is not None:
        inner = tuple(sorted({float(k) for k in knots}))
        if inner and not (inner[0] > lower and inner[-1] < upper):
            raise LongsurvError(
                f"knots must lie between {lower:g} and the last exit, {upper:g}; got {inner}"
            )
    elif kind in DEFAULT_KNOTS:
        count = DEFAULT_KNOTS[kind] if n_knots is None else n_knots
        if n_knots is None:
            count = max(0, min(count, len(times) // 3 - 1))
        if count < 0:
            raise LongsurvError(f"n_knots must be at least 0, got {n_knots}")
        inner = quantile_knots(times, count, lower, upper)
    unit = float(np.exp(np.log(times).mean()))
    return Baseline(kind, inner, upper, unit=unit, lower=lower)
