"""The choice of a baseline hazard on the full likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.arguments import choice
from longsurv.design.hazards import HAZARDS, HazardBaseline
from longsurv.design.knots import given_knots, quantile_knots, refuse_both


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
    kind : str
        One of `HAZARDS`.
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
    choice("baseline", kind, HAZARDS)
    chosen = HAZARDS[kind]
    times = np.asarray(exit, dtype=float)[np.asarray(event) == 1]
    usual = chosen.knots_for(len(times))
    refuse_both(kind, usual is not None, knots, n_knots)
    lower, upper = float(np.min(entry)), float(np.max(exit))
    unit = float(np.exp(np.log(times).mean()))
    inner: tuple[float, ...] = ()
    if knots is not None:
        between = f"the first entry, {lower:g}, and the last exit, {upper:g}"
        inner = given_knots(knots, lower, upper, between)
    elif usual is not None:
        inner = quantile_knots(times, usual if n_knots is None else n_knots, lower, upper)
    return chosen(inner, lower, upper, unit)
