"""Survival by group as a fitted model says it is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.intervals import proportion
from longsurv.estimands.standardised import DrawnSurvival, SurvivalResult
from longsurv.estimands.treatments import with_treatment
from longsurv.results.reference import t_quantile

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign

AT_ONCE = 20_000_000
POINTS = 60


def follow_up_of(design: SurvivalDesign, data: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """Follow-up of the patients of a fit with their group: "entry", "exit", "event" and "group".

    The rows of a patient who has several are one stay, of the group of the first.
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
    return frame.assign(patient=patient).sort_values("entry").groupby("patient").agg(how)


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
        group, time, estimate, conf_low, conf_high.
    """
    design = result.design
    patients = result.spec.data.iloc[design.rows[design.first_rows]]
    frames = [patients if by is None else with_treatment(patients, by, one) for one in levels]
    parts = []
    if result.engine == "bayes":
        for one, frame in zip(levels, frames, strict=True):
            draws = _mean_draws(result, frame, times)
            low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
            parts.append(_curve(one, times, draws.mean(axis=0), low, high))
    else:
        mean, cov = result.mean_survival_at(frames, list(times))
        z = t_quantile(level, np.inf)
        for a, one in enumerate(levels):
            error = np.sqrt(np.maximum(np.einsum("tt->t", cov[a, :, a, :]), 0.0))
            low, high = np.transpose(
                [proportion(float(m), float(e), z) for m, e in zip(mean[a], error, strict=True)]
            )
            parts.append(_curve(one, times, mean[a], low, high))
    return pd.concat(parts, ignore_index=True)


def times_of(design: SurvivalDesign, horizon: float | None) -> np.ndarray:
    """Times at which a curve is drawn, from the first entry to the horizon or the last exit.

    Raises
    ------
    LongsurvError
        If nobody is at risk before the horizon.
    """
    start, last = float(design.entry.min()), float(design.exit.max())
    end = last if horizon is None else min(float(horizon), last)
    if not end > start:
        raise LongsurvError(f"nobody is at risk before {start:g}; the horizon is {end:g}")
    steps = np.unique(design.exit[(design.event == 1) & (design.exit <= end)])
    if len(steps) > POINTS:
        steps = np.quantile(steps, np.linspace(0.0, 1.0, POINTS), method="nearest")
    return np.unique([*steps, *np.linspace(start, end, POINTS)[1:]])


def _mean_draws(result: DrawnSurvival, data: pd.DataFrame, times: np.ndarray) -> np.ndarray:
    """Draws of mean survival over the rows, shape (draws, T), as many rows at a time as fit."""
    total, start, size = np.zeros(()), 0, max(1, 2000 // len(times))
    while start < len(data):
        drawn = result.survival_draws(data.iloc[start : start + size], list(times))
        total = total + drawn.sum(axis=1)
        start, size = start + size, max(1, AT_ONCE // (len(drawn) * len(times)))
    return np.asarray(total) / len(data)


def _curve(
    one: Hashable, times: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    values = {"time": times, "estimate": mean, "conf_low": low, "conf_high": high}
    return pd.DataFrame({"group": str(one)} | values)
