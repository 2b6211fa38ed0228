"""Tables with the same columns: one a visit, one a marker, one a group; put together as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from longsurv.draft import markers
from longsurv.draft.layout import read_time
from longsurv.draft.markers import name_and_unit
from longsurv.draft.names import says
from longsurv.draft.raw import RawTable

SHEET = "sheet"
"""The column that says from which table a row came, where the names of the tables are no times."""


def stacked(tables: list[RawTable]) -> list[RawTable]:
    """Put tables with the same columns under each other, such as one sheet a day.

    What the names of the tables say becomes a column: a time, a marker, or a group. Sheets of one
    marker each with a column a time are put beside each other.
    """
    alike: dict[tuple[str, ...], list[RawTable]] = {}
    for table in tables:
        alike.setdefault(tuple(table.frame.columns), []).append(table)
    made = []
    for members in alike.values():
        made += members if len(members) == 1 else [_one(members)]
    return made


def _one(members: Sequence[RawTable]) -> RawTable:
    names = [_title(m) for m in members]
    columns = list(members[0].frame.columns)
    times = [read_time(name) for name in names]
    worded = any(t[1] for t in times if t is not None)
    # Bare numbers may be those of the patients, where no column is.
    if None not in times and (worded or any(says(c, "patient") >= 2 for c in columns)):
        units = {t[1] for t in times if t is not None}
        column = "_".join(["time", *units]) if len(units) == 1 else "time"
        said: Mapping[str, Sequence[object]] = {column: [t[0] for t in times if t is not None]}
    elif all(markers.find(name_and_unit(name)[0]) is not None for name in names):
        if all(read_time(c) is not None for c in columns[1:]) and _is_unique(members, columns[0]):
            return _beside(members, names)
        said = {"marker": names}
    else:
        said = {SHEET: names}
    column = next(iter(said))
    given = said[column] if column not in columns and len(set(names)) == len(names) else []
    frames = [m.frame.assign(**{column: v}) for m, v in zip(members, given, strict=False)]
    parts = [f"{m.variable}.assign({column}={v!r})" for m, v in zip(members, given, strict=False)]
    frames = frames or [m.frame for m in members]
    parts = parts or [m.variable for m in members]
    first = members[0].variable
    line = f"{first} = pd.concat([{', '.join(parts)}], ignore_index=True)"
    note = f"{len(members)} tables with the same columns were put under each other"
    return _joined(members, pd.concat(frames, ignore_index=True), [line], note)


def _beside(members: Sequence[RawTable], names: Sequence[str]) -> RawTable:
    """One row a patient, each table's times called after its marker."""
    key = members[0].frame.columns[0]
    frame, lines = pd.DataFrame(), []
    for m, name in zip(members, names, strict=True):
        called = {c: f"{name} {c}" for c in m.frame.columns[1:]}
        part = m.frame.rename(columns=called)
        frame = part if frame.empty else frame.merge(part, on=key, how="outer")
        lines.append(f"{m.variable} = {m.variable}.rename(columns={called!r})")
    first = members[0].variable
    for m in members[1:]:
        lines.append(f"{first} = {first}.merge({m.variable}, on={key!r}, how='outer')")
    note = f"{len(members)} tables of one marker each were put beside each other, by {key}"
    return _joined(members, frame, lines, note)


def _joined(
    members: Sequence[RawTable], frame: pd.DataFrame, lines: Sequence[str], note: str
) -> RawTable:
    first = members[0]
    what = first.path.name if first.path is not None else first.name
    return replace(
        first,
        name=f"{what} ({len(members)} tables)",
        frame=frame,
        lines=(*(line for m in members for line in m.lines), *lines),
        notes=(*(n for m in members for n in m.notes), note),
        straight=False,
    )


def _is_unique(members: Sequence[RawTable], key: str) -> bool:
    return all(m.frame[key].notna().all() and m.frame[key].is_unique for m in members)


def _title(table: RawTable) -> str:
    return table.sheet or (table.path.stem if table.path else table.name)
