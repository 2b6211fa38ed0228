"""What a text file does not say of itself, found where only one answer is possible."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

SEPARATORS = ";\t|,"
LOOKED_AT = 50  # lines
# Letters of Western Europe and the signs of units, each alone or two together: the same bytes make
# longer runs, or signs that nobody writes, in a text of another encoding.
_SIGNS = "\xb5\xb0\xb2\xb3\xb1\xb7\xa7\xab\xbb\xae\xa9\xbc\xbd\xbe\xbf\xa1\xba\xaa"
_QUOTES = "\u20ac\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2030\u2122"
_WESTERN = {*_SIGNS, *_QUOTES, *map(chr, range(0xC0, 0x100))}
_RUN = re.compile(r"[^\x00-\x7f]{3,}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_COMMA = re.compile(r"\s*(?:<=|>=|<|>|≤|≥)?\s*[+-]?\d+,(\d+)(?:[eE][+-]?\d+)?(?:\s*[^\d\s,.].*)?")
_POINT = re.compile(r"\s*(?:<=|>=|<|>|≤|≥)?\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*")


def find_encoding(path: Path) -> str:
    """The encoding of a text: UTF-8, UTF-16 with its mark, or Windows-1252 if it can be no other.

    UTF-8 is also the answer where none fits, so that reading says what is wrong.
    """
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252" if _is_western(raw) else "utf-8-sig"
    return "utf-8-sig"


def _is_western(raw: bytes) -> bool:
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return _RUN.search(text) is None and set(_NOT_ASCII.findall(text)) <= _WESTERN


def find_separator(head: Sequence[str], suffix: str) -> str:
    """The one character that splits the header and the rows below into the same number of cells.

    A comma, or a tab for .tsv, where none or several do.
    """
    usual = "\t" if suffix == ".tsv" else ","
    lines = [line for line in head if line.strip()]
    if not lines:
        return usual
    widths = {}
    for mark in SEPARATORS:
        try:
            found = [len(row) for row in csv.reader(lines[:-1] or lines, delimiter=mark)]
        except csv.Error:
            continue
        if found and found[0] > 1:
            widths[mark] = found
    if usual in widths and len(widths) == 1:
        return usual
    even = [mark for mark, found in widths.items() if len(set(found)) == 1]
    if len(even) == 1 and not (usual in widths and even[0] != usual and len(lines) < 3):
        return even[0]
    if len(widths) == 1:
        return next(iter(widths))
    return usual


def commas_are_decimal(texts: Sequence[pd.Series], frame: pd.DataFrame) -> bool:
    """Whether commas in numbers can only be decimal marks.

    Some must have other than three digits behind it (1,234 may be a thousand and more), and no
    number may have a point.
    """
    distinct = [[str(value) for value in pd.unique(column.dropna())] for column in texts]
    commas = [
        match
        for values in distinct
        for text in values
        if "," in text and (match := _COMMA.fullmatch(text)) is not None
    ]
    if all(len(match[1]) == 3 for match in commas):
        return False
    if any("." in text and _POINT.fullmatch(text) for values in distinct for text in values):
        return False
    return not any(
        pd.api.types.is_float_dtype(kind) and _has_fractions(frame.iloc[:, k])
        for k, kind in enumerate(frame.dtypes)
    )


def _has_fractions(column: pd.Series) -> bool:
    values = column.to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    return bool((values != np.floor(values)).any())
