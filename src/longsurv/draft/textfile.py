"""Text files in: their encoding, what separates the columns, and the cells."""

from __future__ import annotations

import csv
import io
import warnings
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd

from longsurv.draft.grid import from_grid
from longsurv.draft.header import LOOK
from longsurv.draft.raw import RawTable
from longsurv.errors import DataError
from longsurv.reading.textfile import LOOKED_AT, MISSING, find_encoding, find_separator


def read_text(path: Path) -> RawTable:
    """Read a text file: its encoding and separator are found in its first lines."""
    data = path.read_bytes()
    found = find_encoding(data)
    encoding = found.name
    head = data[:400_000].decode(encoding, errors="ignore")
    if not head.strip():
        raise DataError(f"{path.name}: the file is empty")
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    separator = find_separator([*islice(io.StringIO(head, newline=""), LOOKED_AT)], usual)
    rows = list(csv.reader(io.StringIO(head, newline=""), delimiter=separator))[: 2 * LOOK + 150]
    width = max(map(len, rows))
    call = (
        f"pd.read_csv({path.name!r}, sep={separator!r}, encoding={encoding!r}, header=None,"
        f" names=range({width}), dtype=str, keep_default_na=False, na_values={MISSING!r},"
        " skip_blank_lines=False, index_col=False)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        grid = pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            encoding=encoding,
            header=None,
            names=list(range(width)),
            dtype=str,
            keep_default_na=False,
            na_values=MISSING,
            skip_blank_lines=False,
            index_col=False,
        )
    table, simple = from_grid(path.name, grid, call)
    straight = simple and path.suffix.lower() != ".dat"
    notes = table.notes
    if not found.sure:
        notes = (*notes, f"nothing says in which encoding it is written; it was read as {encoding}:"
                 " where letters look odd, save it as UTF-8")  # fmt: skip
    return replace(
        table, path=path, separator=separator, encoding=encoding, straight=straight, notes=notes
    )
