"""Fixed-effects design matrices, by formulaic."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.dependence import Dependence, refuse_departures
from longsurv.design.evaluation import evaluate
from longsurv.design.expression import Functions, expression
from longsurv.design.plain import plain_terms, products
from longsurv.design.rank import independent_columns
from longsurv.design.variables import absent, missing, present, variable
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.words import plural, shortened

if TYPE_CHECKING:
    from formulaic import Formula, ModelMatrix, ModelSpec
    from numpy.typing import ArrayLike


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
    dependence : Dependence or None
        How the columns left out depend on the others, if there are any.
    """

    X: np.ndarray
    names: tuple[str, ...]
    aliased: tuple[str, ...]
    variables: Mapping[str, tuple[str, ...]]
    recipe: ModelSpec
    dependence: Dependence | None = None

    def rebuild(self, data: pd.DataFrame) -> np.ndarray:
        """The same columns for new rows, shape (m, p).

        Raises
        ------
        FormulaError
            If a variable is missing from `data`, has a missing value, or a level not seen before.
        DataError
            If a column left out of the model is in some row not what others make of it in the fit.
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
        if self.aliased:
            refuse_departures(self.departures(frame, data), self.aliased, data.index)
        return values

    def without_intercept(self) -> FixedDesign:
        """The same columns without the first, where other parameters stand for it."""
        gone = self.dependence  # a constant still comes first, of another's
        return replace(
            self, X=np.ascontiguousarray(self.X[:, 1:]), names=self.names[1:],
            dependence=None if gone is None else replace(gone, before=1),
        )  # fmt: skip

    def stands_for(self, name: str) -> tuple[str, ...]:
        """Columns left out that one of the model's columns cannot be told from.

        Parameters
        ----------
        name : str
        """
        if self.dependence is None:
            return ()
        counts = self.dependence.stands_for(self.names.index(name), self.X)
        return tuple(n for n, c in zip(self.aliased, counts, strict=True) if c)

    def departures(self, columns: pd.DataFrame, data: pd.DataFrame) -> np.ndarray:
        """How far new rows depart from what columns left out are in the fit, shape (m, a).

        Parameters
        ----------
        columns : DataFrame
            All columns of the recipe for those rows (`rebuilt`).
        data : DataFrame
            The rows.
        """
        if self.dependence is None:
            return np.zeros((len(columns), 0))
        kept, gone = (columns[list(n)].to_numpy(dtype=float) for n in (self.names, self.aliased))
        return self.dependence.departures(kept, gone, data)


RESPONSE = "response"


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
    keep = independent_columns(
        values,
        beside_constant=not intercept,
        centred=lambda: of_centred(right, data.loc[complete], functions)[:, -values.shape[1] :],
    )
    dependence = None
    if not keep.all():
        used, constant = data.loc[complete], int(not intercept)
        dependence = Dependence.of(values[:, keep], values[:, ~keep], used, constant)
    design = FixedDesign(
        X=values if keep.all() else np.ascontiguousarray(values[:, keep]),
        names=tuple(n for n, k in zip(names, keep, strict=True) if k),
        aliased=tuple(n for n, k in zip(names, keep, strict=True) if not k),
        variables=main_effects(recipe, coded),
        recipe=recipe,
        dependence=dependence,
    )
    return design, complete


def check_fewer(fixed: FixedDesign, rows: int, formula: str) -> None:
    """Refuse more columns than patients where those that are left tell every patient apart: the
    events are then foretold without fail, whatever they are.

    Raises
    ------
    DataError
    """
    columns = len(fixed.names) + len(fixed.aliased)
    if columns >= rows > 2 and len(fixed.names) >= rows - 1:
        raise DataError(
            f"{shortened(formula)!r} has {plural(columns, 'covariate')} for "
            f"{plural(rows, 'complete row')}, which they all tell apart, so nothing can be learnt "
            "from them; a simpler formula is needed"
        )


def response(
    left: str,
    data: pd.DataFrame,
    *,
    functions: Functions | None = None,
    what: str = RESPONSE,
) -> np.ndarray:
    """Evaluate a left-hand side, shape (n,); missing values stay NaN. `what` it is, for messages.

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
        raise DataError(f"the {what} {left!r} is missing in every row")
    used = data if complete.all() else data.loc[complete]
    found = evaluate(read, used, functions)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "fiub":
        columns = _column_names(left, found)
        raise FormulaError(f"the {what} {left!r} must be one numeric column; it gives {columns}")
    values = np.full(len(data), np.nan)
    values[complete] = found
    bad = np.flatnonzero(complete & ~np.isfinite(values))
    if len(bad):
        rows = ", ".join(str(data.index[i]) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise DataError(
            f"the {what} {left!r} is infinite or undefined in {plural(len(bad), 'row')} "
            f"(index {rows}): is there a zero or a negative number under a logarithm?"
            + (
                " A value below the detection limit is censored, not zero"
                if what == RESPONSE
                else ""
            )
        )
    return values


def _column_names(left: str, found: ArrayLike | pd.Categorical) -> str:
    """What an expression that is not one numeric column gives instead, in words."""
    if not isinstance(found, pd.Categorical):
        return "a constant" if np.ndim(found) == 0 else "several columns"
    names = [f"{left}[{level}]" for level in found.categories[:5]]
    return "the columns " + ", ".join(names) + (", ..." if len(found.categories) > 5 else "")


def _columns(
    right: str, data: pd.DataFrame, intercept: bool, functions: Functions | None
) -> tuple[np.ndarray, np.ndarray, ModelSpec]:
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


def _complete(formula: Formula, data: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows have a value in every variable of one side of a formula, and those rows."""
    complete = present(data, _needed(formula, data, "the formula"))
    return complete, data if complete.all() else data.loc[complete]


def _read(side: str, data: pd.DataFrame) -> Formula:
    """The terms of one side of a formula, whose columns the data have."""
    from longsurv.design.terms import terms

    formula = terms(side)
    _needed(formula, data, side)
    return formula


def _needed(formula: Formula | ModelSpec, data: pd.DataFrame, where: str) -> list[str]:
    """The columns that terms or a recipe need, once each, which the data have."""
    from longsurv.design.terms import columns_of

    needed = columns_of(formula)
    _check_there(needed, data, where)
    return needed


def _check_there(columns: Iterable[str], data: pd.DataFrame, where: str) -> None:
    for name in columns:
        if name not in data:
            raise FormulaError(f"{where!r} needs {absent(name, data)}")
        if isinstance(data[name], pd.DataFrame):
            raise FormulaError(f"{where!r} needs {name!r}, and the data have two columns of it")


def evaluated(
    right: str,
    data: pd.DataFrame,
    functions: Functions | None = None,
    states: Mapping[str, dict[str, object]] | None = None,
) -> ModelMatrix:
    """The model matrix of a right-hand side, a data frame, with its recipe as `model_spec`.

    Its transforms learn from these data, unless `states` has what they have learnt elsewhere, by
    their expression.
    """
    from longsurv.design.terms import Recipe

    own = {"functions": dict(functions)} if functions else {}
    recipe = Recipe(
        formula=_read(right, data),
        materializer="longsurv",
        materializer_params=own,
        na_action="ignore",
        transform_state={} if states is None else dict(states),
    )
    return _materialised(right, recipe, data)


def rebuilt(recipe: ModelSpec, data: pd.DataFrame, where: str = "the new data") -> pd.DataFrame:
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


def _materialised(where: str, recipe: ModelSpec, data: pd.DataFrame) -> ModelMatrix:
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


def of_centred(right: str, data: pd.DataFrame, functions: Functions | None) -> np.ndarray:
    """The columns of a right-hand side made of variables in standard units; none if they cannot."""
    numbers = {}
    try:
        for name in _needed(_read(right, data), data, right):
            values = variable(data, name)
            if isinstance(values, np.ndarray) and values.std() > 0.0:
                numbers[name] = (values - values.mean()) / values.std()
        found = evaluated(right, data.assign(**numbers), functions).to_numpy(dtype=float)
    except LongsurvError:
        return np.empty((0, 0))
    return found if np.isfinite(found).all() else np.empty((0, 0))


def _finite_columns(values: np.ndarray) -> np.ndarray:
    """Which columns have finite values only, shape (p,) of bool."""
    with np.errstate(over="ignore", invalid="ignore"):
        # One cheap pass: a product, as sums of few long columns are slow. It can overflow: look on.
        finite = np.isfinite(np.ones(len(values)) @ values)
    return finite if finite.all() else np.isfinite(values).all(axis=0)


def main_effects(recipe: ModelSpec, names: list[str]) -> dict[str, tuple[str, ...]]:
    """A variable's name to the columns of its main effect, of all columns of a recipe."""
    out: dict[str, tuple[str, ...]] = {}
    for term, where in recipe.term_slices.items():
        used = list(term.factors[0].columns) if len(term.factors) == 1 else []
        if len(used) == 1 and used[0] not in out:
            out[used[0]] = tuple(names[where])
    return out
