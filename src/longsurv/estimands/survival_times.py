"""Times by which a share of the patients has had the event, and how long they were followed.

The p-quantile is the first time at which Kaplan and Meier's survival is 1 - p or less; where it is
exactly 1 - p for a while, any time until the next event would do, and the middle is given. Limits
are found in the same way on the curves of pointwise limits (Brookmeyer and Crowley): the times at
which a test would not reject that survival is 1 - p. A limit that is infinite was not reached.

How long patients were followed is asked of the curve of the end of follow-up, in which an event
ends a patient's time as censoring does that of an event (reverse Kaplan-Meier): the follow-up that
patients would have had, had nobody had an event.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.names import free
from longsurv.errors import LongsurvError
from longsurv.estimands.follow_up import FollowUp, by_group
from longsurv.estimands.kaplan_meier import SurvivalCurve, SurvivalInterval, kaplan_meier

TIMES = ("share", "n", "events", "estimate", "conf_low", "conf_high", "note")
"""Columns of the tables beside the group's."""
ROUNDING = 1e-9
"""Of a product of many factors: how far survival may be from the share that it is."""


@checked
def survival_quantiles(
    data: pd.DataFrame,
    group: str,
    shares: Sequence[float] = (0.25, 0.5, 0.75),
    *,
    interval: SurvivalInterval = "log-log",
    level: float = 0.95,
) -> pd.DataFrame:
    """Times by which some shares of each group have had the event; a half is the median survival.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
        Competing events are censored, as in `kaplan_meier`.
    group : str
    shares : sequence of float
        Between 0 and 1: of the patients who have had the event.
    interval : {"log-log", "log", "plain"}
        The pointwise limits of survival that are turned into limits of the time; "plain" is
        Brookmeyer and Crowley's own.
    level : float

    Returns
    -------
    DataFrame
        A row a group and share: group (with "_variable" after its name where that is one of the
        others), share, n, events, estimate, conf_low, conf_high, note. Times are on the clock of
        the data, as entry and exit are. The estimate is NaN where survival does not fall so far
        within follow-up, and the note says so; conf_high is infinite where its curve does not.

    Raises
    ------
    DataError
        For data that cannot be follow-up.
    LongsurvError
        For a share that is none.

    References
    ----------
    Brookmeyer R, Crowley J. A confidence interval for the median survival time. Biometrics
    1982;38:29-41.
    """
    _check(shares)
    curves = {name: kaplan_meier(side) for name, side in by_group(data, group).items()}
    return _table(curves, group, shares, interval, level, "of the event")


@checked
def follow_up_quantiles(
    data: pd.DataFrame,
    group: str,
    shares: Sequence[float] = (0.25, 0.5, 0.75),
    *,
    interval: SurvivalInterval = "log-log",
    level: float = 0.95,
) -> pd.DataFrame:
    """Quantiles of follow-up by the reverse Kaplan-Meier method; a half is the median follow-up.

    The end of follow-up (status 0) is the event; events of any cause are censoring. At a tie events
    come first: who was censored at a time was alive then.

    Parameters
    ----------
    data : DataFrame
        As `survival_quantiles` takes it.
    group : str
    shares : sequence of float
    interval : {"log-log", "log", "plain"}
    level : float

    Returns
    -------
    DataFrame
        As `survival_quantiles` returns it; "events" counts those whose follow-up ended without one.

    References
    ----------
    Schemper M, Smith TL. A note on quantifying follow-up in studies of failure time. Control Clin
    Trials 1996;17:343-346.
    """
    _check(shares)
    curves = {name: reverse_kaplan_meier(side) for name, side in by_group(data, group).items()}
    return _table(curves, group, shares, interval, level, "of follow-up")


@checked
def reverse_kaplan_meier(follow_up: FollowUp) -> SurvivalCurve:
    """Estimate the share still followed, had nobody had an event; events come before censorings.

    Parameters
    ----------
    follow_up : FollowUp
    """
    time = follow_up.times(0)
    ended = follow_up.happening(time, 0)
    there = follow_up.at_risk(time) - follow_up.happening(time, *follow_up.causes)
    with np.errstate(divide="ignore"):  # nobody is left
        greenwood = np.cumsum(ended / (there * (there - ended)))
    reverse = FollowUp(follow_up.entry, follow_up.exit, (follow_up.status == 0) * 1)
    return SurvivalCurve(reverse, time, there, ended, np.cumprod(1 - ended / there), greenwood)


def _check(shares: Sequence[float]) -> None:
    wrong = [share for share in shares if not 0 < share < 1]
    if wrong or not len(shares):
        raise LongsurvError(
            f"shares are between 0 and 1, as 0.5 for the median; got {list(shares)}"
        )


def _table(
    curves: dict[Hashable, SurvivalCurve], group: str, shares: Sequence[float],
    interval: SurvivalInterval, level: float, of: str,
) -> pd.DataFrame:  # fmt: skip
    column, rows = str(free(group, TIMES)), []
    for name, curve in curves.items():
        low, high = curve.interval(curve.time, interval, level)
        for share in shares:
            estimate = _first(curve.time, curve.survival, 1 - share)
            note = _why(curve, estimate, share, of)
            limits = [_first(curve.time, side, 1 - share) for side in (low, high)]
            if note and np.isfinite(estimate):  # a curve that says nothing of those who came later
                estimate, limits = np.inf, [np.nan, np.nan]
            lower, upper = limits
            rows.append(
                {
                    column: name, "share": float(share), "n": len(curve.follow_up),
                    "events": int(curve.events.sum()),
                    "estimate": estimate if np.isfinite(estimate) else np.nan,
                    # No time is known at which survival is too low for 1 - p: no lower limit.
                    "conf_low": lower if np.isfinite(lower) else np.nan, "conf_high": upper,
                    "note": note,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _first(time: np.ndarray, curve: np.ndarray, target: float) -> float:
    """The time at which a falling curve in steps reaches a target; infinite if it does not.

    NaNs, which end a curve of limits where survival is 0, are no part of it.
    """
    known = ~np.isnan(curve)
    time, curve = time[known], curve[known]
    below = curve < target - ROUNDING
    at = np.abs(curve - target) <= ROUNDING
    first_below = float(time[below][0]) if below.any() else np.inf
    if not at.any():
        return first_below
    return (float(time[at][0]) + first_below) / 2 if below.any() else float(time[at][0])


def _why(curve: SurvivalCurve, estimate: float, share: float, of: str) -> str:
    """Why there is no quantile; "" if there is."""
    last = float(curve.follow_up.exit.max())
    if np.isinf(estimate):
        left = curve.survival[-1] if len(curve.time) else 1.0
        return (
            f"follow-up ends at {last:g} with {100 * left:.3g} % free {of}"
            if of == "of the event"
            else f"{100 * left:.3g} % had not come to the end {of} by the last event or censoring,"
            f" at {last:g}"
        )
    emptied = curve.time[curve.at_risk == curve.events]
    if len(emptied) and emptied[0] < last and estimate >= emptied[0]:
        return f"nobody was left at risk after {emptied[0]:g}, before later entries"
    gap = curve.follow_up.gap
    if gap is not None and estimate > gap[0]:
        return f"nobody was under observation between {gap[0]:g} and {gap[1]:g}"
    return ""
