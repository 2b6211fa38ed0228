"""A grid of cells made a table: the row of names found, titles, repeats and remarks left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show
from longsurv.draft.cells import text_of
from longsurv.draft.header import LOOK, Header, find_header, unique_names
from longsurv.draft.names import plain
from longsurv.draft.raw import RawTable
from longsurv.errors import DataError
from longsurv.reading.numbers import number_in
from longsurv.words import plural, verb

_SUMS = re.compile(
    r"(grand |sub ?)?totals?( general)?|sums?|mean|average|median|sd|se|iqr|min|max|minimum|maximum"
    r"|n|count|anzahl|summe|gesamt\w*|mittelwert|durchschnitt|standardabweichung|stabw|somme|moyenne"
    r"|mediane|ecart type|effectif|合計|総計|平均|標準偏差|件数"
)


def from_grid(name: str, grid: pd.DataFrame, call: str) -> tuple[RawTable, bool]:
    """Name the columns of a grid and leave out what is no data; whether a reader would too."""
    rows = [["" if pd.isna(c) else text_of(c) for c in row] for row in grid.head(60).to_numpy()]
    header = find_header(rows)
    if header is None:
        raise DataError(
            f"{name}: no row of column names was found in the first {LOOK} rows; write one above"
            " the data"
        )
    names = unique_names([header.names[k] if k < len(header.names) else "" for k in grid.columns])
    stray = [
        not (header.names[k] if k < len(header.names) else "") and bool(grid[k].isna().all())
        for k in grid.columns
    ]
    lines = [f"TABLE = {call}", f"TABLE.columns = {names!r}"]
    lines.append(f"TABLE = TABLE.iloc[{header.first}:]")
    frame = grid.set_axis(names, axis=1).iloc[header.first :]
    notes = _same_names(header.names)
    if any(stray):
        kept = [n for n, s in zip(names, stray, strict=True) if not s]
        frame = frame[kept]
        lines.append(f"TABLE = TABLE[{kept!r}]")
    repeated = _repeats(frame, grid, header)
    if repeated.any():
        notes.append(f"{int(repeated.sum())} rows that repeat the column names were left out")
        frame = frame[~repeated]
        first = frame.columns[0]
        lines.append(f"TABLE = TABLE[TABLE[{first!r}] != {rows[header.first - 1][0]!r}]")
    apart = _apart(frame)
    if apart:
        notes.append(
            f"{plural(apart, 'line')} below an empty row, which hold another table, were left out"
        )
        frame = frame.iloc[:-apart]
        lines.append(f"TABLE = TABLE.iloc[:-{apart}]")
    if len(frame) and frame.isna().all(axis=1).any():
        frame = frame.dropna(how="all")
        lines.append('TABLE = TABLE.dropna(how="all")')
    feet = _footers(frame)
    if feet:
        notes.append(f"{plural(feet, 'line')} below the data {verb(feet, 'was', 'were')} left out")
        frame = frame.iloc[:-feet]
        lines.append(f"TABLE = TABLE.iloc[:-{feet}]")
    if header.titles:
        notes.append(f"{header.titles} rows above the column names were left out")
    units = {names[k]: unit for k, unit in header.units.items()}
    lines.append("TABLE = TABLE.infer_objects().reset_index(drop=True)")
    frame = frame.infer_objects().reset_index(drop=True)
    simple = (
        not header.groups
        and not (repeated.any() or feet or units or apart)
        and names == [n.strip() for n in header.names[: len(names)]]
    )
    skip = header.first - 1
    return RawTable(
        name, "", frame, tuple(lines), units=units, notes=tuple(notes), skip=skip
    ), simple


def _same_names(names: Sequence[str]) -> list[str]:
    """What columns of one name are called, in words."""
    counts = Counter(" ".join(str(name).split()) for name in names)
    return [
        f"{count} columns are called {show(name)}; they are told apart by a number, such as"
        f" {show(f'{name} (2)')}"
        for name, count in counts.items()
        if name and count > 1
    ]


def _repeats(frame: pd.DataFrame, grid: pd.DataFrame, header: Header) -> np.ndarray:
    """Which rows are the row of names once more."""
    names = grid.iloc[header.first - 1 - bool(header.units)]
    first = names.iloc[0]
    if pd.isna(first):
        return np.zeros(len(frame), bool)
    return (frame.iloc[:, 0] == first).to_numpy(dtype=bool)


def _apart(frame: pd.DataFrame) -> int:
    """How many last rows hold another table: below an empty row, with names of its own.

    Its first row is text that none of the columns above has, in at most half of them.
    """
    empty = np.flatnonzero(frame.isna().all(axis=1).to_numpy())
    if not len(empty):
        return 0
    ends = np.flatnonzero(np.diff(np.append(empty, len(frame))) > 1)
    for k in empty[ends]:
        above, below = frame.iloc[:k], frame.iloc[k + 1 :]
        head = below.iloc[0].dropna()
        wide = above.notna().sum(axis=1).median() if len(above) else 0
        own = all(
            isinstance(cell, str) and number_in(cell) == "" and not (above[name] == cell).any()
            for name, cell in head.items()
        )
        if own and 2 <= len(head) <= wide / 2 and below.notna().sum(axis=1).max() <= wide / 2:
            return len(below)
    return 0


def _footers(frame: pd.DataFrame) -> int:
    """How many last rows hold no data: one remark, or what the rows above add up to."""
    count = 0
    for _, row in frame.tail(6).iloc[::-1].iterrows():
        cells = row.dropna()
        if cells.empty:
            break
        first, alone = cells.iloc[0], len(cells) == 1 and frame.shape[1] > 3
        remark = alone and isinstance(first, str) and " " in first.strip()
        if not remark and not _sums_up(first, frame[cells.index[0]]):
            break
        count += 1
    return count


def _sums_up(cell: object, column: pd.Series) -> bool:
    """Whether a row that begins so is a total or a mean; a word that the column uses is data."""
    if not isinstance(cell, str) or (column == cell).sum() > 1:
        return False
    return _SUMS.fullmatch(plain(cell)) is not None
