"""One column at a time: identifiers, numbers with detection limits, and levels."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.reading.durations import in_unit
from longsurv.reading.numbers import (
    FLAGS,
    Reading,
    normal,
    number_in,
    plain_numbers,
    read_number,
)

CENSORED = np.array(["none", "left", "right"], dtype=object)  # by code; see Numbers.censored
_NAN = float("nan")
SMALLEST, LARGEST = 1e-100, 1e100
"""Sizes of numbers whose squares can still be computed with."""
_WHOLE = re.compile(r"(0|-?[1-9][0-9]{0,14})(?:\.0)?")  # "007" is a name, "7.0" once had gaps
_UNIT = re.compile(r"[^\s,;]+(?: [^\s\d,;]+)?")


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers.

    Attributes
    ----------
    values : array of float (rows,)
        NaN where missing or not a number.
    censored : array of int8 (rows,)
        0 observed, 1 left-censored ("<0.02"), 2 right-censored (">500").
    missing, bad : arrays of bool (rows,)
        Nothing there; something there that is not a number.
    """

    values: np.ndarray
    censored: np.ndarray
    missing: np.ndarray
    bad: np.ndarray


def parse_reading(text: object) -> tuple[float, int, str] | None:
    """Return value, censoring code and unit ("" if there is none) of "12 mg/L"; None if no number.

    Also of "<0.02", "≥ 500", "LESS THAN 0.02" and "150 IS HIGHEST MEASURED". Full-width digits and
    signs, as East Asian laboratory systems export them, are accepted.
    """
    found = read_number(text)
    return (
        (found.value, found.code, found.tail) if found is not None and is_reading(found) else None
    )


def is_reading(found: Reading) -> bool:
    """Whether nothing but a unit, or a mark such as "H", stands behind a number."""
    return not found.tail or found.tail in FLAGS or _UNIT.fullmatch(found.tail) is not None


def same_unit(one: str, other: str) -> bool:
    """Whether two units are written for the same: µg/l and ug/L, x10^9/L and 10^9/L."""
    return _plain_unit(one) == _plain_unit(other)


def _plain_unit(unit: str) -> str:
    text = normal(unit).lower().replace("\u03bc", "u").replace(" ", "")
    text = text.replace("**", "").replace("^", "")
    return text.removeprefix("x").removeprefix("\u00d7").removeprefix("*")


def to_numbers(column: pd.Series) -> Numbers:
    """Read a column of any dtype as numbers, parsing each distinct text once."""
    return to_readings(column, units=False)[0]


def to_times(column: pd.Series, unit: str) -> Numbers:
    """Read a column of times, whose unit may stand behind each: "12 h" is half of a day."""
    numbers, codes, units = to_readings(column, flags=False)  # 36 H is no high 36
    factors = [1.0, *(in_unit(word, unit) or _NAN for word in units[1:])]
    factor = np.array(factors)[codes]
    values = numbers.values if len(units) == 1 else numbers.values * factor
    return replace(numbers, values=values, bad=numbers.bad | np.isnan(factor))


