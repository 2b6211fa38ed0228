"""Numbers with marks between their thousands, or with a decimal comma, made plain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from longsurv.cohort.columns import is_reading
from longsurv.cohort.problems import Table, show
from longsurv.reading.marks import find_marks
from longsurv.reading.numbers import is_grouped, normal, number_in, plain_numbers, read_number


def is_text(dtype: object) -> bool:
    """Whether a column may hold text: of any values, or of strings as pandas 3 keeps them."""
    return pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.StringDtype)


def unmarked(
    table: Table, keep: Iterable[str], decimal: str | None = None, thousands: str | None = None
) -> Table:
    """The table with its marked numbers as plain ones, such as "1,234.5" as 1234.5.

    What was said of the marks holds. Where nothing was said, "1,234.5" and "1.234.567" can be read
    in one way only; "1.234" in a table with decimal commas can not, and the table says so of the
    column (`Table.unclear`), for whoever needs it as numbers.

    Parameters
    ----------
    table : Table
    keep : iterable of str
        Columns that stay as they are, such as identifiers.
    decimal, thousands : str, optional
        What was said of the file; or the decimal mark that it can only have.
    """
    kept, frame = set(keep), table.frame
    plain: dict[int, pd.Series] = {}
    unclear = dict(table.unclear)
    for k, name in enumerate(frame.columns):
        if name in kept or not is_text(frame.dtypes.iloc[k]):
            continue
        column = frame.iloc[:, k]
        texts = [v for v in pd.unique(column.dropna()) if isinstance(v, str)]
        marked = [text for text in texts if "," in text or "." in text]
        if not marked:
            continue
        mark, between = decimal or ("," if thousands == "." else "."), thousands or ""
        if thousands is None:
            found = find_marks(marked, mark)
            if found.sure and found.thousands and decimal in (None, found.decimal):
                mark, between = found.decimal, found.thousands
            elif mark == "," and found.thousands == "." and not found.sure:
                unclear[name] = _ask(next(t for t in marked if is_grouped(number_in(t))))
        elif between:
            wrong = [t for t in marked if _is_pointed(t) and read_number(t, mark, between) is None]
            if wrong:
                unclear[name] = f"{show(wrong[0])} does not fit thousands = {show(between)}"
        if name not in unclear and (mark == "," or between):
            plain[k] = _plain(column, mark, between)
    if plain:
        columns = {k: plain.get(k, frame.iloc[:, k]) for k in range(frame.shape[1])}
        frame = pd.DataFrame(columns, index=frame.index).set_axis(frame.columns, axis=1)
    return replace(table, frame=frame, unclear=unclear)


def _ask(text: str) -> str:
    number = number_in(text)
    return (
        f"{show(text)} may be {number} or {number.replace('.', '')}: beside decimal commas a point"
        ' stands between thousands; if so, write thousands = "." beside the file, else correct the'
        " column"
    )


def _is_pointed(text: str) -> bool:
    """Whether a cell is a number with a decimal point and nothing else."""
    return "." in text and pd.notna(pd.to_numeric(normal(text), errors="coerce"))


def _plain(column: pd.Series, decimal: str, thousands: str) -> pd.Series:
    """A column whose marked numbers are plain: numbers if all of it then are, else text."""
    codes, found = pd.factorize(column, use_na_sentinel=True)
    texts = [_unmarked(v, decimal, thousands) for v in found]
    numbers = plain_numbers(pd.Series([*texts, None], dtype=object))
    if pd.isna(numbers[:-1]).any():
        return pd.Series([*texts, None], dtype=object).take(codes).set_axis(column.index)
    return pd.Series(numbers[codes], index=column.index)


def _unmarked(value: object, decimal: str, thousands: str) -> object:
    if not isinstance(value, str):
        return value
    number = number_in(value)
    marked = (decimal == "," and "," in number) or (thousands and thousands in number)
    found = read_number(value, decimal, thousands) if marked else None
    if found is None or not is_reading(found):
        return value
    whole, mark, rest = number.partition(decimal)
    whole = whole.replace(thousands, "") if thousands else whole
    return normal(value).replace(number, whole + ("." + rest if mark else ""), 1)
