"""Times that differ by rounding are one time.

Ages and durations computed in floating point differ in their last digits where the calendar says
"the same day": ``(age + day / 10) - age`` is not ``day / 10``, and ``0.1 * 3`` is after 0.3. Ties,
risk sets and horizons are questions of equality, so every design of survival and every `FollowUp`
is built on times that have been merged here, once, and compares them as they are from then on. A
time that comes from outside (a horizon, a landmark) is put on the same clock by `snapped` before it
is compared.

The rule is R's ``timefix``: sorted distinct times no further apart than 1.5e-8 of their mean size
become the earliest of them. The size is counted from the origin of the time at risk (the earliest
entry, 0 without), so that neither the unit nor the origin of the clock decides; that is why R's
absolute rule is left out. Differences of a few units in the last place are rounding too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TOLERANCE = float(np.sqrt(np.finfo(float).eps))
LAST_PLACES = 4.0 * float(np.finfo(float).eps)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clock:
    """The distinct times of some follow-up, and where each row's times are among them.

    Attributes
    ----------
    times : ndarray, shape (K,)
        Ascending.
    exit : ndarray of int, shape (n,)
        Position of each row's exit.
    entry : ndarray of int, shape (n,), optional
    by_exit : ndarray of int, shape (n,), optional
        The rows in order of exit, where finding the times has sorted them.
    """

    times: Floats
    exit: Integers
    entry: Integers | None
    by_exit: Integers | None


def clock(exit: ArrayLike, entry: ArrayLike | None = None) -> Clock:
    """Merge the times of follow-up over (entry, exit], all of them finite.

    Parameters
    ----------
    exit : array_like, shape (n,)
    entry : array_like, shape (n,), optional
        Without, everybody is at risk from 0 on.
    """
    ends = np.asarray(exit, dtype=float)
    n = len(ends)
    both = ends if entry is None else np.concatenate([ends, np.asarray(entry, dtype=float)])
    origin = 0.0 if entry is None else float(both[n:].min())
    low, high = both.min(), both.max()
    by_exit = None
    if (
        high - low < 2 * n
        and TOLERANCE * max(-low, high, high - origin) < 0.5
        and bool((both == np.floor(both)).all())
    ):  # days, months, ...: no need to sort, and nothing to merge
        times, rank = np.arange(low, high + 1), (both - low).astype(np.int64)
    else:
        order = np.argsort(both)
        times, rank = _ranks(both, order, origin)
        by_exit = order if entry is None else order[order < n]
    return Clock(times, rank[:n], None if entry is None else rank[n:], by_exit)


def merged(exit: ArrayLike, entry: ArrayLike | None = None) -> tuple[Floats, Floats | None]:
    """Exit and entry, each shape (n,), with those that differ by rounding made equal.

    Missing and infinite times stay as they are.
    """
    ends = np.asarray(exit, dtype=float)
    begins = None if entry is None else np.asarray(entry, dtype=float)
    real = np.isfinite(ends) if begins is None else np.isfinite(ends) & np.isfinite(begins)
    if not real.any():
        return ends, begins
    if real.all():
        found = clock(ends, begins)
        return found.times[found.exit], None if found.entry is None else found.times[found.entry]
    found = clock(ends[real], None if begins is None else begins[real])
    ends = ends.copy()
    ends[real] = found.times[found.exit]
    if begins is not None:
        begins = begins.copy()
        begins[real] = found.times[found.entry]
    return ends, begins


def snapped(at: ArrayLike, times: ArrayLike, origin: float = 0.0) -> Floats:
    """Times from outside, any shape, on the clock of some follow-up before they are compared.

    Parameters
    ----------
    at : array_like
        A horizon, a landmark, times to predict at.
    times : array_like
        Merged times of the follow-up, in any order.
    origin : float
        Of the time at risk: the earliest entry.

    Returns
    -------
    ndarray
        `at`, with each that is within rounding of one of `times` equal to it.
    """
    at = np.asarray(at, dtype=float)
    known = np.unique(np.asarray(times, dtype=float))
    known = known[np.isfinite(known)]
    if not len(known):
        return at
    above = np.clip(np.searchsorted(known, at), 0, len(known) - 1)
    below = np.maximum(above - 1, 0)
    nearest = np.where(np.abs(known[above] - at) <= np.abs(known[below] - at), above, below)
    return np.where(np.abs(known[nearest] - at) <= rounding(known, origin), known[nearest], at)


def rounding(distinct: Floats, origin: float = 0.0) -> float:
    """Distance up to which two of some distinct times are one."""
    size = float(np.abs(distinct - origin).mean())
    return max(TOLERANCE * size, LAST_PLACES * float(np.abs(distinct).max()))


def _ranks(times: Floats, order: Integers, origin: float) -> tuple[Floats, Integers]:
    """Distinct times, and the position of each time among them."""
    ordered = times[order]
    new = np.empty(len(times), dtype=bool)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    distinct = ordered[new]
    apart = np.empty(len(distinct), dtype=bool)
    apart[0] = True
    np.greater(np.diff(distinct), rounding(distinct, origin), out=apart[1:])
    new[np.flatnonzero(new)] = apart
    rank = np.empty(len(times), dtype=np.int64)
    rank[order] = np.cumsum(new) - 1
    return distinct[apart], rank
