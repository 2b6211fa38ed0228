"""Follow-up in intervals over which the last measurement is carried forward.

For a Cox model with a marker that changes with time: one row for each stretch of a patient's
follow-up, (start, stop], with the marker's last value at `start`. Carrying a value forward takes
the marker for what it was when last measured, and measurement error for truth: both pull the
association to 0 (Prentice 1982, Biometrika 69:331-342).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.outcome import event_problem, read_numbers
from longsurv.errors import DataError
from longsurv.tables.notebook import Readable
from longsurv.words import some

TIMES = ("start", "stop", "event")


@dataclass(frozen=True, eq=False, repr=False)
class StartStop(Readable):
    """Follow-up in intervals.

    Attributes
    ----------
    data : DataFrame
        One row an interval: the columns of the survival data, "start", "stop", "event" (1 where the
        interval ends with it), and the last value of each marker at `start`.
    left_out : DataFrame
        The patient, reason, time (at risk that is not in `data`), events (not in `data`),
        measurements (not used).
    """

    read_as: ClassVar[tuple[str, ...]] = ("left_out",)
    no_plot: ClassVar[str] = "its data are for a model, whose answers have plot()"

    data: pd.DataFrame
    left_out: pd.DataFrame


@checked
def start_stop(
    measurements: pd.DataFrame,
    survival: pd.DataFrame,
    values: Sequence[str],
    *,
    patient: str,
    time: str,
    exit: str,
    event: str,
    entry: str | None = None,
) -> StartStop:
    """Cut follow-up at every measurement and carry the last values forward.

    A patient is at risk from entry, with the last values measured by then, or from the first
    measurement if that is later.

    Parameters
    ----------
    measurements : DataFrame
        One row a measurement. Rows with a missing value are not used and `left_out` counts them.
    survival : DataFrame
        One row a patient.
    values : sequence of str
        Columns of `measurements` to carry forward.
    patient, time : str
        Columns of `measurements`; `survival` has the first too.
    exit, event : str
        Columns of `survival`.
    entry : str, optional
        The same, for delayed entry.

    Returns
    -------
    StartStop
        Its data are ready for ``CoxPH("Surv(start, stop, event) ~ marker", data, patient=...)``.

    Raises
    ------
    DataError
        For missing columns, patients with several rows or none in `survival`, measurements after
        the event or the end of follow-up, or two measurements of a patient at one time: every
        problem at once.
    """
    values = list(values)
    _check_columns(measurements, survival, values, [patient, time],
                   [patient, exit, event, *([entry] if entry else [])])  # fmt: skip
    _check(measurements, survival, patient, time, exit, event)
    numbers = {name: read_numbers(survival[name], name) for name in (exit, event, entry) if name}
    survival = survival.assign(**numbers)
    known = measurements[values].notna().all(axis=1) & measurements[time].notna()
    rows = measurements.loc[known, [patient, time, *values]]
    people = survival.set_index(patient, drop=False)
    ends = people[exit].reindex(rows[patient]).to_numpy(dtype=float)
    begins = people[entry].reindex(rows[patient]).to_numpy(dtype=float) if entry else 0.0
    rows = rows.assign(**{"stop": ends, "start": np.maximum(rows[time], begins)})
    rows = rows[rows["start"] < rows["stop"]]
    rows = rows.sort_values([patient, time], kind="stable")
    # Of several values by entry, the last.
    rows = rows.drop_duplicates([patient, "start"], keep="last")
    following = rows.groupby(patient, observed=True)["start"].shift(-1)
    last = following.isna()
    rows = rows.assign(stop=following.where(~last, rows["stop"]))
    status = people[event].reindex(rows[patient]).to_numpy(dtype=int)
    rows = rows.assign(event=np.where(last, status, 0)).drop(columns=time)
    more = [c for c in survival if c not in rows]
    data = rows.merge(survival[[patient, *more]], on=patient, how="left")
    first = rows.groupby(patient, observed=True)["start"].min()
    return StartStop(
        data=data[[patient, *TIMES, *values, *more]],
        left_out=_left_out(people, first, measurements.loc[~known, patient], patient, exit, event,
                           entry),
    )  # fmt: skip


def _check_columns(
    measurements: pd.DataFrame,
    survival: pd.DataFrame,
    values: list[str],
    of_rows: list[str],
    of_people: list[str],
) -> None:
    problems = [
        f"the {what} have no column {name!r}; they have {list(frame.columns)}"
        for what, frame, names in (
            ("measurements", measurements, [*of_rows, *values]),
            ("survival data", survival, of_people),
        )
        for name in names
        if name not in frame
    ]
    taken = [c for c in TIMES if c in values or (c in survival and c not in of_people)]
    if taken:
        problems.append(f"rename the columns {taken}, which are names of the intervals")
    if problems:
        raise DataError(problems)


def _check(
    measurements: pd.DataFrame,
    survival: pd.DataFrame,
    patient: str,
    time: str,
    exit: str,
    event: str,
) -> None:
    problem = event_problem(survival[event], event)
    problems = [problem] if problem else []
    twice = survival[patient][survival[patient].duplicated()]
    if len(twice):
        problems.append(f"{patient} {some(twice)} have several rows in the survival data")
    unknown = measurements[patient][~measurements[patient].isin(survival[patient])]
    if len(unknown):
        problems.append(
            f"{patient} {some(unknown)} have measurements but no row in the survival data"
        )
    if not len(twice):
        end = survival.set_index(patient)[exit].reindex(measurements[patient]).to_numpy(dtype=float)
        late = measurements[patient][(measurements[time] > end).to_numpy()]
        if len(late):
            problems.append(
                f"{patient} {some(late)} have measurements after their event or end of follow-up: "
                "check the times, or drop those rows"
            )
    again = measurements[measurements.duplicated([patient, time]) & measurements[time].notna()]
    if len(again):
        problems.append(
            f"{patient} {some(again[patient])} have two measurements at one time: keep one, or "
            "their mean"
        )
    if problems:
        raise DataError(problems)


def _left_out(
    people: pd.DataFrame,
    first: pd.Series,
    unused: pd.Series,
    patient: str,
    exit: str,
    event: str,
    entry: str | None,
) -> pd.DataFrame:
    begin = people[entry].astype(float) if entry else pd.Series(0.0, index=people.index)
    end, starts = people[exit].astype(float), first.reindex(people.index)
    rows = []
    for name in people.index:
        if np.isnan(starts[name]):
            lost = max(end[name] - begin[name], 0.0)
            rows.append((name, "no measurement before the end of follow-up", lost,
                         int(people.loc[name, event]), 0))  # fmt: skip
        elif starts[name] > begin[name]:
            rows.append((name, "at risk before the first measurement",
                         starts[name] - begin[name], 0, 0))  # fmt: skip
    counts = unused.value_counts(sort=False)
    rows += [(name, "measurement without a value", 0.0, 0, int(n)) for name, n in counts.items()]
    return pd.DataFrame(rows, columns=[patient, "reason", "time", "events", "measurements"])
