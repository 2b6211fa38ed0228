"""Baseline hazards that are sums of non-negative bases: h0(t) = sum_k c_k M_k(t), c_k > 0.

The M_k are cubic M-splines, each with an integral of 1 over follow-up, or the indicators of pieces
of time. Their integrals (I-splines, and times spent in pieces) are known in closed form, so the
cumulative hazard between any two times is exact, with delayed entry as without.

Ramsay (1988), Statistical Science 3:425-441.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.interpolate import BSpline

from longsurv.errors import LongsurvError

KINDS = ("mspline", "exponential", "weibull", "piecewise")
DEGREE = 3
MOST_KNOTS = {"mspline": 6, "piecewise": 5}
EVENTS_PER_KNOT = 5
NEAR = 1e-9
"""Of the span of events: times closer than that are the same but for rounding."""
EVENTS_PER_PIECE = 3


@dataclass(frozen=True)
class HazardBaseline:
    """The family of baseline hazards of a model.

    Attributes
    ----------
    kind : {"mspline", "exponential", "weibull", "piecewise"}
    knots : tuple of float
        Interior knots, or where pieces meet; ascending.
    lower, upper : float
        First time anyone was at risk and last time of follow-up. The M-splines live between them;
        afterwards the hazard stays as it was at `upper`.
    unit : float
        A typical event time: where logarithms of time are 0.
    """

    kind: str
    knots: tuple[float, ...]
    lower: float
    upper: float
    unit: float

    @cached_property
    def _full(self) -> np.ndarray:
        return np.r_[[self.lower] * (DEGREE + 1), self.knots, [self.upper] * (DEGREE + 1)]

    @cached_property
    def _widths(self) -> np.ndarray:
        """(t_(k+4) - t_k) / 4: B-spline over M-spline."""
        full = self._full
        return (full[DEGREE + 1 :] - full[: -DEGREE - 1]) / (DEGREE + 1)

    @property
    def size(self) -> int:
        """Number of bases K (of a Weibull hazard: its two parameters)."""
        extra = {"mspline": DEGREE + 1, "piecewise": 1, "exponential": 1, "weibull": 2}
        return len(self.knots) + extra[self.kind]

    @property
    def pieces(self) -> list[tuple[float, float]]:
        """Where the pieces of a piecewise constant hazard begin and end."""
        return list(pairwise((0.0, *self.knots, np.inf)))

    @property
    def breaks(self) -> tuple[float, ...]:
        """Times where the hazard or its third derivative jumps."""
        return self.knots

    @property
    def constant(self) -> np.ndarray:
        """Weights of the M-splines, of sum 1, that make the hazard constant, shape (K,)."""
        return self._widths / (self.upper - self.lower)

    def hazard(self, t: np.ndarray) -> np.ndarray:
        """M(t), shape (n, K), at times of shape (n,)."""
        t = np.asarray(t, dtype=float)
        if self.kind != "mspline":
            piece = np.searchsorted(self.knots, t, side="left")
            return (piece[:, None] == np.arange(self.size)).astype(float)
        inside = np.clip(t, self.lower, self.upper)
        return BSpline.design_matrix(inside, self._full, DEGREE).toarray() / self._widths

    def cumulative(self, t: np.ndarray) -> np.ndarray:
        """Integrals of M up to t, shape (n, K): from `lower` for M-splines, else from 0."""
        t = np.asarray(t, dtype=float)
        if self.kind != "mspline":
            start, stop = np.array(self.pieces).T
            return np.clip(t[:, None], start, stop) - start
        inside = np.clip(t, self.lower, self.upper)
        raised = np.r_[self.lower, self._full, self.upper]
        B = BSpline.design_matrix(inside, raised, DEGREE + 1).toarray()
        # the integral of M_k is the sum of the later B-splines of one degree more
        later = B[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        return later + (t - inside)[:, None] * self.hazard(t)


def hazard_baseline(
    kind: str,
    entry: np.ndarray,
    exit: np.ndarray,
    event: np.ndarray,
    *,
    knots: Sequence[float] | None = None,
    n_knots: int | None = None,
) -> HazardBaseline:
    """Choose a baseline for a cohort.

    Parameters
    ----------
    kind : {"mspline", "exponential", "weibull", "piecewise"}
    entry, exit : ndarray, shape (n,)
        At risk over (entry, exit].
    event : ndarray, shape (n,)
        1 for an event.
    knots : sequence of float, optional
        Interior knots; by default at quantiles of the event times.
    n_knots : int, optional
        How many: by default one for every 5 events for M-splines (1 to 6), and for pieces so many
        that each has 3 events (0 to 5).

    Raises
    ------
    LongsurvError
        For an unknown kind, knots where they have no meaning, or knots outside follow-up.
    """
    if kind not in KINDS:
        raise LongsurvError(f"baseline is one of {KINDS}, not {kind!r}")
    if kind not in MOST_KNOTS and (knots is not None or n_knots is not None):
        raise LongsurvError(f"the {kind} baseline has no knots")
    if knots is not None and n_knots is not None:
        raise LongsurvError("give knots or n_knots, not both")
    if n_knots is not None and n_knots < 0:
        raise LongsurvError(f"n_knots must be at least 0, got {n_knots}")
    times = np.asarray(exit, dtype=float)[np.asarray(event) == 1]
    lower, upper = float(np.min(entry)), float(np.max(exit))
    unit = float(np.exp(np.log(times).mean()))
    inner: tuple[float, ...] = ()
    if knots is not None:
        inner = tuple(sorted({float(k) for k in knots}))
        if inner and not (inner[0] > lower and inner[-1] < upper):
            raise LongsurvError(
                f"knots must lie between the first entry, {lower:g}, and the last exit, {upper:g}; "
                f"got {inner}"
            )
    elif kind in MOST_KNOTS:
        count = _number(kind, len(times)) if n_knots is None else n_knots
        inner = quantile_knots(times, count, lower, upper)
    return HazardBaseline(kind, inner, lower, upper, unit)


def _number(kind: str, events: int) -> int:
    if kind == "mspline":
        return min(max(1, events // EVENTS_PER_KNOT), MOST_KNOTS[kind])
    return min(max(0, events // EVENTS_PER_PIECE - 1), MOST_KNOTS[kind])


def quantile_knots(times: np.ndarray, count: int, lower: float, upper: float) -> tuple[float, ...]:
    """Interior knots at quantiles of the event times.

    One that falls on an event is just before it, so that the event begins the next piece: rounding
    would put it on either side, and another origin of time on the other.
    """
    if not count:
        return ()
    at = np.quantile(times, np.linspace(0.0, 1.0, count + 2)[1:-1])
    nearest = times[np.abs(times[:, None] - at).argmin(axis=0)]
    near = NEAR * np.ptp(times)
    at = np.where(np.abs(nearest - at) <= near, nearest - near, at)
    return tuple(float(k) for k in np.unique(at) if lower < k < upper)
