"""The outcome in the patient table: times, status, who is at risk, and the events."""

from __future__ import annotations

import numpy as np

from longsurv.cohort.columns import LARGEST, encode, find_statuses, to_times
from longsurv.cohort.flow import Ledger
from longsurv.cohort.problems import Problems, Table, show, show_list
from longsurv.cohort.schema import Schema
from longsurv.times import merged, snapped
from longsurv.words import plural


def check_time(
    table: Table, name: str, role: str, schema: Schema, problems: Problems
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return times with NaN where missing or wrong, and which are missing."""
    column = problems.column(table, name, f"the {role}")
    if column is None:
        return None, np.zeros(len(table.frame), bool)
    problems.numeric(table, name)
    numbers = to_times(column, schema.time_unit)
    bad = numbers.bad | (numbers.censored != 0)
    problems.rows(
        table,
        name,
        bad,
        "not a number",
        f"Expected the {role} as a number, in {schema.time_unit}; a unit of time behind it must be "
        "one that can be counted in these.",
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


def check_status(table: Table, schema: Schema, problems: Problems) -> np.ndarray | None:
    """Return the status of each row: 0 censored, 1 event, 2.. competing, -1 missing."""
    column = problems.column(table, schema.status, "the status at the end of follow-up")
    if column is None:
        return None
    codes, found = encode(column)
    status = np.full(len(found) + 1, -1)
    for code, (label, levels) in enumerate(schema.statuses):
        for level in levels:
            positions = find_statuses(level, found)
            if positions:
                status[positions] = code
            elif label not in ("censored", "event") and len(found):
                problems.add(
                    f"{table.name}, column {show(schema.status)}: no patient has {show(level)}, "
                    f"the competing event {show(label)}; the statuses there are "
                    f"{show_list(found)}. Correct the level or leave the competing event out."
                )
    known = [level for _, levels in schema.statuses for level in levels]
    texts, censored = {str(level) for level in found}, schema.statuses[0][1]
    named = (status[:-1] > 1).any()  # a competing event, so that the other is the event
    alone = not named and censored and not (status[:-1] == 0).any()
    if "2" in texts and texts <= {"1", "2"} and alone:
        problems.add(
            f"{table.name}, column {show(schema.status)}: nobody is censored "
            f"({show_list(censored)}). Are these R's codes, 1 = alive and 2 = dead? Then write "
            "event = 2 and censored = 1. If nobody was censored, say so with "
            + ("censored = []" if table.row == "row" else "censored=()")
        )
    problems.rows(
        table,
        schema.status,
        (codes >= 0) & (status[codes] < 0),
        "unknown status",
        f"Expected one of {show_list(known)}; name other statuses as censored or competing.",
        values=column,
    )
    return np.where(codes < 0, -1, np.where(status[codes] < 0, 0, status[codes]))


def merged_times(
    exit_: np.ndarray, entry: np.ndarray, horizon: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Times that differ by rounding made equal, also to the horizon."""
    ends, begins = merged(exit_, entry)
    assert begins is not None
    if horizon is None:
        return ends, begins
    return snapped(ends, [horizon]), snapped(begins, [horizon])


def check_at_risk(
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


def check_events(
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
            f"{table.name}, column {show(schema.status)}: no events: no patient has the status "
            f"{show_list(schema.statuses[1][1])}{until}{later}. A mortality model needs at least "
            "one; check the status and the horizon"
        )
    if past.any():
        ledger.note(
            "counted up to the horizon",
            f"{plural(int(past.sum()), 'patient')} censored at {horizon:g} {schema.time_unit}; "
            f"{plural(int((past & died).sum()), 'later event')} not counted",
        )
