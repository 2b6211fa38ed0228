"""Fixed-effects design matrices, by formulaic."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from longsurv.errors import DataError, FormulaError

RANK_TOLERANCE = 1e-9


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
    complete, used = _complete(right, data)
    if not complete.any():
        raise DataError(f"no row of the data has all of the values that '{right}' needs")
    recipe = _recipe(right, used)
    frame = _evaluate(recipe, used, "the data")
    values = frame.to_numpy(dtype=float)
    finite = np.isfinite(values).all(axis=0)
    if not finite.all():
        bad = [str(name) for name, f in zip(frame.columns, finite, strict=True) if not f]
        raise DataError(
            f"{bad} in '{right}' has infinite or undefined values (the logarithm of 0 or of a "
            "negative number?); check those columns"
        )
    names = [str(name) for name in frame.columns]
    keep = np.array([intercept or name != "Intercept" for name in names], dtype=bool)
    independent = keep.copy()
    # Without its column the intercept still absorbs whatever is constant over the rows.
    implied = np.ones((len(values), 0 if intercept else 1))
    with_implied = _independent_columns(np.hstack([implied, values[:, keep]]))
    independent[keep] = with_implied[implied.shape[1] :]
    design = FixedDesign(
        X=np.ascontiguousarray(values[:, independent]),
        names=tuple(n for n, k in zip(names, independent, strict=True) if k),
        aliased=tuple(n for n, k, i in zip(names, keep, independent, strict=True) if k and not i),
        variables=_main_effects(recipe, names),
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
    complete, used = _complete(left, data)
    if not complete.any():
        raise DataError(f"the response {left!r} is missing in every row")
    frame = _evaluate(_recipe(f"0 + {left}", used), used, "the data")
    if frame.shape[1] != 1:
        columns = ", ".join(map(str, frame.columns[:5])) + (", ..." if frame.shape[1] > 5 else "")
        raise FormulaError(
            f"the response {left!r} must be one numeric column; it gives the columns {columns}"
        )
    values = np.full(len(data), np.nan)
    values[complete] = frame.iloc[:, 0].to_numpy(dtype=float)
    bad = np.flatnonzero(complete & ~np.isfinite(values))
    if len(bad):
        rows = ", ".join(str(data.index[i]) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise DataError(
            f"the response {left!r} is infinite or undefined in {len(bad)} rows (index {rows}): "
            "is there a zero or a negative number under a logarithm? A value below the detection "
            "limit is censored, not zero"
        )
    return values


def _complete(side: str, data: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows have a value in every variable of one side of a formula, and those rows."""
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        variables = _variables(Formula(side), data)
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(_explain(side, error, data)) from error
    complete = data[variables].notna().all(axis=1).to_numpy()
    return complete, data.loc[complete]


def _variables(formula: Any, data: pd.DataFrame) -> list[str]:
    """The columns of the data that a formula or a recipe uses."""
    return sorted(str(v) for v in formula.required_variables if v in data)


def _readable(data: pd.DataFrame) -> pd.DataFrame:
    """The data with pandas' own strings as plain objects, which formulaic takes for factors."""
    strings = [c for c in data.columns if isinstance(data[c].dtype, pd.StringDtype)]
    return data.astype(dict.fromkeys(strings, object)) if strings else data


def _recipe(right: str, data: pd.DataFrame) -> Any:
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            matrix = Formula(right).get_model_matrix(
                _readable(data), context={}, na_action="ignore"
            )
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(_explain(right, error, data)) from error
    return matrix.model_spec


def _evaluate(recipe: Any, data: pd.DataFrame, where: str) -> pd.DataFrame:
    from formulaic.errors import DataMismatchWarning, FormulaicError

    try:
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = recipe.get_model_matrix(_readable(data), context={}, na_action="ignore")
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


def _independent_columns(X: np.ndarray) -> np.ndarray:
    """Columns not determined by those before them, shape (p,) of bool."""
    if X.shape[1] == 0 or len(X) == 0:
        return np.ones(X.shape[1], dtype=bool)
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
