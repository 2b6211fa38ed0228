"""Cumulative incidence of one of several causes in a cohort of which nothing has been measured.

    F_c(horizon) = int_entry^horizon E[h_c(t | b) S(t | b)] dt,   b ~ N(0, D)

with S the probability of no event of any cause. The mean is a factor of the joint likelihood
(`longsurv.likelihood.joint`) of a patient without measurements who has an event of that cause at t;
the integral over time is a sum over Gauss-Legendre points, on the time scale that the likelihood
uses for its cumulative hazards.

Andrinopoulou et al. (2015), Stat Med 34:3200-3213.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.quadrature import NormalGrid, time_points
from longsurv.likelihood import joint

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

COPIES_AT_ONCE = 20_000
POINTS_WITH_KNOTS = 30
"""Of the integral over time with a spline, within 1e-5 of more; pieces would need more still."""


def mean_incidence(
    data: joint.JointData,
    design: JointDesign,
    cause: int,
    hazards: Sequence[pd.DataFrame],
    curves: Sequence[pd.DataFrame],
    entry: np.ndarray,
    horizon: float,
    thetas: np.ndarray,
    grid: NormalGrid,
    groups: int,
) -> np.ndarray:
    """Incidence of a cause by the horizon, averaged over each of equal groups of patients.

    Parameters
    ----------
    data : JointData
        Of the fit.
    design : JointDesign
    cause : int
        Position of the cause.
    hazards : sequence of DataFrame, each of n rows
        By cause, the event data of the patients.
    curves : sequence of DataFrame, each of n rows
        By marker, what its formula needs of them.
    entry : ndarray, shape (n,)
    horizon : float
    thetas : ndarray, shape (S, d)
    grid : NormalGrid
        For the random effects.
    groups : int
        The patients are so many groups of equal size, one after the other.

    Returns
    -------
    ndarray, shape (S, groups)
    """
    n = len(entry)
    baselines = [one.baseline for one in design.causes]
    breaks = [t for one in baselines for t in one.breaks]
    # A spline's third derivative jumps at its knots, which few points over all of time would feel.
    smooth = any(one.smoothed and one.knots for one in baselines)
    power = max(one.power for one in baselines)
    if smooth and breaks:
        breaks = [t for one in baselines for t in one.knots]
    many = POINTS_WITH_KNOTS if smooth and not breaks else None
    points = time_points(entry, np.full(n, float(horizon)), breaks, power, many)
    out = np.zeros((len(thetas), groups))
    for first in range(0, len(points.time), COPIES_AT_ONCE):
        some = slice(first, first + COPIES_AT_ONCE)
        who, time, weight = points.owner[some], points.time[some], points.weight[some]
        rows = [frame.iloc[who] for frame in curves]
        causes = tuple(
            joint.CauseData(
                np.full(len(who), float(k == cause)),
                one.event.fixed.rebuild(hazards[k].iloc[who]) - one.covariate_means,
                **vars(design.points(one, rows, hazards[k].iloc[who], entry[who], time)),
            )
            for k, one in enumerate(design.causes)
        )
        markers = tuple(marker.without_values(len(who)) for marker in data.markers)
        copies = joint.JointData(markers, causes, **vars(grid))
        group = who // (n // groups)
        for s, theta in enumerate(thetas):
            density = weight * np.exp(joint.log_survival_factors(copies, theta))
            out[s] += np.bincount(group, weights=density, minlength=groups)
    return out / (n // groups)
