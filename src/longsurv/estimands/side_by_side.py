"""Columns and tables that are of the same patients, put in one order.

NumPy pairs by position and pandas by label: two columns of which one was sorted would be paired
wrongly, without a word.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from longsurv.errors import DataError


def in_order_of[T: (pd.DataFrame, pd.Series)](index: pd.Index, given: T, what: str) -> T:
    """Rows in the order of others with the same labels; as they are where the labels are others.

    Parameters
    ----------
    index : Index
        The order.
    given : DataFrame or Series
        As many rows.
    what : str
        What they are called in a message.

    Raises
    ------
    DataError
        For labels in another order of which some repeat.
    """
    if given.index.equals(index) or len(given) != len(index):
        return given
    if given.index.is_unique and index.is_unique:
        places = given.index.get_indexer(index)
        return given if (places < 0).any() else given.iloc[places]
    if same_labels(given.index, index):
        raise DataError(
            f"the rows of {what} are in another order, and their labels (index) repeat, so nobody"
            " can tell which is whose: give the table and the column in one order"
        )
    return given


def same_labels(one: pd.Index, other: pd.Index) -> bool:
    """Whether two indices hold the same labels, each as often, in whatever order."""
    return bool(one.value_counts().to_dict() == other.value_counts().to_dict())


def column_beside(index: pd.Index, given: ArrayLike, what: str) -> ArrayLike:
    """A column in the order of a table's rows: a Series by its labels, anything else as it is.

    Parameters
    ----------
    index : Index
        Of the table.
    given : array_like
    what : str
        What it is called in a message.

    Raises
    ------
    DataError
        For a Series with other labels than the table.
    """
    if not isinstance(given, pd.Series) or len(given) != len(index):
        return given
    ordered = in_order_of(index, given, what)
    if not ordered.index.equals(index):
        raise DataError(
            f"the labels (index) of {what} are not those of the rows it stands beside; give a"
            " column of the same table, or its values (to_numpy()) if they are in its order"
        )
    return ordered


def truths(given: ArrayLike, what: str) -> np.ndarray:
    """True or False, or 1 or 0, as bool.

    Parameters
    ----------
    given : array_like
    what : str
        What it is called in a message.

    Raises
    ------
    DataError
        For anything else, a missing value among them, which NumPy takes for true.
    """
    values = np.asarray(given)
    if values.dtype == bool:
        return values
    try:
        numbers = np.asarray(pd.array(values.ravel()).to_numpy(float, na_value=np.nan))
    except (TypeError, ValueError):
        numbers = np.full(values.size, np.nan)
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise DataError(f"{what} is true or false, or 1 or 0, of every patient; it holds others")
    return numbers.reshape(values.shape) == 1.0
