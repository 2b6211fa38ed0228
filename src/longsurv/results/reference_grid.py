"""The reference grid of marginal means: what fixed effects are averaged over, and their weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.design import FixedDesign
from longsurv.design.dependence import ROUNDING
from longsurv.design.fixed import rebuilt
from longsurv.errors import LongsurvError

type Weights = Literal["equal", "proportional", "cells"]
"""What a level of a factor that is averaged over counts for."""

STEP = 1e-4
"""Of the central difference that a slope is, as a share of the range of the variable."""


@dataclass(frozen=True, eq=False)
class ReferenceGrid:
    """Cells, the rows each is averaged over, and the weights of the coefficients in them.

    Attributes
    ----------
    levels : mapping of str to list
        The variables there is a cell for each value of, and the values, in order.
    cells : DataFrame, k rows
        Every combination of them, the last varying fastest.
    L : ndarray, shape (k, p)
        Weights of the coefficients in each cell.
    lost : ndarray, shape (k, a + 1)
        Zero where the data determine the combination; a is the number of aliased columns, and the
        last one is of cells without a weight.
    rows : DataFrame
        The rows averaged over, as many for each cell, cell after cell.
    weights : ndarray, shape (k, rows of each cell)
        What each row counts for in its cell; they sum to 1.
    """

    levels: Mapping[str, list[Hashable]]
    cells: pd.DataFrame
    L: np.ndarray
    lost: np.ndarray
    rows: pd.DataFrame
    weights: np.ndarray


def averaged(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means of values (k r, c) of r rows each for k cells, by weights (k, r)."""
    found: np.ndarray = np.einsum("kr,krc->kc", weights, values.reshape(*weights.shape, -1))
    return found


def reference_grid(
    design: FixedDesign,
    data: pd.DataFrame,
    specs: str | Sequence[str],
    at: Mapping[str, object] | None,
    weights: Weights = "equal",
) -> ReferenceGrid:
    """Cells by some variables, averaged over the others, as `results.means.means` says.

    Parameters
    ----------
    design : FixedDesign
    data : DataFrame
        The rows used.
    specs : str or sequence of str
    at : mapping of str to value or sequence of values, optional
    weights : {"equal", "proportional", "cells"}
    """
    variables = [name for name in data.columns if name in design.recipe.required_variables]
    asked = [specs] if isinstance(specs, str) else list(specs)
    fixed = {name: _listed(values) for name, values in (at or {}).items()}
    by = list(dict.fromkeys([*asked, *fixed]))
    unknown = [name for name in by if name not in variables]
    if unknown:
        raise LongsurvError(f"the fixed effects have no variable {unknown}; they have {variables}")
    levels: dict[str, list[Hashable]] = {}
    others: dict[str, list[Hashable]] = {}
    factors = []
    for name in variables:
        found = _levels(name, data[name], design)
        factors += [] if found is None else [name]
        if name in fixed:
            _check_values(name, fixed[name], found)
            levels[name] = fixed[name]
        elif name not in by:
            others[name] = [float(data[name].mean())] if found is None else found
        elif found is None:
            raise LongsurvError(
                f"{name!r} is a number: say at which values, as "
                f"at={{{name!r}: [{data[name].min():g}, {data[name].max():g}]}}"
            )
        else:
            levels[name] = found
    levels = {name: levels[name] for name in by}
    cells = _grid(levels, data)
    rows = _grid({**levels, **others}, data)
    counted = {
        "equal": [],
        "proportional": [name for name in factors if name in others],
        "cells": factors,
    }[weights]
    shares = _frequencies(rows, data, counted).reshape(len(cells), -1)
    total = shares.sum(axis=1, keepdims=True)
    empty = total[:, 0] == 0.0  # weights by cells, and no patient is in this one
    shares = shares / np.where(total > 0.0, total, 1.0)
    columns = rebuilt(design.recipe, rows, "the grid of means")
    L = averaged(columns[list(design.names)].to_numpy(dtype=float), shares)
    lost = averaged(design.departures(columns, rows), shares)
    return ReferenceGrid(levels, cells, L, np.column_stack([lost, empty]), rows, shares)


