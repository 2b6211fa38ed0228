"""Text files in: their encoding, what separates the columns, and the cells."""

from __future__ import annotations

import csv
import io
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd

from longsurv.cohort.files import MISSING
from longsurv.draft.grid import from_grid
from longsurv.draft.header import LOOK
from longsurv.draft.raw import RawTable
from longsurv.errors import DataError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


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


def read_text(path: Path) -> RawTable:
    """Read a text file: its encoding and separator are found in its first lines."""
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
    table, simple = from_grid(path.name, grid, call)
    straight = simple and path.suffix.lower() != ".dat"
    return replace(table, path=path, separator=separator, encoding=encoding, straight=straight)
