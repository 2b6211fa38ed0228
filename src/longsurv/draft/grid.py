"""A grid of cells made a table: the row of names found, titles, repeats and remarks left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.draft.cells import text_of
from longsurv.draft.header import LOOK, Header, find_header, unique_names
from longsurv.draft.raw import RawTable
from longsurv.errors import DataError


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
    notes = []
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
    if len(frame) and frame.isna().all(axis=1).any():
        frame = frame.dropna(how="all")
        lines.append('TABLE = TABLE.dropna(how="all")')
    feet = _footers(frame)
    if feet:
        notes.append(f"{feet} lines below the table were left out")
        frame = frame.iloc[:-feet]
        lines.append(f"TABLE = TABLE.iloc[:-{feet}]")
    if header.titles:
        notes.append(f"{header.titles} rows above the column names were left out")
    units = {names[k]: unit for k, unit in header.units.items()}
    lines.append("TABLE = TABLE.infer_objects().reset_index(drop=True)")
    frame = frame.infer_objects().reset_index(drop=True)
    simple = (
        not header.groups
        and not (repeated.any() or feet or units)
        and names == [n.strip() for n in header.names[: len(names)]]
    )
    skip = header.first - 1
    return RawTable(
        name, "", frame, tuple(lines), units=units, notes=tuple(notes), skip=skip
    ), simple


def _repeats(frame: pd.DataFrame, grid: pd.DataFrame, header: Header) -> np.ndarray:
    """Which rows are the row of names once more."""
    names = grid.iloc[header.first - 1 - bool(header.units)]
    first = names.iloc[0]
    if pd.isna(first):
        return np.zeros(len(frame), bool)
    return (frame.iloc[:, 0] == first).to_numpy(dtype=bool)


def _footers(frame: pd.DataFrame) -> int:
    """How many last rows hold one remark in place of data."""
    count = 0
    if frame.shape[1] < 4:
        return 0
    for row in frame.tail(6).to_numpy()[::-1]:
        cells = [c for c in row if not pd.isna(c)]
        remark = len(cells) == 1 and isinstance(cells[0], str) and " " in cells[0].strip()
        if not remark:
            break
        count += 1
    return count
