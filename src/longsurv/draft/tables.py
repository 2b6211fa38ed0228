"""Files and frames in: every sheet as a table with names, and the pandas lines that read it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from longsurv.cohort.problems import shorten
from longsurv.draft.alike import stacked
from longsurv.draft.header import unique_names
from longsurv.draft.raw import RawTable, of_frame
from longsurv.draft.statistics_files import STATISTICS, read_statistics
from longsurv.draft.textfile import read_text
from longsurv.draft.workbook import read_book
from longsurv.errors import DataError
from longsurv.reading.textfile import MISSING

TEXT, EXCEL, PARQUET = (".csv", ".tsv", ".txt", ".dat"), (".xlsx", ".xlsm"), (".parquet", ".pq")
_READ_ERRORS = (ValueError, OSError, LookupError, BadZipFile, csv.Error, pd.errors.ParserWarning)
_BOOK_ERRORS = (*_READ_ERRORS, TypeError, AttributeError, SyntaxError)


def read_files(paths: Iterable[Path]) -> list[RawTable]:
    """Read every table in some files.

    Raises
    ------
    DataError
        Naming each file that cannot be read, and why.
    """
    found: list[RawTable] = []
    problems: list[str] = []
    for path in paths:
        try:
            found += _read_file(path)
        except DataError as error:
            problems += error.problems
        except UnicodeDecodeError:
            problems.append(f"{path.name}: not text in an encoding that could be told")
        except _BOOK_ERRORS as error:
            problems.append(f"{path.name}: the file cannot be read: {shorten(str(error), 200)}")
    if problems:
        raise DataError(problems)
    if not found:
        raise DataError("there is no table in the files given")
    return stacked(_named(found))


def read_frames(frames: Mapping[str, pd.DataFrame]) -> list[RawTable]:
    """Take data frames as tables; a frame with one sheet's cells and no names is not looked for."""
    found = []
    for name, frame in frames.items():
        flat = frame.reset_index() if any(n is not None for n in frame.index.names) else frame
        flat = flat.set_axis(unique_names([str(c) for c in flat.columns]), axis=1)
        gaps = flat.isin(MISSING)
        flat = flat.mask(gaps) if gaps.any(axis=None) else flat
        found.append(RawTable(name, name, flat.reset_index(drop=True)))
    return stacked(_named(found))


def _named(tables: list[RawTable]) -> list[RawTable]:
    """Give each table a variable of its own."""
    taken: set[str] = set()
    named = []
    for table in tables:
        stem = table.sheet or (table.path.stem if table.path else table.name)
        word = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower() or "table"
        word = f"t_{word}" if word[0].isdigit() else word
        base, k = word, 1
        while word in taken or word in ("patients", "measurements", "pd", "days", "clean"):
            k += 1
            word = f"{base}_{k}"
        taken.add(word)
        lines = tuple(line.replace("TABLE", word) for line in table.lines)
        named.append(replace(table, variable=word, lines=lines))
    return named


def _read_file(path: Path) -> list[RawTable]:
    kind = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if path.is_dir():
        raise DataError(f"{path} is a folder; name the files in it")
    if kind in TEXT:
        return [read_text(path)]
    if kind in EXCEL:
        return read_book(path)
    if kind in PARQUET:
        frame = pd.read_parquet(path)
        indexed = any(name is not None for name in frame.index.names)
        return [of_frame(path, frame, f"pd.read_parquet({path.name!r})", indexed, straight=True)]
    if kind in STATISTICS:
        return read_statistics(path)
    if kind == ".xls":
        raise DataError(f"{path.name}: an old Excel file; save it as .xlsx")
    known = ", ".join((*TEXT, *EXCEL, *PARQUET, *STATISTICS))
    raise DataError(f"{path.name}: files of type {kind!r} are not read; expected one of {known}")
