"""From the rows of a measurement table, long or wide, to readings: one a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import pandas as pd

from longsurv.cohort.columns import (
    CENSORED,
    LARGEST,
    SMALLEST,
    beyond_arithmetic,
    encode,
    find_level,
    has_decimal_commas,
    same_unit,
    to_readings,
)
from longsurv.cohort.flow import Ledger
from longsurv.cohort.problems import Problems, Table, show, show_list, suggest
from longsurv.cohort.schema import Marker, Schema
from longsurv.reading.numbers import is_grouped, number_in
from longsurv.words import plural


@dataclass(frozen=True)
class Readings:
    """One entry a measurement; a wide table has several in a row.

    Attributes
    ----------
    row : array of int (measurements,)
        Position of the row in the table.
    marker : array of int (measurements,)
        Position among the study's markers, -1 if it is none of them.
    value : array of float (measurements,)
    censored : array of int8 (measurements,)
        0 observed, 1 left-censored, 2 right-censored.
    """

    row: np.ndarray
    marker: np.ndarray
    value: np.ndarray
    censored: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def select(self, mask: np.ndarray) -> Self:
        """Return the readings that are flagged (bool) or in the order named (int).

        Parameters
        ----------
        mask : ndarray

        Returns
        -------
        Readings
        """
        if mask.dtype == bool and mask.all():
            return self
        return type(self)(*(getattr(self, part.name)[mask] for part in fields(self)))


@dataclass(frozen=True)
class DatedReadings(Readings):
    """Readings that know their patients and times.

    Attributes
    ----------
    owner : array of int (measurements,)
        Position of the patient in the patient table.
    time : array of float (measurements,)
        NaN where it is wrong, which has been reported.
    """

    owner: np.ndarray
    time: np.ndarray


def read_long(
    table: Table, schema: Schema, markers: Sequence[Marker], problems: Problems, ledger: Ledger
) -> Readings | None:
    """Readings of a table with one row a measurement; None if a column is missing."""
    ledger.start("in the measurement table", len(table.frame), table.name)
    name_column = problems.column(table, schema.marker, "the marker's name")
    value_column = problems.column(table, schema.value, "the measured value")
    if name_column is None or value_column is None:
        return None
    codes, found = encode(name_column)
    position = {marker.name: k for k, marker in enumerate(markers)}
    marker = np.array([position.get(str(level), -1) for level in found] + [-1])[codes]
    problems.numeric(table, schema.value)
    numbers, unit, units = to_readings(value_column)
    problems.rows(
        table,
        schema.marker,
        (codes < 0) & ~numbers.missing,
        "a value without a marker's name",
        "Say which marker it is.",
        values=value_column,
    )
    censored = numbers.censored
    if "censored" in table.frame.columns and schema.value != "censored":
        censored = _read_censored(table, censored, problems)
    readings = Readings(np.arange(len(codes)), marker, numbers.values, censored)
    other = (codes >= 0) & (marker < 0)
    if schema.exclude_other_markers:
        said = [
            f"{level}: {np.count_nonzero(codes == k):,}"
            for k, level in enumerate(found)
            if str(level) not in position
        ]
        ledger.keep("marker in the study", ~other, ", ".join(said) or "all are")
        readings = readings.select(~other)
    else:
        hints = [suggest(level, position) for level in found if str(level) not in position]
        hint = next((f"{text[0].upper()}{text[1:]} " for text in hints if text), "")
        problems.rows(
            table,
            schema.marker,
            other,
            "a marker the study does not name",
            f"{hint}The study's markers are {show_list(position)}; correct the name, describe the "
            "marker, or set exclude_other_markers = true to leave such rows out and count them.",
            values=name_column,
        )
    foreign = (unit > 0) & ~_has_own_unit(marker, unit, units, markers)
    wrong = (numbers.bad | foreign) & ~(other & schema.exclude_other_markers)
    about = [markers[k] for k in np.unique(marker[foreign & (marker >= 0)])]
    _refuse_text(table, schema.value, wrong, value_column, about, problems)
    _refuse_infinite(table, schema.value, numbers.values, value_column, problems)
    return readings


def read_wide(
    table: Table, schema: Schema, markers: Sequence[Marker], problems: Problems, ledger: Ledger
) -> Readings | None:
    """Readings of a table with a column a marker; None if a column is missing."""
    n, parts = len(table.frame), []
    ledger.start("in the measurement table", n * len(markers), wide_size(table, markers))
    for k, marker in enumerate(markers):
        column = problems.column(table, marker.name, "a marker")
        if column is None:
            continue
        problems.numeric(table, marker.name)
        numbers, unit, units = to_readings(column)
        foreign = (unit > 0) & ~_has_own_unit(np.full(n, k), unit, units, markers)
        about = [marker] if foreign.any() else []
        _refuse_text(table, marker.name, numbers.bad | foreign, column, about, problems)
        _refuse_infinite(table, marker.name, numbers.values, column, problems)
        parts.append(Readings(np.arange(n), np.full(n, k), numbers.values, numbers.censored))
    if len(parts) < len(markers) or not parts:
        return None
    return Readings(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.marker for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.censored for part in parts]),
    )


def wide_size(table: Table, markers: Sequence[Marker]) -> str:
    """How many rows and markers a wide table has, in words."""
    rows = plural(len(table.frame), "row")
    return f"{table.name}: {rows} x {plural(len(markers), 'marker')}"


def _read_censored(table: Table, from_text: np.ndarray, problems: Problems) -> np.ndarray:
    """Read the optional column that says "none", "left" or "right"."""
    column = table.frame["censored"]
    codes, found = encode(column)
    meaning = np.array([find_level(level, list(CENSORED)) for level in found] + [0])
    problems.rows(
        table,
        "censored",
        meaning[codes] < 0,
        "unknown censoring",
        f"Expected one of {show_list(CENSORED)}.",
        values=column,
    )
    return np.where(from_text > 0, from_text, meaning[codes]).astype(np.int8)


def _has_own_unit(
    marker: np.ndarray, unit: np.ndarray, units: Sequence[str], markers: Sequence[Marker]
) -> np.ndarray:
    """Which values name the unit of their marker, shape (rows,) of bool."""
    agree = [[same_unit(word, m.unit) for word in units] for m in markers]
    return np.array([*agree, [True] * len(units)])[marker, unit]


def _refuse_text(
    table: Table,
    name: str,
    wrong: np.ndarray,
    column: pd.Series,
    foreign: Sequence[Marker],
    problems: Problems,
) -> None:
    units = [f"{m.name} {show(m.unit)}" if m.unit else f"{m.name} none" for m in foreign]
    problems.rows(
        table,
        name,
        wrong,
        "text in a column of numbers",
        'Expected a number, "<" or ">" and a detection limit, or nothing if not measured.'
        + (f" A unit behind it must be the marker's unit ({', '.join(units)})." if units else "")
        + _comma_advice(column, wrong),
        values=column,
    )


def _comma_advice(column: pd.Series, wrong: np.ndarray) -> str:
    """The key to set if the decimal mark is a comma."""
    if not has_decimal_commas(column[wrong]).any():
        return ""
    said = ' If a comma is the decimal mark, set decimal = ",".'
    numbers = [number_in(str(v)) for v in column[wrong]]
    return said + ' If it stands between thousands, set thousands = ",".' * all(
        is_grouped(n) for n in numbers if "," in n
    )


def _refuse_infinite(
    table: Table, name: str, values: np.ndarray, column: pd.Series, problems: Problems
) -> None:
    problems.rows(
        table,
        name,
        np.isinf(values),
        "infinite value",
        "Expected a finite number, or nothing if not measured.",
        values=column,
    )
    problems.rows(
        table,
        name,
        beyond_arithmetic(values),
        "a number no measurement has",
        f"Its size is outside {SMALLEST:g} to {LARGEST:g}; correct it.",
        values=column,
    )


def drop_missing(readings: Readings, markers: Sequence[Marker], ledger: Ledger) -> Readings:
    """Leave out (and count) the values that were not measured."""
    measured = ~np.isnan(readings.value)
    gaps = readings.marker[~measured]
    counts = np.bincount(gaps[gaps >= 0], minlength=len(markers))
    said = [f"{m.label}: {c:,}" for m, c in zip(markers, counts, strict=True) if c]
    reason = "missing " + ", ".join(said) if said else "none missing"
    ledger.keep("value recorded", measured, reason)
    return readings.select(measured)
