"""Workbooks in: every visible sheet that holds a table."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd

from longsurv.draft.grid import from_grid
from longsurv.draft.raw import RawTable
from longsurv.errors import DataError
from longsurv.reading.textfile import MISSING

BIG = 30_000_000


def read_book(path: Path) -> list[RawTable]:
    """Read a workbook: each sheet with a table; merged cells all hold their value."""
    import openpyxl

    big = path.stat().st_size > BIG
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's, of styles and validations it does not keep
        book = openpyxl.load_workbook(path, data_only=True, read_only=big)
    sheets = [s for s in book.worksheets if getattr(s, "sheet_state", "visible") == "visible"]
    tables = []
    for sheet in sheets:
        cells = [list(row) for row in sheet.iter_rows(values_only=True)]
        merged = [] if big else [area.bounds for area in sheet.merged_cells.ranges]
        for left, top, right, bottom in merged:
            value = cells[top - 1][left - 1]
            for r in range(top - 1, bottom):
                for c in range(left - 1, right):
                    cells[r][c] = value
        cells = [[None if isinstance(c, str) and not c.strip() else c for c in r] for r in cells]
        while cells and all(c is None for c in cells[-1]):
            cells.pop()
        if len(cells) < 2:
            continue
        grid = pd.DataFrame(cells, dtype=object)
        grid = grid.mask(grid.isin(MISSING))
        name = path.name if len(sheets) == 1 else f"{path.name} [{sheet.title}]"
        call = f"sheet({path.name!r}, {sheet.title!r})"
        try:
            table, simple = from_grid(name, grid, call)
        except DataError:
            if len(sheets) == 1:
                raise
            continue  # a sheet of remarks
        if table.frame.shape[1] < 2 or not len(table.frame):
            continue
        straight = simple and not merged
        tables.append(replace(table, path=path, sheet=sheet.title, straight=straight))
    if not tables:
        raise DataError(f"{path.name}: no sheet of the workbook holds a table")
    return tables


SHEET_FUNCTION = '''\
def sheet(file, name):
    """Cells of a sheet, merged ones filled."""
    import openpyxl

    page = openpyxl.load_workbook(file, data_only=True)[name]
    cells = [list(row) for row in page.iter_rows(values_only=True)]
    for area in page.merged_cells.ranges:
        left, top, right, bottom = area.bounds
        for r in range(top - 1, bottom):
            for c in range(left - 1, right):
                cells[r][c] = cells[top - 1][left - 1]
    cells = [[None if isinstance(c, str) and not c.strip() else c for c in r] for r in cells]
    frame = pd.DataFrame(cells, dtype=object)
    return frame.mask(frame.isin(MISSING))
'''


SHEET_FUNCTION = f"MISSING = {MISSING!r}\n\n\n{SHEET_FUNCTION}"
