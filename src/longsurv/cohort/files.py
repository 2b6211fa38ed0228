"""Reading CSV, Parquet and Excel files so that every row keeps its number in a spreadsheet."""

from __future__ import annotations

import csv
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from longsurv.cohort.marks import is_text, unmarked
from longsurv.cohort.problems import Problems, Table, shorten, show, show_list, suggest
from longsurv.reading.numbers import decimals
from longsurv.reading.textfile import (
    LOOKED_AT,
    MISSING,
    SEPARATORS,
    find_encoding,
    find_separator,
)

CSV, PARQUET, EXCEL = (".csv", ".tsv", ".txt"), (".parquet", ".pq"), (".xlsx", ".xlsm")
# Before pandas 3 the other parsers lose the last digit, and end the process at an absurd exponent.
_OLD = int(pd.__version__.partition(".")[0]) < 3
_EXACTLY: dict[str, Literal["round_trip"]] = {"float_precision": "round_trip"} if _OLD else {}
# The errors of pandas' parser and of pyarrow are ValueErrors.
_UNREADABLE = (ValueError, OSError, LookupError, BadZipFile, csv.Error, pd.errors.ParserWarning)


@dataclass(frozen=True)
class Source:
    """A data file and how to read it.

    Parameters
    ----------
    path : Path
    id : str
        Column of identifiers, read as text so that "007" keeps its zeros.
    sheet : str, optional
        Of an Excel file; the first if not given.
    separator, encoding : str, optional
        Of a text file; found in the file if not given.
    missing : tuple of str
        Codes for a missing value besides the usual ones (an empty cell, NA, NaN, NULL and a dot).
    decimal : {".", ","}, optional
        The decimal mark; with a comma, "75,5" and "<0,02" are numbers. Found if not given.
    thousands : {".", ","}, optional
        The mark between thousands. Found where numbers can be read in one way only.
    skip_rows : int
        Rows above the row of column names.
    fill_down : tuple of str
        Columns whose empty cells take what is above them.
    """

    path: Path
    id: str
    sheet: str | None = None
    separator: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None
    skip_rows: int = 0
    fill_down: tuple[str, ...] = ()


def read_table(source: Source, problems: Problems) -> Table | None:
    """Read one file; None if it cannot be read, which is then among the problems.

    Entirely empty rows of a CSV or Excel file are skipped; they count in the numbering.
    """
    path, kind = source.path, source.path.suffix.lower()
    try:
        there = path.is_file()
    except (OSError, ValueError) as error:  # a name too long, or with a character no name may have
        problems.add(
            f"{shorten(str(path))}: no file can have this name, or be read there ({error.args[-1]})"
        )
        return None
    if not there:
        try:
            beside = [p.name for p in path.parent.iterdir() if p.is_file()]
        except OSError:
            beside = []
        hint = suggest(path.name, beside)
        problems.add(f"{path}: there is no such file" + (f"; {hint}" if hint else ""))
        return None
    if kind not in (*CSV, *PARQUET, *EXCEL):
        problems.add(
            f"{path.name}: files of type {show(kind)} cannot be read; "
            f"expected one of {show_list((*CSV, *PARQUET, *EXCEL))}. longsurv init reads files of "
            "Stata, SAS, SPSS and R, and writes a copy that can be read here"
        )
        return None
    try:
        decimal = source.decimal or ("," if source.thousands == "." else None)
        if kind in PARQUET:
            frame = _read_parquet(path)
        elif kind in EXCEL:
            frame = _read_excel(source)
        else:
            source = _found_out(source)
            frame = _read_csv(source)
            decimal = _decimal_of(frame, source)
            if decimal == ",":  # again, so that no point is taken for a decimal one
                frame = _read_csv(source, decimal)
    except UnicodeDecodeError:
        problems.add(
            f"{path.name}: the text is not in the encoding {source.encoding or 'UTF-8'}; save it "
            'as UTF-8, or name its encoding, e.g. encoding = "cp932" (Japanese Windows) or '
            '"cp1252" (Western)'
        )
        return None
    except pd.errors.EmptyDataError:
        problems.add(f"{path.name}: there is no first row of column names")
        return None
    except _UNREADABLE as error:
        problems.add(f"{path.name}: the file cannot be read: {error}")
        return None
    # Row 1 of a spreadsheet is the header, unless rows are skipped above it.
    frame.index = pd.RangeIndex(2 + source.skip_rows, len(frame) + 2 + source.skip_rows)
    frame = _name_columns(frame)
    if kind not in PARQUET:
        empty = frame.isna().all(axis=1)
        frame = frame.loc[~empty] if empty.any() else frame
    frame = _filled_down(frame, source, problems)
    table = Table(frame, path.name, "row")
    return table if kind in PARQUET else unmarked(table, [source.id], decimal, source.thousands)


def _decimal_of(frame: pd.DataFrame, source: Source) -> str | None:
    """The decimal mark of a file as said, or as it can only be; None where neither."""
    if source.decimal is not None:
        return source.decimal
    if source.thousands is not None:
        return "," if source.thousands == "." else "."
    if source.separator in (None, ","):
        return None
    texts = [
        frame.iloc[:, k]
        for k, name in enumerate(frame.columns)
        if name != source.id and is_text(frame.dtypes.iloc[k])
    ]
    return "," if _commas_are_decimal(texts, frame) else None


