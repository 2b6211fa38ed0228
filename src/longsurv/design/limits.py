"""Values of a response that are known by limits only, and on which side of them they lie.

What says "left" or "right" is said of a column of the data. A response that falls where its column
rises, as ``-y`` or ``1 / y``, turns a value below a limit into one above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.evaluation import evaluate
from longsurv.design.expression import Functions, expression
from longsurv.design.fixed import response
from longsurv.design.mixed import MixedDesign
from longsurv.design.names import is_name
from longsurv.design.variables import numbers_of
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.likelihood.glmm.family import EXACT, INTERVAL, LEFT, RIGHT, kinds_of
from longsurv.words import plural, verb

CENSORING = ("none", "left", "right", "interval")
ONE_SIDED = CENSORING[:INTERVAL]
ROUNDING = 1e-12
"""Share of the response that may be lost in computing it."""
BEYOND = 2.0 ** np.arange(1, 11)
"""How far beyond a limit, as a multiple, the response is looked at."""


@dataclass(frozen=True)
class Limits:
    """What is known of each value.

    Attributes
    ----------
    y, extent : ndarray, shape (n,)
        A value lies between y and y + extent, as in `GeneralisedDesign`.
    falling : bool
        Whether the response falls where its column rises.
    notes : list of str
        How many values are known by limits only, in sentences.
    """

    y: np.ndarray
    extent: np.ndarray
    falling: bool
    notes: list[str]


def limits_of(
    data: pd.DataFrame,
    name: str,
    base: MixedDesign,
    censored: str | None,
    upper: str | None,
    functions: Functions | None,
) -> Limits:
    """The limits of a response, on its own scale.

    Parameters
    ----------
    data : DataFrame
    name : str
        The response, for messages.
    base : MixedDesign
        Of the same rows, with limits in place of values.
    censored, upper : str or None
        Columns of the data; see `GLMM`.
    functions : mapping of str to callable, optional
        The user's own.

    Raises
    ------
    FormulaError, DataError
        For columns that do not say it, or a response of which it cannot be said.
    """
    table, text = data.iloc[base.rows], base.formula.response
    kind = _censoring(table, name, censored)
    y, extent = base.y.copy(), np.array([0.0, -np.inf, np.inf, np.nan])[kind]
    if (kind == EXACT).all():
        return Limits(y, extent, False, [])
    between = kind == INTERVAL
    bounds = np.full(len(y), np.nan)
    if between.any():
        bounds[between] = _upper_bounds(table[between], text, upper)
    falling = _falls(text, table, kind, bounds, functions)
    extent = -extent if falling else extent
    if between.any():
        ends = _ends(table[between], text, bounds[between], falling, upper, functions)
        start = y[between]
        # An interval without an end is a value beyond a limit.
        y[between] = np.where(np.isinf(ends), start, np.minimum(start, ends))
        extent[between] = np.where(np.isinf(ends), ends, np.abs(ends - start))
    return Limits(y, extent, falling, notes_of(kinds_of(extent)))


def mirrored(kind: np.ndarray) -> np.ndarray:
    """EXACT, LEFT, RIGHT or INTERVAL of a response that falls as its column rises, (n,)."""
    return np.array([EXACT, RIGHT, LEFT, INTERVAL])[kind]


def beyond_alike(
    values: np.ndarray, y: np.ndarray, extent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What would have been seen of other values, if the limits are those of these.

    Parameters
    ----------
    values : ndarray, shape (n,)
    y, extent : ndarray, shape (n,)
        As in `Limits`, not all of them measured.

    Returns
    -------
    y, extent : ndarray, shape (n,)

    Raises
    ------
    LongsurvError
        Unless there is one limit below, and one above, of all rows.
    """
    kind = kinds_of(extent)
    if (kind == INTERVAL).any():
        raise LongsurvError(
            "some values of the fit lie between two limits: nothing says between which limits "
            "other values would have been seen"
        )
    seen, beyond = values.copy(), np.zeros(len(values))
    for code, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
        limits = np.unique(y[kind == code])
        if not len(limits):
            continue
        exact = y[kind == EXACT]
        if len(limits) > 1 or (sign * (exact - limits[0]) > 0.0).any():
            raise LongsurvError(
                "the values of the fit have more than one limit on a side: nothing says which is "
                "that of a row whose value was measured"
            )
        # At the limit itself a row is what it was.
        out = (sign * (values - limits[0]) > 0.0) | ((values == limits[0]) & (kind == code))
        seen[out], beyond[out] = limits[0], sign * np.inf
    return seen, beyond


