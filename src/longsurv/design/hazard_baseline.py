"""The choice of a baseline hazard on the full likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.arguments import choice
from longsurv.design.hazards import HAZARDS, HazardBaseline
from longsurv.design.knots import given_knots, nearest_knots, quantile_knots, refuse_both
from longsurv.design.weights import are_counts
from longsurv.design.windows import Windows


def hazard_baseline(
    kind: str,
    entry: np.ndarray,
    exit: np.ndarray,
    event: np.ndarray,
    *,
    knots: Sequence[float] | None = None,
    n_knots: int | None = None,
    weights: np.ndarray | None = None,
    windows: Windows | None = None,
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
    weights : ndarray, shape (n,), optional
        Case weights. Whole numbers are counts of patients, and each of them has the event; others
        do not say how many there are.
    windows : Windows, optional
        Between which times events were: knots chosen by quantiles are then at such times, as a
        piece within windows alone would have no hazard.

    Raises
    ------
    LongsurvError
        For an unknown kind, knots where they have no meaning, or knots outside follow-up.
    """
    choice("baseline", kind, HAZARDS)
    chosen = HAZARDS[kind]
    happened = np.asarray(event) == 1
    copies = np.ones(int(happened.sum()))
    if weights is not None and are_counts(weights):
        happened &= weights > 0.0
        copies = weights[happened]
    times = np.asarray(exit, dtype=float)[happened]
    usual = chosen.knots_for(int(copies.sum()))
    refuse_both(kind, usual is not None, knots, n_knots)
    lower, upper = float(np.min(entry)), float(np.max(exit))
    if windows is not None:
        upper = windows.last
    unit = float(np.exp(np.average(np.log(times), weights=copies)))
    inner: tuple[float, ...] = ()
    if knots is not None:
        between = f"the first entry, {lower:g}, and the last exit, {upper:g}"
        inner = given_knots(knots, lower, upper, between)
    elif usual is not None:
        inner = quantile_knots(times, usual if n_knots is None else n_knots, lower, upper, copies)
        if windows is not None:
            inner = nearest_knots(inner, windows.ends, lower, upper)
    return chosen(inner, lower, upper, unit)
