"""The measurement table: every check, and the tidy arrays that come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.cohort.codes import code_advice, note_codes
from longsurv.cohort.columns import CENSORED, LARGEST, to_ids, to_times
from longsurv.cohort.cutoff import undecided
from longsurv.cohort.flow import Ledger
from longsurv.cohort.patients import NO_ID, CheckedPatients
from longsurv.cohort.problems import Problems, Table, show, show_list
from longsurv.cohort.readings import (
    DatedReadings,
    Readings,
    drop_missing,
    read_long,
    read_wide,
    wide_size,
)
from longsurv.cohort.repeats import in_order, merge_duplicates, merge_within_phases
from longsurv.cohort.schema import Marker, Schema
from longsurv.cohort.windows import in_window, keep_inside, refuse_late
from longsurv.times import snapped


@dataclass(frozen=True)
class CheckedMeasurements:
    """Readings kept, sorted by patient's identifier, time and marker.

    ``patient`` is the position of each reading's patient in the patient table.
    """

    patient: np.ndarray
    time: np.ndarray
    marker: np.ndarray
    value: np.ndarray
    censored: np.ndarray


def check_measurements(
    table: Table,
    schema: Schema,
    markers: Sequence[Marker],
    patients: CheckedPatients,
    patient_table: str,
    problems: Problems,
    ledger: Ledger,
) -> CheckedMeasurements | None:
    """Check the measurement table, collecting problems and exclusions.

    Returns
    -------
    CheckedMeasurements or None
        None when columns are missing, which is then among the problems.
    """
    if not table.frame.columns.is_unique:
        twice = table.frame.columns[table.frame.columns.duplicated()].unique()
        problems.add(f"{table.name}: columns {show_list(twice)} appear twice; rename or remove one")
        return None
    table, owner = _check_owner(table, schema, patients, patient_table, problems)
    if schema.exclude_other_patients and owner is not None:
        table, owner = _of_patients(table, owner, schema, markers, patient_table, ledger)
    time = problems.column(table, schema.time, "the measurement time")
    read = read_wide if schema.wide else read_long
    readings = read(table, schema, markers, problems, ledger)
    if readings is None or time is None:
        return None
    readings = drop_missing(readings, markers, ledger)
    _check_all_seen(table, schema, readings, markers, problems)
    _check_ranges(table, schema, readings, markers, problems)
    readings = _apply_limits(table, schema, readings, markers, problems)
    times = _check_times(table, schema, time, readings, problems)
    if owner is None:
        return None

    # Rows of unknown patients have been reported; those of excluded patients are counted.
    readings = readings.select(owner[readings.row] >= 0)
    if not patients.keep.all():
        staying = patients.keep[owner[readings.row]]
        reason = f"of excluded patients: {np.count_nonzero(~staying):,}"
        ledger.keep("patient in the cohort", staying, reason)
        readings = readings.select(staying)
    dated = DatedReadings(
        readings.row,
        readings.marker,
        readings.value,
        readings.censored,
        owner[readings.row],
        times[readings.row],
    )
    dated = keep_inside(dated, schema, patients, ledger)
    dated = dated.select(in_order(dated, patients.rank))
    dated = merge_duplicates(dated, schema, markers, table, problems, ledger)
    if schema.outside == "refuse":
        refuse_late(dated, schema, patients, table, problems)
    if schema.horizon is not None:
        late = snapped(dated.time, [schema.horizon]) > schema.horizon
        reason = f"after {schema.horizon:g} {schema.time_unit}: {int(late.sum()):,}"
        ledger.keep("by the horizon", ~late, reason)
        dated = dated.select(~late)
    merged = merge_within_phases(dated, schema, markers, table, problems, ledger)
    if merged is not dated:  # a mean is dated between the values it is of
        dated = merged.select(in_order(merged, patients.rank))
    _check_cutoffs(table, schema, dated, markers, problems)
    _note(dated, markers, ledger)
    note_codes(dated, markers, ledger)
    return CheckedMeasurements(dated.owner, dated.time, dated.marker, dated.value, dated.censored)


def _check_owner(
    table: Table, schema: Schema, patients: CheckedPatients, patient_table: str, problems: Problems
) -> tuple[Table, np.ndarray | None]:
    """Return the position of each row's patient in the patient table; -1 if there is none."""
    name = schema.measurement_patient or schema.patient
    column = problems.column(table, name, "the patient identifier")
    if column is None:
        return table, None
    table = table if table.ids is not None else replace(table, ids=to_ids(column))
    assert table.ids is not None
    missing = table.ids.missing
    problems.rows(table, name, missing, "no patient identifier", NO_ID)
    if patients.ids is None:
        return table, None
    owner = patients.ids.locate(table.ids)
    problems.rows(
        table,
        name,
        (owner < 0) & ~missing & (not schema.exclude_other_patients),
        f"patient not in {patient_table}",
        "Every patient measured needs a row there; or set exclude_other_patients = true to leave "
        "these rows out and count them.",
    )
    return table, owner


