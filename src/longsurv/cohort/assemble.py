"""From two tables as given to the tables of a cohort: prepared, checked and put together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.cohort.clock import count_times
from longsurv.cohort.columns import CENSORED, several_in_a_cell
from longsurv.cohort.flow import Ledger, flow_table
from longsurv.cohort.measurements import CheckedMeasurements, check_measurements
from longsurv.cohort.one_table import melted, patients_of
from longsurv.cohort.patients import CheckedPatients, check_patients, tidy_covariates
from longsurv.cohort.phases import phase_of
from longsurv.cohort.problems import Problems, Table, show
from longsurv.cohort.schema import NO_DIRECTION, Marker, Schema
from longsurv.errors import DataError
from longsurv.words import plural


@dataclass(frozen=True)
class Tables:
    """The tables of a cohort after checking; sorted by patient, then time, then marker."""

    patients: pd.DataFrame
    measurements: pd.DataFrame
    flow: pd.DataFrame
    groups: list[Hashable]
    entry: np.ndarray  # (patients,)
    exit: np.ndarray  # (patients,), censored at the horizon
    status: np.ndarray  # (patients,) 0 censored, 1 event, 2.. competing
    owner: np.ndarray  # (measurements,) row of the patient
    marker: np.ndarray  # (measurements,) position among the markers


def check_markers(
    markers: Iterable[Marker] | Mapping[str, Marker], schema: Schema
) -> dict[str, Marker]:
    """Return the markers by name; refuse those that the tables could not tell apart."""
    listed = list(markers.values() if isinstance(markers, Mapping) else markers)
    wrong = [type(marker).__name__ for marker in listed if not isinstance(marker, Marker)]
    if wrong:
        raise DataError(f"markers: each is a longsurv.Marker, as Marker('crp'), not {wrong[0]}")
    names = [marker.name for marker in listed]
    problems = [f"marker {show(n)} is described twice" for n in set(names) if names.count(n) > 1]
    labels = [marker.label for marker in listed]
    problems += [
        f"markers {' and '.join(show(m.name) for m in listed if m.label == label)} have one label, "
        f"{show(label)}: tables and figures could not tell them apart; rename one"
        for label in dict.fromkeys(labels)
        if labels.count(label) > 1 and len({m.name for m in listed if m.label == label}) > 1
    ]
    problems += [
        f"marker {show(n)} has the name of the patient or time column; rename one"
        for n in names
        if n in (schema.patient, schema.measurement_patient, schema.time)
    ]
    if schema.within_phase == "worst":
        problems += [
            f"marker {show(m.name)}: {NO_DIRECTION}, or a within_phase of its own"
            for m in listed
            if m.direction is None and m.within_phase is None
        ]
    if problems:
        raise DataError(problems)
    return dict(zip(names, listed, strict=True))


def check_tables(
    patients: Table, measurements: Table | None, schema: Schema, markers: list[Marker]
) -> Tables:
    """Check both tables, raise every problem at once, and put the tidy tables together."""
    problems, people, values = Problems(), Ledger("patients"), Ledger("measurements")
    for table in [patients] if measurements is None else [patients, measurements]:
        for k, name in enumerate(table.frame.columns):
            column = table.frame.iloc[:, k]
            what, todo = "no single value", "Expected one number or one text a cell; unpack them."
            wrong = several_in_a_cell(column)
            problems.rows(table, str(name), wrong, what, todo, values=column)
    problems.raise_if_any()
    patients, measurements, schema, notes = _prepare(
        patients, measurements, schema, markers, problems
    )
    problems.raise_if_any()
    checked = check_patients(patients, schema, problems, people)
    for step, text in notes:
        people.note(step, text)
    readings = None
    if measurements is not None and not markers:
        problems.add(
            f"{measurements.name}: no marker is described; describe at least one (in a study file "
            "[markers.crp], say), or leave the measurement table out"
        )
    elif measurements is not None:
        readings = check_measurements(
            measurements, schema, markers, checked, patients.name, problems, values
        )
    elif markers:
        problems.add(f"{plural(len(markers), 'marker')} described but no measurement table given")
    problems.raise_if_any()
    return _assemble(patients, schema, markers, checked, readings, people, values)


def _prepare(
    patients: Table,
    measurements: Table | None,
    schema: Schema,
    markers: list[Marker],
    problems: Problems,
) -> tuple[Table, Table | None, Schema, list[tuple[str, str]]]:
    """Both tables as the checks expect them, the schema of those, and what was done to them."""
    tables = [patients] if measurements is None else [patients, measurements]
    if not all(table.frame.columns.is_unique for table in tables):
        return patients, measurements, schema, []  # refused by the checks
    notes = []
    one = measurements is not None and measurements.frame is patients.frame
    given = schema
    if measurements is not None and isinstance(schema.wide, str):
        measurements, schema, note = melted(measurements, schema, markers, problems)
        notes += [("columns of other markers", note)] if note else []
    if one:
        patients, note = patients_of(patients, given, markers, problems)
        notes += [("one table of patients and measurements", note)] if note else []
    problems.raise_if_any()
    timed = count_times(patients, measurements, schema, problems)
    notes += [("times counted from dates", timed.note)] if timed.note else []
    return timed.patients, timed.measurements, schema, notes


def _assemble(
    table: Table,
    schema: Schema,
    markers: list[Marker],
    checked: CheckedPatients,
    readings: CheckedMeasurements | None,
    people: Ledger,
    values: Ledger,
) -> Tables:
    assert checked.ids is not None and checked.exit is not None and checked.entry is not None
    assert checked.status is not None and checked.treatment is not None
    order = np.argsort(checked.rank, kind="stable")
    order = order[checked.keep[order]]
    frame = tidy_covariates(table.frame, schema).iloc[order].reset_index(drop=True)
    groups = pd.Categorical.from_codes(checked.treatment[order], categories=checked.groups)
    ids = checked.ids.levels.to_numpy()[checked.ids.codes[order]]
    times = {schema.exit: checked.exit[order]}
    if isinstance(schema.entry, str):
        times[schema.entry] = checked.entry[order]
    frame = frame.assign(**{schema.patient: ids, schema.treatment: groups, **times})
    horizon = np.inf if schema.horizon is None else schema.horizon
    exit_, status = checked.exit[order], checked.status[order]

    if readings is None:
        nothing = np.zeros(0, np.int64)
        readings = CheckedMeasurements(nothing, nothing * 0.0, nothing, nothing * 0.0, nothing)
    row_of = np.full(len(checked.keep), -1)
    row_of[order] = np.arange(len(order))
    owner = row_of[readings.patient]
    names = np.array([m.name for m in markers], dtype=object)
    long = pd.DataFrame(
        {
            schema.patient: ids[owner],
            schema.time: readings.time,
            "marker": names[readings.marker],
            "value": readings.value,
            "censored": CENSORED[readings.censored],
            "phase": phase_of(readings.time, schema.phases),
        }
    )
    silent = ids[np.bincount(owner, minlength=len(order)) == 0]
    if markers and len(silent):
        people.note(
            "with or without measurements",
            f"{plural(len(silent), 'patient')} without any, kept for survival",
        )
    return Tables(
        patients=frame,
        measurements=long,
        flow=flow_table(people, values),
        groups=list(checked.groups),
        entry=checked.entry[order],
        exit=np.minimum(exit_, horizon),
        status=np.where(exit_ > horizon, 0, status),
        owner=owner,
        marker=readings.marker,
    )
