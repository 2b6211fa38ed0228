"""Components of scores, checked row by row, and what a score is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from longsurv.errors import DataError
from longsurv.reading.numbers import plain_numbers

type Component = str | pd.Series | np.ndarray | Sequence[float]
type FloatArray = np.ndarray[tuple[int], np.dtype[np.float64]]


class _Range(NamedTuple):
    """What a component may be: its unit, its lowest and highest possible value, whole or not."""

    unit: str
    low: float
    high: float
    whole: bool = False


# The upper ends are there to catch a wrong unit (platelets per mm3, fibrinogen in mg/dL).
_RANGES = {
    "sirs": _Range("criteria met", 0, 4, whole=True),
    "platelets": _Range("10^9/L", 0, 5000),
    "platelet_fall": _Range("% within 24 h, negative for a rise", -np.inf, 100),
    "pt_ratio": _Range("patient / control", 0, 100),
    "pt_inr": _Range("INR", 0, 100),
    "pt_prolongation": _Range("s over the control", -20, 300),
    "fdp": _Range("ug/mL", 0, np.inf),
    "d_dimer": _Range("unit of the cut-offs", 0, np.inf),
    "fibrinogen": _Range("g/L", 0, 30),
    "sofa4": _Range("sum of four items", 0, 16, whole=True),
}


def points_of(value: pd.Series, *classes: tuple[pd.Series, int]) -> FloatArray:
    """Points of the first class a value falls into, 0 in none, NaN where the value is missing."""
    conditions = [value.isna(), *(condition for condition, _ in classes)]
    return np.select(conditions, [np.nan, *(float(points) for _, points in classes)], 0.0)


def components_of(table: pd.DataFrame | None, **components: Component | None) -> pd.DataFrame:
    """Components side by side as numbers, after every check; a component of None is left out."""
    problems: list[str] = []
    columns: dict[str, pd.Series] = {}
    for name, given in components.items():
        if given is None:
            continue
        if not isinstance(given, str):
            if np.ndim(given) != 1:
                problems.append(f"{name} is one value a row, not {np.ndim(given)}-dimensional")
                continue
            columns[name] = given if isinstance(given, pd.Series) else pd.Series(np.asarray(given))
        elif table is not None and given in table.columns:
            columns[name] = table[given]
        else:
            where = "there is no table" if table is None else f"the table has {list(table.columns)}"
            problems.append(f"{name}: no column '{given}' ({where}); name it: {name}=\"...\"")
    indexes = [column.index for column in columns.values()]
    if any(not index.equals(indexes[0]) for index in indexes[1:]):
        lengths = ", ".join(f"{name} ({len(column)})" for name, column in columns.items())
        problems.append(f"the components' rows are not the same: {lengths}; align them first")
    numbers = {name: _numbers(name, column, problems) for name, column in columns.items()}
    if problems:
        raise DataError(problems)
    return pd.DataFrame(numbers)


def _numbers(name: str, column: pd.Series, problems: list[str]) -> pd.Series:
    """The column as floats; what is not possible is added to the problems, row by row."""
    possible = _RANGES[name]
    number = pd.Series(plain_numbers(column), index=column.index)
    bad = number.isna() & column.notna()
    bad |= (number < possible.low) | (number > possible.high) | np.isinf(number)
    if possible.whole:
        bad |= number.notna() & (number % 1 != 0)
    kind = "a whole number" if possible.whole else "a number"
    if np.isfinite(possible.low):
        kind += f" from {possible.low:g}"
    if np.isfinite(possible.high):
        kind += f" to {possible.high:g}"
    problems += [
        f"{name}, row {row}: {value!r} is not {kind} ({possible.unit}); correct it or leave it out"
        for row, value in column[bad].items()
    ]
    return number


def scored(
    values: pd.DataFrame,
    points: dict[str, FloatArray],
    verdict: Callable[[FloatArray], np.ndarray],
) -> pd.DataFrame:
    """Points, score, verdict and reason, a row a row of the components."""
    result = pd.DataFrame(points, index=values.index)
    score = result.sum(axis=1, skipna=False)
    missing = values.isna()
    reason = [
        "missing: " + ", ".join(values.columns[row]) if row.any() else ""
        for row in missing.to_numpy()
    ]
    positive = pd.Series(verdict(score.to_numpy()), values.index, dtype="boolean")
    return result.assign(
        score=score,
        positive=positive.mask(missing.any(axis=1)),
        reason=pd.Series(reason, values.index, dtype="string"),
    )
