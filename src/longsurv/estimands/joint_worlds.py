"""A cohort in worlds in which treatment acts on the hazard, on the marker, or on both.

In world (d, m) the hazard has treatment d and the marker's curve is that under treatment m. Of
patients in any of them nothing is known but covariates and entry: their random effects have the
distribution N(0, D), which is integrated out.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.quadrature import normal_grid
from longsurv.estimands.joint_incidence import mean_incidence
from longsurv.estimands.treatments import with_treatment
from longsurv.likelihood import joint

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

WORLDS = ((0, 0), (1, 0), (1, 1))  # treatment of the hazard, of the marker
MOST_NODES = {1: 15, 2: 13}
FEWER_NODES, MOST_POINTS = 7, 2500


def in_worlds(
    design: JointDesign, treatment: str, levels: tuple[Hashable, Hashable]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame], np.ndarray]:
    """Event data by cause, covariates by marker, and entries of the patients of all worlds."""

    def under(frame: pd.DataFrame, which: int) -> pd.DataFrame:
        return with_treatment(frame, treatment, levels[which]) if treatment in frame else frame

    hazards = [
        pd.concat([under(cause.rows, d) for d, _ in WORLDS], ignore_index=True)
        for cause in design.causes
    ]
    curves = [
        pd.concat([under(marker.curve.patients, m) for _, m in WORLDS], ignore_index=True)
        for marker in design.markers
    ]
    entry = np.zeros(len(design.labels)) if design.from_zero else design.entry
    return hazards, curves, np.tile(entry, len(WORLDS))


def worlds(
    data: joint.JointData,
    design: JointDesign,
    treatment: str,
    levels: tuple[Hashable, Hashable],
    horizon: float,
) -> joint.JointData:
    """The cohort in each of the three worlds, unmeasured and followed to the horizon: 3 N patients.

    Parameters
    ----------
    data : JointData
        Of the fit.
    design : JointDesign
    treatment : str
    levels : tuple
        Reference and treated.
    horizon : float
    """
    cause, n = design.causes[0], len(WORLDS) * len(design.labels)
    (hazard,), curves, entry = in_worlds(design, treatment, levels)
    points = design.points(cause, curves, hazard, entry, np.full(n, float(horizon)))
    covariates = cause.event.fixed.rebuild(hazard) - cause.covariate_means
    return joint.JointData(
        tuple(marker.without_values(n) for marker in data.markers),
        (joint.CauseData(np.zeros(n), covariates, **vars(points)),),
        **vars(normal_grid(_nodes(data), data.q)),
    )


def standardised(data: joint.JointData, thetas: np.ndarray, n: int) -> np.ndarray:
    """Mean survival in each world at each parameter vector (S, d): shape (S, worlds)."""
    logs = np.array([joint.log_survival_factors(data, theta) for theta in thetas])
    return np.exp(np.minimum(logs, 0.0)).reshape(len(thetas), -1, n).mean(axis=2)


def incidences(
    data: joint.JointData,
    design: JointDesign,
    cause: int,
    treatment: str,
    levels: tuple[Hashable, Hashable],
    horizon: float,
    thetas: np.ndarray,
) -> np.ndarray:
    """Mean incidence of a cause in each world at each parameter vector (S, d): (S, worlds)."""
    people = in_worlds(design, treatment, levels)
    grid = normal_grid(_nodes(data), data.q)
    return mean_incidence(data, design, cause, *people, horizon, thetas, grid, len(WORLDS))


def _nodes(data: joint.JointData) -> int:
    """Nodes for random effects of which nothing is known, as many as are needed or affordable."""
    nodes = max(MOST_NODES.get(data.q, FEWER_NODES), len(data.nodes))
    while nodes > len(data.nodes) and nodes**data.q > MOST_POINTS:
        nodes -= 2
    return nodes
