"""Files and frames in: every sheet as a table with names, and the pandas lines that read it."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from longsurv.cohort.files import MISSING
from longsurv.cohort.problems import shorten
from longsurv.draft.cells import text_of
from longsurv.draft.header import LOOK, Header, find_header, unique_names
from longsurv.draft.layout import read_time
from longsurv.errors import DataError

TEXT, EXCEL, PARQUET = (".csv", ".tsv", ".txt", ".dat"), (".xlsx", ".xlsm"), (".parquet", ".pq")
STATISTICS = (".dta", ".sav", ".zsav", ".sas7bdat", ".xpt", ".rds", ".rda", ".rdata")
_READ_ERRORS = (ValueError, OSError, LookupError, BadZipFile, csv.Error, pd.errors.ParserWarning)
_BOOK_ERRORS = (*_READ_ERRORS, TypeError, AttributeError, SyntaxError)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
BIG = 30_000_000


@dataclass(frozen=True)
class RawTable:
    """A table as found, its columns named, nothing yet understood.

    Attributes
    ----------
    name : str
        For people: the file, and the sheet if there are several.
    variable : str
        What it is called in the pandas lines.
    frame : DataFrame
        Cells as they came (text from text files).
    lines : tuple of str
        Pandas lines that make this frame; empty for a frame that was handed in.
    path : Path, optional
    sheet : str
    separator, encoding : str
        Of a text file.
    units : dict
        Units that stand in a row of their own, by column.
    notes : tuple of str
        What was left out on the way, in words.
    straight : bool
        Whether a study file can name the file as it is.
    skip : int
        Rows above the names, which the study file then says.
    """

    name: str
    variable: str
    frame: pd.DataFrame
    lines: tuple[str, ...] = ()
    path: Path | None = None
    sheet: str = ""
    separator: str = ""
    encoding: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    straight: bool = False
    skip: int = 0


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
    return _stacked(_named(found))


def read_frames(frames: Mapping[str, pd.DataFrame]) -> list[RawTable]:
    """Take data frames as tables; a frame with one sheet's cells and no names is not looked for."""
    found = []
    for name, frame in frames.items():
        flat = frame.reset_index() if any(n is not None for n in frame.index.names) else frame
        flat = flat.set_axis(unique_names([str(c) for c in flat.columns]), axis=1)
        gaps = flat.isin(MISSING)
        flat = flat.mask(gaps) if gaps.any(axis=None) else flat
        found.append(RawTable(name, name, flat.reset_index(drop=True)))
    return _stacked(_named(found))


def _stacked(tables: list[RawTable]) -> list[RawTable]:
    """Put tables with the same columns under each other, such as one sheet a day.

    Where the names of the tables say a time, it becomes a column.
    """
    alike: dict[tuple[str, ...], list[RawTable]] = {}
    for table in tables:
        alike.setdefault(tuple(table.frame.columns), []).append(table)
    made = []
    for columns, members in alike.items():
        if len(members) == 1:
            made += members
            continue
        times = [read_time(m.sheet or (m.path.stem if m.path else m.name)) for m in members]
        units = {t[1] for t in times if t is not None}
        name = "_".join(["time", *units]) if len(units) == 1 else "time"
        timed = None not in times and name not in columns
        frames = [
            m.frame.assign(**{name: t[0]}) if timed and t is not None else m.frame
            for m, t in zip(members, times, strict=True)
        ]
        parts = [
            f"{m.variable}.assign({name}={t[0]!r})" if timed and t is not None else m.variable
            for m, t in zip(members, times, strict=True)
        ]
        first = members[0]
        lines = [line for m in members for line in m.lines]
        lines.append(f"{first.variable} = pd.concat([{', '.join(parts)}], ignore_index=True)")
        what = first.path.name if first.path is not None else first.name
        notes = [n for m in members for n in m.notes]
        notes.append(f"{len(members)} tables with the same columns were put under each other")
        stacked = pd.concat(frames, ignore_index=True)
        made.append(
            replace(
                first,
                name=f"{what} ({len(members)} tables)",
                frame=stacked,
                lines=tuple(lines),
                notes=tuple(notes),
                straight=False,
            )
        )
    return made


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
        return [_read_text(path)]
    if kind in EXCEL:
        return _read_book(path)
    if kind in PARQUET:
        frame = pd.read_parquet(path)
        indexed = any(name is not None for name in frame.index.names)
        return [_of_frame(path, frame, f"pd.read_parquet({path.name!r})", indexed, straight=True)]
    if kind in STATISTICS:
        return _read_statistics(path, kind)
    if kind == ".xls":
        raise DataError(f"{path.name}: an old Excel file; save it as .xlsx")
    known = ", ".join((*TEXT, *EXCEL, *PARQUET, *STATISTICS))
    raise DataError(f"{path.name}: files of type {kind!r} are not read; expected one of {known}")


