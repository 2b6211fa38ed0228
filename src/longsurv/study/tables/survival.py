"""Crude counts and median times by group, from the survival data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from longsurv.estimands.survival_times import follow_up_quantiles, survival_quantiles


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


def median_times(data: pd.DataFrame, group: str, groups: Sequence[str]) -> pd.DataFrame:
    """Median follow-up (reverse Kaplan-Meier) and median time of the event of each group.

    Returns
    -------
    DataFrame
        Columns `group`, `follow_up`, `median`, `median_low`, `median_high` (log-log); NaN where not
        reached, `median_high` infinite where only that is not.
    """
    followed = follow_up_quantiles(data, group, [0.5])
    event = survival_quantiles(data, group, [0.5])
    found = pd.DataFrame(
        {
            "group": followed.iloc[:, 0].astype(str),
            "follow_up": followed["estimate"],
            "median": event["estimate"],
            "median_low": event["conf_low"],
            "median_high": event["conf_high"],
        }
    )
    return found.set_index("group").reindex(list(groups)).reset_index()
