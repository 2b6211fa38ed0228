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
    find_level,
    has_decimal_commas,
    to_ids,
    to_numbers,
)
from longsurv.cohort.flow import Ledger
from longsurv.cohort.problems import Problems, Table, show, show_list, suggest
from longsurv.cohort.schema import Schema
from longsurv.times import merged, snapped
from longsurv.words import plural

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
    exit_, exit_missing = _check_time(table, schema.exit, "follow-up time", problems)
    if isinstance(schema.entry, str):
        entry, entry_missing = _check_time(table, schema.entry, "entry time", problems)
    else:
        entry, entry_missing = np.full(n, float(schema.entry or 0)), np.zeros(n, bool)
    treatment, groups = _check_treatment(table, schema, problems)
    status = _check_status(table, schema, problems)

    gaps = {
        schema.treatment: np.zeros(n, bool) if treatment is None else treatment == -1,
        schema.exit: exit_missing,
        schema.event: np.zeros(n, bool) if status is None else status == -1,
    }
    if isinstance(schema.entry, str):
        gaps[schema.entry] = entry_missing
    keep = _check_complete(table, schema, gaps, problems, ledger)
    if entry is not None and exit_ is not None:
        exit_, entry = _merged(exit_, entry, schema.horizon)
        keep = _check_at_risk(table, schema, entry, exit_, keep, problems, ledger)
    _check_covariates(table, schema, problems)

    checked = CheckedPatients(table.ids, keep, entry, exit_, status, treatment, groups)
    if n and treatment is not None and status is not None and exit_ is not None:
        _check_groups(table, schema, checked, problems)
        _check_events(table, schema, status, exit_, keep, problems, ledger)
    return checked


def _check_ids(table: Table, schema: Schema, problems: Problems) -> Table:
    """Return the table knowing whose each row is."""
    column = problems.column(table, schema.patient, "the patient identifier")
    if column is None:
        return table
    ids = to_ids(column)
    table = replace(table, ids=ids)
    problems.rows(
        table, schema.patient, ids.missing, "no patient identifier", "Every row needs one."
    )
    problems.rows(
        table,
        schema.patient,
        ids.repeated,
        "a patient appears more than once",
        "Expected one row a patient; repeated measurements belong in the measurement table.",
    )
    return table


