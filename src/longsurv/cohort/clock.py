"""From dates and timestamps to times counted from time zero."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longsurv.cohort.columns import to_ids
from longsurv.cohort.dates import Dates, is_serial, read_dates
from longsurv.cohort.problems import Problems, Table, show, show_list
from longsurv.cohort.schema import Schema
from longsurv.reading.durations import SECONDS, unit_of_time

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Timed:
    """Both tables with times as numbers, and what a reader should know of how they were made."""

    patients: Table
    measurements: Table | None
    note: str = ""


def count_times(
    patients: Table, measurements: Table | None, schema: Schema, problems: Problems
) -> Timed:
    """Replace dates by the time since each patient's date of time zero; numbers stay.

    Follow-up that ends on a date, where other columns have a time of day, ends with that day;
    where measurements have dates only, time zero begins with its day.
    """
    names = [schema.exit, *([schema.entry] if isinstance(schema.entry, str) else [])]
    # Numbers such as 45000.5 are dates of a spreadsheet where time zero is one.
    begins = patients.frame.get(schema.time_zero)
    serial = begins is not None and is_serial(begins)
    ends = _dated(patients, names, schema, problems, serial)
    visits = (
        {}
        if measurements is None
        else _dated(measurements, [schema.time], schema, problems, serial)
    )
    if not ends and not visits:
        return Timed(patients, measurements)
    zero = _zero(patients, schema, problems)
    unit = _seconds(patients, schema, problems)
    if zero is None or unit is None:
        return Timed(patients, measurements)
    every = [zero, *ends.values(), *visits.values()]
    if len({dates.zoned for dates in every}) > 1:
        names = [*ends, *visits]
        problems.add(
            f"{patients.name}: of {show_list([schema.time_zero, *names])} some have a time zone "
            "and some have none; write all with or all without"
        )
    origin, notes = zero.values, []
    if visits and all(d.whole_days for d in visits.values()) and not zero.whole_days:
        origin = origin.astype("datetime64[D]").astype("datetime64[ns]")
        notes.append(f"{show(schema.time)} has no time of day: days begin at midnight")
    if schema.exit in ends and ends[schema.exit].whole_days:
        others = [d for name, d in (*ends.items(), *visits.items()) if name != schema.exit]
        if not all(d.whole_days for d in (*others, Dates(origin, zero.missing, zero.bad))):
            late = ends[schema.exit]
            ends[schema.exit] = replace(late, values=late.values + _DAY)
            notes.append(f"{show(schema.exit)} has no time of day: follow-up ends with the day")
    timed = {name: _since(d.values, origin, unit) for name, d in ends.items()}
    frame = patients.frame.assign(**timed)
    if schema.time_zero not in (*schema.outcome_columns, *schema.covariates):
        frame = frame.drop(columns=schema.time_zero)
    if visits:
        assert measurements is not None
        measurements = _visits(patients, measurements, visits[schema.time], origin, unit, schema)
    counted = [show(name) for name in (*ends, *visits)]
    said = f"{', '.join(counted)} in {schema.time_unit} since {show(schema.time_zero)}"
    return Timed(replace(patients, frame=frame), measurements, "; ".join([said, *notes]))


def _dated(
    table: Table, names: list[str], schema: Schema, problems: Problems, serial: bool
) -> dict[str, Dates]:
    """The columns of a table that hold dates, and what is wrong with them."""
    found = {}
    for name in dict.fromkeys(names):
        column = table.frame.get(name)
        dates = None if column is None else read_dates(column, schema.date_format, serial=serial)
        if dates is None:
            continue
        found[name] = dates
        _refuse(table, name, dates, schema, problems)
    return found


def _refuse(table: Table, name: str, dates: Dates, schema: Schema, problems: Problems) -> None:
    problems.rows(
        table,
        name,
        dates.bad,
        "not a date",
        (
            f"Expected dates written as {schema.date_format}."
            if schema.date_format
            else "Expected a date such as 2024-01-31 or 2024-01-31 14:30; if they are written in "
            'another way, say how: date_format = "%d/%m/%Y" in [outcome].'
        ),
        values=table.frame[name],
    )
    if dates.unclear:
        first = table.frame[name].dropna().iloc[0]
        problems.add(
            f"{table.name}, column {show(name)}: {show(first)} may have the day or the month "
            'first; say which: date_format = "%d/%m/%Y" or "%m/%d/%Y" in [outcome]'
        )


def _zero(patients: Table, schema: Schema, problems: Problems) -> Dates | None:
    """Each patient's date of time zero."""
    column = patients.frame.get(schema.time_zero)
    dates = None if column is None else read_dates(column, schema.date_format, serial=True)
    if dates is None:
        there = [
            str(name)
            for name in patients.frame.columns
            if read_dates(patients.frame[name], schema.date_format) is not None
        ]
        given = f", not {show(schema.time_zero)}" if schema.time_zero else ""
        problems.add(
            f"{patients.name}: times are dates, so time_zero of [outcome] must be the column of "
            f"the date they are counted from{given}; the columns of dates are {show_list(there)}"
        )
        return None
    _refuse(patients, schema.time_zero, dates, schema, problems)
    if not schema.exclude_incomplete:
        problems.rows(
            patients,
            schema.time_zero,
            dates.missing,
            "no date of time zero",
            "Every patient needs one; fill it in, or set exclude_incomplete = true to leave these "
            "patients out and count them.",
        )
    return dates


def _seconds(patients: Table, schema: Schema, problems: Problems) -> float | None:
    """Seconds in the time unit."""
    seconds = SECONDS.get(unit_of_time(schema.time_unit))
    if seconds is None:
        problems.add(
            f"{patients.name}: dates cannot be counted in {show(schema.time_unit)}; time_unit must "
            "be minutes, hours, days, weeks, months or years"
        )
    return seconds


def _since(values: np.ndarray, origin: np.ndarray, unit: float) -> np.ndarray:
    """Times since the origin, NaN where either is unknown."""
    return (values - origin) / np.timedelta64(1, "ns") / (unit * 1e9)


def _visits(
    patients: Table,
    table: Table,
    dates: Dates,
    origin: np.ndarray,
    unit: float,
    schema: Schema,
) -> Table:
    """The measurement table with times; 0 for a patient without time zero, who is left out."""
    name = schema.measurement_patient or schema.patient
    if name not in table.frame or schema.patient not in patients.frame:
        return table
    table = replace(table, ids=to_ids(table.frame[name]))
    assert table.ids is not None
    owner = to_ids(patients.frame[schema.patient]).locate(table.ids)
    begins = np.append(origin, np.datetime64("NaT", "ns"))[owner]
    times = np.where(np.isnat(begins), 0.0, _since(dates.values, begins, unit))
    times[dates.missing] = np.nan
    return replace(table, frame=table.frame.assign(**{schema.time: times}))
