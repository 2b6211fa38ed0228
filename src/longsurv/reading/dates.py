"""Dates and timestamps written as text: in which order, and whether that can be known."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from calendar import monthrange
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

_CLOCK = (
    r"(?:[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r"\s*(?P<half>[AaPp][Mm])?)?"
)
_ZONE = r"\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2}|(?:(?<=:\d\d)|(?<=\.\d{3})|(?<=\.\d{6}))[+-]\d{2})?"
_SHAPES = {
    "ymd": re.compile(
        rf"(?P<year>\d{{4}})([-/.])(?P<month>\d{{1,2}})\2(?P<day>\d{{1,2}}){_CLOCK}{_ZONE}"
    ),
    "numbers": re.compile(
        rf"(?P<one>\d{{1,2}})(?P<mark>[-/.])(?P<two>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}})\s?"
        rf"{_CLOCK}{_ZONE}"
    ),
    "compact": re.compile(
        rf"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d){_CLOCK}{_ZONE}"
    ),
    "kanji": re.compile(
        rf"(?P<year>\d{{4}})年(?P<month>\d{{1,2}})月(?P<day>\d{{1,2}})日{_CLOCK}{_ZONE}"
    ),
    "name": re.compile(
        rf"(?P<day>\d{{1,2}})[-. ]*(?P<word>[^\W\d_]{{3,9}})\.?[-, ]*(?P<year>\d{{4}}|\d{{2}})"
        rf"{_CLOCK}{_ZONE}"
    ),
}  # fmt: skip
MONTHS = (
    "jan", "feb|fev|fév", "mar|mrz|mär|maer", "apr|avr", "may|mai", "jun|juin", "jul|juil",
    "aug|aou|aoû", "sep", "oct|okt", "nov", "dec|dez|déc",
)  # fmt: skip
_MONTH = [re.compile(words, re.IGNORECASE) for words in MONTHS]
Order = Literal["", "day", "month"]


@dataclass(frozen=True)
class DatedTexts:
    """Distinct texts read as dates.

    Attributes
    ----------
    values : array of datetime64[ns] (texts,)
        In UTC where a text has a time zone; NaT where it is no date.
    order : {"", "day", "month"}
        Which comes first, "" where the year does or the month has a name.
    sure : bool
        Whether the texts can only be read in this order.
    zoned : bool
        Whether some text says its time zone.
    """

    values: np.ndarray
    order: Order
    sure: bool
    zoned: bool = False


type _Found = tuple[str, re.Match[str]] | None


SERIAL = (30_000, 60_000)
"""Days of a spreadsheet, 1982 to 2064: its dates where a cell is shown as a number."""
_SERIAL = re.compile(r"[345]\d{4}(?:[.,]\d+)?")
_FIRST, _END = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")
_EPOCH = np.datetime64("1899-12-30", "ns")


def all_serial(numbers: np.ndarray) -> bool:
    """Whether all numbers are of the size of a spreadsheet's dates, or are such as 20240131."""
    if not len(numbers):
        return False
    inside = bool(np.all((numbers >= SERIAL[0]) & (numbers < SERIAL[1])))
    return inside or all_compact(numbers)


def all_compact(numbers: np.ndarray) -> bool:
    """Whether all numbers are year, month and day in one, as 20240131."""
    if not len(numbers) or not bool(np.all(_have_eight_figures(numbers))):
        return False  # of a million measurements none is made a date to see that
    return not bool(np.isnat(_of_compact(numbers)).any())


def of_serial(days: np.ndarray) -> np.ndarray:
    """Dates of a spreadsheet's days, to the second, or of year, month and day in one number.

    NaT outside the days of 1982 to 2064.
    """
    if all_compact(days[np.isfinite(days)]):
        return _of_compact(days)
    inside = (days >= SERIAL[0]) & (days < SERIAL[1])
    seconds = np.round(np.where(inside, days, 0.0) * 86400).astype("int64")
    stamps = _EPOCH + seconds.astype("timedelta64[s]").astype("timedelta64[ns]")
    return np.where(inside, stamps, np.datetime64("NaT", "ns"))


def _have_eight_figures(numbers: np.ndarray) -> np.ndarray:
    """Which numbers are whole and of the size of 19000101 to 20991231, shape (n,)."""
    size = np.isfinite(numbers) & (numbers >= 19_000_101) & (numbers < 21_000_000)
    return size & (np.where(size, numbers, 0.5) == np.floor(np.where(size, numbers, 0.0)))


def _of_compact(numbers: np.ndarray) -> np.ndarray:
    whole = _have_eight_figures(numbers)
    parts, place = np.unique(
        np.where(whole, numbers, 19_000_101).astype("int64"), return_inverse=True
    )
    texts = pd.Series([f"{p // 10000:04d}-{p // 100 % 100:02d}-{p % 100:02d}" for p in parts])
    found = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce")
    stamps = stamps_of(found)[place]
    return np.where(whole, stamps, np.datetime64("NaT", "ns"))


def stamps_of(column: pd.Series) -> np.ndarray:
    """A column of dates without a time zone in nanoseconds, of its own, shape (n,).

    NaT where there is none, and outside the years 1678 to 2261, which nanoseconds do not reach: a
    date of the year 9999 is no date of a patient.
    """
    plain = isinstance(column.dtype, np.dtype)
    values = column.to_numpy() if plain else column.to_numpy(dtype="datetime64[us]")
    days = values.astype("datetime64[D]")
    inside = (days >= _FIRST) & (days < _END)
    return np.where(inside, values, np.datetime64("NaT", "D")).astype("datetime64[ns]")


