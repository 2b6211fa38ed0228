"""A design in variables centred before their products are formed.

`y ~ year * drug` with calendar years has the effect of drug in the year 0 as a coefficient, and no
default can say anything sensible of that. With every variable centred at its mean first, a
coefficient is the effect where the other variables are at their means, which does not depend on the
origin of time, on the unit of a covariate or on whether a treatment was coded 0/1 or 1/2. The two
designs span the same space, so their coefficients are one linear map apart, and that map is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions
from longsurv.design.fixed import FixedDesign, evaluated
from longsurv.design.levels import Alike, Coding, Levels, levels_alike
from longsurv.design.rank import combination
from longsurv.design.variables import variable
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from formulaic.parser.types import Factor

SPAN = 1e-7
"""Share of a column that may be left outside the centred columns' span, for rounding."""
CONSTANT = 1e-8
"""Combinations of columns that differ from a constant by no more than this are one."""
NOTHING = 1e-12
"""Elements of the map that move a column by no more than this share of it are rounding."""


@dataclass(frozen=True)
class CentredDesign:
    """The columns of a design in centred variables.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        In the order of the design's own columns, which are X @ to (up to a constant where the
        intercept was left out).
    to : ndarray, shape (p, p)
        The coefficients of X are `to` @ beta, beta those of the design.
    sd : ndarray, shape (p,)
        Weighted standard deviation of each column; 0 of a constant.
    unit : ndarray, shape (p,)
        What counts as one unit of each column: of a variable that takes two values their distance,
        of others the standard deviation, and of a product the product of its factors' units.
    alike : tuple of (tuple of int, ndarray)
        Columns of factors with three or more levels, and what makes the levels alike; see
        `longsurv.design.levels`. Their `sd` is one for all levels, the reference among them.
    """

    X: np.ndarray
    to: np.ndarray
    sd: np.ndarray
    unit: np.ndarray
    alike: tuple[Alike, ...] = ()

    @property
    def standard(self) -> np.ndarray:
        """Columns of whose coefficients independent standard normals are default priors, up to one
        scale for all: X with the levels of factors alike, over `sd` (a constant as it is)."""
        X = self.X.copy()
        for columns, root in self.alike:
            X[:, columns] = X[:, columns] @ root
        return X / np.where(self.sd > 0.0, self.sd, 1.0)

    @property
    def level(self) -> np.ndarray:
        """Coefficients that make every predictor 1, shape (p,), or 0 if the columns can't."""
        found = combination(self.X, np.ones(len(self.X)))
        if np.abs(self.X @ found - 1.0).max() > CONSTANT:
            return np.zeros(self.X.shape[1])
        share = np.abs(found) * np.abs(self.X).max(axis=0, initial=0.0)
        return np.where(share > CONSTANT * share.max(), found, 0.0)


def unit_weights(group: np.ndarray) -> np.ndarray:
    """Weights that let every group count once, shape (n,), from the group of each row."""
    return 1.0 / np.bincount(group)[group]


