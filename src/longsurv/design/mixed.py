"""Designs of mixed-effects models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions
from longsurv.design.fixed import FixedDesign, fixed_design, response
from longsurv.design.formula import Formula, RandomTerm, parse
from longsurv.design.residual import Residual, ResidualDesign
from longsurv.design.variables import absent, present
from longsurv.errors import DataError, EstimationError, FormulaError
from longsurv.words import plural, shortened

FEW_ROWS, MANY_NESTED = 500, 1000
"""Nested groups are taken cluster by cluster, row by row, if no cluster has more rows or they have
more effects; otherwise by sums over patients, all clusters together."""
MOST_CROSSED = 3000
"""Effects of all groupings but the one with the most groups, if they cross."""
NEST = (
    "If one label stands for different patients, write the nesting out: (1 | site/id), or "
    "patient='site:id' of a residual structure"
)


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


@dataclass(frozen=True)
class MixedDesign:
    """Arrays of a mixed-effects model, complete rows only.

    Attributes
    ----------
    formula : Formula
    y : ndarray, shape (n,)
    fixed : FixedDesign
        With X of shape (n, p).
    random : RandomDesign
        Of the patients, with X, here called Z, of shape (n, q).
    group : ndarray of int, shape (n,)
        Patient: index into `labels`.
    labels : Index, length N
        Patients, sorted.
    group_name : str
        Column that identifies patients, or several joined by a colon.
    rows : ndarray of int, shape (n,)
        Positions of the used rows in the data.
    n_excluded : int
        Rows left out for a missing value.
    outer : tuple of Grouping
        All other groupings, those with the most groups first.
    residual : ResidualDesign, optional
        Correlation of the residuals of a patient; None for independent ones.
    row_pairs : ResidualDesign, optional
        Kinds of pairs of a patient's rows, where the likelihood is of patients row by row; None
        where sums over their rows are enough.
    crossed : bool
        Whether some group has rows in several groups of a coarser grouping; otherwise patients are
        nested in the other groupings, each in the next.
    """

    formula: Formula
    y: np.ndarray
    fixed: FixedDesign
    random: RandomDesign
    group: np.ndarray
    labels: pd.Index
    group_name: str
    rows: np.ndarray
    n_excluded: int
    outer: tuple[Grouping, ...] = ()
    residual: ResidualDesign | None = None
    row_pairs: ResidualDesign | None = None
    crossed: bool = False

    @property
    def Z(self) -> np.ndarray:
        """Random-effects design, shape (n, q)."""
        return self.random.X

    @property
    def structured(self) -> bool:
        """Whether there is more than independent residuals and the random effects of patients."""
        return bool(self.outer) or self.row_pairs is not None

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """Patients and all other groupings where they have random effects."""
        return self.terms if self.random.names else self.outer

    @property
    def terms(self) -> tuple[Grouping, ...]:
        """Patients, even without random effects, and all other groupings."""
        patients = Grouping(self.group_name, self.random, self.group, self.labels)
        return (patients, *self.outer)

    @property
    def variance_names(self) -> tuple[str, ...]:
        """Residual SD, random-effects SDs, then their correlations, row by row.

        For a structured design the residual's parameters, then those of each grouping.
        """
        named = [g.random.parameter_names(g.name) for g in self.groupings]
        first = self.residual.names if self.residual is not None else ("sigma",)
        return (*first, *(name for sds, cors in named for name in (*sds, *cors)))


def check_variation(design: MixedDesign, beta: np.ndarray) -> None:
    """Refuse a response that the least-squares coefficients beta (p,) reproduce to rounding.

    Raises
    ------
    EstimationError
        Such a response has no residual variance, and the likelihood no maximum.
    """
    y = design.y
    if np.abs(y - design.fixed.X @ beta).max() > 1e-13 * np.abs(y).max():
        return
    what = "the fixed effects reproduce every measurement exactly, so no variance is left over"
    if (y == y[0]).all():
        what = f"the response is {y[0]:g} in every row, so there is no variation to model"
    raise EstimationError(f"{design.formula.text!r} cannot be fitted: {what}")


def mixed_design(
    formula: str,
    data: pd.DataFrame,
    residual: Residual | None = None,
    *,
    structured: bool = False,
    functions: Functions | None = None,
) -> MixedDesign:
    """Build the design of ``y ~ fixed + (effects | group)``.

    Parameters
    ----------
    formula : str
    data : DataFrame
    residual : Residual, optional
        Correlation of the residuals; only with `structured`.
    structured : bool
        Whether several groupings and correlated residuals are welcome.
    functions : mapping of str to callable, optional
        The user's own, which the formula may call.

    Raises
    ------
    FormulaError
        For a formula that cannot be read, names a column the data do not have, or has random terms
        that the model cannot take.
    DataError
        If no complete row is left, there are not more rows than coefficients, groups cross where
        residuals are correlated or have too many effects, or a patient has two residuals at one
        visit.
    """
    parsed = parse(formula, functions)
    correlated = residual is not None and not residual.trivial
    terms: dict[str, list[RandomTerm]] = {}
    for term in parsed.random:
        terms.setdefault(term.group, []).append(term)
    if parsed.surv or (not structured and len(terms) != 1):
        raise FormulaError(
            f"a mixed model needs one random term such as (1 | id); {formula!r} has "
            f"{len(parsed.random)}"
        )
    if not terms and not (residual is not None and residual.patient):
        raise FormulaError(
            f"{formula!r} has no random term such as (1 | id); without one, the residual "
            "structure must name the patients, as in Residual('unstructured', visit='visit', "
            "patient='id')"
        )
    columns = [c for term in parsed.random for c in term.columns]
    if residual is not None:
        columns += [*residual.patient_columns, *([residual.visit] if residual.visit else [])]
    missing = [c for c in dict.fromkeys(columns) if c not in data]
    if missing:
        raise FormulaError(
            f"{formula!r}: the data have no column {missing[0]!r} to group rows by: it needs "
            f"{absent(missing[0], data)}"
        )
    y = response(parsed.response, data, functions=functions)
    fixed, complete = fixed_design(parsed.fixed, data, functions=functions)
    complete = complete & ~np.isnan(y) & present(data, columns)
    random = {}
    for name, of_group in terms.items():
        random[name], known = _random_design(of_group, data, parsed)
        complete &= known
    if not complete.any():
        raise DataError(f"no row of the data has all of the values that {formula!r} needs")
    used = data
    if not complete.all():
        # Rank and factor levels must come from the rows that are used.
        used = data.loc[complete].reset_index(drop=True)
        fixed, _ = fixed_design(parsed.fixed, used, functions=functions)
        random = {name: _random_design(of, used, parsed)[0] for name, of in terms.items()}
        y = y[complete]
    if len(y) <= len(fixed.names):
        raise DataError(
            f"{shortened(formula)!r} has {plural(len(fixed.names), 'coefficient')} but only "
            f"{plural(len(y), 'complete row')}; "
            "a simpler formula is needed"
        )
    groupings = [
        Grouping(of[0].name, random[name], *_groups(of[0].columns, used, of[0].name))
        for name, of in terms.items()
    ]
    if residual is not None and residual.patient:
        groupings = _with_patients(groupings, residual, used)
    groupings.sort(key=lambda g: len(g.labels), reverse=True)
    patients, *outer = groupings
    crossed = crossing(groupings)
    if residual is not None and residual.patient:
        _check_finest(patients, residual, used)
    pairs, by_row = None, correlated or not patients.random.names
    if crossed and by_row:
        raise DataError(
            f"{formula!r}: {crossed.example}. Correlated residuals need nested groups. {NEST}"
        )
    effects = sum(len(g.labels) * len(g.random.names) for g in outer)
    if crossed and effects > MOST_CROSSED:
        raise DataError(
            f"{formula!r}: {crossed.example}. The groupings beside {patients.name} have {effects} "
            f"random effects; where groups cross, {MOST_CROSSED} are the most that can be fitted. "
            f"{NEST}"
        )
    if outer and not crossed:
        largest = int(np.bincount(outer[-1].group).max())
        by_row = by_row or largest <= FEW_ROWS or effects > MANY_NESTED
    if by_row:
        pairs = (residual or Residual()).design(used, patients.group)
    return MixedDesign(
        formula=parsed,
        y=y,
        fixed=fixed,
        random=patients.random,
        group=patients.group,
        labels=patients.labels,
        group_name=patients.name,
        rows=np.flatnonzero(complete),
        n_excluded=int((~complete).sum()),
        outer=tuple(outer),
        residual=pairs if correlated else None,
        row_pairs=pairs,
        crossed=crossed is not None,
    )


def _random_design(
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


def _groups(columns: Sequence[str], data: pd.DataFrame, name: str) -> tuple[np.ndarray, pd.Index]:
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


def _with_patients(
    groupings: list[Grouping], residual: Residual, data: pd.DataFrame
) -> list[Grouping]:
    """The groupings, with the patients of the residuals if none of them is theirs."""
    name = ":".join(residual.patient_columns)
    group, labels = _groups(residual.patient_columns, data, name)
    if any(_same_partition(group, grouping.group) for grouping in groupings):
        return groupings
    bare = RandomDesign((), np.empty((len(data), 0)), (), ())
    return [*groupings, Grouping(name, bare, group, labels)]


def _same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.column_stack([a, b]), axis=0)
    return len(pairs) == a.max() + 1 == b.max() + 1


def _check_finest(finest: Grouping, residual: Residual, data: pd.DataFrame) -> None:
    name = ":".join(residual.patient_columns)
    if not _same_partition(finest.group, _groups(residual.patient_columns, data, name)[0]):
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
