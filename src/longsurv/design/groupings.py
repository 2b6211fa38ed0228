"""Groupings of rows, such as their patients or sites, with the random effects of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from longsurv.design.fixed import FixedDesign, fixed_design
from longsurv.design.formula import Formula, RandomTerm
from longsurv.design.residual import Residual
from longsurv.errors import DataError, FormulaError


@dataclass(frozen=True)
class RandomDesign:
    """Random effects that share one grouping; effects of different blocks are independent.

    Attributes
    ----------
    parts : tuple of FixedDesign
        The columns of each term of the formula.
    X : ndarray, shape (n, q)
        All columns side by side.
    names : tuple of str
        Columns of X.
    blocks : tuple of int
        How many neighbouring columns each block of correlated effects has.
    """

    parts: tuple[FixedDesign, ...]
    X: np.ndarray
    names: tuple[str, ...]
    blocks: tuple[int, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Columns (i, j), j < i, that may be correlated, row by row."""
        block = np.repeat(np.arange(len(self.blocks)), self.blocks)
        return [(i, j) for i in range(len(block)) for j in range(i) if block[i] == block[j]]

    def parameter_names(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the standard deviations, and of the correlations."""
        z = self.names
        sds = tuple(f"sd({name}|{group})" for name in z)
        return sds, tuple(f"cor({z[j]},{z[i]}|{group})" for i, j in self.pairs)

    @property
    def extremes(self) -> np.ndarray:
        """Values of each column, shape (m, q), its extremes and that nearest to 0 among them."""
        return self.X

    def rebuild(self, data: pd.DataFrame) -> np.ndarray:
        """The same columns for new rows, shape (m, q)."""
        return np.hstack([np.empty((len(data), 0)), *(part.rebuild(data) for part in self.parts)])


@dataclass(frozen=True)
class Grouping:
    """A grouping of rows, such as their patients or sites, with its own random effects.

    Attributes
    ----------
    name : str
    random : RandomDesign
    group : ndarray of int, shape (n,)
        Index into `labels`.
    labels : Index
    """

    name: str
    random: RandomDesign
    group: np.ndarray
    labels: pd.Index


@dataclass(frozen=True, eq=False)
class Crossing:
    """Groups that have rows in several groups of a coarser grouping.

    Attributes
    ----------
    fine, coarse : str
        The two groupings.
    torn : Index
        Groups of the first that are in several of the second.
    count : int
        Groups of the first.
    """

    fine: str
    coarse: str
    torn: pd.Index
    count: int

    @property
    def words(self) -> str:
        """How many; it names nobody."""
        return (
            f"{len(self.torn)} of {self.count} values of {self.fine} are found with several values "
            f"of {self.coarse}"
        )

    @property
    def example(self) -> str:
        """One of them, for whoever has the data."""
        return f"{self.fine} {self.torn[0]!s} belongs to several values of {self.coarse}"


def random_design(
    terms: Sequence[RandomTerm], data: pd.DataFrame, formula: Formula
) -> tuple[RandomDesign, np.ndarray]:
    """The columns of all terms of one grouping, and which rows have them."""
    parts, complete = [], np.ones(len(data), dtype=bool)
    blocks: list[int] = []
    for term in terms:
        part, known = fixed_design(term.effects, data, functions=formula.functions)
        if not part.names:
            raise FormulaError(
                f"the random term of {formula.text!r} has no columns; (1 | {term.name}) has one"
            )
        parts.append(part)
        complete &= known
        blocks += [len(part.names)] if term.correlated else [1] * len(part.names)
    names = [name for part in parts for name in part.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormulaError(
            f"{formula.text!r} gives {terms[0].name} the random effect {twice[0]} twice; leave the "
            "intercept out of a term with 0, as in (1 | id) + (0 + time | id)"
        )
    # Parts may differ in their complete rows; then the design is made again from the common ones.
    X = np.empty((0, len(names)))
    if complete.all():
        X = parts[0].X if len(parts) == 1 else np.hstack([p.X for p in parts])
    return RandomDesign(tuple(parts), X, tuple(names), tuple(blocks)), complete


def groups_of(columns: Sequence[str], data: pd.DataFrame, name: str) -> tuple[np.ndarray, pd.Index]:
    """Codes and sorted labels of the values of a column, or of the combinations of several."""
    if len(columns) == 1:
        codes, labels = pd.factorize(data[columns[0]], sort=True)
        labels = pd.Index(labels)
    else:
        codes = data.groupby(list(columns), sort=True, observed=True).ngroup().to_numpy()
        first = np.unique(codes, return_index=True)[1]
        labels = combined(data.iloc[first], columns)
        if not labels.is_unique:
            twice = labels[labels.duplicated()][0]
            raise DataError(
                f"two groups of {name!r} would both be called {twice!r}; write the values of "
                f"{' and '.join(columns)} without colons"
            )
    if len(labels) < 2:
        raise DataError(f"column {name!r} has one value only; random effects need several patients")
    return codes.astype(np.int64, copy=False), labels


def combined(data: pd.DataFrame, columns: Sequence[str]) -> pd.Index:
    """What the combinations of some columns' values are called, row by row: joined by colons, a
    whole number alike whatever type its column has."""
    parts = []
    for name in columns:
        values = data[name]
        if pd.api.types.is_float_dtype(values.dtype):
            whole = values.dropna()
            if (whole == np.floor(whole)).all() and np.isfinite(whole.astype(float)).all():
                values = values.astype("Float64").astype("Int64")
        parts.append(values.astype(object).map(str))
    return pd.Index([":".join(row) for row in zip(*parts, strict=True)])


def with_patients(
    groupings: list[Grouping], residual: Residual, data: pd.DataFrame
) -> list[Grouping]:
    """The groupings, with the patients of the residuals if none of them is theirs."""
    name = ":".join(residual.patient_columns)
    group, labels = groups_of(residual.patient_columns, data, name)
    if any(_same_partition(group, grouping.group) for grouping in groupings):
        return groupings
    bare = RandomDesign((), np.empty((len(data), 0)), (), ())
    return [*groupings, Grouping(name, bare, group, labels)]


def _same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.column_stack([a, b]), axis=0)
    return len(pairs) == a.max() + 1 == b.max() + 1


def check_finest(finest: Grouping, residual: Residual, data: pd.DataFrame) -> None:
    """Refuse groups that are finer than the patients of the residuals."""
    name = ":".join(residual.patient_columns)
    if not _same_partition(finest.group, groups_of(residual.patient_columns, data, name)[0]):
        raise FormulaError(
            f"residuals of one {name!r} are correlated, but {finest.name!r} has random effects "
            "within it; the patients of the residuals must be the finest group of the model"
        )


def crossing(groupings: Sequence[Grouping]) -> Crossing | None:
    """The first grouping whose groups do not each lie within one group of the next."""
    for fine, coarse in pairwise(groupings):
        home = np.empty(len(fine.labels), dtype=np.int64)
        home[fine.group] = coarse.group
        torn = np.zeros(len(home), dtype=bool)
        torn[fine.group[home[fine.group] != coarse.group]] = True
        if torn.any():
            return Crossing(fine.name, coarse.name, fine.labels[torn], len(home))
    return None
