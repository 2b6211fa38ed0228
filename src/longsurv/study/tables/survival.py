"""Incidence curves and crude counts by group, from the survival data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def event_counts(data: pd.DataFrame, group: str, groups: Sequence[str]) -> pd.DataFrame:
    """Patients, events and time at risk of each group.

    Returns
    -------
    DataFrame
        Columns `group`, `patients`, `events`, `competing`, `time_at_risk`.
    """
    rows = []
    for level in groups:
        part = data[data[group].astype(str) == str(level)]
        competing = int((part["status"] > 1).sum()) if "status" in part else 0
        rows.append(
            (
                str(level),
                len(part),
                int(part["event"].sum()),
                competing,
                float((part["exit"] - part["entry"]).sum()),
            )
        )
    return pd.DataFrame(rows, columns=["group", "patients", "events", "competing", "time_at_risk"])


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
    from longsurv.estimands.competing import cumulative_incidence
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
