"""The baseline table: each group's patients, and how far apart the groups start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from longsurv.numbers import MISSING, datum, fixed, number, percent


def baseline_table(
    data: pd.DataFrame,
    group: str,
    groups: Sequence[str],
    covariates: Sequence[str],
    *,
    labels: dict[str, str] | None = None,
    units: dict[str, str] | None = None,
    logarithmic: Sequence[str] = (),
) -> pd.DataFrame:
    """Describe patients by group, with standardised differences.

    Numeric columns are given as mean (SD); those named in `logarithmic`, and those that are
    skewed, as median [quartiles]. The standardised difference divides the difference of means
    (of logarithms for `logarithmic`) by the root of the mean of the two variances; for a
    categorical variable it is the Mahalanobis distance between the two sets of proportions
    (Yang and Dalton, 2012). With more than two groups it is the largest of any pair.

    Parameters
    ----------
    data : DataFrame
        One row a patient.
    group : str
        Column of the treatment group.
    groups : sequence of str
        Its levels, the reference first.
    covariates : sequence of str
        Columns to describe, in this order.
    labels : dict, optional
        Column to what the reader sees.
    units : dict, optional
        Column to its unit.
    logarithmic : sequence of str
        Positive columns to compare on the log scale.

    Returns
    -------
    DataFrame
        Columns `variable`, `unit`, `summary`, one per group, `std_difference` (standard deviations;
        NaN on the levels of a categorical variable after its first row), `missing`.
    """
    labels, units = labels or {}, units or {}
    member = data[group].astype(str)
    rows: list[dict[str, object]] = []
    for name in covariates:
        column = data[name]
        parts = [column[member == str(level)] for level in groups]
        label = labels.get(name, name)
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            log = name in logarithmic
            skewed = log or abs(_skewness(column)) > 1
            texts = [_median(p) if skewed else _mean(p) for p in parts]
            summary = "median [quartiles]" if skewed else "mean (SD)"
            shift = _largest(parts, partial(_numeric_difference, log=log))
            rows.append(_row(label, summary, groups, texts, shift, column, units.get(name, "")))
        else:
            rows.extend(_categorical_rows(label, column.astype("string"), parts, groups))
    return pd.DataFrame(
        rows,
        columns=["variable", "unit", "summary", *map(str, groups), "std_difference", "missing"],
    )


def _row(
    label: str,
    summary: str,
    groups: Sequence[str],
    texts: Sequence[str],
    shift: float,
    column: pd.Series,
    unit: str = "",
) -> dict[str, object]:
    return {
        "variable": label,
        "unit": unit,
        "summary": summary,
        **dict(zip(map(str, groups), texts, strict=True)),
        "std_difference": shift,
        "missing": int(column.isna().sum()),
    }


def _categorical_rows(
    label: str, column: pd.Series, parts: Sequence[pd.Series], groups: Sequence[str]
) -> list[dict[str, object]]:
    levels = sorted(column.dropna().unique())
    texts = [p.astype("string").dropna() for p in parts]
    shift = _largest(texts, partial(_categorical_difference, levels=levels))
    shown = levels[1:] if len(levels) == 2 else levels  # the other level is the rest
    rows = []
    for k, level in enumerate(shown):
        cells = [
            f"{int((t == level).sum()):,} ({percent(int((t == level).sum()), len(t))})"
            for t in texts
        ]
        row = _row(f"{label}: {level}", "n (%)", groups, cells, shift if k == 0 else np.nan, column)
        rows.append(row)
    return rows


def _mean(values: pd.Series) -> str:
    values = values.dropna()
    if values.empty:
        return MISSING
    return number(values.mean()) + (f" ({number(values.std())})" if len(values) > 1 else "")


def _median(values: pd.Series) -> str:
    values = values.dropna()
    if values.empty:
        return MISSING
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return f"{datum(middle)} [{datum(low)} to {datum(high)}]"


def _skewness(values: pd.Series) -> float:
    skewness = values.astype(float).skew()
    return 0.0 if pd.isna(skewness) else float(skewness)


def _largest(
    parts: Sequence[pd.Series], difference: Callable[[pd.Series, pd.Series], float]
) -> float:
    """The signed difference of two groups (second minus first); of more, the largest in size."""
    values = [difference(a, b) for a, b in combinations(parts, 2)]
    finite = [v for v in values if np.isfinite(v)]
    return max(finite, key=abs) if finite else np.nan


def _numeric_difference(first: pd.Series, second: pd.Series, log: bool) -> float:
    a, b = (np.asarray(part.dropna(), dtype=float) for part in (first, second))
    if log:
        a, b = np.log(a[a > 0]), np.log(b[b > 0])
    if len(a) < 2 or len(b) < 2:
        return np.nan
    spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    return float((b.mean() - a.mean()) / spread) if spread > 0 else np.nan


def _categorical_difference(first: pd.Series, second: pd.Series, levels: Sequence[str]) -> float:
    if len(levels) < 2 or first.empty or second.empty:
        return np.nan
    a, b = (np.array([(p == level).mean() for level in levels[1:]]) for p in (first, second))
    covariance = sum(np.diag(p) - np.outer(p, p) for p in (a, b)) / 2
    shift = b - a
    distance = float(np.sqrt(max(0.0, shift @ np.linalg.pinv(covariance) @ shift)))
    # With two levels the sign says which group has more; with more there is no one direction.
    return float(np.sign(shift[0])) * distance if len(levels) == 2 else distance


def std_difference_text(value: float) -> str:
    """A standardised difference to two decimals, a dash where there is none."""
    return "" if np.isnan(value) else fixed(value, 2)
