"""Survival over time had everybody, or nobody, been treated: g-computation at many times.

The curve of which `risk_difference` is one point and `restricted_mean_difference` the area; see
`standardised` for what it assumes and what its uncertainty includes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.intervals import proportion
from longsurv.estimands.standardised import (
    SurvivalAnswer,
    both_treatments,
    check_begun,
    cohort_weights,
    marked,
    mean_draws,
)


@checked
def standardised_survival(
    result: SurvivalAnswer,
    treatment: str,
    times: Sequence[float],
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Survival averaged over the cohort under two treatments, at some times.

    Parameters
    ----------
    result : SurvivalEstimate, SurvivalPosterior, HazardEstimate or HazardPosterior
    treatment : str
        Column of the data.
    times : sequence of float
        From the first entry to the last exit.
    treated, reference : optional
        The two levels compared; by default the only two, in the order of the categories.
    level : float

    Returns
    -------
    DataFrame
        A row a level and time, the reference first: group, time, estimate (of a posterior the
        mean), std_error, conf_low, conf_high, note. Limits of an estimate are by the delta method
        on the logit scale, and missing where no event has happened; those of a posterior are
        quantiles.
        Its `attrs` have "converged" and "flags", those of the result.

    Raises
    ------
    LongsurvError, EstimationError
        As `risk_difference`.
    """
    if not len(times):
        raise LongsurvError("name the times at which survival is asked for")
    at = np.asarray(times, dtype=float)
    first = float(result.design.entry.min())
    if at.min() < first:
        raise LongsurvError(f"nobody is at risk before {first:g}; the times begin at {at.min():g}")
    low, high, frames = both_treatments(result, treatment, float(at.max()), treated, reference)
    found = averaged_survival(result, (low, high), frames, at, level, cohort_weights(result))
    check_begun(np.round(1.0 - found["estimate"].to_numpy(), 12), float(at.max()))
    early = found["std_error"].isna()
    found["note"] = np.where(early, "no event yet, so no interval", "")
    return marked(found, result)


@checked
def averaged_survival(
    result: SurvivalAnswer,
    labels: Sequence[Hashable],
    frames: Sequence[pd.DataFrame],
    times: np.ndarray,
    level: float = 0.95,
    weights: np.ndarray | None = None,
) -> pd.DataFrame:
    """Survival averaged over the rows of each of several frames, at some times.

    Parameters
    ----------
    result : SurvivalEstimate, SurvivalPosterior, HazardEstimate or HazardPosterior
    labels : sequence
        What to call each frame.
    frames : sequence of DataFrame
        Rows with the columns of the formula.
    times : ndarray, shape (T,)
    level : float
    weights : ndarray, shape (m,), optional
        For how many each row counts, in every frame.

    Returns
    -------
    DataFrame
        As `standardised_survival` returns it, without notes.
    """
    parts = []
    if result.engine == "bayes":
        tail = 0.5 - level / 2
        for label, frame in zip(labels, frames, strict=True):
            draws = mean_draws(result, frame, times, weights)
            limits = np.quantile(draws, [tail, 1 - tail], axis=0)
            parts.append(_part(label, times, draws.mean(axis=0), draws.std(axis=0, ddof=1), limits))
    else:
        mean, cov = result.mean_survival_at(frames, list(times), weights)
        z = float(special.stdtrit(result.df_of_curves, 0.5 + level / 2))
        variances = np.nan_to_num(np.einsum("atat->at", cov), nan=0.0)
        errors = np.sqrt(np.maximum(variances, 0.0))
        for label, survival, error in zip(labels, mean, errors, strict=True):
            limits = np.transpose(
                [proportion(float(s), float(e), z) for s, e in zip(survival, error, strict=True)]
            )
            parts.append(_part(label, times, survival, np.where(error > 0, error, np.nan), limits))
    return pd.concat(parts, ignore_index=True)


def _part(
    label: Hashable, times: np.ndarray, value: np.ndarray, error: np.ndarray, limits: np.ndarray
) -> pd.DataFrame:
    low, high = limits
    return pd.DataFrame(
        {
            "group": [label] * len(times), "time": times, "estimate": value, "std_error": error,
            "conf_low": low, "conf_high": high,
        }
    )  # fmt: skip