def _of_patients(
    table: Table,
    owner: np.ndarray,
    schema: Schema,
    markers: Sequence[Marker],
    patient_table: str,
    ledger: Ledger,
) -> tuple[Table, np.ndarray]:
    """The rows of patients of the study, before anything else of the others is looked at."""
    assert table.ids is not None
    per_row = len(markers) if schema.wide else 1
    said = wide_size(table, markers) if schema.wide else table.name
    ledger.start("in the measurement table", len(owner) * per_row, said)
    known = (owner >= 0) | table.ids.missing
    reason = f"not in {patient_table}: {np.count_nonzero(~known) * per_row:,}"
    ledger.keep("patient in the patient table", np.repeat(known, per_row), reason)
    return table.take(known), owner[known]


def _check_all_seen(
    table: Table, schema: Schema, readings: Readings, markers: Sequence[Marker], problems: Problems
) -> None:
    if not len(table.frame):
        problems.add(
            f"{table.name}: none of its rows is of a patient in the patient table; write the"
            " identifiers alike in both"
        )
        return
    seen = np.bincount(readings.marker[readings.marker >= 0], minlength=len(markers))
    for marker, count in zip(markers, seen, strict=True):
        if count == 0:
            column = marker.name if schema.wide else schema.marker
            problems.add(
                f"{table.name}, column {show(column)}: the marker {show(marker.name)} has no "
                "values; correct its name or leave it out of the study"
            )


def _apply_limits(
    table: Table, schema: Schema, readings: Readings, markers: Sequence[Marker], problems: Problems
) -> Readings:
    """Censor values below a marker's limit at it; refuse what a logarithm cannot take."""
    limits = np.array([-np.inf if m.lower_limit is None else m.lower_limit for m in markers])
    limit = np.append(limits, -np.inf)[readings.marker]
    below = (readings.value < limit) & (readings.censored == 0)
    value = np.where(below, limit, readings.value)
    censored = np.where(below, np.int8(1), readings.censored)
    logs = np.array([*(m.transform == "log" for m in markers), False])[readings.marker]
    # Before the limit is looked at: -1 for "not measured" is no value below detection.
    wrong = logs & (readings.value <= 0)
    if wrong.any():
        names = {markers[k].name for k in readings.marker[wrong]}
        problems.rows(
            table,
            sorted(names) if schema.wide else schema.value,
            readings.row[wrong],
            "not above 0 for a marker on the log scale",
            f"{code_advice(readings.value[wrong])}A value below detection is written as "
            f'"<" and the limit, such as "<0.02", or left at the limit with a lower_limit '
            f"({show_list(sorted(names))}).",
            words=_describe(readings.select(wrong), markers),
        )
    return Readings(readings.row, readings.marker, value, censored)


