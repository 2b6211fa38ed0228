"""The patient table: every check, and the tidy columns that come out of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.cohort.columns import (
    LARGEST,
    SMALLEST,
    Ids,
    beyond_arithmetic,
    encode,
    has_decimal_commas,
    to_ids,
    to_numbers,
)
from longsurv.cohort.flow import Ledger
from longsurv.cohort.outcome import (
    check_at_risk,
    check_events,
    check_status,
    check_time,
    merged_times,
)
from longsurv.cohort.problems import Problems, Table, show, show_list
from longsurv.cohort.schema import Schema
from longsurv.cohort.treatment import check_groups, check_treatment

NO_ID = (
    "Every row needs one; if it is given only in the first row of a patient, set fill_down = true."
)
RESERVED = ("entry", "exit", "event", "status", "phase", "marker", "value", "y", "censored")


@dataclass(frozen=True)
class CheckedPatients:
    """The patient table after checking, in the order of the file.

    Attributes
    ----------
    ids : Ids, or None if there is no such column
    keep : array of bool (rows,)
        Patients who stay in the cohort.
    entry, exit : arrays of float (rows,), or None if unreadable
    status : array of int (rows,), or None
        0 censored, 1 event, 2.. competing, -1 missing.
    treatment : array of int (rows,), or None
        Position in ``groups``, -1 missing.
    groups : list
        Treatment levels, reference first.
    """

    ids: Ids | None
    keep: np.ndarray
    entry: np.ndarray | None
    exit: np.ndarray | None
    status: np.ndarray | None
    treatment: np.ndarray | None
    groups: list[Hashable]

    @property
    def rank(self) -> np.ndarray:
        """Place of each row when the patients are sorted by identifier."""
        assert self.ids is not None
        place = np.empty(len(self.ids.levels), dtype=np.int64)
        place[self.ids.levels.argsort()] = np.arange(len(place))
        return np.append(place, -1)[self.ids.codes]


def check_patients(
    table: Table, schema: Schema, problems: Problems, ledger: Ledger
) -> CheckedPatients:
    """Check the patient table column by column, collecting problems and exclusions."""
    n = len(table.frame)
    ledger.start("in the patient table", n, table.name)
    if not table.frame.columns.is_unique:
        twice = table.frame.columns[table.frame.columns.duplicated()].unique()
        problems.add(f"{table.name}: columns {show_list(twice)} appear twice; rename or remove one")
        return CheckedPatients(None, np.ones(n, bool), None, None, None, None, [])
    if n == 0:
        problems.add(f"{table.name}: there are no patients; expected one row a patient")

    table = _check_ids(table, schema, problems)
    exit_, exit_missing = check_time(table, schema.exit, "follow-up time", schema, problems)
    if isinstance(schema.entry, str):
        entry, entry_missing = check_time(table, schema.entry, "entry time", schema, problems)
    else:
        entry, entry_missing = np.full(n, float(schema.entry or 0)), np.zeros(n, bool)
    treatment, groups, in_arms = check_treatment(table, schema, problems, ledger)
    status = check_status(table, schema, problems)

    gaps = {
        schema.treatment: np.zeros(n, bool) if treatment is None else treatment == -1,
        schema.exit: exit_missing,
        schema.status: np.zeros(n, bool) if status is None else status == -1,
    }
    if isinstance(schema.entry, str):
        gaps[schema.entry] = entry_missing
    keep = _check_complete(table, schema, gaps, in_arms, problems, ledger)
    if entry is not None and exit_ is not None:
        exit_, entry = merged_times(exit_, entry, schema.horizon)
        keep = check_at_risk(table, schema, entry, exit_, keep, problems, ledger)
    _check_covariates(table, schema, problems)

    checked = CheckedPatients(table.ids, keep, entry, exit_, status, treatment, groups)
    if n and treatment is not None and status is not None and exit_ is not None:
        check_groups(table, schema, treatment, groups, keep, problems)
        check_events(table, schema, status, exit_, keep, problems, ledger)
    return checked


def _check_ids(table: Table, schema: Schema, problems: Problems) -> Table:
    """Return the table knowing whose each row is."""
    column = problems.column(table, schema.patient, "the patient identifier")
    if column is None:
        return table
    ids = to_ids(column)
    table = replace(table, ids=ids)
    problems.rows(table, schema.patient, ids.missing, "no patient identifier", NO_ID)
    problems.rows(
        table,
        schema.patient,
        ids.repeated,
        "a patient appears more than once",
        "Expected one row a patient; repeated measurements belong in the measurement table, or "
        "leave file out of [measurements] if this file holds both.",
    )
    return table


def _check_complete(
    table: Table,
    schema: Schema,
    gaps: dict[str, np.ndarray],
    in_arms: np.ndarray,
    problems: Problems,
    ledger: Ledger,
) -> np.ndarray:
    """Refuse or exclude patients without treatment or outcome."""
    gaps = {name: gap & in_arms for name, gap in gaps.items()}
    keep = in_arms & ~np.logical_or.reduce(list(gaps.values()))
    if schema.exclude_incomplete:
        said = [f"{name}: {gap.sum():,}" for name, gap in gaps.items() if gap.any()]
        reason = "missing " + ", ".join(said) if said else "none missing"
        ledger.keep("treatment and outcome known", keep, reason)
        return keep
    for name, gap in gaps.items():
        problems.rows(
            table,
            name,
            gap,
            "missing",
            "Every patient needs treatment and outcome; fill them in, or set "
            "exclude_incomplete = true to leave these patients out and count them.",
        )
    return keep


def _check_covariates(table: Table, schema: Schema, problems: Problems) -> None:
    """Find listed columns that are missing, names in use, and text among numbers."""
    for name in dict.fromkeys((*schema.covariates, *schema.categorical)):
        problems.column(table, name, "a covariate")
    if schema.site is not None:
        problems.column(table, schema.site, "the site")
    carried = covariate_columns(table.frame, schema)
    for name in carried:
        if name in RESERVED or name == schema.time:
            problems.add(
                f"{table.name}: a covariate is called {show(name)}, which longsurv uses for a "
                "column of its own; rename it"
            )
    for name in schema.covariates or carried:
        column = table.frame.get(name)
        if column is None or name in (*schema.categorical, schema.treatment, schema.site):
            continue
        problems.numeric(table, name)
        if pd.api.types.is_numeric_dtype(column):
            problems.rows(
                table,
                name,
                np.isinf(to_numbers(column).values),
                "infinite value",
                "Expected a finite number, or nothing if unknown.",
                values=column,
            )
            problems.rows(
                table,
                name,
                beyond_arithmetic(to_numbers(column).values),
                "a number no measurement has",
                f"Its size is outside {SMALLEST:g} to {LARGEST:g}; correct it.",
                values=column,
            )
        elif pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
            numbers = to_numbers(column)
            commas = has_decimal_commas(column)
            problems.rows(
                table,
                name,
                commas,
                "numbers with a decimal comma, which are text as they stand",
                'Set decimal = "," beside the file; or name the column in categorical = [...] if '
                "its values are labels.",
                values=column,
            )
            bad = (numbers.bad | (numbers.censored != 0)) & ~commas
            if 2 * bad.sum() < np.count_nonzero(~numbers.missing & ~commas):
                problems.rows(
                    table,
                    name,
                    np.isinf(numbers.values),
                    "infinite value",
                    "Expected a finite number, or nothing if unknown.",
                    values=column,
                )
                problems.rows(
                    table,
                    name,
                    bad,
                    "text in a column of numbers",
                    "Correct it; leave it empty if unknown; or name the column in "
                    "categorical = [...] if its values are labels.",
                    values=column,
                )


def covariate_columns(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """Return the columns carried along as covariates: all but the identifier and the outcome."""
    own = {schema.patient, *schema.outcome_columns}
    return [name for name in frame.columns if name not in own]


def tidy_covariates(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the patient table with text columns of numbers made numbers, and the columns that are
    said to be categorical made categories."""
    changed: dict[str, np.ndarray | pd.Categorical] = {
        name: _categories(frame[name]) for name in schema.categorical
    }
    for name in schema.covariates or covariate_columns(frame, schema):
        column = frame[name]
        textual = pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)
        if textual and name not in (*schema.categorical, schema.treatment, schema.site):
            numbers = to_numbers(column)
            if not numbers.bad.any() and not numbers.missing.all() and not numbers.censored.any():
                changed[name] = numbers.values
    return frame.assign(**changed)


def _categories(column: pd.Series) -> pd.Categorical:
    """Labels as text, in the order of the numbers that they all are, or else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column)
    codes, levels = encode(column)
    texts = np.array([*map(str, levels), None], dtype=object)  # the last serves code -1
    known = pd.Series(list(dict.fromkeys(texts[:-1])), dtype=object)
    numbers = pd.to_numeric(known, errors="coerce")
    order = np.argsort(known if numbers.isna().any() else numbers, kind="stable")
    return pd.Categorical(texts[codes], categories=list(known.iloc[order]))
