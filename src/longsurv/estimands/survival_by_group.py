"""Survival and incidence by group, and numbers at risk, as they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from longsurv.figures.axes import risk_times

__all__ = ["incidence_curves", "numbers_at_risk", "risk_times", "survival_curves"]


def survival_curves(data: pd.DataFrame, group: str, groups: Sequence[str]) -> pd.DataFrame:
    """Kaplan-Meier estimates by group, entry times respected, with log-log 95 % intervals.

    Competing events end a patient's time at risk, as censoring does.

    Parameters
    ----------
    data : DataFrame
        Columns `entry`, `exit`, `event` (0/1) and the group.
    group : str
        Column of the treatment group.
    groups : sequence of str
        Its levels, the reference first.

    Returns
    -------
    DataFrame
        Columns `group`, `time`, `estimate`, `conf_low`, `conf_high`, `censored`; it begins
        at the earliest entry with an estimate of 1.
    """
    from longsurv.estimands.follow_up import by_group
    from longsurv.estimands.kaplan_meier import kaplan_meier

    start = float(data["entry"].min())
    sides = {str(level): side for level, side in by_group(data, group).items()}
    parts = []
    for level in map(str, groups):
        side = sides[level]
        curve = kaplan_meier(side)
        times = np.unique(side.exit[side.exit > start])
        estimate, _ = curve.at(times)
        low, high = curve.interval(times)
        sure = (estimate == 0) | (estimate == 1)  # where there is no interval by this method
        table = pd.DataFrame(
            {
                "group": level,
                "time": times,
                "estimate": estimate,
                "conf_low": np.where(sure, estimate, low),
                "conf_high": np.where(sure, estimate, high),
                "censored": [int(np.sum(side.status[side.exit == t] != 1)) for t in times],
            }
        )
        first = {"group": level, "time": start, "estimate": 1.0, "conf_low": 1.0,
                 "conf_high": 1.0, "censored": 0}  # fmt: skip
        parts.append(pd.concat([pd.DataFrame([first]), table], ignore_index=True))
    return pd.concat(parts, ignore_index=True)


def numbers_at_risk(
    data: pd.DataFrame, group: str, groups: Sequence[str], times: Sequence[float]
) -> pd.DataFrame:
    """How many patients of each group are under observation just after entry, or at, each time.

    A patient counts at time t when entry <= t <= exit.

    Returns
    -------
    DataFrame
        Columns `group`, `time`, `at_risk`.
    """
    rows = []
    for level in groups:
        part = data[data[group].astype(str) == str(level)]
        entry, leave = np.sort(part["entry"].to_numpy()), np.sort(part["exit"].to_numpy())
        for t in times:
            entered = np.searchsorted(entry, t, side="right")
            left = np.searchsorted(leave, t, side="left")
            rows.append((str(level), float(t), int(entered - left)))
    return pd.DataFrame(rows, columns=["group", "time", "at_risk"])


def incidence_curves(
    data: pd.DataFrame, group: str, groups: Sequence[str], causes: Mapping[str, int]
) -> pd.DataFrame:
    """Aalen-Johansen estimates of every cause by group, entry times respected.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: `entry`, `exit`, `status` and the group.
    group : str
    groups : sequence of str
        Its levels, the reference first.
    causes : mapping of str to int
        Label and status of each cause.

    Returns
    -------
    DataFrame
        Columns `cause`, `group`, `time`, `estimate`, `conf_low`, `conf_high` (pointwise 95 %
        limits); each curve begins at the earliest entry with 0 and ends with its follow-up.
    """
    from longsurv.estimands.aalen_johansen import cumulative_incidence
    from longsurv.estimands.follow_up import by_group

    start, parts = float(data["entry"].min()), []
    sides = {str(level): side for level, side in by_group(data, group).items()}
    for label, cause in causes.items():
        for level in groups:
            side = sides[str(level)]
            curve = cumulative_incidence(side, cause)
            times = np.unique(np.append(curve.time, side.exit.max()))
            values = [(start, 0.0, 0.0, 0.0)]
            values += [(t, curve.at(t)[0], *curve.interval(t)) for t in map(float, times)]
            table = pd.DataFrame(values, columns=["time", "estimate", "conf_low", "conf_high"])
            parts.append(table.assign(cause=label, group=str(level)))
    columns = ["cause", "group", "time", "estimate", "conf_low", "conf_high"]
    return pd.concat(parts, ignore_index=True)[columns]