def to_readings(
    column: pd.Series, *, units: bool = True, flags: bool = True
) -> tuple[Numbers, np.ndarray, list[str]]:
    """Read a column of measured values, which may name their units.

    Parameters
    ----------
    column : Series
    units : bool
        Whether a unit may stand behind a number.
    flags : bool
        Whether a mark such as "H", for a high one, may.

    Returns
    -------
    Numbers
    array of int (rows,)
        Position of each value's unit in the list, 0 for none.
    list of str
        The units there are, "" first.
    """
    n = len(column)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        numbers = Numbers(values, np.zeros(n, np.int8), np.isnan(values), np.zeros(n, bool))
        return numbers, np.zeros(n, np.int64), [""]
    codes, texts = pd.factorize(column.astype(object), use_na_sentinel=True)
    # One entry more than there are texts, so that code -1 (missing) reads the last.
    value = np.append(plain_numbers(pd.Series(texts, dtype=object)), _NAN)
    censored, unit = np.zeros(len(value), dtype=np.int8), np.zeros(len(value), dtype=np.int64)
    wrong, blank = np.zeros(len(value), dtype=bool), np.append(np.zeros(len(texts), bool), True)
    tails: dict[int, str] = {}
    for k in np.flatnonzero(np.isnan(value[:-1])).tolist():
        reading = parse_reading(texts[k])
        if reading is not None and (units or not reading[2]):
            value[k], censored[k] = reading[:2]
            tails[k] = reading[2]
        else:
            blank[k] = not str(texts[k]).strip()
            wrong[k] = not blank[k]
    found = {"": 0}
    marks = _flags(set(tails.values())) if flags else frozenset()
    for k, tail in tails.items():
        unit[k] = 0 if tail in marks else found.setdefault(tail, len(found))
    return Numbers(value[codes], censored[codes], blank[codes], wrong[codes]), unit[codes], [*found]


def _flags(tails: set[str]) -> frozenset[str]:
    """Which tails say that a value is high or low. A litre is an L, too, where nothing is an H."""
    return FLAGS - {"A"} if tails & {"H", "HH"} else FLAGS - {"A", "L"}


_SINGLE = ("string", "empty", "floating", "integer", "boolean", "decimal")
_SEVERAL = (Mapping, list, tuple, set, frozenset, np.ndarray, bytes, bytearray)


def beyond_arithmetic(values: np.ndarray) -> np.ndarray:
    """Which finite numbers are too large or too small to be squared, shape (rows,) of bool."""
    size = np.abs(values)
    return np.isfinite(size) & (size > 0) & ((size < SMALLEST) | (size > LARGEST))


def several_in_a_cell(column: pd.Series) -> np.ndarray:
    """Which cells hold lists, mappings or bytes, as in Parquet, shape (rows,) of bool."""
    if column.dtype != object or pd.api.types.infer_dtype(column, skipna=True) in _SINGLE:
        return np.zeros(len(column), bool)
    return np.fromiter((isinstance(v, _SEVERAL) for v in column), bool, len(column))


def _has_comma(value: object) -> bool:
    """Whether a value is text such as "75,5" or "<0,02 mg/L"."""
    if not isinstance(value, str) or "," not in value or number_in(value).count(",") != 1:
        return False
    found = read_number(value, ",")
    return found is not None and is_reading(found)


def has_decimal_commas(column: pd.Series) -> np.ndarray:
    """Which values are text such as "75,5", shape (rows,) of bool."""
    return np.array(list(map(_has_comma, column)), bool)


@dataclass(frozen=True)
class Ids:
    """A column of identifiers.

    Attributes
    ----------
    codes : array of int (rows,)
        Position in ``levels``, -1 where the identifier is missing.
    levels : Index
        The distinct identifiers: whole numbers (int64) or stripped text.
    """

    codes: np.ndarray
    levels: pd.Index

    @property
    def missing(self) -> np.ndarray:
        """Which rows have no identifier."""
        return self.codes < 0

    @property
    def repeated(self) -> np.ndarray:
        """Which rows share their identifier with another."""
        counts = np.append(np.bincount(self.codes[self.codes >= 0], minlength=1), 0)
        return counts[self.codes] > 1

    def locate(self, wanted: Ids) -> np.ndarray:
        """Return the first row that holds each of the wanted identifiers, -1 if none does.

        Parameters
        ----------
        wanted : Ids

        Returns
        -------
        ndarray of int
        """
        mine, theirs = self.levels, wanted.levels
        if mine.dtype.kind != theirs.dtype.kind:  # numbers in one table, text in the other
            mine, theirs = mine.astype(str), theirs.astype(str)
        first = np.full(len(mine) + 1, -1)  # the last entry serves code -1
        rows = np.flatnonzero(self.codes >= 0)[::-1]
        first[self.codes[rows]] = rows
        return np.append(first[mine.get_indexer(theirs)], -1)[wanted.codes]


