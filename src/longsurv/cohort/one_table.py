"""Tables of other shapes made two: one row a patient, and one row a measurement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.cohort.columns import to_ids
from longsurv.cohort.problems import Problems, Table, show, show_list
from longsurv.cohort.schema import Marker, Schema
from longsurv.words import plural


@dataclass(frozen=True)
class Cell:
    """A column that holds one marker at one time."""

    position: int
    marker: str
    time: float


def find_cells(columns: Sequence[object], pattern: str) -> list[Cell]:
    """The columns whose names follow a pattern such as "{marker}_d{time}"."""
    form = re.escape(pattern).replace(r"\{marker\}", "(?P<marker>.+?)")
    form = form.replace(r"\{time\}", r"(?P<time>[+-]?\d+(?:\.\d+)?)")
    found = []
    for position, name in enumerate(columns):
        match = re.fullmatch(form, str(name))
        if match is not None:
            found.append(Cell(position, match["marker"].strip(), float(match["time"])))
    return found


def melted(
    table: Table, schema: Schema, markers: Sequence[Marker], problems: Problems
) -> tuple[Table, Schema, str]:
    """One row a measurement, of a table with one row a patient and a column a marker and time.

    Returns
    -------
    Table
        Its rows keep their numbers, and know the columns they were in.
    Schema
        Of that table.
    str
        Which columns of the pattern are of no marker of the study.
    """
    assert isinstance(schema.wide, str)
    long = replace(schema, wide=False, marker="marker", value="value")
    name = schema.measurement_patient or schema.patient
    cells = find_cells(table.frame.columns, schema.wide)
    names = {marker.name for marker in markers}
    there = list(dict.fromkeys(cell.marker for cell in cells))
    lost = [marker.name for marker in markers if marker.name not in there]
    if lost:
        seen = (
            f"those that do are of {show_list(there)}"
            if there
            else f"the columns are {show_list(table.frame.columns, 30)}"
        )
        problems.add(
            f"{table.name}: no column of {show_list(lost)} is called as in wide = "
            f"{show(schema.wide)} of [measurements]; {seen}"
        )
    if problems.column(table, name, "the patient identifier") is None or lost:
        return table, long, ""
    own = [cell for cell in cells if cell.marker in names]
    n, frame = len(table.frame), table.frame
    values = [frame.iloc[:, cell.position] for cell in own]
    numeric = all(pd.api.types.is_numeric_dtype(column) for column in values)
    stacked = pd.concat([c if numeric else c.astype(object) for c in values], ignore_index=True)
    rows = pd.DataFrame(
        {
            name: pd.concat([frame[name]] * len(own), ignore_index=True),
            schema.time: np.repeat([cell.time for cell in own], n),
            "marker": np.repeat(np.array([cell.marker for cell in own], dtype=object), n),
            "value": stacked,
        }
    ).set_axis(np.tile(frame.index, len(own)))
    columns = np.array([str(frame.columns[cell.position]) for cell in own], dtype=object)
    other = [cell.marker for cell in cells if cell.marker not in names]
    note = ", ".join(
        f"{marker} ({plural(other.count(marker), 'column')})" for marker in dict.fromkeys(other)
    )
    doubts = [said for column, said in table.unclear.items() if column in set(columns)]
    made = Table(
        rows,
        table.name,
        table.row,
        cells=np.repeat(columns, n),
        named=table.named,
        unclear={"value": doubts[0]} if doubts else {},
    )
    return made, long, note


def patients_of(
    table: Table, schema: Schema, markers: Sequence[Marker], problems: Problems
) -> tuple[Table, str]:
    """One row a patient, of a table that repeats the patient's columns in each measurement's row.

    Columns the study names have to be the same in all rows of a patient, but for empty cells;
    others that are not are left out.
    """
    frame, apart = table.frame, isinstance(schema.wide, str)
    if schema.patient not in frame or not frame.columns.is_unique:
        return table, ""
    ids = to_ids(frame[schema.patient])
    if schema.wide is True and not ids.repeated.any():
        return table, ""
    if apart:
        assert isinstance(schema.wide, str)
        measured = {frame.columns[c.position] for c in find_cells(frame.columns, schema.wide)}
    elif schema.wide:
        measured = {schema.time, *(marker.name for marker in markers)}
    else:
        measured = {schema.time, schema.marker, schema.value, "censored"}
    named = {
        schema.treatment,
        *schema.outcome_columns,
        schema.time_zero,
        schema.site,
        *schema.covariates,
        *schema.categorical,
    }
    frame = frame.drop(columns=[c for c in frame.columns if c in measured and c not in named])
    if not ids.repeated.any():
        return replace(table, frame=frame), ""
    table = replace(table, frame=frame, ids=ids)
    varying = []
    for name in frame.columns.drop(schema.patient):
        wrong = _varies(frame[name], ids.codes)
        if name not in named:
            varying += [name] if wrong.any() else []
            continue
        problems.rows(
            table,
            str(name),
            wrong,
            "varies within a patient",
            "One table holds patients and measurements, so that each row of a patient repeats it: "
            "make it the same, or leave it empty but for one row.",
            values=frame[name],
        )
    frame = frame.drop(columns=varying)
    known = ~ids.missing
    first = np.sort(np.unique(ids.codes[known], return_index=True)[1])
    at = np.flatnonzero(known)[first]
    filled = frame[known].groupby(ids.codes[known], sort=False).first()
    people = filled.set_axis(frame.index[at])
    note = f"{plural(len(table.frame), 'row')} of {plural(len(people), 'patient')}"
    if varying:
        note += f"; left out, for they vary within a patient: {show_list(varying)}"
    return Table(people, table.name, table.row, named=table.named, unclear=table.unclear), note


def _varies(column: pd.Series, patient: np.ndarray) -> np.ndarray:
    """Rows whose value differs from the first of their patient, shape (rows,) of bool."""
    codes = pd.factorize(column, use_na_sentinel=True)[0]
    there = np.flatnonzero((codes >= 0) & (patient >= 0))
    first = np.full(patient.max(initial=-1) + 1, -1)
    first[patient[there][::-1]] = codes[there][::-1]
    wrong = np.zeros(len(column), bool)
    wrong[there] = codes[there] != first[patient[there]]
    return wrong
