"""Restricted mean survival: days alive up to a horizon, and their difference between groups.

The area under the Kaplan-Meier curve from `start` to the horizon. Its variance is

    sum over event times of A(t)^2 d / (Y (Y - d)),   A(t) the area from t to the horizon,

which needs no assumption about hazards. Deaths without competing events only: competing events
are censored here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.follow_up import FollowUp, two_groups
from longsurv.estimands.intervals import mover, proportion
from longsurv.estimands.kaplan_meier import kaplan_meier
from longsurv.tables.notebook import Quantities

_COLUMNS = [
    "quantity", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "note",
]  # fmt: skip


@dataclass(frozen=True)
class RestrictedMean(Quantities):
    """Mean time alive between two times, with its standard error."""

    estimate: float
    std_error: float


@checked
def restricted_mean(follow_up: FollowUp, horizon: float, *, start: float = 0.0) -> RestrictedMean:
    """Return the mean time alive between `start` and the horizon, of those alive at `start`.

    Parameters
    ----------
    follow_up : FollowUp
        Of one group.
    horizon : float
    start : float
        Where the area begins.

    Raises
    ------
    EstimationError
        If follow-up ends before the horizon with patients alive or begins after `start`, or nobody
        is at risk at some time before others enter.

    References
    ----------
    Klein JP, Moeschberger ML. Survival Analysis, 2nd ed. 2003, section 4.5. Uno H and others.
    Moving beyond the hazard ratio. J Clin Oncol 2014;32:2380-2385.
    """
    if not start < horizon:
        raise LongsurvError(f"the horizon ({horizon:g}) must come after the start ({start:g})")
    start, horizon = map(float, follow_up.on_clock(np.array([start, horizon])))
    later = follow_up.since(start)
    if not len(later):
        raise EstimationError(_nobody_after(follow_up, start))
    first = float(later.entry.min())
    if first > start:
        raise EstimationError(
            f"nobody is under observation between {start:g} and {first:g}; start there or later"
        )
    curve = kaplan_meier(later)
    unknown = curve.extent.why(horizon, "alive")
    if unknown:
        last = curve.extent.last
        advice = f"; use a horizon of at most {last:g}" if unknown.startswith("follow-up") else ""
        raise EstimationError(f"{unknown}, so the mean up to {horizon:g} is not known{advice}")
    inside = curve.time < horizon
    time, d, at_risk = curve.time[inside], curve.events[inside], curve.at_risk[inside]
    survival = curve.survival[inside]
    pieces = np.diff([*time, horizon]) * survival
    area_after = np.cumsum(pieces[::-1])[::-1]
    dying = at_risk > d  # otherwise survival, and the area after, are 0
    variance = np.sum(area_after[dying] ** 2 * d[dying] / (at_risk * (at_risk - d))[dying])
    first = time[0] if len(time) else horizon
    return RestrictedMean(float(first - start + pieces.sum()), math.sqrt(variance))


@checked
def restricted_mean_table(
    data: pd.DataFrame,
    group: str,
    horizon: float,
    *,
    start: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the restricted mean of two groups, their difference and their ratio.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
    group : str
    horizon : float
    start : float, optional
        Nothing: the earliest entry of the group that is observed last.
    level : float

    Returns
    -------
    DataFrame
        quantity ("mean of" each group, "difference", "ratio", both of the group against the
        reference), estimate, std_error (of the ratio: of its logarithm), statistic, p_value
        (normal, two-sided), conf_low, conf_high, note. Limits of a mean are by its logit as a share
        of the time to the horizon, those of the difference are made of the limits of the two means
        (Zou and Donner 2008, Stat Med 27:1693-1702), so none lies where there are no means. A group
        without events, or in which all had the event at one time, has no standard error: then there
        is no interval and no test.

    Raises
    ------
    DataError, EstimationError
        For data that cannot be follow-up; for a horizon beyond it.
    """
    name, treated, reference_name, reference = two_groups(data, group)
    if start is None:
        start = float(max(treated.entry.min(), reference.entry.min()))
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
    z = float(special.ndtri((1 + level) / 2))
    a = _named(name, treated, horizon, start)
    b = _named(reference_name, reference, horizon, start)
    rows, limits = [], []
    for label, mean, side in ((name, a, treated), (reference_name, b, reference)):
        limits.append(proportion(mean.estimate, mean.std_error, z, horizon - start))
        rows.append(
            {
                "quantity": f"mean of {label}", "estimate": mean.estimate,
                "std_error": mean.std_error if mean.std_error > 0 else math.nan,
                "conf_low": limits[-1][0], "conf_high": limits[-1][1],
                "note": _note(side.since(start), horizon),
            }
        )  # fmt: skip
    difference = a.estimate - b.estimate
    unknown = _unvarying({name: a, reference_name: b}, horizon - start)
    if unknown:
        ratio = a.estimate / b.estimate
        rows += [
            {"quantity": quantity, "estimate": value, "note": unknown}
            for quantity, value in (("difference", difference), ("ratio", ratio))
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)
    low, high = mover((a.estimate, *limits[0]), (b.estimate, *limits[1]))
    error = math.hypot(a.std_error, b.std_error)
    rows.append(_row("difference", difference, error) | {"conf_low": low, "conf_high": high})
    error = math.hypot(a.std_error / a.estimate, b.std_error / b.estimate)
    log_ratio = math.log(a.estimate / b.estimate)
    low, high = math.exp(log_ratio - z * error), math.exp(log_ratio + z * error)
    back = {"estimate": math.exp(log_ratio), "conf_low": low, "conf_high": high}
    rows.append(_row("ratio", log_ratio, error) | back)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _named(name: Hashable, follow_up: FollowUp, horizon: float, start: float) -> RestrictedMean:
    try:
        return restricted_mean(follow_up, horizon, start=start)
    except EstimationError as error:
        raise EstimationError(f"group {name}: {error}") from error


def _row(quantity: str, centre: float, error: float) -> dict[str, object]:
    statistic = centre / error
    return {
        "quantity": quantity, "estimate": centre, "std_error": error, "statistic": statistic,
        "p_value": 2 * float(special.ndtr(-abs(statistic))), "note": "",
    }  # fmt: skip


def _unvarying(means: dict[Hashable, RestrictedMean], longest: float) -> str:
    """Which means have no standard error, in words; "" if all have."""
    none = [str(label) for label, m in means.items() if m.std_error == 0 and m.estimate == longest]
    same = [str(label) for label, m in means.items() if m.std_error == 0 and m.estimate < longest]
    said = []
    if none:
        where = "either group" if len(none) == 2 else none[0]
        said.append(f"no events in {where} before the horizon")
    if same:
        said.append(f"everybody at risk in {' and '.join(same)} had the event at one time")
    return f"{'; '.join(said)}, so no standard error" if said else ""


def _note(follow_up: FollowUp, horizon: float) -> str:
    early = (follow_up.status == 1) & (follow_up.exit < horizon)
    if not early.any():
        return (
            "no events before the horizon, so its variance is taken as 0 and there is no interval"
        )
    if len(np.unique(follow_up.exit[early])) == 1 and follow_up.emptied(1) < horizon:
        return "everybody at risk had the event at one time, so there is no interval"
    return ""


def _nobody_after(follow_up: FollowUp, start: float) -> str:
    last = float(follow_up.exit.max())
    if follow_up.emptied(1) <= last:
        return f"nobody is alive at {start:g}"
    return (
        f"follow-up ends at {last:g} with patients alive, so the mean after {start:g} is not known;"
        f" use a horizon of at most {last:g}"
    )
