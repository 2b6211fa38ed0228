"""One column of a table as a formula sees it: numbers as float64, or categories with rows.

Whatever a table stores them in (NumPy, nullable, Arrow, Python objects), the same values are the
same variable. What could be taken for something else is refused: dates, and text or decimals that
hold numbers, which would become a factor of as many levels.
"""

from __future__ import annotations

import numbers
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from longsurv.errors import DataError, FormulaError

type Variable = np.ndarray | pd.Categorical

NUMBERS_IN_TEXT = 3
"""Distinct numbers from which on a column of text is taken for one of numbers: with two it makes no
difference but for the name."""
NUMBERS_WITH_CODES = 5
"""The same beside values that are none: "1", "2" and "3+" are stages."""
NUMBER = re.compile(r"[<>≤≥]?=?\s*[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?")
"""Numbers as files write them: decimal commas, thousands and detection limits too."""
MOSTLY = 0.9
"""Share of a text column's distinct values that are numbers where the others must be codes of
missing values."""


def variable(data: pd.DataFrame, name: str) -> Variable:
    """A column as numbers, shape (n,) with NaN where missing, or as categories.

    Raises
    ------
    FormulaError
        For a column that is not in the data.
    DataError
        For one that holds what a formula cannot use.
    """
    column = column_of(data, name)
    found = _as_numbers(name, column)
    if found is not None:
        return found
    levels = category(name, column)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        _refuse_numbers_as_text(name, [str(level).strip() for level in levels.categories])
    return levels


def numbers_of(data: pd.DataFrame, name: str) -> np.ndarray:
    """A column that has to hold numbers, as float64 with NaN where missing.

    Raises
    ------
    DataError
        If it does not.
    """
    column = column_of(data, name)
    found = _as_numbers(name, column)
    if found is not None:
        return found
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r} must hold numbers: {error}") from error


def category(name: str, column: pd.Series) -> pd.Categorical:
    """A column as categories that have rows: in their own order if it has one, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = pd.Categorical(column)
        if len(used := np.unique(values.codes[values.codes >= 0])) == len(values.categories):
            return values
        return values.set_categories(values.categories[used])
    refuse_dates(name, column)
    values = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        values = column.to_numpy()
    try:
        codes, levels = pd.factorize(values, use_na_sentinel=True)
    except TypeError as error:
        raise DataError(f"column {name!r} holds {_kind(column)}, which are no levels") from error
    tidy = [_tidy(level) for level in levels]
    kinds = {isinstance(level, str) for level in tidy}
    if len(kinds) > 1:  # text among numbers: all are names
        tidy = [str(level) for level in tidy]
    order = pd.Index(tidy, dtype=object if len(tidy) and True in kinds else None)
    try:
        order = order.unique().sort_values()
    except TypeError as error:
        raise DataError(f"column {name!r} holds {_kind(column)}, which are no levels") from error
    recode = np.append(order.get_indexer(pd.Index(tidy, dtype=order.dtype)), -1)
    return pd.Categorical.from_codes(recode[codes], categories=order)


def missing(column: pd.Series) -> np.ndarray:
    """Which rows have no value, shape (n,) of bool: NaN counts as none in every dtype."""
    empty = column.isna().to_numpy()
    if pd.api.types.is_float_dtype(column.dtype) and not isinstance(column.dtype, np.dtype):
        empty = empty | np.isnan(column.to_numpy(dtype=float, na_value=np.nan))
    return empty


def present(data: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Which rows have a value in every one of some columns, shape (n,) of bool."""
    complete = np.ones(len(data), dtype=bool)
    for name in dict.fromkeys(columns):
        complete &= ~missing(data[name])
    return complete


def column_of(data: pd.DataFrame, name: str) -> pd.Series:
    """The one column of a name.

    Raises
    ------
    FormulaError
        If the data have none, or two.
    """
    if name not in data:
        raise FormulaError(f"{absent(name, data)}")
    column = data[name]
    if isinstance(column, pd.DataFrame):
        raise FormulaError(f"{name!r} is needed, and the data have two columns of it")
    return column