def _check_cutoffs(
    table: Table,
    schema: Schema,
    readings: Readings,
    markers: Sequence[Marker],
    problems: Problems,
) -> None:
    """Refuse limits beyond which a value may be on either side of a score's cut-off."""
    for k, marker in enumerate(markers):
        if marker.positive is None:
            continue
        wrong = readings.marker == k
        wrong &= undecided(readings.value, readings.censored, marker.positive)
        problems.rows(
            table,
            marker.name if schema.wide else schema.value,
            readings.row[wrong],
            f"known by a limit only, with the cut-off of {marker.name}, {marker.positive:g}, "
            "beyond it,",
            "Nobody can say whether such a patient is positive: give the value, or leave out "
            f"positive of [markers.{marker.name}].",
            words=_describe(readings.select(wrong), markers),
        )


def _check_ranges(
    table: Table, schema: Schema, readings: Readings, markers: Sequence[Marker], problems: Problems
) -> None:
    """Refuse what cannot be measured."""
    for k, marker in enumerate(markers):
        if marker.range is None:
            continue
        low, high = marker.range
        wrong = (readings.marker == k) & ((readings.value < low) | (readings.value > high))
        unit = f" {marker.unit}" if marker.unit else ""
        problems.rows(
            table,
            marker.name if schema.wide else schema.value,
            readings.row[wrong],
            f"outside the range of {marker.name}, {low:g} to {high:g}{unit},",
            f"{code_advice(readings.value[wrong])}Or is it in another unit? Correct it, or the "
            f"range of [markers.{marker.name}].",
            words=_describe(readings.select(wrong), markers),
        )


def _check_times(
    table: Table, schema: Schema, column: pd.Series, readings: Readings, problems: Problems
) -> np.ndarray:
    """Return the time of each row of the table, 0 where it is wrong or nothing was measured."""
    problems.numeric(table, schema.time)
    numbers = to_times(column, schema.time_unit)
    used = _has_reading(table, readings)
    bad = numbers.bad | (numbers.censored != 0)
    problems.rows(
        table,
        schema.time,
        used & bad,
        "not a number",
        f"Expected the measurement time as a number, in {schema.time_unit}; a unit of time behind"
        " it must be one that can be counted in these.",
        values=column,
    )
    problems.rows(
        table,
        schema.time,
        used & numbers.missing,
        "no measurement time",
        "Every measurement needs one.",
    )
    usable = np.abs(numbers.values) <= LARGEST
    if schema.outside == "refuse":
        usable &= (numbers.values >= 0) | in_window(numbers.values, schema)
    problems.rows(
        table,
        schema.time,
        used & ~bad & ~numbers.missing & ~usable,
        "negative or infinite time",
        'Expected 0 or more, counted from time zero; or set outside = "exclude" to leave such '
        "measurements out and count them, or baseline_window = [-2, 0] to keep a baseline.",
        values=column,
    )
    return np.where(usable & ~bad, numbers.values, np.nan)


def _has_reading(table: Table, readings: Readings) -> np.ndarray:
    used = np.zeros(len(table.frame), bool)
    used[readings.row] = True
    return used


def _note(readings: Readings, markers: Sequence[Marker], ledger: Ledger) -> None:
    """Count what stays but is known only to lie beyond a limit."""
    for code, words in ((1, "below a detection limit"), (2, "above a measuring range")):
        beyond = readings.marker[(readings.censored == code) & (readings.marker >= 0)]
        counts = np.bincount(beyond, minlength=len(markers))
        said = [f"{m.label}: {c:,}" for m, c in zip(markers, counts, strict=True) if c]
        if said:
            ledger.note(
                f"of which {counts.sum():,} {words}",
                f"{CENSORED[code]}-censored, kept: {', '.join(said)}",
            )


def _describe(readings: Readings, markers: Sequence[Marker]) -> list[str]:
    return [
        f"{markers[k].name} {v:.10g}" for k, v in zip(readings.marker, readings.value, strict=True)
    ]
