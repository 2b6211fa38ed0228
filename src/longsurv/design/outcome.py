"""Columns of numbers, of truths, 0/1 events and statuses 0, 1, 2, ..., read alike everywhere.

longsurv reads 0 as censored, 1 as the event and 2 and above as competing events. R's `Surv` also
takes 1 for alive and 2 for dead. Nothing in such a column says which is meant, except that under
longsurv's reading nobody would be censored; so codes 1 and 2 without a 0 are refused until somebody
says what they mean.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.errors import DataError

R_CODES = "; 1 and 2, as R's 1 = alive and 2 = dead, have to be recoded to 0 and 1"


def read_numbers(column: pd.Series, name: str) -> np.ndarray:
    """Read a column as float64, whatever its dtype; NaN where missing.

    Parameters
    ----------
    column : Series
        Numbers, truth values, or text or categories that are written as numbers.
    name : str
        For the message.

    Returns
    -------
    ndarray of float, shape (n,)

    Raises
    ------
    DataError
        If it holds anything else.
    """
    expected = f"column {name!r} must hold numbers"
    if column.dtype.kind in "mMc":
        raise DataError(f"{expected}, not {column.dtype}")
    plain = column.astype(object) if column.dtype.kind == "O" else column
    try:
        return np.array(plain.to_numpy(dtype=float, na_value=np.nan), dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{expected}: {error}") from error


def read_truths(column: pd.Series, name: str, said: str) -> np.ndarray:
    """Read a column that is true or false, or 0 and 1, in every row.

    Text is refused: of "no" nothing says that it is not true.

    Parameters
    ----------
    column : Series
    name : str
        For the message.
    said : str
        What it says of a row, as "a patient is eligible".

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    DataError
        If it holds anything else, or nothing in some row.
    """
    values = column.to_numpy(dtype=object)
    wrong = np.array(
        [pd.isna(value) or value not in (True, False, 0, 1) for value in values], dtype=bool
    )
    if wrong.any():
        seen = ", ".join(dict.fromkeys(repr(value) for value in values[wrong]))
        rows = ", ".join(str(label) for label in column.index[wrong][:5])
        raise DataError(
            f"column {name!r} says whether {said}, and is true or false (1 or 0) in every row; in"
            f" {'row' if wrong.sum() == 1 else 'rows'} {rows} it holds {seen[:60]}"
        )
    found: np.ndarray = values.astype(bool)
    return found


def taken_for_r(codes: np.ndarray) -> bool:
    """Whether codes may be R's 1 = alive, 2 = dead: a 2, perhaps a 1, nothing else."""
    found = set(np.unique(codes[~np.isnan(codes)]).tolist())
    return 2.0 in found and found <= {1.0, 2.0}


def status_problem(column: pd.Series, name: str) -> str:
    """What is unclear about a column of statuses: codes 1 and 2 that nothing explains.

    A Categorical with a category 0, though nobody has it, says that 0 is censored.

    Returns
    -------
    str
        "" if nothing is.
    """
    if not taken_for_r(read_numbers(column, name)):
        return ""
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = pd.Series(column.cat.categories.astype(object))
        if (read_numbers(categories, name) == 0).any():
            return ""
    return (
        f"nobody has 0 in column {name!r}: are its codes R's, 1 = alive and 2 = dead? Here 0 is "
        "censored, 1 the event and 2 a competing event. Recode it, as status - 1; or, if really "
        "nobody was censored, say so with a column 'event' beside 'status' (1 where status is 1) "
        "or a Categorical of the categories 0, 1, 2"
    )


def event_problem(column: pd.Series, name: str) -> str:
    """What is wrong with a column of events, 0 or 1; "" if nothing is."""
    codes = read_numbers(column, name)
    wrong = ~np.isin(codes, (0.0, 1.0)) & ~np.isnan(codes)
    if not wrong.any():
        return ""
    said = f"column {name!r} must hold 0 (no event) and 1 (the event)"
    if taken_for_r(codes):
        return said + R_CODES
    rows = ", ".join(str(label) for label in column.index[wrong][:5])
    more = f" and {int(wrong.sum()) - 5} more" if wrong.sum() > 5 else ""
    return f"{said}, but does not in {'row' if wrong.sum() == 1 else 'rows'} {rows}{more}"
