"""Precision weights of measurements: known ratios of their residual variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.variables import absent
from longsurv.errors import DataError, FormulaError


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights w with residual variances sigma^2 / w.

    Attributes
    ----------
    column : str
    values : ndarray, shape (n,)
        Above 0.
    """

    column: str
    values: np.ndarray

    @classmethod
    def of(cls, column: str, data: pd.DataFrame) -> Weights:
        """The weights in a column of the data.

        Parameters
        ----------
        column : str
        data : DataFrame

        Raises
        ------
        FormulaError
            If there is no such column.
        DataError
            For a weight that is missing, infinite, 0 or less, or no number; with its row.
        """
        if column not in data:
            raise FormulaError(f"weights={column!r} needs {absent(column, data)}")
        if not pd.api.types.is_numeric_dtype(data[column]) or pd.api.types.is_bool_dtype(
            data[column]
        ):
            raise DataError(f"column {column!r} must hold numbers to be weights")
        values = data[column].to_numpy(dtype=float, na_value=np.nan)
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
        if len(wrong):
            at = int(wrong[0])
            found = "missing" if np.isnan(values[at]) else f"{values[at]:g}"
            more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
            raise DataError(
                f"the weight ({column}) of the row at index {data.index[at]!s} is {found}{more}; a "
                "weight is a number above 0, the residual variance being sigma^2 over it. Leave "
                "such rows out if they were not measured"
            )
        return cls(column, values)

    @property
    def root(self) -> np.ndarray:
        """Square roots, which make the residuals of one spread, shape (n,)."""
        return np.sqrt(self.values)


def are_counts(weights: np.ndarray) -> bool:
    """Whether weights are whole numbers, and so may be counts of patients.

    Parameters
    ----------
    weights : ndarray, shape (n,)
    """
    return bool((weights == np.round(weights)).all())