def _censoring(table: pd.DataFrame, response: str, column: str | None) -> np.ndarray:
    """EXACT, LEFT, RIGHT or INTERVAL of each row as its column says, shape (n,)."""
    if column is None or column not in table:
        raise FormulaError(
            "family 'censored' needs censored='column', the column that says none, left, right or "
            "interval; "
            f"got {column!r}, and the data have {[str(c) for c in table.columns]}"
        )
    words = table[column].astype(object)
    kind = words.map({word: code for code, word in enumerate(CENSORING)})
    if kind.isna().any():
        bad = words[kind.isna()]
        shown = ", ".join(f"{v!r} (index {i})" for i, v in bad.head(5).items())
        raise DataError(
            f"column {column!r} must hold none, left, right or interval; {plural(len(bad), 'row')} "
            f"{verb(len(bad), 'does', 'do')} not: {shown}"
        )
    out = kind.to_numpy(dtype=np.int64)
    if ((out == LEFT) | (out == RIGHT)).all():
        raise DataError(
            f"every value of {response!r} is censored ({column!r} never says none): nothing was "
            "measured, so no model of its level can be fitted"
        )
    return out


def notes_of(kind: np.ndarray) -> list[str]:
    """How many values are known by limits only."""
    notes = []
    for code, where, limit in (
        (LEFT, "below", "limit"), (RIGHT, "above", "limit"), (INTERVAL, "between", "two limits"),
    ):  # fmt: skip
        count = int((kind == code).sum())
        if count:
            notes.append(
                f"{count} of {plural(len(kind), 'value')} {verb(count, 'is', 'are')} {where} "
                f"{verb(count, 'its', 'their')} {limit} and {verb(count, 'enters', 'enter')} as "
                "such."
            )
    return notes


def _falls(
    text: str,
    table: pd.DataFrame,
    kind: np.ndarray,
    bounds: np.ndarray,
    functions: Functions | None,
) -> bool:
    """Whether the response falls where its column rises, on all that the column may hold.

    It is looked at in the values, the limits and far beyond the limits: of a column of positive
    numbers on the side of 0 where they are.
    """
    if is_name(text):
        return False
    columns = expression(text).columns
    if len(columns) != 1:
        raise FormulaError(
            f"some values are known by limits only, and the response {text!r} is of several "
            "columns, so that nothing says on which side of its limit it is then: compute the "
            "response as a column of the data, and the column that says left or right with it"
        )
    (name,) = columns
    values = numbers_of(table, name)
    below, above = values[kind == LEFT], values[kind == RIGHT]
    if (values > 0.0).all():
        beyond = np.concatenate([np.outer(below, 1.0 / BEYOND), np.outer(above, BEYOND)])
    else:
        step = max(float(np.ptp(values)), float(np.abs(values).max())) * BEYOND
        beyond = np.concatenate([below[:, None] - step, above[:, None] + step])
    ends = bounds[np.isfinite(bounds)]
    at = np.unique(np.concatenate([values, ends, beyond.ravel()]))
    found = evaluate(expression(text), pd.DataFrame({name: at}), functions)
    image = np.asarray(found, dtype=float)
    image = image[np.isfinite(image)]
    moved, rounding = np.diff(image), ROUNDING * np.maximum(abs(image[1:]), abs(image[:-1]))
    rises, falls = bool((moved > rounding).any()), bool((moved < -rounding).any())
    if rises and falls:
        raise FormulaError(
            f"some values are known by limits only, and the response {text!r} both rises and falls "
            f"where {name!r} rises, so that nothing says on which side of its limit it is then: "
            "take a response that only rises or only falls"
        )
    return falls


def _upper_bounds(table: pd.DataFrame, text: str, upper: str | None) -> np.ndarray:
    """Upper bounds of the column in rows that lie between two, shape (m,)."""
    if upper is None or upper not in table:
        raise FormulaError(
            f"{plural(len(table), 'row')} {verb(len(table), 'says', 'say')} interval, and upper, "
            f"the column of the upper bounds, is {upper!r}: give its name, as in upper='upper'"
        )
    if len(expression(text).columns) != 1:
        raise FormulaError(
            f"upper={upper!r} cannot be put in place of the response {text!r}, which is of several "
            "columns: compute the response and its upper bound as columns of the data first"
        )
    bound = numbers_of(table, upper)
    if np.isnan(bound).any():
        _refuse_bounds(table, np.isnan(bound), f"have no upper bound in {upper!r}")
    return bound


def _ends(
    table: pd.DataFrame,
    text: str,
    bound: np.ndarray,
    falling: bool,
    upper: str | None,
    functions: Functions | None,
) -> np.ndarray:
    """Upper bounds of the column on the scale of the response, shape (m,)."""
    (name,), there = expression(text).columns, np.isfinite(bound)
    ends = np.full(len(bound), -np.inf if falling else np.inf)
    if there.any():
        ends[there] = response(
            text, table.loc[there].assign(**{name: bound[there]}), functions=functions
        )
    start = response(text, table, functions=functions)
    wrong = ~(ends < start) if falling else ~(ends > start)
    if wrong.any():
        _refuse_bounds(
            table,
            wrong,
            f"have an upper bound in {upper!r} that is not above the lower one, {name!r}",
        )
    return ends


def _refuse_bounds(table: pd.DataFrame, wrong: np.ndarray, what: str) -> None:
    """Say which rows have no interval."""
    count = int(wrong.sum())
    rows = ", ".join(str(label) for label in table.index[wrong][:5]) + (
        ", ..." if count > 5 else ""
    )
    raise DataError(
        f"{plural(count, 'row')} that {verb(count, 'says', 'say')} interval {what} (index {rows})"
    )
