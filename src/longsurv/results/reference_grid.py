"""The reference grid of marginal means: what fixed effects are averaged over, and their weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from longsurv.design import FixedDesign
from longsurv.design.fixed import rebuilt
from longsurv.design.rank import combination
from longsurv.errors import LongsurvError


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
    lost : ndarray, shape (k, a)
        Zero where the data determine the combination; a is the number of aliased columns.
    rows : DataFrame
        The rows averaged over, as many for each cell, cell after cell.
    """

    levels: Mapping[str, list[Hashable]]
    cells: pd.DataFrame
    L: np.ndarray
    lost: np.ndarray
    rows: pd.DataFrame


def reference_grid(
    design: FixedDesign,
    data: pd.DataFrame,
    specs: str | Sequence[str],
    at: Mapping[str, object] | None,
) -> ReferenceGrid:
    """Cells by some variables, averaged over the others, as `results.means.means` says.

    Parameters
    ----------
    design : FixedDesign
    data : DataFrame
        The rows used.
    specs : str or sequence of str
    at : mapping of str to value or sequence of values, optional
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
    for name in variables:
        found = _levels(name, data[name], design)
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
    cell = np.repeat(np.arange(len(cells)), len(rows) // len(cells))
    each = rebuilt(design.recipe, rows, "the grid of means").groupby(cell).mean()
    L = each[list(design.names)].to_numpy(dtype=float)
    return ReferenceGrid(levels, cells, L, _lost(design, data, each), rows)


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


def _lost(design: FixedDesign, data: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """How far each row departs from the dependences that hold among the columns in the data."""
    if not design.aliased:
        return np.zeros((len(rows), 0))
    seen = rebuilt(design.recipe, data, "the data")
    gone = list(design.aliased)
    kept = [name for name in seen.columns if name not in gone]
    depends = combination(seen[kept].to_numpy(float), seen[gone].to_numpy(float))
    return rows[gone].to_numpy(float) - rows[kept].to_numpy(float) @ depends
