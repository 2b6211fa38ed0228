"""Crude counts by group, from the survival data."""

from __future__ import annotations

from collections.abc import Sequence

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
