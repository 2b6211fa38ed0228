"""Interior knots of baseline hazards: the user's, or at quantiles of the event times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.errors import LongsurvError
from longsurv.times import LAST_PLACES

NEAR = 1e-9
"""Of the span of events: times closer than that are the same but for rounding."""


def refuse_both(kind: str, takes: bool, knots: Sequence[float] | None, number: int | None) -> None:
    """Refuse knots of a baseline that takes none, and two ways to give them.

    Raises
    ------
    LongsurvError
    """
    if not takes and (knots is not None or number is not None):
        raise LongsurvError(f"the {kind} baseline has no knots")
    if knots is not None and number is not None:
        raise LongsurvError("give knots or n_knots, not both")
    if number is not None and number < 0:
        raise LongsurvError(f"n_knots must be at least 0, got {number}")


def given_knots(
    knots: Sequence[float], lower: float, upper: float, between: str
) -> tuple[float, ...]:
    """The user's knots, ascending; `between` says in words what they must lie between.

    Raises
    ------
    LongsurvError
        If one lies outside.
    """
    inner = tuple(sorted({float(k) for k in knots}))
    if inner and not (inner[0] > lower and inner[-1] < upper):
        raise LongsurvError(f"knots must lie between {between}; got {inner}")
    return inner


def quantile_knots(
    times: np.ndarray, count: int, lower: float, upper: float, copies: np.ndarray | None = None
) -> tuple[float, ...]:
    """Interior knots at quantiles of the event times, each counted `copies` times.

    One that falls on an event is just before it, so that the event begins the next piece: rounding
    would put it on either side, and another origin of time on the other. One that falls on events
    at the upper end is none: there would be nothing between it and the end.
    """
    if not count:
        return ()
    at = _quantiles(times, np.linspace(0.0, 1.0, count + 2)[1:-1], copies)
    nearest = times[np.abs(times[:, None] - at).argmin(axis=0)]
    near = max(NEAR * np.ptp(times), LAST_PLACES * np.abs(times).max())
    at = np.where(np.abs(nearest - at) <= near, nearest - near, at)
    return tuple(float(k) for k in np.unique(at) if lower < k < upper - 2.0 * near)


def _quantiles(times: np.ndarray, shares: np.ndarray, copies: np.ndarray | None) -> np.ndarray:
    """NumPy's quantiles of times repeated `copies` times, without repeating them."""
    order = np.argsort(times, kind="stable")
    ends = np.cumsum(np.ones(len(times)) if copies is None else copies[order])
    at = (ends[-1] - 1.0) * shares
    below = np.floor(at)
    last = len(times) - 1
    low, high = (
        times[order][np.minimum(np.searchsorted(ends, place, side="right"), last)]
        for place in (below, below + 1.0)
    )
    found: np.ndarray = low + (at - below) * (high - low)
    return found


def nearest_knots(
    knots: Sequence[float], ends: np.ndarray, lower: float, upper: float
) -> tuple[float, ...]:
    """Knots moved to the nearest of some times, ascending, each once."""
    moved = {float(ends[np.abs(ends - knot).argmin()]) for knot in knots}
    return tuple(sorted(knot for knot in moved if lower < knot < upper))