def _check_time(
    table: Table, name: str, role: str, problems: Problems
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return times with NaN where missing or wrong, and which are missing."""
    column = problems.column(table, name, f"the {role}")
    if column is None:
        return None, np.zeros(len(table.frame), bool)
    numbers = to_numbers(column)
    bad = numbers.bad | (numbers.censored != 0)
    problems.rows(
        table,
        name,
        bad,
        "not a number",
        f"Expected the {role} as a number.",
        values=column,
    )
    with np.errstate(invalid="ignore"):
        wrong = (numbers.values < 0) | (numbers.values > LARGEST)
    problems.rows(
        table,
        name,
        wrong & ~bad,
        "negative or infinite time",
        "Expected 0 or more, counted from time zero.",
        values=column,
    )
    return np.where(bad | wrong, np.nan, numbers.values), numbers.missing


def _check_treatment(
    table: Table, schema: Schema, problems: Problems
) -> tuple[np.ndarray | None, list[Hashable]]:
    column = problems.column(table, schema.treatment, "the treatment")
    if column is None:
        return None, []
    codes, found = encode(column)
    where = f"{table.name}, column {show(schema.treatment)}"
    wanted = schema.levels or (schema.reference,)
    at = [find_level(level, found) for level in wanted]
    for level, position in zip(wanted, at, strict=True):
        if position < 0 and len(table.frame):
            name = "the reference" if level == schema.reference else "the treatment level"
            problems.add(
                f"{where}: {name} {show(level)} has no patients (an empty group); "
                f"the levels there are {show_list(found)}. {suggest(level, found)}".strip()
            )
    if schema.levels:
        groups = [found[k] if k >= 0 else level for level, k in zip(wanted, at, strict=True)]
        unknown = np.isin(codes, [k for k in range(len(found)) if k not in at])
        problems.rows(
            table,
            schema.treatment,
            unknown,
            "unknown treatment level",
            f"Expected one of {show_list(schema.levels)}.",
            values=column,
        )
        first = groups[[str(level) for level in wanted].index(str(schema.reference))]
    else:
        first = found[at[0]] if at[0] >= 0 else schema.reference
        groups = [first, *sorted((level for level in found if level != first), key=str)]
        if at[0] >= 0 and len(found) == 1:
            problems.add(f"{where}: every patient has {show(found[0])}; the other group is empty")
        elif len(found) > 2:
            counts = np.bincount(codes[codes >= 0], minlength=len(found))
            said = ", ".join(f"{show(v)} ({c:,})" for v, c in zip(found, counts, strict=True))
            problems.rows(
                table,
                schema.treatment,
                np.isin(codes, np.argsort(-counts)[2:]),
                f"{len(found)} treatment levels where two were expected ({said}); a rarer one",
                "Correct them, or list every level of the study as levels = [...].",
                values=column,
            )
    groups = [first, *(level for level in groups if level != first)]
    # An unknown level has been reported; -1 is for a missing one, at the end for code -1.
    order = np.array([groups.index(level) if level in groups else 0 for level in found] + [-1])
    return order[codes], groups


def _check_status(table: Table, schema: Schema, problems: Problems) -> np.ndarray | None:
    column = problems.column(table, schema.event, "the status at the end of follow-up")
    if column is None:
        return None
    codes, found = encode(column)
    status = np.full(len(found) + 1, -1)
    for code, (label, levels) in enumerate(schema.statuses):
        for level in levels:
            position = find_level(level, found)
            if position >= 0:
                status[position] = code
            elif label not in ("censored", "event") and len(found):
                problems.add(
                    f"{table.name}, column {show(schema.event)}: no patient has {show(level)}, "
                    f"the competing event {show(label)}; the statuses there are "
                    f"{show_list(found)}. Correct the level or leave the competing event out."
                )
    known = [level for _, levels in schema.statuses for level in levels]
    texts, censored = {str(level) for level in found}, schema.statuses[0][1]
    named = (status[:-1] > 1).any()  # a competing event, so that the other is the event
    alone = not named and censored and not (status[:-1] == 0).any()
    if "2" in texts and texts <= {"1", "2"} and alone:
        problems.add(
            f"{table.name}, column {show(schema.event)}: nobody is censored "
            f"({show_list(censored)}). Are these R's codes, 1 = alive and 2 = dead? Then write "
            "event = 2 and censored = 1. If nobody was censored, say so with censored = [] "
            "(censored_level=() of a Schema)"
        )
    problems.rows(
        table,
        schema.event,
        (codes >= 0) & (status[codes] < 0),
        "unknown status",
        f"Expected one of {show_list(known)}; name other statuses as censored or competing.",
        values=column,
    )
    return np.where(codes < 0, -1, np.where(status[codes] < 0, 0, status[codes]))


def _check_complete(
    table: Table,
    schema: Schema,
    gaps: dict[str, np.ndarray],
    problems: Problems,
    ledger: Ledger,
) -> np.ndarray:
    """Refuse or exclude patients without treatment or outcome."""
    keep = ~np.logical_or.reduce(list(gaps.values()))
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


def _merged(
    exit_: np.ndarray, entry: np.ndarray, horizon: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Times that differ by rounding made equal, also to the horizon."""
    ends, begins = merged(exit_, entry)
    assert begins is not None
    if horizon is None:
        return ends, begins
    return snapped(ends, [horizon]), snapped(begins, [horizon])


def _check_at_risk(
    table: Table,
    schema: Schema,
    entry: np.ndarray,
    exit_: np.ndarray,
    keep: np.ndarray,
    problems: Problems,
    ledger: Ledger,
) -> np.ndarray:
    """Refuse or exclude patients who are never under observation after their entry."""
    horizon = np.inf if schema.horizon is None else schema.horizon
    with np.errstate(invalid="ignore"):
        never = keep & (exit_ <= entry)
        late = keep & ~never & (entry >= horizon)
    if schema.exclude_before_entry:
        said = [f"follow-up ended at or before entry: {never.sum():,}"] if never.any() else []
        said += [f"entered at or after the horizon: {late.sum():,}"] if late.any() else []
        keep = keep & ~never & ~late
        ledger.keep("at risk after entry", keep, "; ".join(said) or "all are")
        return keep
    said = [f"{a:g} <= {b:g}" for a, b in zip(exit_[never], entry[never], strict=True)]
    problems.rows(
        table,
        schema.exit,
        np.flatnonzero(never),
        "death before entry (or the end of follow-up at or before the start of risk)",
        "Such a patient is never at risk: correct the times, or set exclude_before_entry = true "
        "to leave these patients out and count them.",
        words=said,
    )
    problems.rows(
        table,
        str(schema.entry),
        late,
        f"entry at or after the horizon ({horizon:g})",
        "Correct the times, or set exclude_before_entry = true.",
        words=[f"{time:g}" for time in entry[late]],
    )
    return keep


def _check_covariates(table: Table, schema: Schema, problems: Problems) -> None:
    """Find listed columns that are missing, names in use, and text among numbers."""
    for name in dict.fromkeys((*schema.baseline_covariates, *schema.categorical)):
        problems.column(table, name, "a covariate")
    carried = covariate_columns(table.frame, schema)
    for name in carried:
        if name in RESERVED or name == schema.time:
            problems.add(
                f"{table.name}: a covariate is called {show(name)}, which longsurv uses for a "
                "column of its own; rename it"
            )
    for name in schema.baseline_covariates or carried:
        column = table.frame.get(name)
        if column is None or name in (*schema.categorical, schema.treatment):
            continue
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


def _check_groups(
    table: Table, schema: Schema, checked: CheckedPatients, problems: Problems
) -> None:
    """Refuse a group that the exclusions have emptied."""
    for k, level in enumerate(checked.groups):
        in_group = checked.treatment == k
        if np.any(in_group) and not np.any(in_group & checked.keep):
            problems.add(
                f"{table.name}, column {show(schema.treatment)}: the group {show(level)} is empty "
                "once incomplete patients and those never at risk are left out"
            )


def _check_events(
    table: Table,
    schema: Schema,
    status: np.ndarray,
    exit_: np.ndarray,
    keep: np.ndarray,
    problems: Problems,
    ledger: Ledger,
) -> None:
    """Refuse a cohort without an event; note administrative censoring."""
    horizon = np.inf if schema.horizon is None else schema.horizon
    died = keep & (status == 1)
    past = keep & (exit_ > horizon)
    until = f" by {horizon:g} {schema.time_unit}" if schema.horizon is not None else ""
    if not (died & ~past).any():
        later = f" ({plural(int(died.sum()), 'event')} after it)" if died.any() else ""
        problems.add(
            f"{table.name}, column {show(schema.event)}: no events: no patient has the status "
            f"{show_list(schema.statuses[1][1])}{until}{later}. A mortality model needs at least "
            "one; check the status and the horizon"
        )
    if past.any():
        ledger.note(
            "followed to the horizon",
            f"{plural(int(past.sum()), 'patient')} censored at {horizon:g} {schema.time_unit}; "
            f"{plural(int((past & died).sum()), 'later event')} not counted",
        )


def covariate_columns(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """Return the columns carried along as covariates: all but the identifier and the outcome."""
    own = {schema.patient, *schema.outcome_columns}
    return [name for name in frame.columns if name not in own]


def tidy_covariates(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the patient table with text columns of numbers made numbers."""
    changed = {}
    for name in schema.baseline_covariates or covariate_columns(frame, schema):
        column = frame[name]
        textual = pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)
        if textual and name not in (*schema.categorical, schema.treatment):
            numbers = to_numbers(column)
            if not numbers.bad.any() and not numbers.missing.all() and not numbers.censored.any():
                changed[name] = numbers.values
    return frame.assign(**changed)
