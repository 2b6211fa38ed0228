"""Tables of a database put together by their keys: names of markers, and whose stay a row is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show, show_list
from longsurv.draft import markers, recipes
from longsurv.draft.markers import name_and_unit
from longsurv.draft.names import plain, says
from longsurv.draft.raw import RawTable

ENOUGH = 0.9


def linked(tables: Sequence[RawTable]) -> list[RawTable]:
    """Tables with what their keys point to: markers' names first, then patients."""
    tables = _with_names(list(tables))
    return _with_patients(tables)


def _keys(table: RawTable, name: str) -> pd.Series:
    return recipes.identifier(table.frame[name])


def _attached(
    table: RawTable,
    other: RawTable,
    keys: tuple[str, str],
    columns: Sequence[str],
    note: str,
) -> RawTable:
    """A table with columns of another, each row's by the key that either has."""
    frame = table.frame.copy(deep=False)
    key, theirs = keys
    places = _keys(other, theirs)
    lines = [*other.lines, *table.lines]
    for name in columns:
        of = pd.Series(other.frame[name].to_numpy(), index=places)
        of = of[of.index.notna() & ~of.index.duplicated()]
        frame[name] = _keys(table, key).map(of).to_numpy()
        lines += [
            f"of = pd.Series({other.variable}[{name!r}].to_numpy(),"
            f" index=identifier({other.variable}[{theirs!r}]))",
            f"{table.variable}[{name!r}] = identifier({table.variable}[{key!r}])"
            ".map(of[of.index.notna() & ~of.index.duplicated()]).to_numpy()",
        ]
    notes = (*table.notes, note)
    return replace(table, frame=frame, lines=tuple(lines), notes=notes, straight=False)


def _covers(table: RawTable, other: RawTable, key: str, theirs: str = "") -> bool:
    """Whether nearly every key of a table is found in another."""
    mine = _keys(table, key).dropna().unique()
    known = _keys(other, theirs or key).dropna()
    return len(mine) > 0 and bool(np.mean(np.isin(mine, known)) >= ENOUGH)


# Names of markers --------------------------------------------------------------------------------


def _with_names(tables: list[RawTable]) -> list[RawTable]:
    """Give tables of results the names from a dictionary of tests, which then is used up."""
    used: set[int] = set()
    made = list(tables)
    for at, book in enumerate(tables):
        if len(tables) == 1 or any(says(c, "patient") >= 2 for c in book.frame.columns):
            continue
        name = _name_column(book)
        if not name:
            continue
        for k, table in enumerate(made):
            keys = _code(table, book) if k != at else None
            if keys is None or name in table.frame.columns:
                continue
            units = [c for c in book.frame.columns if says(c, "unit") >= 2]
            units = [] if any(says(c, "unit") >= 2 for c in table.frame.columns) else units[:1]
            note = f"the names in {show(name)} come from {book.name}, by {show(keys[0])}"
            made[k] = _attached(table, book, keys, [name, *units], note)
            used.add(at)
    return [table for k, table in enumerate(made) if k not in used]


def _name_column(table: RawTable) -> str:
    """The column of a dictionary that names markers, "" if it is none."""
    best, chosen = 0.3, ""
    for name in table.frame.columns:
        texts = [t for t in table.frame[name].dropna().unique() if isinstance(t, str)]
        known = [markers.find(name_and_unit(t)[0]) is not None for t in texts[:2000]]
        if known and float(np.mean(known)) > best:
            best, chosen = float(np.mean(known)), name
    return chosen


def _code(table: RawTable, book: RawTable) -> tuple[str, str] | None:
    """The column by which rows of a larger table point into a dictionary, and the one there.

    They are called alike, or as "measurement_concept_id" and "concept_id".
    """
    if len(table.frame) <= len(book.frame):
        return None
    for theirs in book.frame.columns:
        alike = [name for name in table.frame.columns if _points_to(name, theirs)]
        for name in sorted(alike, key=lambda name: (name != theirs, says(name, "unit") > 0)):
            if _keys(book, theirs).is_unique and _covers(table, book, name, theirs):
                return name, theirs
    return None


def _points_to(name: str, key: str) -> bool:
    """Whether a column is called as a key of another table, alone or behind a word."""
    mine, theirs = (plain(one).replace(" ", "") for one in (name, key))
    longer = len(theirs) > 4 and mine.endswith(theirs) and theirs.endswith(("id", "code"))
    return mine == theirs or longer


# Patients ----------------------------------------------------------------------------------------


def _with_patients(tables: list[RawTable]) -> list[RawTable]:
    """Give tables that know a stay only the patient whose stay it was."""
    named = [[c for c in t.frame.columns if says(c, "patient") >= 2] for t in tables]
    counts = Counter(name for names in named for name in names)
    if len(counts) < 2:
        return tables
    most = max(counts.values())
    usual = next(name for names in named for name in names if counts[name] == most)
    made = []
    for table, names in zip(tables, named, strict=True):
        bridge = None if usual in names else _bridge(table, tables, names, usual)
        if bridge is None:
            made.append(table)
            continue
        other, key = bridge
        note = f"{show_list([usual])} comes from {other.name}, by {show(key)}"
        made.append(_attached(table, other, (key, key), [usual], note))
    return made


def _bridge(
    table: RawTable, tables: Sequence[RawTable], names: Sequence[str], usual: str
) -> tuple[RawTable, str] | None:
    """A table that knows the patient of each key, and the key."""
    for other in tables:
        for name in names:
            if other is table or not {name, usual} <= set(other.frame.columns):
                continue
            pairs = pd.DataFrame({"key": _keys(other, name), "patient": _keys(other, usual)})
            if not pairs.dropna().drop_duplicates()["key"].is_unique:
                continue
            if _covers(table, other, name):
                return other, name
    return None
