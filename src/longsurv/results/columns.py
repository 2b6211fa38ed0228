"""The columns that predictions and random effects share, from standard errors or from draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from longsurv.design.names import apart
from longsurv.results.reference import Reference, degrees, estimable, t_quantile

SMALLEST_VARIANCE = 1e-200
HALVINGS = 60


def beside(frame: pd.DataFrame, own: Mapping[str, object]) -> pd.DataFrame:
    """The frame with the columns of an answer, its own of those names `apart`."""
    return apart(frame, own).assign(**own)


def beside_variables(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Variables of the data and the table that they say the rows of, side by side; one that is
    called as a column of the table has "_variable" after its name."""
    return pd.concat([apart(frame, table.columns, "_variable"), table], axis=1)


def normal_columns(
    estimate: np.ndarray, std_error: np.ndarray, level: float, df: float = np.inf
) -> dict[str, np.ndarray]:
    """estimate, std_error, conf_low and conf_high with normal intervals, or Student's on so many
    degrees of freedom, shape (n,) each."""
    width = t_quantile(level, df) * std_error
    return {
        "estimate": estimate,
        "std_error": std_error,
        "conf_low": estimate - width,
        "conf_high": estimate + width,
    }


def wald_columns(
    X: np.ndarray, estimate: np.ndarray, std_error: np.ndarray, reference: Reference, level: float
) -> dict[str, np.ndarray]:
    """The same of combinations of coefficients, rows of X with shape (n, p), on the degrees of
    freedom of the reference; NaN for those that the data do not determine."""
    rows, back = np.unique(X, axis=0, return_inverse=True)
    known = estimable(reference, rows)
    df = degrees(reference, rows)
    # A combination of no coefficients has no uncertainty, and no degrees of freedom.
    df = np.where(known & ~rows.any(axis=1), np.inf, df)
    nothing = np.where(known, 0.0, np.nan)[back.ravel()]
    width = np.array([t_quantile(level, d) for d in df])[back.ravel()] * std_error
    columns = (estimate, std_error, estimate - width, estimate + width)
    names = ("estimate", "std_error", "conf_low", "conf_high")
    return {name: values + nothing for name, values in zip(names, columns, strict=True)}


def draw_columns(values: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """The same from draws, shape (draws, n): means, SDs and equal-tailed intervals."""
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return {
        "estimate": values.mean(axis=0),
        "std_error": values.std(axis=0, ddof=1),
        "conf_low": low,
        "conf_high": high,
    }


def mixture_columns(mean: np.ndarray, variance: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """The same of mixtures in equal parts of normal distributions, shape (parts, n) each.

    The limits are exact: halved down to from ten standard deviations beyond the outermost parts.
    """
    from scipy.special import ndtr

    sd = np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
    limits = []
    for share in (0.5 - level / 2, 0.5 + level / 2):
        low, high = (mean - 10.0 * sd).min(axis=0), (mean + 10.0 * sd).max(axis=0)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            under = ndtr((middle - mean) / sd).mean(axis=0) < share
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        limits.append(0.5 * (low + high))
    return {
        "estimate": mean.mean(axis=0),
        "std_error": np.sqrt(variance.mean(axis=0) + mean.var(axis=0)),
        "conf_low": limits[0],
        "conf_high": limits[1],
    }


def ranef_table(
    groups: Mapping[str, str | np.ndarray],
    effects: Sequence[str],
    mean: np.ndarray,
    std_error: np.ndarray,
    level: float,
) -> pd.DataFrame:
    """One row a group and random effect, with normal intervals.

    Parameters
    ----------
    groups : dict
        Columns that name the group, each a label for all rows or one a group.
    effects : sequence of str, length q
    mean, std_error : ndarray, shape (N, q)
    level : float
    """
    table = {
        column: label if isinstance(label, str) else np.repeat(np.asarray(label), len(effects))
        for column, label in groups.items()
    }
    named: dict[str, object] = {"effect": list(effects) * len(mean)}
    named |= normal_columns(mean.ravel(), std_error.ravel(), level)
    return beside_variables(pd.DataFrame(table), pd.DataFrame(named))
