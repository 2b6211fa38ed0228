"""One column: numbers, dates or text, and what its cells say besides."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.draft.names import plain, says
from longsurv.draft.units import tidy_unit
from longsurv.reading.dates import (
    Order,
    all_compact,
    all_serial,
    looks_like_dates,
    of_serial,
    read_dates,
    stamps_of,
)
from longsurv.reading.marks import find_marks
from longsurv.reading.numbers import (
    FLAGS,
    DecimalMark,
    is_grouped,
    number_in,
    plain_numbers,
    read_number,
)
from longsurv.reading.textfile import MISSING

Kind = Literal["number", "date", "text", "empty"]
BLANK = {text.strip().casefold() for text in MISSING}
# What laboratories write where there is no result.
NOT_MEASURED = {
    "n.d.", "n.d", "nd", "n/d", "not done", "not determined", "not available", "not measured",
    "n.a.", "n.a", "k.a.", "k. a.", "k.a", "keine angabe", "fehlt", "fehlend", "nicht bestimmt",
    "nicht gemessen", "n.b.", "n. b.", "nb", "n.best.", "entfällt", "hemolysed", "hemolyzed",
    "haemolysed", "haemolyzed", "hämolytisch", "haemolytisch", "hemolytic", "haemolytic",
    "hemolysis", "haemolysis", "hämolyse", "hémolysé", "hemolyse", "hémolyse", "clotted",
    "geronnen", "coagulé", "pending", "ausstehend", "en cours", "qns", "insufficient",
    "insufficient sample", "zu wenig material", "unknown", "unk", "unbekannt", "inconnu",
    "manquant", "non fait", "non dosé", "nf", "missing", "miss", "-", "--", "---", "\u2013", "?",
    "??", "x", "未測定", "未検", "未実施", "溶血", "欠測", "不明", "測定不能", "検体不足",
    "凝固", "error", "cancelled", "canceled", "storniert", "lipemic", "lipämisch", "invalid",
    "rejected", "none",
    "no sample", "keine probe", "not performed", "np", "na.", "#value!", "#div/0!", "#ref!", "*",
    "not recorded", "nr", "nan.", "(null)",
}  # fmt: skip
_UNKNOWN = {"unknown", "unk", "unbekannt", "inconnu", "manquant", "missing", "miss", "fehlt",
            "fehlend", "?", "??", "不明", "欠測", "pending", "ausstehend", "en cours", "error",
            "invalid", "not recorded"}  # fmt: skip
CODES = {-1.0, -7.0, -8.0, -9.0, -77.0, -88.0, -99.0, -999.0, -9999.0, -99999.0,
         99.0, 777.0, 888.0, 999.0, 9999.0, 99999.0, 999999.0}  # fmt: skip
_DATED = re.compile(r"dat|dt\b|日|time|tod|death|deces")
_NEVER = re.compile(r"(?<!\d)[2-9]999(?!\d)")  # the year in which nothing happens
_COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class SheetColumn:
    """A column of a table and what was made of it.

    Attributes
    ----------
    name : str
    codes : array of int (rows,)
        Position in `texts`, -1 where the cell is empty.
    texts : list of str
        Distinct cells as text.
    kind : {"number", "date", "text", "empty"}
    numbers : array of float (rows,)
        NaN where missing or not a number.
    censored : array of int8 (rows,)
        1 below, 2 above the number.
    dates : array of datetime64 (rows,)
        Of a column of dates.
    order : {"", "day", "month"}
    order_sure : bool
    words : dict of str to int
        What is neither number nor date in such a column, and how often.
    units : dict of str to int
        Units after the number, and how often.
    decimal : {".", ","}
    decimal_sure : bool
    thousands : str
        The mark between thousands, "" if none.
    flags : bool
        Whether marks such as "H" stand after numbers.
    spoken : bool
        Whether limits are written in words ("LESS THAN 2").
    native : bool
        Whether the cells were numbers or dates already, not text.
    serial : bool
        Whether its dates are written as days of a spreadsheet (45000.5).
    """

    name: str
    codes: np.ndarray
    texts: list[str]
    kind: Kind
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0))
    censored: np.ndarray = field(default_factory=lambda: np.empty(0, np.int8))
    dates: np.ndarray = field(default_factory=lambda: np.empty(0, "datetime64[ns]"))
    order: Order = ""
    order_sure: bool = True
    words: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    decimal: DecimalMark = "."
    decimal_sure: bool = True
    thousands: str = ""
    flags: bool = False
    spoken: bool = False
    native: bool = False
    serial: bool = False

    @property
    def filled(self) -> int:
        """How many cells are not empty, or in a column of dates are dates."""
        if self.kind == "date":
            return int(np.count_nonzero(~np.isnat(self.dates)))
        return int(np.count_nonzero(self.codes >= 0))

    @property
    def distinct(self) -> int:
        """How many different texts there are."""
        return len(self.texts)


def text_of(value: object) -> str:
    """A cell as text: whole numbers without a point, dates in ISO form."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, (pd.Timestamp, dt.datetime)):
        return value.strftime("%Y-%m-%d %H:%M:%S" if value.time() != dt.time() else "%Y-%m-%d")
    return str(value).strip()


