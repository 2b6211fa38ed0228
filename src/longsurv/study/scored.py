"""Which measurements of a score reach its cut-off."""

from __future__ import annotations

import pandas as pd

from longsurv.cohort.columns import CENSORED
from longsurv.cohort.cutoff import at_or_above


def reaches(data: pd.DataFrame, cutoff: float) -> pd.Series:
    """Of rows of `Cohort.marker_data`, whether the value is at or above the cut-off.

    Parameters
    ----------
    data : DataFrame
        With the columns value and censored.
    cutoff : float
    """
    codes = pd.Index(CENSORED).get_indexer(data["censored"].astype(object))
    return pd.Series(at_or_above(data["value"].to_numpy(), codes, cutoff), index=data.index)
