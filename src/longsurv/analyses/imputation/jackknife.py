"""Conditional means in place of draws, and the variance over repeated trials by the jackknife.

Wolbers et al. (2022), Pharm Stat 21:1246-1257: at the estimate, of an LMM by REML, each missing
value is its conditional mean under the assumption; the jackknife over patients repeats fit,
imputation and analysis without each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from longsurv.analyses.imputation.answers import Analysis
from longsurv.analyses.imputation.rows import ImputedRows
from longsurv.errors import LongsurvError
from longsurv.results.pooled import NEEDED, Pooled
from longsurv.results.reference import t_p_value, t_quantile

METHOD = "conditional means at the estimate, jackknife over patients"


def jackknifed(
    whole: pd.DataFrame, without: Iterable[pd.DataFrame], analysis: Analysis, level: float
) -> Pooled:
    """The answer from conditional means, with its jackknife variance.

    Parameters
    ----------
    whole : DataFrame
        The data with conditional means.
    without : iterable of DataFrame
        The same from all patients but one, each in turn.
    analysis : callable
    level : float
    """
    found, values = _estimates(analysis, whole), []
    for data in without:
        part = _estimates(analysis, data)
        if list(part["term"]) != list(found["term"]):
            raise LongsurvError("without one of the patients the analysis has other terms")
        values.append(part["estimate"].to_numpy(dtype=float))
    spread = np.array(values) - np.mean(values, axis=0)
    estimate = found["estimate"].to_numpy(dtype=float)
    error = np.sqrt((len(values) - 1) / len(values) * (spread**2).sum(axis=0))
    reach = t_quantile(level, np.inf) * error
    table = pd.DataFrame(
        {
            "term": found["term"], "estimate": estimate, "std_error": error,
            "statistic": estimate / error, "df": np.inf,
            "p_value": [t_p_value(z, np.inf) for z in estimate / error],
            "conf_low": estimate - reach, "conf_high": estimate + reach, "fmi": np.nan,
        }
    )  # fmt: skip
    return Pooled(table, 1, METHOD, level)


def without_each(data: pd.DataFrame, rows: ImputedRows) -> Iterator[tuple[pd.DataFrame, bool]]:
    """The data of all patients but one, each in turn, and whether nothing is left to impute."""
    patient = np.full(len(data), -1)
    patient[rows.at] = rows.patient
    lacking = np.unique(rows.patient[rows.asked | rows.limited])
    for one in range(int(rows.patient.max()) + 1):
        yield data[patient != one].reset_index(drop=True), bool((lacking == one).all())


def _estimates(analysis: Analysis, data: pd.DataFrame) -> pd.DataFrame:
    found = analysis(data)
    table = found if isinstance(found, pd.DataFrame) else found.tidy()
    return table[list(NEEDED[:2])].reset_index(drop=True)