def read_column(values: pd.Series, name: str, order: Order = "", decimal: str = "") -> SheetColumn:
    """Read a column; `order` and `decimal` are what the rest of the table says."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert(None)
    if pd.api.types.is_datetime64_any_dtype(values):
        stamps = stamps_of(values)
        codes, found = pd.factorize(values)
        texts = [text_of(v) for v in pd.Index(found)]
        return SheetColumn(
            name, codes, texts, "date" if texts else "empty", dates=stamps, native=True
        )
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        codes, found = pd.factorize(numbers, use_na_sentinel=True)
        lazily = [text_of(v) for v in found] if len(found) < 250_000 else _texts(found)
        kind: Kind = "number" if lazily else "empty"
        none = np.zeros(len(numbers), np.int8)
        if _is_serial(name, numbers):
            counted = not all_compact(numbers[np.isfinite(numbers)])
            return SheetColumn(
                name, codes, lazily, "date", dates=of_serial(numbers), native=True, serial=counted
            )
        return SheetColumn(name, codes, lazily, kind, numbers, none, native=True)
    codes, texts = _factorize(values)
    if not texts:
        return SheetColumn(name, codes, texts, "empty")
    return _of_text(SheetColumn(name, codes, texts, "text"), order, decimal)


def _texts(found: np.ndarray) -> list[str]:
    return [f"{v:.0f}" if v.is_integer() else repr(v) for v in found.tolist()]


def _factorize(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Codes and distinct texts; blanks and the usual marks of missing values are -1."""
    codes, found = pd.factorize(values, use_na_sentinel=True)
    texts = [text_of(v) for v in found]
    blank = [t.casefold() in BLANK or not t for t in texts]
    if not any(blank) and len(set(texts)) == len(texts):
        return codes, texts
    place: dict[str, int] = {}
    recode = np.full(len(texts) + 1, -1)
    for k, text in enumerate(texts):
        if not blank[k]:
            recode[k] = place.setdefault(text, len(place))
    return recode[codes], list(place)


def _of_text(column: SheetColumn, order: Order, decimal: str) -> SheetColumn:
    texts, codes = column.texts, column.codes
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    numbers = plain_numbers(pd.Series(texts, dtype=object))
    left = np.flatnonzero(~np.isfinite(numbers))
    if _DATED.search(plain(column.name)) and all(map(_COMPACT.fullmatch, texts)):
        return _dates(column, order, counts)
    if not len(left):
        if decimal == "," and _all_thousands(texts):  # "182.000" beside "75,5"
            marked = replace(column, decimal=",", decimal_sure=False, thousands=".")
            return _numbers(marked, texts, counts, np.arange(len(texts)), numbers)
        column = replace(column, decimal_sure=not _all_thousands(texts))
        if _is_serial(column.name, numbers):
            dates = np.append(of_serial(numbers), np.datetime64("NaT", "ns"))[column.codes]
            return replace(column, kind="date", dates=dates, serial=True)
        return _with_numbers(column, numbers, np.zeros(len(texts), np.int8))
    sample = [texts[k] for k in left[:300]]
    if looks_like_dates(sample) and len(left) > 0.5 * len(texts):
        return _dates(column, order, counts)
    mark, sure, thousands = find_marks(texts, decimal)
    if thousands and not sure and mark == ".":  # "1,234" beside "850", or "182,000" alone
        zeros = all(number_in(text).endswith(",000") for text in texts if "," in text)
        sure = zeros or any(text.isdecimal() for text in texts)
    marked = replace(column, decimal=mark, decimal_sure=sure, thousands=thousands)
    if mark == ",":  # "1.000" beside "0,1" is a thousand
        pointed = np.array(["." in text for text in texts], bool)
        left = np.flatnonzero(~np.isfinite(numbers) | pointed)
    return _numbers(marked, texts, counts, left, numbers)