def absent(name: str, data: pd.DataFrame) -> str:
    """Says that a column is not there, and which name is near."""
    import difflib

    columns = [str(c) for c in data.columns]
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = f"{columns[:40]}" + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")
    return f"{name!r}, which is not a column of the data ({shown}).{hint}"


def _as_numbers(name: str, column: pd.Series) -> np.ndarray | None:
    """float64 if the column holds numbers or truth values; None if it holds names."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return column.to_numpy(dtype=float)
    if isinstance(dtype, pd.CategoricalDtype):
        return None
    refuse_dates(name, column)
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError(f"column {name!r} holds complex numbers; a formula needs real ones")
    if _is_decimal(dtype):
        raise DataError(_decimal(name))
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    if dtype != np.dtype(object):
        return None
    values = column[column.notna()]
    if len(values) and all(isinstance(v, numbers.Real | np.bool_) for v in values):
        return pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=float)
    if len(values) and all(isinstance(v, Decimal | numbers.Real) for v in values):
        raise DataError(_decimal(name))
    return np.full(len(column), np.nan) if not len(values) else None


def refuse_dates(name: str, column: pd.Series) -> None:
    """Refuse a column of times that are no numbers.

    Raises
    ------
    DataError
        With what to compute instead.
    """
    kind = str(column.dtype)
    if column.dtype == np.dtype(object):
        kind = pd.api.types.infer_dtype(column, skipna=True)
    words = ("date", "period", "time")
    if isinstance(column.dtype, pd.CategoricalDtype) or not any(w in kind.lower() for w in words):
        return
    if "timedelta" in kind or "duration" in kind:
        what, how = "time spans", f"data[{name!r}] / pd.Timedelta(days=1)"
    elif "period" in kind.lower():
        what = "periods"
        how = f"(data[{name!r}].dt.start_time - start).dt.days, with the date that counts as 0"
    else:
        what = "dates"
        how = f"(pd.to_datetime(data[{name!r}]) - start).dt.days, with the date that counts as 0"
    raise DataError(
        f"column {name!r} holds {what}, and a formula needs numbers: compute them first, in the "
        f"file or as {how}"
    )


def _is_decimal(dtype: object) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and str(dtype).startswith("decimal")


def _decimal(name: str) -> str:
    return (
        f"column {name!r} holds decimals (Decimal); make them numbers with "
        f"data[{name!r}].astype(float), or write C({name}) in the formula if they are categories"
    )


def _refuse_numbers_as_text(name: str, texts: Sequence[str]) -> None:
    like = [t for t in texts if _like_a_number(t)]
    others = [t for t in texts if not _like_a_number(t)]
    if len(like) < (NUMBERS_WITH_CODES if others else NUMBERS_IN_TEXT):
        return
    if len(others) > max(1, (1.0 - MOSTLY) * len(texts)):
        return
    but = f" (but for {', '.join(map(repr, others[:3]))})" if others else ""
    raise DataError(
        f"column {name!r} holds numbers as text, such as {like[0]!r}{but}; as they are, they would "
        f"be {len(texts)} categories. Make them numbers in the file, or with "
        f"pd.to_numeric(data[{name!r}]); or write C({name}) in the formula if they are categories"
    )


def _like_a_number(text: str) -> bool:
    return NUMBER.fullmatch(unicodedata.normalize("NFKC", text)) is not None


def _tidy(level: object) -> object:
    """Whole floats as integers: a gap in a column of integers does not rename its levels."""
    if isinstance(level, bool | np.bool_):
        return bool(level)
    if isinstance(level, float | np.floating) and float(level).is_integer():
        return int(level)
    return level


def _kind(column: pd.Series) -> str:
    kinds = sorted({type(v).__name__ for v in column.dropna()})
    return " and ".join(kinds[:3]) or "nothing"
