"""The treatment in the patient table: its groups, and the arms that are kept."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from longsurv.cohort.columns import encode, find_level
from longsurv.cohort.flow import Ledger
from longsurv.cohort.problems import Problems, Table, show, show_list, suggest
from longsurv.cohort.schema import Schema


def check_treatment(
    table: Table, schema: Schema, problems: Problems, ledger: Ledger
) -> tuple[np.ndarray | None, list[Hashable], np.ndarray]:
    """Read the treatment column.

    Returns
    -------
    array of int (rows,), or None if there is no such column
        Position among the groups, -1 where it is missing.
    list
        The groups, the reference first.
    array of bool (rows,)
        Who is in an arm to be kept, or in none that is known.
    """
    column = problems.column(table, schema.treatment, "the treatment")
    if column is None:
        return None, [], np.ones(len(table.frame), bool)
    codes, found = encode(column)
    where = f"{table.name}, column {show(schema.treatment)}"
    wanted = schema.levels or schema.arms or (schema.reference,)
    at = [find_level(level, found) for level in wanted]
    for level, position in zip(wanted, at, strict=True):
        if position < 0 and len(table.frame):
            name = "the reference" if level == schema.reference else "the treatment level"
            problems.add(
                f"{where}: {name} {show(level)} has no patients (an empty group); "
                f"the levels there are {show_list(found)}. {suggest(level, found)}".strip()
            )
    in_arms = np.ones(len(codes), bool)
    if schema.arms:
        others = [k for k in range(len(found)) if k not in at]
        in_arms = ~np.isin(codes, others)
        said = ", ".join(f"{found[k]}: {np.count_nonzero(codes == k):,}" for k in others)
        ledger.keep("in an arm of the study", in_arms, f"in another, {said}" if said else "all are")
    if schema.levels or schema.arms:
        groups = [found[k] if k >= 0 else level for level, k in zip(wanted, at, strict=True)]
        unknown = in_arms & np.isin(codes, [k for k in range(len(found)) if k not in at])
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
                "Correct them, list every level of the study as levels = [...], or those to keep "
                "as arms = [...].",
                values=column,
            )
    groups = [first, *(level for level in groups if level != first)]
    # An unknown level has been reported; -1 is for a missing one, at the end for code -1.
    order = np.array([groups.index(level) if level in groups else 0 for level in found] + [-1])
    return order[codes], groups, in_arms


def check_groups(
    table: Table,
    schema: Schema,
    treatment: np.ndarray,
    groups: Sequence[Hashable],
    keep: np.ndarray,
    problems: Problems,
) -> None:
    """Refuse a group that the exclusions have emptied."""
    for k, level in enumerate(groups):
        in_group = treatment == k
        if np.any(in_group) and not np.any(in_group & keep):
            problems.add(
                f"{table.name}, column {show(schema.treatment)}: the group {show(level)} is empty "
                "once incomplete patients and those never at risk are left out"
            )
