"""Survival by group as a fitted model says it is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.weights import are_counts
from longsurv.errors import LongsurvError
from longsurv.estimands.standardised import SurvivalResult, cohort_weights
from longsurv.estimands.standardised_curves import averaged_survival
from longsurv.estimands.treatments import with_treatment

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign

POINTS = 60


def follow_up_of(design: SurvivalDesign, data: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """Follow-up of the patients of a fit with their group: "entry", "exit", "event" and "group".

    The rows of a patient who has several are one stay, of the group of the first; a row of weight 3
    is three patients.
    """
    used = data.iloc[design.rows]
    patient = np.arange(len(used)) if design.patient is None else design.patient
    frame = pd.DataFrame(
        {
            "entry": design.entry, "exit": design.exit, "event": design.event.astype(int),
            "group": "all" if by is None else used[by].astype(str).to_numpy(),
        }
    )  # fmt: skip
    how = {"entry": "min", "exit": "max", "event": "max", "group": "first"}
    frame = frame.assign(patient=patient).sort_values("entry").groupby("patient").agg(how)
    weights = design.weights
    if weights is None or not are_counts(weights):
        return frame
    count = weights[design.first_rows][np.argsort(patient[design.first_rows])]
    return frame.loc[frame.index.repeat(count.astype(int))]


def standardised_curves(
    result: SurvivalResult,
    by: str | None,
    levels: Sequence[Hashable],
    times: np.ndarray,
    level: float,
) -> pd.DataFrame:
    """Mean survival over the patients of the fit, were all of them of one group, then of another.

    Parameters
    ----------
    result : SurvivalEstimate, SurvivalPosterior, HazardEstimate or HazardPosterior
    by : str, optional
        Column of the group; without, all patients are as they are.
    levels : sequence
        Its values.
    times : ndarray, shape (T,)
    level : float
        Of the intervals: on the logit scale, of a posterior equal-tailed.

    Returns
    -------
    DataFrame
        group, time, estimate, std_error, conf_low, conf_high.
    """
    design = result.design
    patients = result.spec.data.iloc[design.rows[design.first_rows]]
    frames = [patients if by is None else with_treatment(patients, by, one) for one in levels]
    labels = [str(one) for one in levels]
    return averaged_survival(result, labels, frames, times, level, cohort_weights(result))


def times_of(design: SurvivalDesign, horizon: float | None) -> np.ndarray:
    """Times at which a curve is drawn, from the first entry to the horizon or the last exit.

    Raises
    ------
    LongsurvError
        If nobody is at risk before the horizon.
    """
    start, last = float(design.entry.min()), design.last
    end = last if horizon is None else min(float(horizon), last)
    if not end > start:
        raise LongsurvError(f"nobody is at risk before {start:g}; the horizon is {end:g}")
    steps = np.unique(design.exit[(design.event == 1) & (design.exit <= end)])
    if len(steps) > POINTS:
        steps = np.quantile(steps, np.linspace(0.0, 1.0, POINTS), method="nearest")
    return np.unique([*steps, *np.linspace(start, end, POINTS)[1:]])