def centred(
    design: FixedDesign,
    data: pd.DataFrame,
    weights: np.ndarray | None = None,
    *,
    intercept: bool = True,
) -> CentredDesign:
    """The design with its variables centred before their products are formed.

    A variable is centred where the columns still span what they did: the factors of a product only
    beside the terms that centring them adds to, and the variable inside an expression such as
    ``I(year**2)`` only if the formula is closed under a shift of it. What can't be is left alone.

    Parameters
    ----------
    design : FixedDesign
    data : DataFrame
        The rows of design.X.
    weights : ndarray, shape (n,), optional
        Of the rows in the means; see `unit_weights`.
    intercept : bool
        As `fixed_design` was told: False if the intercept has no column.

    Returns
    -------
    CentredDesign
    """
    w = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=float)
    w = w / w.sum()

    def attempt(frame: pd.DataFrame) -> CentredDesign | None:
        codings = _codings(design, frame)
        if codings is None:
            return None
        columns = _centred_columns(design, codings, w, intercept)
        to = None if columns is None else _map(columns[0], design.X, w, intercept)
        if columns is None or to is None:
            return None
        terms = _terms(design, codings, intercept)
        alike = _levels(design, codings, lambda names: _movable(names, terms), w)
        return _pooled(CentredDesign(columns[0], to, _sd(columns[0], w), columns[1]), alike, w)

    inside = {
        v: x - w @ x for v, x in _inside_expressions(design, data).items() if np.isfinite(x).all()
    }
    closed = {v: x for v, x in inside.items() if attempt(data.assign(**{v: x})) is not None}
    for frame in (data.assign(**closed), data) if closed else (data,):
        found = attempt(frame)
        if found is not None:
            return found
    # Not even the columns as they are: only the intercept can be moved.
    sd = _sd(design.X, w)
    ones = np.flatnonzero(sd == 0.0) if intercept else np.empty(0, dtype=int)
    mean = np.where(sd > 0.0, w @ design.X, 0.0) if len(ones) or not intercept else 0.0
    X, to = design.X - mean, np.eye(design.X.shape[1])
    if len(ones):
        to[ones[0]] += mean / design.X[0, ones[0]]
    found = CentredDesign(X, to, sd, np.array([_unit(column, w) for column in design.X.T]))
    alike = _levels(design, _codings(design, data) or {}, lambda _: frozenset(), w)
    return _pooled(found, alike, w)


def _levels(
    design: FixedDesign,
    codings: Mapping[str, Coding],
    movable: Callable[[frozenset[str]], frozenset[str]],
    w: np.ndarray,
) -> list[Levels]:
    """The terms with factors of three or more levels."""
    if not any(coding.root is not None for coding in codings.values()):
        return []
    terms = [
        [f.expr for f in structure.term.factors if f.expr != "1"]
        for structure in design.recipe.structure
    ]
    return levels_alike(terms, codings, design.names, movable, w)


def _pooled(found: CentredDesign, levels: Sequence[Levels], w: np.ndarray) -> CentredDesign:
    """With one SD for all levels of a factor: the root mean square of theirs."""
    sd = found.sd.copy()
    for one in levels:
        sd[list(one.alike[0])] = np.sqrt(np.mean(_sd(one.every, w) ** 2))
    return replace(found, sd=sd, alike=tuple(one.alike for one in levels))


