"""Columns of dates and timestamps, as text in the usual ways of writing them or as dates."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.reading.dates import (
    DatedTexts,
    all_serial,
    looks_like_a_date,
    looks_zoned,
    of_serial,
    stamps_of,
)
from longsurv.reading.dates import read_dates as texts_as_dates

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


def read_dates(column: pd.Series, how: str | None = None, *, serial: bool = False) -> Dates | None:
    """Read a column as dates; None if it holds none.

    Parameters
    ----------
    column : Series
    how : str, optional
        The format of text, as of `datetime.strptime`.
    serial : bool
        Whether numbers are days of a spreadsheet, as 45000.5.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return _of_dates(column)
    if serial and is_serial(column):
        days = column.to_numpy(dtype=float, na_value=np.nan)
        return Dates(of_serial(days), np.isnan(days), np.zeros(len(days), bool))
    number = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    if number and not (how and pd.api.types.is_integer_dtype(column)):
        return None
    codes, found = pd.factorize(column.astype(object), use_na_sentinel=True)
    plain = pd.api.types.infer_dtype(found, skipna=False) == "string"
    texts = [value.strip() for value in found] if plain else [_written(value) for value in found]
    if not any(texts):
        return None
    if how is not None:
        read = DatedTexts(_by_format(texts, how), "", True, looks_zoned(texts[:_LOOKED_AT]))
        if np.isnat(read.values).all():
            return None
    else:
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))[:_LOOKED_AT]
        written = np.array([bool(text) for text in texts[:_LOOKED_AT]])
        alike = np.array([looks_like_a_date(text) for text in texts[:_LOOKED_AT]])
        if 2 * counts[alike].sum() <= counts[written].sum():
            return None
        read = texts_as_dates(texts)
    blank = np.array([*(not text for text in texts), True])[codes]
    values = np.append(read.values, np.datetime64("NaT", "ns"))[codes]
    return Dates(values, blank, np.isnat(values) & ~blank, read.zoned, not read.sure)


def is_serial(column: pd.Series) -> bool:
    """Whether a column holds numbers that are all of the size of a spreadsheet's dates."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    return all_serial(column.dropna().to_numpy(dtype=float))


def _of_dates(column: pd.Series) -> Dates:
    found = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    values, missing = stamps_of(found), column.isna().to_numpy()
    zoned = getattr(column.dt, "tz", None) is not None
    return Dates(values, missing, np.isnat(values) & ~missing, zoned)


def _written(value: object) -> str:
    if isinstance(value, (datetime.date, np.datetime64)):
        return str(value).replace("T", " ")
    return str(value).strip()


def _by_format(texts: list[str], how: str) -> np.ndarray:
    found = pd.to_datetime(pd.Series(texts, dtype=object), format=how, errors="coerce", utc=True)
    values = stamps_of(found.dt.tz_localize(None))
    # A sheet may hold dates among text.
    again = [k for k in np.flatnonzero(found.isna()) if texts[k][:4].isdigit()]
    values[again] = texts_as_dates([texts[k] for k in again]).values
    return values
