"""The columns of a design, made a piece of the rows at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import pandas as pd

from longsurv.design.dependence import Dependence
from longsurv.design.expression import Functions
from longsurv.design.fixed import (
    FixedDesign,
    evaluated,
    main_effects,
    of_centred,
    rebuilt,
)
from longsurv.design.plain import plain_terms, products
from longsurv.design.rank import clearly_independent, independent_columns
from longsurv.design.scanned.elsewhere import RowsElsewhere
from longsurv.design.scanned.survey import Survey
from longsurv.errors import DataError

if TYPE_CHECKING:
    from formulaic import ModelSpec

MOST_ROWS = 100_000
"""Different rows of a design from which on columns that depend on others are not looked for."""


class Triangle:
    """R with R'R = W'W of all rows W that were added, each shape (n, k), to the digits of a QR.

    Attributes
    ----------
    r : ndarray, shape (up to k, k)
    low, high, nearest : ndarray, shape (k,)
        Extremes of each column, and the least of its absolute values.
    rows : int
    """

    def __init__(self, k: int) -> None:
        self.r = np.empty((0, k))
        self.low, self.nearest = np.full(k, np.inf), np.full(k, np.inf)
        self.high = np.full(k, -np.inf)
        self.rows = 0

    def add(self, W: np.ndarray) -> None:
        """Take in rows, shape (m, k)."""
        self.r = np.linalg.qr(np.vstack([self.r, W]), mode="r")
        self.low = np.minimum(self.low, W.min(axis=0))
        self.high = np.maximum(self.high, W.max(axis=0))
        self.nearest = np.minimum(self.nearest, np.abs(W).min(axis=0))
        self.rows += len(W)

    def __add__(self, other: Triangle) -> Triangle:
        """That of the rows of both."""
        both = Triangle(len(self.low))
        both.r = np.linalg.qr(np.vstack([self.r, other.r]), mode="r")
        both.low, both.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        both.nearest, both.rows = np.minimum(self.nearest, other.nearest), self.rows + other.rows
        return both

    @property
    def products(self) -> np.ndarray:
        """W'W, shape (k, k)."""
        return self.r.T @ self.r

    def of(self, columns: np.ndarray) -> np.ndarray:
        """The triangle of some of the columns, by place or of bool."""
        return np.asarray(np.linalg.qr(self.r[:, columns], mode="r"))


@dataclass(frozen=True, eq=False)
class ScannedColumns:
    """All columns of one right-hand side, and those of the design.

    Attributes
    ----------
    right : str
    names : tuple of str
        All columns, in the order of the formula.
    keep : ndarray of bool, shape (number of names,)
        Which are not determined by those before them.
    recipe : formulaic.ModelSpec
    dependence : Dependence or None
        Of those that are left out.
    """

    right: str
    names: tuple[str, ...]
    keep: np.ndarray
    recipe: ModelSpec
    dependence: Dependence | None = None

    @classmethod
    def read(
        cls, right: str, survey: Survey, functions: Functions | None, *, intercept: bool = True
    ) -> Self:
        """The columns of a formula, none of them left out yet.

        Parameters
        ----------
        right : str
        survey : Survey
        functions : mapping of str to callable or None
        intercept : bool
            False leaves the intercept's column out after coding factors as if it were there.
        """
        matrix = evaluated(right, survey.exemplar, functions, survey.states)
        names = [str(name) for name in matrix.columns]
        if not intercept and names[:1] == ["Intercept"]:
            names = names[1:]
        return cls(right, tuple(names), np.ones(len(names), dtype=bool), matrix.model_spec)

    def of(self, frame: pd.DataFrame) -> np.ndarray:
        """The columns of some complete rows that are kept, shape (m, p).

        Raises
        ------
        DataError
            If a column is infinite or undefined.
        """
        every = [str(name) for name in self.recipe.column_names]
        terms = plain_terms(self.recipe.formula, frame)
        at = [every.index(name) for name in self.names]
        if terms is not None:
            values = products([terms[i] for i in at], frame)
        else:
            values = rebuilt(self.recipe, frame)[list(self.names)].to_numpy(dtype=float)
        finite = np.isfinite(values).all(axis=0)
        if not finite.all():
            bad = [name for name, f in zip(self.names, finite, strict=True) if not f]
            raise DataError(
                f"{bad} in '{self.right}' has infinite or undefined values (the logarithm of 0 or "
                "of a negative number?); check those columns"
            )
        return values if self.keep.all() else np.ascontiguousarray(values[:, self.keep])

    def without_dependent(
        self, crossed: np.ndarray, survey: Survey, functions: Functions | None, constant: bool
    ) -> Self:
        """The same without columns that others determine.

        Parameters
        ----------
        crossed : ndarray
            Cross products of all columns; with `constant`, of a constant one before them, too.
        survey : Survey
        functions : mapping of str to callable or None
        constant : bool
            Whether a column of ones that the design does not have comes before all of them.

        Raises
        ------
        DataError
            If it cannot be told which, for too many rows are different.
        """
        if not self.names or clearly_independent(crossed):
            return self
        used = self._different(survey)
        values = self.of(used)
        keep = independent_columns(
            values,
            beside_constant=constant,
            centred=lambda: of_centred(self.right, used, functions)[:, -len(self.names) :],
        )
        if keep.all():
            return self
        gone = Dependence.of(values[:, keep], values[:, ~keep], used, int(constant))
        return replace(self, keep=keep, dependence=gone)

    def _different(self, survey: Survey) -> pd.DataFrame:
        """A row of the data for each different row of the design."""
        found, seen = [], np.empty((0, len(self.names)))
        for frame in survey.frames():
            X = self.of(frame)
            at = np.unique(X, axis=0, return_index=True)[1]
            both = np.vstack([seen, X[at]])
            first = np.sort(np.unique(both, axis=0, return_index=True)[1])
            new = first[first >= len(seen)] - len(seen)
            seen = both[first]
            found.append(frame.iloc[at[new]])
            if len(seen) > MOST_ROWS:
                raise DataError(
                    f"the columns of '{self.right}' nearly determine each other, and a scan cannot "
                    f"tell which of them to leave out, for more than {MOST_ROWS} of its rows are "
                    "different: leave a term out, or measure variables from within their range"
                )
        return pd.concat(found)

    def design(self, rows: int) -> FixedDesign:
        """As results have it, of so many rows, which it has not."""
        coded = [str(name) for name in self.recipe.column_names]
        missing = RowsElsewhere("the rows of the fit", rows)
        return FixedDesign(
            X=cast("np.ndarray", missing),
            names=tuple(n for n, k in zip(self.names, self.keep, strict=True) if k),
            aliased=tuple(n for n, k in zip(self.names, self.keep, strict=True) if not k),
            variables=main_effects(self.recipe, coded),
            recipe=self.recipe,
            dependence=self.dependence,
        )