def _sd(X: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weighted standard deviations of columns; exactly 0 for a constant, also where rows that
    differ weigh nothing."""
    away = X - w @ X
    sd = np.sqrt(w @ away**2)
    varies = np.ptp(X, axis=0) > NOTHING * np.abs(X).max(axis=0)
    return np.where(varies & (sd > NOTHING * np.abs(away).max(axis=0)), sd, 0.0)


def _inside_expressions(design: FixedDesign, data: pd.DataFrame) -> dict[str, np.ndarray]:
    """Numbers that the formula has inside an expression."""
    inside = {
        column
        for term in design.recipe.terms
        for factor in term.factors
        if factor.eval_method.value == "python"
        for column in factor.columns
    }
    found = {}
    for name in sorted(inside):
        try:
            values = variable(data, name)
        except LongsurvError:  # numbers as text, inside C()
            continue
        if isinstance(values, np.ndarray) and not pd.api.types.is_bool_dtype(data[name]):
            found[name] = values
    return found


def _terms(
    design: FixedDesign, codings: Mapping[str, Coding], intercept: bool
) -> set[frozenset[str]]:
    """The factors of each term. No factors are an intercept, which all levels of one make too."""
    terms = {frozenset(f.expr for f in term.factors) - {"1"} for term in design.recipe.terms}
    names = set(design.names)
    whole = any(
        frozenset([name]) in terms and coding.indicators and coding.full.keys() <= names
        for name, coding in codings.items()
    )
    return terms | {frozenset()} if whole or not intercept else terms


def _codings(design: FixedDesign, data: pd.DataFrame) -> dict[str, Coding] | None:
    """The columns of every factor; None where one cannot be evaluated."""
    recipe = design.recipe
    factors = {f.expr: f for term in recipe.terms for f in term.factors if f.expr != "1"}
    functions = (recipe.materializer_params or {}).get("functions")
    try:
        return {name: _factor(f, data, functions) for name, f in factors.items()}
    except LongsurvError:
        return None


def _centred_columns(
    design: FixedDesign, codings: Mapping[str, Coding], w: np.ndarray, intercept: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """The columns of the design from centred factors, and their units; None where one is not
    finite."""
    recipe, terms = design.recipe, _terms(design, codings, intercept)
    columns = {name: coding.reduced | coding.full for name, coding in codings.items()}
    X, unit = np.empty(design.X.shape), np.ones(design.X.shape[1])
    place = {name: j for j, name in enumerate(design.names)}
    for structure in recipe.structure:
        names = [f.expr for f in structure.term.factors if f.expr != "1"]
        moved = _movable(frozenset(names), terms)
        for choice in product(*(columns[name].items() for name in names)):
            j = place.get(":".join(column for column, _ in choice) or "Intercept")
            if j is None:
                continue
            X[:, j] = 1.0
            for name, (column, values) in zip(names, choice, strict=True):
                if not np.isfinite(values).all():
                    return None
                move = name in moved and column in codings[name].reduced
                X[:, j] *= values - w @ values if move else values
                unit[j] *= _unit(values, w)
            del place[design.names[j]]
    return (X, unit) if not place else None


def _movable(term: frozenset[str], terms: set[frozenset[str]]) -> frozenset[str]:
    """Factors of a term that may be centred: all that centring adds to has to be in the model."""
    moved = frozenset(f for f in term if term - {f} in terms)
    subsets = (frozenset(s) for k in range(2, len(moved) + 1) for s in combinations(moved, k))
    return moved if all(term - s in terms for s in subsets) else frozenset()


def _factor(factor: Factor, data: pd.DataFrame, functions: Functions | None) -> Coding:
    """The columns of one factor by name, in both codings of a category."""
    if factor.eval_method.value == "lookup":
        found = variable(data, *factor.columns)
        if isinstance(found, np.ndarray):
            return Coding({factor.expr: found}, {factor.expr: found})
        each = [(str(c), (found.codes == k).astype(float)) for k, c in enumerate(found.categories)]
        return Coding(
            {f"{factor.expr}[T.{level}]": is_it for level, is_it in each[1:]},
            {f"{factor.expr}[{level}]": is_it for level, is_it in each},
        )
    codings = []
    for right in (f"1 + {factor.written}", f"0 + {factor.written}"):
        matrix = evaluated(right, data, functions)
        names = [column for column in map(str, matrix.columns) if column != "Intercept"]
        codings.append({name: matrix[name].to_numpy(dtype=float) for name in names})
    return Coding(*codings)


def _unit(values: np.ndarray, w: np.ndarray) -> float:
    low, high = values.min(), values.max()
    if high == low:
        return 1.0
    if ((values == low) | (values == high)).all():
        return float(high - low)
    return float(np.sqrt(w @ (values - w @ values) ** 2))


def _map(X: np.ndarray, target: np.ndarray, w: np.ndarray, intercept: bool) -> np.ndarray | None:
    """`to` with target = X @ to, up to a constant without intercept; None if it does not exist."""
    p = X.shape[1]
    columns = X if intercept else np.column_stack([X, np.ones(len(X))])
    size = np.sqrt(np.mean(columns**2, axis=0))
    if p == 0 or not (size > 0.0).all():
        return np.eye(p) if p == 0 else None
    q, r = np.linalg.qr(columns / size)
    if np.abs(np.diag(r)).min() < 1e-10 * np.abs(np.diag(r)).max():
        return None
    found = np.linalg.solve(r, q.T @ target)
    left = target - (columns / size) @ found
    # Against the spread of a column: what a shift of a far origin leaves is rounding of its size.
    spread = _sd(target, w)
    spread = np.where(spread > 0.0, spread, np.abs(target).max(axis=0))
    if (np.sqrt(np.mean(left**2, axis=0)) > SPAN * spread).any():
        return None
    found[np.abs(found) < NOTHING * np.sqrt(np.mean(target**2, axis=0))] = 0.0
    to = (found / size[:, None])[:p]
    one = np.isclose(to, 1.0, rtol=1e-9, atol=0.0) & (np.eye(p) > 0)
    return np.where(one, 1.0, to)
