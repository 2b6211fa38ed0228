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
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.follow_up import FollowUp, two_groups
from longsurv.estimands.kaplan_meier import kaplan_meier


@dataclass(frozen=True)
class RestrictedMean:
    """Mean time alive between two times, with its standard error."""

    estimate: float
    std_error: float


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
        If follow-up ends before the horizon with patients alive, or begins after `start`.

    References
    ----------
    Klein JP, Moeschberger ML. Survival Analysis, 2nd ed. 2003, section 4.5. Uno H and others.
    Moving beyond the hazard ratio. J Clin Oncol 2014;32:2380-2385.
    """
    if not start < horizon:
        raise LongsurvError(f"the horizon ({horizon:g}) must come after the start ({start:g})")
    curve = kaplan_meier(follow_up)
    if follow_up.entry.min() > start:
        raise EstimationError(
            f"nobody is under observation between {start:g} and {follow_up.entry.min():g};"
            f" start there or later"
        )
    if curve.known_until < horizon:
        raise EstimationError(
            f"follow-up ends at {curve.known_until:g} with patients alive, so the mean up to"
            f" {horizon:g} is not known; use a horizon of at most {curve.known_until:g}"
        )
    inside = (curve.time > start) & (curve.time < horizon)
    if (curve.time <= start).any():
        # Survival from `start` on, of those alive then.
        base = curve.survival[curve.time <= start][-1]
        if base == 0:
            raise EstimationError(f"nobody is alive at {start:g}")
    else:
        base = 1.0
    time, d, at_risk = curve.time[inside], curve.events[inside], curve.at_risk[inside]
    survival = curve.survival[inside] / base
    pieces = np.diff([*time, horizon]) * survival
    area_after = np.cumsum(pieces[::-1])[::-1]
    dying = at_risk > d  # otherwise survival, and the area after, are 0
    variance = np.sum(area_after[dying] ** 2 * d[dying] / (at_risk * (at_risk - d))[dying])
    first = time[0] if len(time) else horizon
    return RestrictedMean(float(first - start + pieces.sum()), math.sqrt(variance))


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
        (normal, two-sided), conf_low, conf_high, note.

    Raises
    ------
    DataError, EstimationError
        For data that cannot be follow-up; for a horizon beyond it.
    """
    name, treated, reference_name, reference = two_groups(data, group)
    if start is None:
        start = float(max(treated.entry.min(), reference.entry.min()))
    z = float(special.ndtri((1 + level) / 2))
    a = _named(name, treated, horizon, start)
    b = _named(reference_name, reference, horizon, start)
    rows = []
    for label, mean, side in ((name, a, treated), (reference_name, b, reference)):
        low, high = max(mean.estimate - z * mean.std_error, 0.0), mean.estimate + z * mean.std_error
        rows.append(
            {
                "quantity": f"mean of {label}", "estimate": mean.estimate,
                "std_error": mean.std_error, "conf_low": low,
                "conf_high": min(high, horizon - start), "note": _note(side, horizon),
            }
        )  # fmt: skip
    error = math.hypot(a.std_error, b.std_error)
    rows.append(_row("difference", a.estimate - b.estimate, error, z, exponentiate=False))
    if a.estimate > 0 and b.estimate > 0:
        relative = math.hypot(a.std_error / a.estimate, b.std_error / b.estimate)
        log_ratio = math.log(a.estimate / b.estimate)
        rows.append(_row("ratio", log_ratio, relative, z, exponentiate=True))
    columns = [
        "quantity", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
        "note",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _named(name: Hashable, follow_up: FollowUp, horizon: float, start: float) -> RestrictedMean:
    try:
        return restricted_mean(follow_up, horizon, start=start)
    except EstimationError as error:
        raise EstimationError(f"group {name}: {error}") from error


def _row(
    quantity: str, centre: float, error: float, z: float, *, exponentiate: bool
) -> dict[str, Any]:
    back = math.exp if exponentiate else float
    statistic = centre / error if error > 0 else math.nan
    return {
        "quantity": quantity,
        "estimate": back(centre),
        "std_error": error,
        "statistic": statistic,
        "p_value": 2 * float(special.ndtr(-abs(statistic))),
        "conf_low": back(centre - z * error) if error > 0 else math.nan,
        "conf_high": back(centre + z * error) if error > 0 else math.nan,
        "note": "" if error > 0 else "no events in either group, so no standard error",
    }


def _note(follow_up: FollowUp, horizon: float) -> str:
    if not ((follow_up.status == 1) & (follow_up.exit < horizon)).any():
        return "no events before the horizon, so its variance is taken as 0"
    return ""