def to_ids(column: pd.Series) -> Ids:
    """Return identifiers as whole numbers where all are, as stripped text otherwise.

    Text such as "007" stays text; text such as "7" in every row becomes the number, so that
    a CSV and a Parquet file of the same study agree.
    """
    codes, raw = pd.factorize(column, use_na_sentinel=True)
    levels = _tidy_ids(pd.Index(raw))
    if levels.is_unique and "" not in levels:
        return Ids(codes, levels)
    again, tidy = pd.factorize(levels)  # "7" and "7 " are one patient, and blank is none
    again[levels == ""] = -1
    return Ids(np.append(again, -1)[codes], pd.Index(tidy))


def _tidy_ids(levels: pd.Index) -> pd.Index:
    if pd.api.types.is_numeric_dtype(levels) and not pd.api.types.is_bool_dtype(levels):
        values = levels.to_numpy(dtype=float)
        if np.all(np.isfinite(values)) and np.all(values == np.floor(values)):
            return levels.astype("int64")
    texts = [str(level).strip() for level in levels]
    if _are_figures(texts):  # as nearly always, and ten times as fast
        return pd.Index(np.fromiter(map(int, texts), "int64", len(texts)))
    if texts and all(_WHOLE.fullmatch(text) for text in texts):  # stops at the first that is not
        return pd.Index(np.array([text.removesuffix(".0") for text in texts]).astype("int64"))
    return pd.Index(texts, dtype=object)


def _are_figures(texts: Sequence[str]) -> bool:
    """Whether all texts are whole numbers of at most 15 figures that do not begin with 0."""
    joined = "".join(texts)
    if not (joined.isascii() and joined.isdecimal() and all(texts)):
        return False
    return max(map(len, texts)) <= 15 and not any(text[0] == "0" for text in texts)


def encode(column: pd.Series) -> tuple[np.ndarray, list[Hashable]]:
    """Return integer codes (-1 missing) and the distinct levels, text stripped of blanks."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, raw = column.cat.codes.to_numpy().astype(np.int64), list(column.cat.categories)
    else:
        codes, found = pd.factorize(column, use_na_sentinel=True)
        raw = list(pd.Index(found).tolist())
    levels: dict[Hashable, int] = {}
    recode = np.full(len(raw) + 1, -1, dtype=np.int64)  # the last entry serves code -1
    present = np.bincount(codes[codes >= 0], minlength=len(raw)) > 0
    for k, level in enumerate(raw):
        tidy = _tidy_level(level)
        if present[k] and tidy != "":
            recode[k] = levels.setdefault(tidy, len(levels))
    return recode[codes], list(levels)


def find_level(wanted: Hashable, levels: Sequence[Hashable]) -> int:
    """Return the position of a level, equal first, else written alike (1 and "1"); -1 if none."""
    for k, level in enumerate(levels):
        if level == wanted and isinstance(level, str) == isinstance(wanted, str):
            return k
    texts = [str(level) for level in levels]
    wanted_text = str(_tidy_level(wanted))
    return texts.index(wanted_text) if wanted_text in texts else -1


_YES = frozenset({"1", "yes", "y", "true", "t", "ja", "j", "oui"})
_NO = frozenset({"0", "no", "n", "false", "f", "nein", "non"})


def find_statuses(wanted: Hashable, levels: Sequence[Hashable]) -> list[int]:
    """Positions of a status: the level itself, or for 1 and 0 what means yes and no."""
    position = find_level(wanted, levels)
    if position >= 0:
        return [position]
    word = str(_tidy_level(wanted)).lower()
    meant = next((words for words in (_YES, _NO) if word in words), frozenset())
    return [k for k, level in enumerate(levels) if str(level).lower() in meant]


def _tidy_level(level: Hashable) -> Hashable:
    if isinstance(level, str):
        return level.strip()
    if isinstance(level, float) and level.is_integer():  # a whole-number column with gaps
        return int(level)
    return level
