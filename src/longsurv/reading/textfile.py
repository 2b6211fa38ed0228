"""What a text file does not say of itself: its encoding, and what separates its columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

# "None" is not among them: it may well be the name of a treatment group.
MISSING = ["", " ", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "#N/A", "."]
SEPARATORS = ";\t,|"
LOOKED_AT = 200  # lines
# Letters of Western Europe and the signs of units, each alone or two together: the same bytes make
# longer runs, or signs that nobody writes, in a text of another encoding.
_SIGNS = "\xb5\xb0\xb2\xb3\xb1\xb7\xa7\xab\xbb\xae\xa9\xbc\xbd\xbe\xbf\xa1\xba\xaa"
_QUOTES = "\u20ac\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2030\u2122"
_WESTERN = {*_SIGNS, *_QUOTES, *map(chr, range(0xC0, 0x100))}
_RUN = re.compile(r"[^\x00-\x7f]{3,}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_HOSPITAL = frozenset(
    "年月日患者性別死亡治療群男女対照投与血小板病検査入院のはを名前備考症例番号転帰"
)


@dataclass(frozen=True)
class Encoding:
    """The encoding of a text, and whether it can be no other."""

    name: str
    sure: bool = True


def find_encoding(data: bytes) -> Encoding:
    """UTF-8, UTF-16 with its mark, Japanese or Western Windows; the last not surely elsewhere."""
    if data.startswith(b"\xef\xbb\xbf"):
        return Encoding("utf-8-sig")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Encoding("utf-16")
    if _decoded(data, "utf-8") is not None:
        return Encoding("utf-8")
    japanese, western = _decoded(data, "cp932"), _decoded(data, "cp1252")
    if japanese is not None and _is_japanese(japanese):
        return Encoding("cp932")
    return Encoding("cp1252", western is not None and _is_western(western))


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_japanese(text: str) -> bool:
    """Whether what is not ASCII are kana and kanji, many of them those of hospitals."""
    odd = _NOT_ASCII.findall(text)
    japanese = sum("\u3040" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" for c in odd)
    return japanese > 0.8 * len(odd) and sum(c in _HOSPITAL for c in odd) > 0.1 * len(odd)


def _is_western(text: str) -> bool:
    return _RUN.search(text) is None and set(_NOT_ASCII.findall(text)) <= _WESTERN


def find_separator(head: Sequence[str], usual: str = ",") -> str:
    """The character that cuts the first lines into the most columns, alike in each.

    One that does so in every line goes before one that does in most; `usual` where none does, or
    several do.
    """
    lines = [line for line in head if line.strip()]
    lines = lines[:-1] if len(lines) >= LOOKED_AT else lines  # the last may be cut within quotes
    scores = {}
    for mark in SEPARATORS:
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=mark) if row]
        except csv.Error:
            continue
        width = max(set(counts), key=counts.count, default=1)
        share = counts.count(width) / max(len(counts), 1)
        if width > 1:
            scores[mark] = (share == 1.0, (width - 1) * share)
    best = [mark for mark, score in scores.items() if score == max(scores.values())]
    return best[0] if len(best) == 1 else usual
