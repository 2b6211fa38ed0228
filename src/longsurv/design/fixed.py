"""Fixed-effects design matrices, by formulaic."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions, expression
from longsurv.design.plain import plain_terms, products
from longsurv.design.variables import absent, missing, present
from longsurv.errors import DataError, FormulaError, LongsurvError

RANK_TOLERANCE = 1e-9
CLEARLY_INDEPENDENT = 1e-8
"""Smallest eigenvalue of the correlation-like cross products above which no column is close to a
combination of others: rounding of the products is far below it, RANK_TOLERANCE squared too."""
SMALL = 1e-140
"""Columns of such length have cross products that lose digits to underflow."""


@dataclass(frozen=True)
class FixedDesign:
    """A design matrix of full column rank and the recipe that made it.

    Attributes
    ----------
    X : ndarray, shape (n, p)
    names : tuple of str
        Columns of X.
    aliased : tuple of str
        Columns left out because others already determine them.
    variables : mapping of str to tuple of str
        A variable's name to the columns of its main effect.
    recipe : formulaic.ModelSpec
        Rebuilds the columns for new data, with the levels, knots and scales of the first.
    """

    X: np.ndarray
    names: tuple[str, ...]
    aliased: tuple[str, ...]
    variables: Mapping[str, tuple[str, ...]]
    recipe: Any

    def rebuild(self, data: pd.DataFrame) -> np.ndarray:
        """The same columns for new rows, shape (m, p).

        Raises
        ------
        FormulaError
            If a variable is missing from `data`, has a missing value, or a level not seen before.
        """
        needed = _needed(self.recipe, data, "the new data")
        empty = [v for v in needed if missing(data[v]).any()]
        if empty:
            raise FormulaError(
                f"the new data have missing values in {empty}; every row to predict needs them all"
            )
        frame = rebuilt(self.recipe, data)
        values = frame[list(self.names)].to_numpy(dtype=float)
        bad = [
            n
            for n, finite in zip(self.names, np.isfinite(values).all(axis=0), strict=True)
            if not finite
        ]
        if bad:
            raise FormulaError(
                f"{bad} cannot be computed from the new data: the values are outside their domain"
            )
        return values


def fixed_design(
    right: str,
    data: pd.DataFrame,
    *,
    intercept: bool = True,
    functions: Functions | None = None,
) -> tuple[FixedDesign, np.ndarray]:
    """Build the design of a right-hand side.

    Parameters
    ----------
    right : str
        Right-hand side of a formula without random terms.
    data : DataFrame
    intercept : bool
        False leaves the intercept's column out after coding factors as if it were there (Cox
        models).
    functions : mapping of str to callable, optional
        The user's own, which the formula may call by name.

    Returns
    -------
    design : FixedDesign
        Its X has only the complete rows.
    complete : ndarray of bool, shape (n,)
        Rows of `data` without missing values in the variables of the formula.

    Raises
    ------
    FormulaError
        If the formula cannot be read, or names a variable the data do not have.
    DataError
        If no row is complete, a column is infinite or undefined where its variables have values, or
        a variable holds what a formula cannot use.
    """
    values, complete, recipe = _columns(right, data, intercept, functions)
    coded = [str(name) for name in recipe.column_names]
    names = coded[len(coded) - values.shape[1] :]  # the intercept's, if it is left out, is first
    # Without its column the intercept still absorbs whatever is constant over the rows.
    keep = independent_columns(values, beside_constant=not intercept)
    design = FixedDesign(
        X=values if keep.all() else np.ascontiguousarray(values[:, keep]),
        names=tuple(n for n, k in zip(names, keep, strict=True) if k),
        aliased=tuple(n for n, k in zip(names, keep, strict=True) if not k),
        variables=_main_effects(recipe, coded),
        recipe=recipe,
    )
    return design, complete


def response(left: str, data: pd.DataFrame, *, functions: Functions | None = None) -> np.ndarray:
    """Evaluate a left-hand side, shape (n,); missing values stay NaN.

    It is arithmetic: ``y - base`` is a difference, where it would be two terms on the right.

    Raises
    ------
    FormulaError
        If it cannot be evaluated or is not one numeric column.
    DataError
        If every value is missing, or it is infinite or undefined somewhere (the logarithm of zero).
    """
    read = expression(left)
    _check_there(read.columns, data, left)
    complete = present(data, read.columns)
    if not complete.any():
        raise DataError(f"the response {left!r} is missing in every row")
    used = data if complete.all() else data.loc[complete]
    found = read.evaluate(used, functions)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "fiub":
        columns = _column_names(left, found)
        raise FormulaError(f"the response {left!r} must be one numeric column; it gives {columns}")
    values = np.full(len(data), np.nan)
    values[complete] = found
    bad = np.flatnonzero(complete & ~np.isfinite(values))
    if len(bad):
        rows = ", ".join(str(data.index[i]) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise DataError(
            f"the response {left!r} is infinite or undefined in {len(bad)} rows (index {rows}): "
            "is there a zero or a negative number under a logarithm? A value below the detection "
            "limit is censored, not zero"
        )
    return values


def _column_names(left: str, found: Any) -> str:
    """What an expression that is not one numeric column gives instead, in words."""
    if not isinstance(found, pd.Categorical):
        return "a constant" if np.ndim(found) == 0 else "several columns"
    names = [f"{left}[{level}]" for level in found.categories[:5]]
    return "the columns " + ", ".join(names) + (", ..." if len(found.categories) > 5 else "")


def _columns(
    right: str, data: pd.DataFrame, intercept: bool, functions: Functions | None
) -> tuple[np.ndarray, np.ndarray, Any]:
    """The columns of the complete rows, which rows those are (n,), and the recipe.

    `intercept` False leaves out the intercept's column.
    """
    formula = _read(right, data)
    terms = plain_terms(formula, data)
    if terms is not None:
        if not intercept and terms[:1] == [()]:
            terms = terms[1:]
        values = products(terms, data)
        if len(data) and _finite_columns(values).all():
            recipe = evaluated(right, data.iloc[:1], functions).model_spec
            return values, np.ones(len(data), dtype=bool), recipe
    complete, used = _complete(formula, data)
    if not complete.any():
        raise DataError(f"no row of the data has all of the values that '{right}' needs")
    matrix = evaluated(right, used, functions)
    names, recipe = [str(name) for name in matrix.columns], matrix.model_spec
    first = 1 if not intercept and names[:1] == ["Intercept"] else 0
    values = np.ascontiguousarray(matrix.to_numpy(dtype=float)[:, first:])
    finite = _finite_columns(values)
    if not finite.all():
        bad = [name for name, f in zip(names[first:], finite, strict=True) if not f]
        raise DataError(
            f"{bad} in '{right}' has infinite or undefined values (the logarithm of 0 or of a "
            "negative number?); check those columns"
        )
    return values, complete, recipe


def _complete(formula: Any, data: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows have a value in every variable of one side of a formula, and those rows."""
    complete = present(data, sorted(formula.required_variables))
    return complete, data if complete.all() else data.loc[complete]


