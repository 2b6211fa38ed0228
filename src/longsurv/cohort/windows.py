"""Measurements before time zero and after the end of follow-up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longsurv.cohort.flow import Ledger
from longsurv.cohort.patients import CheckedPatients
from longsurv.cohort.problems import Problems, Table
from longsurv.cohort.readings import DatedReadings
from longsurv.cohort.schema import Schema

ROUNDING = 1e-9
"""Times written in other units (days / 365.25) may differ in the last digits."""


def in_window(time: np.ndarray, schema: Schema) -> np.ndarray:
    """Which times lie in the baseline window, before time zero, shape (n,) of bool."""
    if schema.baseline_window is None:
        return np.zeros(len(time), bool)
    first, last = schema.baseline_window
    return (time >= first - ROUNDING) & (time <= last + ROUNDING) & (time < 0)


def keep_inside(
    readings: DatedReadings, schema: Schema, patients: CheckedPatients, ledger: Ledger
) -> DatedReadings:
    """Date baselines at time zero; exclude what lies outside follow-up, if the schema says so."""
    if schema.baseline_window is not None:
        readings = _with_baselines(readings, schema, ledger)
    if schema.outside == "refuse":
        return readings
    early = readings.time < 0
    ledger.keep("from time zero on", ~early, f"before time zero: {early.sum():,}")
    readings = readings.select(~early)
    late, event = _is_late(readings, schema, patients)
    reason = (
        f"after the event: {(late & event).sum():,}; "
        f"after the end of follow-up: {(late & ~event).sum():,}"
    )
    ledger.keep("during follow-up", ~late, reason)
    return readings.select(~late)


def refuse_late(
    readings: DatedReadings,
    schema: Schema,
    patients: CheckedPatients,
    table: Table,
    problems: Problems,
) -> None:
    """Refuse measurements dated after the patient's follow-up ended."""
    late, event = _is_late(readings, schema, patients)
    for chosen, what in (
        (late & event, "measurement after the event (death)"),
        (late & ~event, "measurement after the end of follow-up"),
    ):
        if not chosen.any():
            continue
        assert patients.exit is not None
        rows, at = np.unique(readings.row[chosen], return_index=True)
        dated = readings.time[chosen][at], patients.exit[readings.owner[chosen][at]]
        problems.rows(
            table,
            schema.time,
            rows,
            what,
            'Correct the time or the follow-up, set a tolerance, or set outside = "exclude" to '
            "leave such measurements out and count them.",
            words=[f"time {t:.10g} > {e:.10g}" for t, e in zip(*dated, strict=True)],
        )


def _is_late(
    readings: DatedReadings, schema: Schema, patients: CheckedPatients
) -> tuple[np.ndarray, np.ndarray]:
    """Which readings come after their patient's follow-up, and which of all ended in the event."""
    nobody = np.zeros(len(readings), bool)
    if patients.exit is None:
        return nobody, nobody
    end = patients.exit[readings.owner]
    late = readings.time > end + schema.tolerance + ROUNDING * np.maximum(1.0, end)
    event = nobody if patients.status is None else patients.status[readings.owner] == 1
    return late, event


def _with_baselines(readings: DatedReadings, schema: Schema, ledger: Ledger) -> DatedReadings:
    """The latest value in the baseline window dated at time zero, unless there is one there."""
    window = in_window(readings.time, schema)
    candidates = np.flatnonzero(window | (readings.time == 0))
    order = candidates[
        np.lexsort(
            (readings.time[candidates], readings.marker[candidates], readings.owner[candidates])
        )
    ]
    owner, marker, time = readings.owner[order], readings.marker[order], readings.time[order]
    new = np.ones(len(order), bool)
    new[1:] = (owner[1:] != owner[:-1]) | (marker[1:] != marker[:-1])
    if not len(order):
        return readings
    latest = np.maximum.reduceat(time, np.flatnonzero(new))[np.cumsum(new) - 1]
    kept = np.ones(len(readings), bool)
    kept[order] = time == latest
    moved = kept & window
    reason = (
        f"before time zero, a later value is nearer to it: {(~kept).sum():,}; "
        f"{moved.sum():,} dated at time zero"
    )
    ledger.keep("baseline before time zero", kept, reason)
    return replace(readings, time=np.where(moved, 0.0, readings.time)).select(kept)
