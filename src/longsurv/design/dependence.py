"""Columns that a model leaves out, and rows of which it therefore knows nothing.

A column that others determine in every row of a fit is left out, and the coefficients of the others
stand for it, too. A row in which it is not what they make of it, as one of a group and a phase that
no patient was in, has no prediction: its coefficient is not in the model, and not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.design.rank import combination
from longsurv.errors import DataError
from longsurv.words import plural, some, verb

ROUNDING = 1e-9
"""Share of what is added up below which a sum is zero."""
COUNTS = 1e-6
"""Share of the largest part of a column that another part has to have."""


class StratumCodes(Protocol):
    """Strata of a survival model."""

    @property
    def labels(self) -> Sequence[str]:
        """Their names."""

    def codes(self, data: pd.DataFrame) -> np.ndarray:
        """The position of each row's stratum."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """How columns left out depend on those kept, in the rows of a fit.

    Attributes
    ----------
    weights : ndarray, shape (k + p, a)
        Of the k columns that come before the model's, and of its p, in each of the a left out.
    slack : ndarray, shape (a,)
        How far they depart from that in the rows of the fit, by rounding.
    before : StratumCodes, int
        Strata, with a column each; or as many constant columns, 0 or 1.
    """

    weights: np.ndarray
    slack: np.ndarray
    before: StratumCodes | int

    @classmethod
    def of(
        cls, kept: np.ndarray, left_out: np.ndarray, data: pd.DataFrame, before: StratumCodes | int
    ) -> Dependence:
        """The dependence that holds in some rows.

        Parameters
        ----------
        kept, left_out : ndarray, shapes (n, p) and (n, a)
        data : DataFrame, n rows
            With the columns of the strata, if there are any.
        before : StratumCodes, int
        """
        columns = np.column_stack([_first(before, data), kept])
        weights = combination(columns, left_out)
        return cls(weights, np.abs(left_out - columns @ weights).max(axis=0), before)

    def departures(self, kept: np.ndarray, left_out: np.ndarray, data: pd.DataFrame) -> np.ndarray:
        """How far other rows depart from it, shape (m, a): 0 where they do not."""
        columns = np.column_stack([_first(self.before, data), kept])
        found = left_out - columns @ self.weights
        size = np.abs(left_out) + np.abs(columns) @ np.abs(self.weights)
        return np.where(np.abs(found) > ROUNDING * size + 2.0 * self.slack, found, 0.0)

    def stands_for(self, column: int, kept: np.ndarray) -> np.ndarray:
        """Which of the columns left out one of those kept counts in, shape (a,) of bool: its
        coefficient is theirs, too.

        Parameters
        ----------
        column : int
            Its place among those kept.
        kept : ndarray, shape (n, p)
        """
        counts = np.abs(self.weights[-kept.shape[1] :]) * np.ptp(kept, axis=0)[:, None]
        return np.asarray(counts[column] > COUNTS * counts.max(axis=0))


def refuse_departures(departures: np.ndarray, names: Sequence[str], rows: pd.Index) -> None:
    """Refuse rows that a model knows nothing of.

    Raises
    ------
    DataError
        Which rows, and because of which columns left out.
    """
    away = departures != 0.0
    wrong = np.flatnonzero(away.any(axis=1))
    if not len(wrong):
        return
    left_out = [name for name, of in zip(names, away.any(axis=0), strict=True) if of]
    raise DataError(
        f"nothing is known of {plural(len(wrong), 'row')} (index {some(rows[wrong])}) of those"
        f" to predict: {', '.join(left_out[:3])} {verb(len(left_out), 'is', 'are')} left out of"
        " the model, for other columns determine what it is in every row of the fit, and in these"
        " rows they do not. Leave them out, or fit a formula that the data determine"
    )


def _first(before: StratumCodes | int, data: pd.DataFrame) -> np.ndarray:
    """The columns before those of a model."""
    if isinstance(before, int):
        return np.ones((len(data), before))
    return np.eye(len(before.labels))[before.codes(data)]