def slope_grid(
    design: FixedDesign,
    data: pd.DataFrame,
    variable: str,
    by: str | Sequence[str],
    at: Mapping[str, object] | None,
    weights: Weights = "equal",
) -> ReferenceGrid:
    """The same of slopes along a numeric variable: central differences of the columns.

    Parameters
    ----------
    design, data, at, weights
        As for `reference_grid`; the variable stands at the values in `at`, or at its mean.
    variable : str
    by : str or sequence of str
        Variables to have a slope for each value of.
    """
    known = [name for name in data.columns if name in design.recipe.required_variables]
    if variable not in known:
        raise LongsurvError(f"the fixed effects have no variable {variable!r}; they have {known}")
    if _levels(variable, data[variable], design) is not None:
        raise LongsurvError(f"{variable!r} is a factor here, and a slope is along a number")
    asked = [by] if isinstance(by, str) else list(by)
    held = dict(at or {})
    values = _numbers(variable, _listed(held.pop(variable, data[variable].mean())))
    step = STEP * float(np.ptp(data[variable].to_numpy(dtype=float)))
    if step == 0.0:
        raise LongsurvError(f"{variable!r} has one value in the data: there is no slope along it")

    def aside(sign: float) -> ReferenceGrid:
        """The grid with the variable a step to one side of each of its values."""
        beside = {variable: [value + sign * step for value in values]}
        return reference_grid(design, data, [*asked, variable], held | beside, weights)

    low, high = aside(-1.0), aside(1.0)
    levels: dict[str, list[Hashable]] = {**low.levels}
    levels[variable] = [*values]
    if len(values) == 1 and variable not in asked:
        del levels[variable]
    L = (high.L - low.L) / (2.0 * step)
    lost = np.where(
        np.abs(high.lost - low.lost) > ROUNDING * (np.abs(high.lost) + np.abs(low.lost)),
        (high.lost - low.lost) / (2.0 * step), 0.0,
    )  # fmt: skip
    lost[:, -1] = low.lost[:, -1]  # a cell that no patient is in stays empty
    return ReferenceGrid(levels, _grid(levels, data), L, lost, low.rows, low.weights)


def with_random(
    rows: pd.DataFrame, parts: Sequence[FixedDesign], data: pd.DataFrame
) -> pd.DataFrame:
    """The rows of a grid with what random effects depend on besides, which stands at its mean.

    Parameters
    ----------
    rows : DataFrame
        Of the grid of the fixed effects.
    parts : sequence of FixedDesign
        Columns of the random effects.
    data : DataFrame
        The rows used.

    Raises
    ------
    LongsurvError
        For a factor that the fixed effects do not have.
    """
    found = rows.copy()
    needed = {name for part in parts for name in part.recipe.required_variables}
    for name in [name for name in data.columns if name in needed and name not in rows]:
        if not pd.api.types.is_numeric_dtype(data[name]):
            raise LongsurvError(
                f"the random effects depend on {name!r}, which the fixed effects do not have"
            )
        found[name] = float(data[name].mean())
    return found


def _numbers(name: str, values: list[Hashable]) -> list[float]:
    try:
        found = [float(value) for value in values]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = [np.nan]
    if not np.isfinite(found).all():
        raise LongsurvError(f"at: {name!r} is a number, and is to stand at finite ones: {values}")
    return found


def _frequencies(rows: pd.DataFrame, data: pd.DataFrame, names: list[str]) -> np.ndarray:
    """How often the values of some columns in each row of the grid occur in the data, shape
    (rows,); 1 without columns."""
    if not names:
        return np.ones(len(rows))
    found = data[names].astype(object).value_counts()
    asked = pd.MultiIndex.from_frame(rows[names].astype(object))
    return found.reindex(asked, fill_value=0).to_numpy(dtype=float)


def _listed(values: object) -> list[Hashable]:
    if isinstance(values, str) or not isinstance(
        values, Sequence | np.ndarray | pd.Series | pd.Index
    ):
        return [values]
    return list(values)


def _levels(name: str, column: pd.Series, design: FixedDesign) -> list[Hashable] | None:
    """The values of a factor in the data, in order; None for a numeric variable."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return sorted(column.unique())
    values = set(column.unique())
    for factor, used in design.recipe.factor_variables.items():
        _, state = design.recipe.encoder_state.get(str(factor), (None, {}))
        if name in used and values <= set(state.get("categories", ())):
            return sorted(values)
    return None


def _check_values(name: str, values: list[Hashable], known: list[Hashable] | None) -> None:
    if known is not None and not set(values) <= set(known):
        raise LongsurvError(
            f"at: {name!r} has the levels {known}, not {[v for v in values if v not in known]}"
        )
    if not values or len(set(values)) < len(values):
        raise LongsurvError(f"at: give {name!r} one or more different values, got {values}")


def _grid(levels: Mapping[str, list[Hashable]], data: pd.DataFrame) -> pd.DataFrame:
    """Every combination of the levels, the last varying fastest, in the data's own types."""
    frame = pd.DataFrame(list(product(*levels.values())), columns=list(levels))
    return frame.astype(
        {n: data[n].dtype for n in levels if isinstance(data[n].dtype, pd.CategoricalDtype)}
    )