def looks_like_a_date(text: str) -> bool:
    """Whether a text has the shape of a date."""
    return _shape(text) is not None


def looks_like_dates(texts: Sequence[str]) -> bool:
    """Whether most of these texts have the shape of a date."""
    return sum(map(looks_like_a_date, texts)) > 0.5 * len(texts) > 0


def _shape(text: str) -> _Found:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.strip()
    for name, pattern in _SHAPES.items():
        match = pattern.fullmatch(text)
        if match is not None:
            return name, match
    return None


def read_dates(texts: Sequence[str], order: Order = "") -> DatedTexts:
    """Read texts as dates; `order` is what other columns of the table say of day and month."""
    values = _iso(texts)
    lost = np.flatnonzero(np.isnat(values)).tolist()
    found = [_shape(texts[k]) for k in lost]
    numeric = [m for kind, m in (f for f in found if f is not None) if kind == "numbers"]
    named = any(f is not None and f[0] == "name" for f in found)
    seen = {
        int(y) for y in np.unique(values[~np.isnat(values)].astype("datetime64[Y]").astype(int))
    }
    years = {int(m["year"]) for m in numeric if len(m["year"]) == 4} | {1970 + y for y in seen}
    dots = _order([m for m in numeric if m["mark"] == "."], "day", years)
    others = _order([m for m in numeric if m["mark"] != "."], order, years)
    sure = dots[1] and others[1] and not (others[0] and dots[0] and others[0] != dots[0])
    if named and "month" in (dots[0], others[0]):
        sure = False
    values[lost] = _iso([_as_iso(f, dots[0], others[0]) for f in found])
    # Among dates a sheet has some that it kept as numbers.
    for k in lost:
        if np.isnat(values[k]) and _SERIAL.fullmatch(texts[k]):
            values[k] = of_serial(np.array([float(texts[k].replace(",", "."))]))[0]
    return DatedTexts(values, others[0] or dots[0], sure, looks_zoned(texts[:200]))


def looks_zoned(texts: Sequence[str]) -> bool:
    """Whether some of these texts are dates that say their time zone."""
    return any(f is not None and bool(f[1]["zone"]) for f in map(_shape, texts))


def _iso(texts: Sequence[str]) -> np.ndarray:
    """Texts of the one form that needs no thought; a year or a month alone is no date."""
    whole = [text if len(text) >= 8 and text[4:5] == "-" else None for text in texts]
    column = pd.Series(whole, dtype=object)
    found = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    return stamps_of(found.dt.tz_localize(None))


def _order(
    numeric: Sequence[re.Match[str]], otherwise: Order, known: Collection[int] = ()
) -> tuple[Order, bool]:
    """Which of day and month comes first, and whether that is sure; `known` years stand beside."""
    if not numeric:
        return "", True
    ones = [int(m["one"]) for m in numeric]
    twos = [int(m["two"]) for m in numeric]
    day, month = max(ones) > 12, max(twos) > 12
    years = [int(m["year"]) for m in numeric if len(m["year"]) == 2]
    # "23/04/05" may begin with its year; not where many days run to the end of the month, for a
    # study has few years, and none to come.
    told = bool(known) and {2000 + y for y in years} <= set(known)
    if years and not told and numeric[0]["mark"] != "." and max(years) <= 31:
        few = max(years) - min(years) <= 10
        if not (month or (few and max(ones) >= 28 and len(set(ones)) >= 8)):
            return "day" if day else otherwise or "day", False
    if day and month:
        return "day", False
    if day or month:
        return "day" if day else "month", True
    return otherwise or "day", bool(otherwise) or ones == twos


def _day_after(date: str) -> str:
    year, month, day = map(int, date.split("-"))
    if not (1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return date
    return (dt.date(year, month, day) + dt.timedelta(days=1)).isoformat()


def _as_iso(found: _Found, dots: Order, others: Order) -> str:
    if found is None:
        return ""
    kind, m = found
    if kind == "numbers":
        first = dots if m["mark"] == "." else others
        day, month = (m["two"], m["one"]) if first == "month" else (m["one"], m["two"])
    elif kind == "name":
        number = next((k for k, names in enumerate(_MONTH, 1) if names.match(m["word"])), 0)
        day, month = m["day"], str(number)
    else:
        day, month = m["day"], m["month"]
    year = int(m["year"])
    if year < 100:
        year += 2000 if year < 50 else 1900
    if not 1700 < year < 2200:
        return ""
    date = f"{year}-{month.zfill(2)}-{day.zfill(2)}"
    if m["hour"] is None:
        return date
    hour, half = int(m["hour"]), (m["half"] or "").lower()
    if half:
        hour = hour % 12 + 12 * (half == "pm")
    second = (m["second"] or "00").replace(",", ".")
    if hour == 24 and float(m["minute"]) == float(second) == 0:  # the midnight that ends the day
        hour, date = 0, _day_after(date)
    zone = (m["zone"] or "").replace("UTC", "Z")
    return f"{date}T{hour:02d}:{m['minute']}:{second}{zone}"