def _commas_are_decimal(texts: Sequence[pd.Series], frame: pd.DataFrame) -> bool:
    """Whether commas in numbers can only be decimal marks.

    Some must have other than three digits behind it (1,234 may be a thousand and more), and no
    number may have a point.
    """
    after, point = decimals([str(v) for column in texts for v in pd.unique(column.dropna())])
    if point or after <= {3}:
        return False
    return not any(
        pd.api.types.is_float_dtype(kind) and _has_fractions(frame.iloc[:, k])
        for k, kind in enumerate(frame.dtypes)
    )


def _has_fractions(column: pd.Series) -> bool:
    values = column.to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    return bool((values != np.floor(values)).any())


def _filled_down(frame: pd.DataFrame, source: Source, problems: Problems) -> pd.DataFrame:
    """The columns to be filled down, filled."""
    for name in source.fill_down:
        if name in frame.columns:
            frame = frame.assign(**{name: frame[name].ffill()})
        else:
            near = suggest(name, frame.columns) or f"the columns are {show_list(frame.columns)}"
            problems.add(f"{source.path.name}: fill_down names no column {show(name)}; {near}")
    return frame


def _found_out(source: Source) -> Source:
    """A text file's source with the encoding and the separator that were not given."""
    if source.encoding is None:
        found = find_encoding(source.path.read_bytes())
        # Where none fits, so that reading says what is wrong.
        source = replace(source, encoding=found.name if found.sure else "utf-8")
    if source.encoding == "utf-8":
        source = replace(source, encoding="utf-8-sig")
    if source.separator is not None:
        return source
    usual = "\t" if source.path.suffix.lower() == ".tsv" else ","
    return replace(source, separator=find_separator(_head(source), usual))


def _head(source: Source) -> list[str]:
    """The first lines of a text file, from the header on."""
    with source.path.open(encoding=source.encoding, newline="") as file:
        return list(itertools.islice(file, source.skip_rows, source.skip_rows + LOOKED_AT))


def _read_csv(source: Source, decimal: str = ".") -> pd.DataFrame:
    separator = source.separator or ","
    header = next(csv.reader(_head(source), delimiter=separator), None)
    if not header:
        raise pd.errors.EmptyDataError
    if len(header) == 1 and any(mark in header[0] for mark in SEPARATORS):
        raise ValueError(
            f"its only column is called {show(header[0])}; if another character stands between the "
            'columns, name it, e.g. separator = ";"'
        )
    names = [name.strip() for name in header]
    frame = _parsed(source, decimal, names, {k for k, n in enumerate(names) if n == source.id})
    if not _OLD:  # an absurd exponent is infinite there, and its cell is to be shown
        floats = [k for k in frame.columns if pd.api.types.is_float_dtype(frame[k].dtype)]
        endless = {k for k in floats if np.isinf(frame[k]).any()}
        if endless:
            as_text = endless | {k for k, n in enumerate(names) if n == source.id}
            frame = _parsed(source, decimal, names, as_text)
    # Given afterwards, so that a name used twice stays visible as such.
    return frame.set_axis(names, axis=1)


def _parsed(source: Source, decimal: str, names: list[str], texts: set[int]) -> pd.DataFrame:
    """The rows below the header, the columns numbered, some of them kept as text."""
    with warnings.catch_warnings():
        # Rows longer than the header would lose their last cells with a mere warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            source.path,
            sep=source.separator or ",",
            # A mark of the byte order is in the rows skipped, and bytes are read faster than text.
            encoding="utf-8" if source.encoding == "utf-8-sig" else source.encoding,
            decimal=decimal,
            header=None,
            skiprows=source.skip_rows + 1,
            names=range(len(names)),
            index_col=False,
            skip_blank_lines=False,
            low_memory=False,
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values=[*MISSING, *source.missing],
            **_EXACTLY,
        )


def _read_excel(source: Source) -> pd.DataFrame:
    try:
        frame = pd.read_excel(
            source.path,
            sheet_name=source.sheet or 0,
            header=None,
            keep_default_na=False,
            na_values=[*MISSING, *source.missing],
            engine="openpyxl",
        )
    except _UNREADABLE:
        raise
    except Exception as error:
        raise ValueError(
            f"the workbook is broken or has no sheet of cells ({type(error).__name__}: {error}); "
            "open it in a spreadsheet and save it anew"
        ) from error
    if frame.empty:
        raise pd.errors.EmptyDataError
    if len(frame) <= source.skip_rows:
        raise pd.errors.EmptyDataError
    header = frame.iloc[source.skip_rows]
    names = ["" if pd.isna(name) else str(name).strip() for name in header]
    # The header shared a column with the data, so each column's type is found again.
    return frame.iloc[source.skip_rows + 1 :].infer_objects().set_axis(names, axis=1)


def _read_parquet(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return frame.set_axis([str(name).strip() for name in frame.columns], axis=1)


def _name_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out empty columns without a name (stray separators); number the others."""
    stray = [name == "" and frame.iloc[:, k].isna().all() for k, name in enumerate(frame.columns)]
    names = [name or f"unnamed {k}" for k, name in enumerate(frame.columns, 1)]
    return frame.set_axis(names, axis=1).loc[:, [not is_stray for is_stray in stray]]
