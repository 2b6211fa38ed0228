"""Columns of patients that divide them into subgroups, and those that do not."""

from __future__ import annotations

import pandas as pd

MOST_LEVELS = 10
"""More are no subgroups but a continuous variable, or names."""


def subgroup_problem(data: pd.DataFrame, column: str, treatment: str) -> str:
    """Why a column has no subgroups, in a sentence; empty if it has.

    Parameters
    ----------
    data : DataFrame
    column, treatment : str

    Returns
    -------
    str
    """
    if column not in data:
        return f"there is no column {column!r} to have subgroups of"
    if column == treatment:
        return f"{column!r} is the treatment, whose effect the subgroups are to tell"
    values = data[column].dropna()
    number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    broken = number and bool((values.to_numpy(float) % 1 != 0).any())
    different = values.nunique()
    if different <= MOST_LEVELS and not broken:
        return "" if different else f"{column!r} is missing in every patient"
    kind = "numbers" if number else "values"
    return (
        f"{column!r} has {different} different {kind}, which are no subgroups (at most "
        f"{MOST_LEVELS}, and of numbers whole ones): cut it beforehand, at limits chosen before "
        f"the outcome is seen, into a column such as pd.cut(data[{column!r}], [0, 60, 120])"
    )
