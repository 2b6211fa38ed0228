"""Means of the values seen, of those imputed, and of all."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.analyses.imputation.rows import ImputedRows


def means_by(rows: ImputedRows, by: list[str], y: np.ndarray) -> pd.DataFrame:
    """Counts and means of values y, shape (n,), by the columns named: a row each.

    Parameters
    ----------
    rows : ImputedRows
        Says which values are imputed.
    by : list of str
        Columns of its frame; none: one row.
    y : ndarray, shape (n,)
        Values seen, and imputed ones in their places.

    Returns
    -------
    DataFrame
        The columns of `by`, seen, imputed (counts), mean_seen, mean_imputed, mean_all; beyond_limit
        (a count) where some values are known by limits only, which are neither of the two.
    """
    table = rows.frame[by].assign(_asked=rows.asked, _beyond=rows.limited, _y=y)
    groups = table.groupby(by, observed=True, sort=True) if by else [((), table)]
    return pd.DataFrame(
        [
            dict(zip(by, key, strict=True))
            | _means(*(part[name].to_numpy() for name in ("_asked", "_beyond", "_y")))
            | ({"beyond_limit": int(part["_beyond"].sum())} if rows.limited.any() else {})
            for key, part in groups
        ]
    )


def _means(asked: np.ndarray, beyond: np.ndarray, y: np.ndarray) -> dict[str, float]:
    seen = ~asked & ~beyond
    return {
        "seen": int(seen.sum()),
        "imputed": int(asked.sum()),
        "mean_seen": y[seen].mean() if seen.any() else np.nan,
        "mean_imputed": y[asked].mean() if asked.any() else np.nan,
        "mean_all": y.mean(),
    }
