"""Columns of dates and timestamps, as text in the usual ways of writing them or as dates."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

_TIME = r"(?:[ T]\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*([AaPp][Mm])?)?"
_ZONE = r"\s*(Z|[+-]\d{2}:?\d{2})?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}{_ZONE}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}{_ZONE}")
_NAMED = re.compile(
    rf"(\d{{1,2}})[- .]?([A-Za-z]{{3}})[A-Za-z]*[- .]{{0,2}}(\d{{4}}){_TIME}{_ZONE}"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_LOOKED_AT = 200


@dataclass(frozen=True)
class Dates:
    """A column read as dates.

    Attributes
    ----------
    values : array of datetime64[ns] (rows,)
        In UTC if they have zones, NaT where missing or no date.
    missing, bad : arrays of bool (rows,)
        Nothing there; something there that is no date.
    zoned : bool
        Whether the values say in which time zone they are.
    unclear : bool
        Whether day and month could be exchanged in every one of them.
    """

    values: np.ndarray
    missing: np.ndarray
    bad: np.ndarray
    zoned: bool = False
    unclear: bool = False

    @property
    def whole_days(self) -> bool:
        """Whether no value has a time of day."""
        known = self.values[~np.isnat(self.values)]
        return bool((known == known.astype("datetime64[D]")).all())


def read_dates(column: pd.Series, how: str | None = None) -> Dates | None:
    """Read a column as dates; None if it holds none.

    Parameters
    ----------
    column : Series
    how : str, optional
        The format of text, as of `datetime.strptime`.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return _of_dates(column)
    number = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    if number and not (how and pd.api.types.is_integer_dtype(column)):
        return None
    codes, found = pd.factorize(column.astype(object), use_na_sentinel=True)
    plain = pd.api.types.infer_dtype(found, skipna=False) == "string"
    texts = [value.strip() for value in found] if plain else [_written(value) for value in found]
    if not any(texts):
        return None
    if how is not None:
        parsed, unclear = _by_format(texts, how), False
        if np.isnat(parsed).all():
            return None
    else:
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))[:_LOOKED_AT]
        written = np.array([bool(text) for text in texts[:_LOOKED_AT]])
        alike = np.array([_looks_like_a_date(text) for text in texts[:_LOOKED_AT]])
        if 2 * counts[alike].sum() <= counts[written].sum():
            return None
        parsed, unclear = _by_pattern(texts)
    blank = np.array([*(not text for text in texts), True])[codes]
    values = np.append(parsed, np.datetime64("NaT", "ns"))[codes]
    zoned = any(_zone(text) for text in texts[:_LOOKED_AT])
    return Dates(values, blank, np.isnat(values) & ~blank, zoned, unclear)


def _of_dates(column: pd.Series) -> Dates:
    found = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    values = found.to_numpy(dtype="datetime64[ns]")
    zoned = getattr(column.dt, "tz", None) is not None
    return Dates(values, np.isnat(values), np.zeros(len(values), bool), zoned)


def _written(value: object) -> str:
    if isinstance(value, (datetime.date, np.datetime64)):
        return str(value).replace("T", " ")
    return str(value).strip()


def _looks_like_a_date(text: str) -> bool:
    return any(form.fullmatch(text) for form in (_YEAR_FIRST, _YEAR_LAST, _NAMED))


def _zone(text: str) -> str:
    for form in (_YEAR_FIRST, _YEAR_LAST, _NAMED):
        match = form.fullmatch(text)
        if match is not None:
            return match[form.groups] or ""
    return ""


def _by_format(texts: list[str], how: str) -> np.ndarray:
    found = pd.to_datetime(pd.Series(texts, dtype=object), format=how, errors="coerce", utc=True)
    lost = np.flatnonzero(found.isna())  # a sheet may hold dates among text
    rest = pd.to_datetime(
        pd.Series([texts[k] for k in lost if _YEAR_FIRST.fullmatch(texts[k])], dtype=object),
        format="ISO8601",
        errors="coerce",
        utc=True,
    )
    values = found.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").copy()
    again = [k for k in lost if _YEAR_FIRST.fullmatch(texts[k])]
    values[again] = rest.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    return values


def _by_pattern(texts: list[str]) -> tuple[np.ndarray, bool]:
    """Values, and whether nothing says which of two numbers is the day."""
    found = _iso(texts)
    lost = np.flatnonzero(np.isnat(found))
    last = [match for k in lost if (match := _YEAR_LAST.fullmatch(texts[k]))]
    slashes = [match for match in last if match[2] != "."]  # points: the day is first
    day_first = any(int(match[1]) > 12 for match in slashes)
    month_first = any(int(match[3]) > 12 for match in slashes)
    same = all(match[1].zfill(2) == match[3].zfill(2) for match in slashes)
    unclear = bool(slashes) and day_first == month_first and not same
    found[lost] = _iso([_as_iso(texts[k], month_first and not day_first) for k in lost])
    return found, unclear


def _iso(texts: list[str]) -> np.ndarray:
    column = pd.Series(texts, dtype=object)
    found = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    return found.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").copy()


def _as_iso(text: str, month_first: bool) -> str:
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day = match[1], match[3], match[4]
    elif match := _YEAR_LAST.fullmatch(text):
        year = match[4]
        first = month_first and match[2] != "."
        day, month = (match[3], match[1]) if first else (match[1], match[3])
    elif (match := _NAMED.fullmatch(text)) and match[2].lower() in _MONTHS:
        year, day, month = match[3], match[1], str(_MONTHS.index(match[2].lower()) + 1)
    else:
        return ""
    hour, minute, second, half, zone = match.groups()[-5:]
    date = f"{year}-{month.zfill(2)}-{day.zfill(2)}"
    if hour is None:
        return date
    clock = int(hour) if half is None else int(hour) % 12 + 12 * (half.lower() == "pm")
    return f"{date}T{clock:02d}:{minute}:{second or '00'}{zone or ''}"
