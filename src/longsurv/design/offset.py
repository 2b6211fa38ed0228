"""The offset() of a formula: what the linear predictor has besides its coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions
from longsurv.design.fixed import response
from longsurv.design.names import is_name, unquoted
from longsurv.design.variables import numbers_of
from longsurv.errors import FormulaError


def offset_values(data: pd.DataFrame, term: str, functions: Functions | None) -> np.ndarray:
    """A column or an expression, shape (n,); missing values stay NaN.

    Raises
    ------
    FormulaError
        If it cannot be evaluated or is not one numeric column.
    DataError
        If it is infinite or undefined somewhere (the logarithm of an exposure of 0).
    """
    name = unquoted(term)
    if is_name(term) and name in data:
        return numbers_of(data, name)
    return response(term, data, functions=functions, what="offset")


def offset_of_new(data: pd.DataFrame, term: str, functions: Functions | None) -> np.ndarray:
    """The same of rows to predict, which all need a value.

    Raises
    ------
    FormulaError
        If it is missing or cannot be computed.
    """
    name = unquoted(term)
    if is_name(term) and name not in data:
        raise FormulaError(f"the new data need the column {name!r}, the offset")
    values = offset_values(data, term, functions)
    if not np.isfinite(values).all():
        raise FormulaError(f"the offset {term!r} is missing in some of the new rows")
    return values
