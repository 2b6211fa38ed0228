"""The choice of a baseline hazard that is log-linear in its coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.arguments import choice
from longsurv.design.knots import given_knots, quantile_knots, refuse_both
from longsurv.design.log_hazards import LOG_HAZARDS, Baseline


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
    kind : str
        One of `LOG_HAZARDS`.
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
        events for each stretch between knots. A spline is then of a lower degree, too: quadratic
        below 9 events, a line below 6.

    Raises
    ------
    LongsurvError
        For an unknown kind, knots where they have no meaning, or knots outside follow-up.
    """
    choice("baseline", kind, LOG_HAZARDS)
    chosen = LOG_HAZARDS[kind]
    usual = chosen.default_knots
    refuse_both(kind, usual is not None, knots, n_knots)
    times = np.asarray(exit, dtype=float)[np.asarray(event) == 1]
    upper = float(np.max(exit))
    inner: tuple[float, ...] = ()
    if knots is not None:
        inner = given_knots(knots, lower, upper, f"{lower:g} and the last exit, {upper:g}")
    elif usual is not None:
        count = max(0, min(usual, len(times) // 3 - 1)) if n_knots is None else n_knots
        inner = quantile_knots(times, count, lower, upper)
    unit = float(np.exp(np.log(times).mean()))
    shape = chosen(inner, upper, unit=unit, lower=lower)
    return shape.for_events(len(times)) if knots is None and n_knots is None else shape
