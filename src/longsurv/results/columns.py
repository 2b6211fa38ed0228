"""The columns that predictions and random effects share, from standard errors or from draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from longsurv.results.reference import t_quantile


def normal_columns(
    estimate: np.ndarray, std_error: np.ndarray, level: float
) -> dict[str, np.ndarray]:
    """estimate, std_error, conf_low and conf_high with normal intervals, shape (n,) each."""
    width = t_quantile(level, np.inf) * std_error
    return {
        "estimate": estimate,
        "std_error": std_error,
        "conf_low": estimate - width,
        "conf_high": estimate + width,
    }


def draw_columns(values: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """The same from draws, shape (draws, n): means, SDs and equal-tailed intervals."""
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return {
        "estimate": values.mean(axis=0),
        "std_error": values.std(axis=0, ddof=1),
        "conf_low": low,
        "conf_high": high,
    }


def ranef_table(
    groups: dict[Any, Any],
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
    table: dict[Any, Any] = {
        column: label if isinstance(label, str) else np.repeat(np.asarray(label), len(effects))
        for column, label in groups.items()
    }
    table["effect"] = list(effects) * len(mean)
    return pd.DataFrame(table | normal_columns(mean.ravel(), std_error.ravel(), level))