def _read(side: str, data: pd.DataFrame) -> Any:
    """The terms of one side of a formula, whose columns the data have."""
    from longsurv.design.terms import terms

    formula = terms(side)
    _needed(formula, data, side)
    return formula


def _needed(formula: Any, data: pd.DataFrame, where: str) -> list[str]:
    """The columns that terms or a recipe need, once each, which the data have."""
    needed = sorted(str(v) for v in formula.required_variables)
    _check_there(needed, data, where)
    return needed


def _check_there(columns: Iterable[str], data: pd.DataFrame, where: str) -> None:
    for name in columns:
        if name not in data:
            raise FormulaError(f"{where!r} needs {absent(name, data)}")
        if isinstance(data[name], pd.DataFrame):
            raise FormulaError(f"{where!r} needs {name!r}, and the data have two columns of it")


def evaluated(right: str, data: pd.DataFrame, functions: Functions | None = None) -> Any:
    """The model matrix of a right-hand side, a data frame, with its recipe as `model_spec`."""
    from longsurv.design.terms import Recipe

    own = {"functions": dict(functions)} if functions else {}
    recipe = Recipe(
        formula=_read(right, data),
        materializer="longsurv",
        materializer_params=own,
        na_action="ignore",
    )
    return _materialised(right, recipe, data)