def _of_frame(
    path: Path, frame: pd.DataFrame, call: str, indexed: bool = False, straight: bool = False
) -> RawTable:
    if indexed:
        frame, call = frame.reset_index(), f"{call}.reset_index()"
    names = [str(c) for c in frame.columns]
    frame = frame.set_axis(unique_names(names), axis=1).reset_index(drop=True)
    lines = [f"TABLE = {call}"]
    if list(frame.columns) != names:
        lines.append(f"TABLE.columns = {list(frame.columns)!r}")
        straight = False
    return RawTable(path.name, "", frame, tuple(lines), path, straight=straight)


# Text --------------------------------------------------------------------------------------------


def _encoding(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if data.startswith(_UTF16):
        return "utf-16"
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("cp932")
    except UnicodeDecodeError:
        return "cp1252"
    odd = [c for c in text if ord(c) > 127]
    japanese = sum("\u3040" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" for c in odd)
    known = sum(c in "年月日患者性別死亡治療群男女対照投与血小板病検査入院のはを名前" for c in odd)
    return "cp932" if japanese > 0.8 * len(odd) and known > 0.1 * len(odd) else "cp1252"


def _separator(text: str) -> str:
    """The character that cuts the first lines into the most columns, alike in each."""
    lines = [line for line in text.splitlines()[:200] if line.strip()]
    best, chosen = 0.0, ","
    for mark in (";", "\t", ",", "|"):
        counts = [len(row) for row in csv.reader(lines, delimiter=mark) if row]
        if not counts:
            continue
        usual = max(set(counts), key=counts.count)
        score = (usual - 1) * counts.count(usual) / len(counts)
        if usual > 1 and score > best:
            best, chosen = score, mark
    return chosen


def _read_text(path: Path) -> RawTable:
    data = path.read_bytes()
    encoding = _encoding(data)
    head = data[:400_000].decode(encoding, errors="ignore")
    if not head.strip():
        raise DataError(f"{path.name}: the file is empty")
    separator = _separator(head)
    rows = list(csv.reader(io.StringIO(head), delimiter=separator))[: 2 * LOOK + 150]
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
    table, simple = _from_grid(path.name, grid, call)
    straight = simple and path.suffix.lower() != ".dat"
    return replace(table, path=path, separator=separator, encoding=encoding, straight=straight)


def _from_grid(name: str, grid: pd.DataFrame, call: str) -> tuple[RawTable, bool]:
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


# Spreadsheets ------------------------------------------------------------------------------------


def _read_book(path: Path) -> list[RawTable]:
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
            table, simple = _from_grid(name, grid, call)
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


# Statistics packages -----------------------------------------------------------------------------


def _read_statistics(path: Path, kind: str) -> list[RawTable]:
    shown = repr(path.name)
    if kind == ".dta":
        return [_of_frame(path, pd.read_stata(path), f"pd.read_stata({shown})")]
    if kind in (".sas7bdat", ".xpt"):
        frame = pd.read_sas(path, encoding="latin-1" if kind == ".xpt" else "infer")
        how = '"latin-1"' if kind == ".xpt" else '"infer"'
        return [_of_frame(path, frame, f"pd.read_sas({shown}, encoding={how})")]
    if kind in (".sav", ".zsav"):
        _need("pyreadstat", path)
        return [_of_frame(path, pd.read_spss(path), f"pd.read_spss({shown})")]
    pyreadr = _need("pyreadr", path)
    tables = []
    for name, frame in pyreadr.read_r(str(path)).items():
        if isinstance(frame, pd.DataFrame):
            table = _of_frame(path, frame, f"pyreadr.read_r({shown})[{name!r}]")
            shown_as = f"{path.name} [{name}]" if name else path.name
            lines = ("import pyreadr", *table.lines)
            tables.append(replace(table, name=shown_as, lines=lines, sheet=str(name or "")))
    return tables


def _need(module: str, path: Path):  # type: ignore[no-untyped-def]
    """Import an optional library, or say which one is needed."""
    try:
        return import_module(module)
    except ImportError:
        raise DataError(
            f"{path.name}: reading such files takes the library {module}, which is not installed:"
            f" pip install {module}; or save the table as CSV"
        ) from None
