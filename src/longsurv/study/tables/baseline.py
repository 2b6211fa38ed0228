"""The baseline table: each group's patients, and how far apart the groups start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from longsurv.numbers import fixed

MEAN, MEDIAN, COUNT = "mean", "median", "count"
COLUMNS = [
    "variable", "level", "unit", "summary", "group", "n", "missing", "mean", "sd", "median", "q1",
    "q3", "count", "proportion", "std_difference",
]  # fmt: skip


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

    Numeric columns are summarised by their mean; those named in `logarithmic`, and those that are
    skewed, by their median. The standardised difference divides the difference of means (of
    logarithms for `logarithmic`) by the root of the mean of the two variances; for a categorical
    variable it is the Mahalanobis distance between the two sets of proportions (Yang and Dalton,
    2012). With more than two groups it is the largest of any pair.

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
        A row for each variable, or level of a categorical one, and group, with `COLUMNS`: variable,
        level (empty for a numeric variable; of two levels the second alone, as the other is the
        rest), unit, summary ("mean", "median" or "count": how it is best described), group, n
        (patients with a value), missing, mean, sd, median, q1, q3 (of numbers), count and
        proportion (of a level), std_difference (the same in every group; NaN on the levels of a
        categorical variable after its first).
    """
    labels, units = labels or {}, units or {}
    member = data[group].astype(str)
    rows: list[dict[str, object]] = []
    for name in covariates:
        column = data[name]
        parts = {str(level): column[member == str(level)] for level in groups}
        label = labels.get(name, name)
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            log = name in logarithmic
            skewed = log or abs(_skewness(column)) > 1
            shift = _largest(list(parts.values()), partial(_numeric_difference, log=log))
            fixed_ = {"variable": label, "level": "", "unit": units.get(name, ""),
                      "summary": MEDIAN if skewed else MEAN, "std_difference": shift}  # fmt: skip
            rows += [{**fixed_, "group": g, **_numbers(part)} for g, part in parts.items()]
        else:
            rows += _categorical_rows(label, column.astype("string"), parts)
    return pd.DataFrame(rows, columns=COLUMNS)


def _numbers(part: pd.Series) -> dict[str, object]:
    """Of one group: how many values, mean and standard deviation, median and quartiles."""
    values = part.dropna().astype(float)
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return {
        "n": len(values), "missing": len(part) - len(values), "mean": values.mean(),
        "sd": values.std(), "median": middle, "q1": low, "q3": high,
    }  # fmt: skip


def _categorical_rows(
    label: str, column: pd.Series, parts: Mapping[str, pd.Series]
) -> list[dict[str, object]]:
    levels = sorted(column.dropna().unique())
    texts = {group: part.astype("string").dropna() for group, part in parts.items()}
    shift = _largest(list(texts.values()), partial(_categorical_difference, levels=levels))
    shown = levels[1:] if len(levels) == 2 else levels  # the other level is the rest
    rows: list[dict[str, object]] = []
    for k, level in enumerate(shown):
        for group, text in texts.items():
            count = int((text == level).sum())
            rows.append({
                "variable": label, "level": level, "unit": "", "summary": COUNT, "group": group,
                "n": len(text), "missing": len(parts[group]) - len(text), "count": count,
                "proportion": count / len(text) if len(text) else np.nan,
                "std_difference": shift if k == 0 else np.nan,
            })  # fmt: skip
    return rows


def named(row: Mapping[str, object]) -> str:
    """What a row is about: the variable, and its level if it has one."""
    return f"{row['variable']}: {row['level']}" if row["level"] else str(row["variable"])


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