def rebuilt(recipe: Any, data: pd.DataFrame, where: str = "the new data") -> pd.DataFrame:
    """The columns of a recipe for new rows, those left out of the design included.

    Raises
    ------
    FormulaError
        If a variable is missing from `data`, or has a level not seen before.
    """
    from formulaic.errors import DataMismatchWarning

    _needed(recipe, data, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            return pd.DataFrame(_materialised(where, recipe, data))
    except DataMismatchWarning as warning:
        raise FormulaError(
            f"{where}: a factor has levels the model was not fitted to. {warning}"
        ) from warning


def _materialised(where: str, recipe: Any, data: pd.DataFrame) -> Any:
    from formulaic.errors import FormulaicError

    from longsurv.design.terms import plain_message

    try:
        with np.errstate(all="ignore"):
            return recipe.get_model_matrix(data, context={})
    except FormulaicError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, LongsurvError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from error
        raise FormulaError(f"cannot read '{where}': {plain_message(error)}") from error


def _finite_columns(values: np.ndarray) -> np.ndarray:
    """Which columns have finite values only, shape (p,) of bool."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(values.sum(axis=0))  # one cheap pass; it can overflow, so look again
    return finite if finite.all() else np.isfinite(values).all(axis=0)


def independent_columns(X: np.ndarray, beside_constant: bool = False) -> np.ndarray:
    """Columns not determined by those before them, shape (p,) of bool.

    `beside_constant` says that a column of ones, which X does not have, comes before all of them.
    """
    if X.shape[1] == 0 or len(X) == 0:
        return np.ones(X.shape[1], dtype=bool)
    crossed = X.T @ X
    if beside_constant:
        sums = X.sum(axis=0)
        crossed = np.block([[np.full((1, 1), len(X)), sums[None]], [sums[:, None], crossed]])
    size = np.sqrt(np.diag(crossed))
    if np.isfinite(size).all() and (size > SMALL).all():
        smallest = np.linalg.eigvalsh(crossed / np.outer(size, size))[0]
        if smallest > CLEARLY_INDEPENDENT:
            return np.ones(X.shape[1], dtype=bool)
    if beside_constant:
        return independent_columns(np.hstack([np.ones((len(X), 1)), X]))[1:]
    norms = np.sqrt((X**2).sum(axis=0))
    r = np.linalg.qr(X / np.where(norms > 0, norms, 1.0), mode="r")
    if len(r) == X.shape[1] and (np.abs(np.diag(r)) > RANK_TOLERANCE).all():
        return np.ones(X.shape[1], dtype=bool)
    keep = np.zeros(X.shape[1], dtype=bool)
    for j in range(X.shape[1]):
        basis, column = X[:, keep] / norms[keep], X[:, j]
        if norms[j] == 0:
            continue
        if keep.any():
            column = column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0]
        keep[j] = np.sqrt((column**2).sum()) > RANK_TOLERANCE * norms[j]
    return keep


def _main_effects(recipe: Any, names: list[str]) -> dict[str, tuple[str, ...]]:
    out: dict[str, tuple[str, ...]] = {}
    for term, where in recipe.term_slices.items():
        used = sorted(
            {str(v) for v in recipe.term_variables[term]} & set(map(str, recipe.required_variables))
        )
        if len(used) == 1 and len(term.factors) == 1 and used[0] not in out:
            out[used[0]] = tuple(names[where])
    return out