def _is_serial(name: str, numbers: np.ndarray) -> bool:
    """Whether numbers are days of a spreadsheet: all of the size of dates, in a column of dates."""
    known = numbers[np.isfinite(numbers)]
    if not all_serial(known):
        return False
    roles = ("zero date", "end date", "death date")
    return _DATED.search(plain(name)) is not None or any(says(name, role) >= 2 for role in roles)


def _all_thousands(texts: Sequence[str]) -> bool:
    return all(is_grouped(t) for t in texts if "." in t) and any("." in t for t in texts)


def _numbers(
    column: SheetColumn, texts: list[str], counts: np.ndarray, left: np.ndarray, numbers: np.ndarray
) -> SheetColumn:
    censored = np.zeros(len(texts), np.int8)
    words: dict[str, int] = {}
    units: Counter[str] = Counter()
    flags = spoken = False
    for k in left:
        parsed = _parse(texts[k], column.decimal, column.thousands)
        if parsed is None:
            words[texts[k]] = int(counts[k])
            numbers[k] = np.nan
            continue
        numbers[k], censored[k], unit, flag, said = parsed
        if unit:
            units[unit] += int(counts[k])
        flags, spoken = flags or flag, spoken or said
    read = counts[np.isfinite(numbers)].sum()
    unknown = sum(n for w, n in words.items() if w.casefold() not in NOT_MEASURED)
    # A column of numbers has few words that nobody knows.
    if read == 0 or unknown > 0.2 * (read + unknown) or _few_words(words, read):
        return replace(column, kind="text", decimal=".", thousands="")
    done = replace(column, words=words, units=dict(units), flags=flags, spoken=spoken)
    return _with_numbers(done, numbers, censored)


def _few_words(words: dict[str, int], read: int) -> bool:
    """Whether words are so many kinds that the numbers among them are the exception."""
    return len(words) > 12 and sum(words.values()) > 0.3 * read


def _with_numbers(column: SheetColumn, numbers: np.ndarray, censored: np.ndarray) -> SheetColumn:
    return replace(
        column,
        kind="number",
        numbers=np.append(numbers, np.nan)[column.codes],
        censored=np.append(censored, np.int8(0))[column.codes],
    )


def _parse(text: str, decimal: str, thousands: str) -> tuple[float, int, str, bool, bool] | None:
    """Number, censoring, unit, whether flagged, whether spoken; None if it is no number."""
    found = read_number(text, decimal, thousands)
    if found is None:
        return None
    value, code, tail, spoken = found
    if not tail or tail in FLAGS:
        return value, code, "", bool(tail), spoken
    unit, _, last = tail.rpartition(" ")
    if last in FLAGS and tidy_unit(unit):
        return value, code, unit, True, spoken
    return (value, code, tail, False, spoken) if tidy_unit(tail) else None


def without_unknown(column: SheetColumn) -> SheetColumn:
    """A column of few levels with words such as "unknown" taken for missing."""
    kept = [text for text in column.texts if text.casefold() not in _UNKNOWN]
    if len(kept) == column.distinct or not 2 <= len(kept) <= 8:
        return column
    place = {text: k for k, text in enumerate(kept)}
    recode = np.array([*(place.get(text, -1) for text in column.texts), -1])
    counts = np.bincount(column.codes[column.codes >= 0], minlength=column.distinct)
    words = {t: int(n) for t, n in zip(column.texts, counts, strict=True) if t not in place}
    return replace(column, codes=recode[column.codes], texts=kept, words=words)


def not_dated(word: str) -> bool:
    """Whether a cell among dates says that there is none, rather than that it is not known."""
    return word.casefold() in NOT_MEASURED - _UNKNOWN or _NEVER.search(word) is not None


def unread_dates(column: SheetColumn) -> dict[str, int]:
    """Cells of a column of dates that are written with figures and are none, such as 31.02.2024."""
    if column.kind != "date":
        return {}
    figures = {w: n for w, n in column.words.items() if any(c.isdigit() for c in w)}
    return {w: n for w, n in figures.items() if not _NEVER.search(w)}


def _dates(column: SheetColumn, order: Order, counts: np.ndarray) -> SheetColumn:
    found = read_dates(column.texts, order)
    none = np.isnat(found.values)
    words = {column.texts[k]: int(counts[k]) for k in np.flatnonzero(none)}
    # "alive" in a column of dates of death may be most of it.
    if counts[none].sum() > 0.5 * counts.sum() and len(words) > 3:
        return column
    values = np.append(found.values, np.datetime64("NaT", "ns"))[column.codes]
    return replace(
        column,
        kind="date",
        dates=values,
        order=found.order,
        order_sure=found.sure,
        words=words,
    )
