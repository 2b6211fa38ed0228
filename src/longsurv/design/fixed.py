"""Fixed-effects design matrices, by formulaic."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from longsurv.design.plain import plain_terms, products
from longsurv.errors import DataError, FormulaError

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
        empty = [v for v in _variables(self.recipe, data) if data[v].isna().any()]
        if empty:
            raise FormulaError(
                f"the new data have missing values in {empty}; every row to predict needs them all"
            )
        frame = _evaluate(self.recipe, data, "the new data")
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
    right: str, data: pd.DataFrame, *, intercept: bool = True
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
        If no row is complete, or a column is infinite or undefined where its variables have values.
    """
    values, complete, recipe = _columns(right, data, intercept)
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


def response(left: str, data: pd.DataFrame) -> np.ndarray:
    """Evaluate a left-hand side, shape (n,); missing values stay NaN.

    Raises
    ------
    FormulaError
        If it cannot be evaluated or is not one numeric column.
    DataError
        If every value is missing, or it is infinite or undefined somewhere (the logarithm of zero).
    """
    complete, used = _complete(_read(left, data), data)
    if not complete.any():
        raise DataError(f"the response {left!r} is missing in every row")
    if left in used and left.isidentifier() and used[left].dtype.kind in "fiu":
        found, names = used[left].to_numpy(dtype=float)[:, None], [left]
    else:
        matrix = evaluated(f"0 + {left}", used)
        found, names = matrix.to_numpy(dtype=float), [str(name) for name in matrix.columns]
    if len(names) != 1:
        columns = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise FormulaError(
            f"the response {left!r} must be one numeric column; it gives the columns {columns}"
        )
    values = np.full(len(data), np.nan)
    values[complete] = found[:, 0]
    bad = np.flatnonzero(complete & ~np.isfinite(values))
    if len(bad):
        rows = ", ".join(str(data.index[i]) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise DataError(
            f"the response {left!r} is infinite or undefined in {len(bad)} rows (index {rows}): "
            "is there a zero or a negative number under a logarithm? A value below the detection "
            "limit is censored, not zero"
        )
    return values


def _columns(right: str, data: pd.DataFrame, intercept: bool) -> tuple[np.ndarray, np.ndarray, Any]:
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
            recipe = evaluated(right, data.iloc[:1]).model_spec
            return values, np.ones(len(data), dtype=bool), recipe
    complete, used = _complete(formula, data)
    if not complete.any():
        raise DataError(f"no row of the data has all of the values that '{right}' needs")
    matrix = evaluated(right, used)
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


def present(data: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Which rows have a value in every one of some columns, shape (n,) of bool."""
    complete = np.ones(len(data), dtype=bool)
    for column in dict.fromkeys(columns):
        complete &= data[column].notna().to_numpy()
    return complete


def _complete(formula: Any, data: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows have a value in every variable of one side of a formula, and those rows."""
    complete = present(data, _variables(formula, data))
    return complete, data if complete.all() else data.loc[complete]


def _read(side: str, data: pd.DataFrame) -> Any:
    """One side of a formula as formulaic reads it."""
    from formulaic.errors import FormulaicError

    try:
        formula = _parsed(side)
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(_explain(side, error, data)) from error
    twice = [v for v in _variables(formula, data) if isinstance(data[v], pd.DataFrame)]
    if twice:
        raise FormulaError(f"'{side}' needs {twice[0]!r}, and the data have two columns of it")
    return formula


@lru_cache(maxsize=256)
def _parsed(side: str) -> Any:
    """Never changed once it is read."""
    from formulaic import Formula

    return Formula(side)


def _variables(formula: Any, data: pd.DataFrame) -> list[str]:
    """The columns of the data that a formula or a recipe uses."""
    return sorted(str(v) for v in formula.required_variables if v in data)


def _readable(formula: Any, data: pd.DataFrame) -> pd.DataFrame:
    """The data with pandas' own strings as plain objects, which formulaic takes for factors."""
    used = _variables(formula, data)
    strings = [c for c in used if isinstance(data[c].dtype, pd.StringDtype)]
    return data[used].astype(dict.fromkeys(strings, object)) if strings else data


def evaluated(right: str, data: pd.DataFrame) -> Any:
    """The model matrix of a right-hand side, a data frame, with its recipe as `model_spec`."""
    from formulaic.errors import FormulaicError

    try:
        formula = _parsed(right)
        with np.errstate(divide="ignore", invalid="ignore"):
            return formula.get_model_matrix(
                _readable(formula, data), context={}, na_action="ignore"
            )
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(_explain(right, error, data)) from error


def _evaluate(recipe: Any, data: pd.DataFrame, where: str) -> pd.DataFrame:
    from formulaic.errors import DataMismatchWarning, FormulaicError

    try:
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = recipe.get_model_matrix(
                _readable(recipe, data), context={}, na_action="ignore"
            )
    except FormulaicError as error:
        raise FormulaError(_explain(where, error, data)) from error
    except DataMismatchWarning as warning:
        raise FormulaError(
            f"{where}: a factor has levels the model was not fitted to. {warning}"
        ) from warning
    return pd.DataFrame(matrix)


def _explain(where: str, error: Exception, data: pd.DataFrame) -> str:
    import difflib
    import re

    found = re.search(r"`(\w+)` is not present", str(error))
    if found is None:
        plain = re.sub(r"\x1b\[[0-9;]*m|⧛\[[0-9;]*m|[⧛⧚]", "", str(error))
        return f"cannot read '{where}': {plain}"
    columns = [str(c) for c in data.columns]
    near = difflib.get_close_matches(found.group(1), columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"'{where}' needs {found.group(1)!r}, which is not a column of the data ({columns}).{hint}"
    )


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
