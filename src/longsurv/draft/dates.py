"""Dates and timestamps written as text: in which order, and whether that can be known."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_TIME = r"(?:[ T]+(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?P<half>[AaPp][Mm])?)?"
_ZONE = r"\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?"
_SHAPES = {
    "ymd": re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}{_ZONE}"),
    "dmy": re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}})\s?{_TIME}"),
    "compact": re.compile(rf"((?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d){_TIME}"),
    "kanji": re.compile(rf"(\d{{4}})年(\d{{1,2}})月(\d{{1,2}})日{_TIME}"),
    "name": re.compile(rf"(\d{{1,2}})[-. ]*([A-Za-z]{{3,9}})\.?[-, ]*(\d{{4}}|\d{{2}}){_TIME}"),
}
Order = Literal["", "day", "month"]


@dataclass(frozen=True)
class DatedTexts:
    """Distinct texts read as dates.

    Attributes
    ----------
    values : array of datetime64[ns] (texts,)
        NaT where a text is no date.
    order : {"", "day", "month"}
        Which comes first, "" where the year does or the month has a name.
    sure : bool
        Whether some text can only be read in this order.
    """

    values: np.ndarray
    order: Order
    sure: bool


def looks_like_dates(texts: Sequence[str]) -> bool:
    """Whether most of these texts have the shape of a date."""
    return sum(_shape(t) is not None for t in texts) > 0.5 * len(texts) > 0


def _shape(text: str) -> tuple[str, re.Match[str]] | None:
    text = unicodedata.normalize("NFKC", text).strip()
    for name, pattern in _SHAPES.items():
        match = pattern.fullmatch(text)
        if match is not None:
            return name, match
    return None


def read_dates(texts: Sequence[str], order: Order = "") -> DatedTexts:
    """Read texts as dates; `order` is what other columns of the table say of day and month."""
    found = [_shape(t) for t in texts]
    numeric = [m for kind, m in (f for f in found if f is not None) if kind == "dmy"]
    first = max((int(m[1]) for m in numeric), default=0)
    second = max((int(m[3]) for m in numeric), default=0)
    dotted = any(m[2] == "." for m in numeric)
    sure = True
    if not numeric:
        chosen: Order = ""
    elif first > 12 and second <= 12:
        chosen = "day"
    elif second > 12 and first <= 12:
        chosen = "month"
    else:
        # With dots the day comes first wherever dots are used.
        chosen = "day" if dotted else (order or "day")
        sure = (dotted or bool(order)) and not (first > 12 and second > 12)
    years = [int(m[4]) for m in numeric if len(m[4]) == 2]
    if years:  # "03/04/05"
        sure = sure and (first > 12 or second > 12 or dotted)
    values = np.array([_stamp(f, chosen) for f in found], dtype="datetime64[ns]")
    return DatedTexts(values, chosen, sure)


_MONTHS = {name: k for k, names in enumerate(
    ("jan", "feb fev", "mar mrz maer", "apr avr", "may mai", "jun juin", "jul juil",
     "aug aou", "sep", "oct okt", "nov", "dec dez"), 1) for name in names.split()}  # fmt: skip


def _stamp(found: tuple[str, re.Match[str]] | None, order: Order) -> np.datetime64:
    nothing = np.datetime64("NaT", "ns")
    if found is None:
        return nothing
    kind, m = found
    if kind == "ymd":
        year, month, day = int(m[1]), int(m[3]), int(m[4])
    elif kind == "compact":
        year, month, day = int(m[1]), int(m["month"]), int(m["day"])
    elif kind == "kanji":
        year, month, day = int(m[1]), int(m[2]), int(m[3])
    elif kind == "name":
        word = m[2].casefold()
        month = next((k for name, k in _MONTHS.items() if word.startswith(name)), 0)
        year, day = int(m[3]), int(m[1])
    else:
        one, two = int(m[1]), int(m[3])
        day, month = (two, one) if order == "month" else (one, two)
        year = int(m[4])
    if year < 100:
        year += 2000 if year < 50 else 1900
    clock = m["clock"] or "00:00"
    half = (m["half"] or "").casefold() if "half" in m.re.groupindex else ""
    hour, minute = int(clock.split(":")[0]), int(clock.split(":")[1])
    second = float(clock.split(":")[2]) if clock.count(":") == 2 else 0.0
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        stamp = dt.datetime(year, month, day, hour, minute) + dt.timedelta(seconds=second)
    except (ValueError, OverflowError):
        return nothing
    return np.datetime64(stamp, "ns") if 1700 < year < 2200 else nothing
