"""Whether the likelihood of a hazard model has a finite maximum in its regression coefficients.

The baseline's shape being given, the likelihood is that of counts: events linear in the log
hazard, expected events exponential in it. It rises for ever exactly along a direction (d, a) that
leaves the log hazard of every event alone and lowers that of some time at risk, raising none,

    d'x + a = 0 at events,    d'x + a <= 0 elsewhere, not 0 everywhere

(Santos Silva & Tenreyro 2010, Economics Letters 107:310-312; a group without events is the plain
case). An event between two times is an event here, one by a single time rises with its log hazard:
d'x + a >= 0. The equations usually leave no direction at all; otherwise a small linear programme
decides.
"""

from __future__ import annotations

import numpy as np

from longsurv.likelihood.hazard.data import HazardData
from longsurv.likelihood.hazard.kernel import Floats

TOLERANCE = 1e-7


def separation(data: HazardData) -> Floats | None:
    """Direction of the coefficients along which the likelihood rises for ever, or None.

    Parameters
    ----------
    data : HazardData

    Returns
    -------
    ndarray, shape (p,), or None
        Largest absolute value 1.
    """
    if data.between is None:
        return recession(data.stretches.X, data.events.X)
    before = np.zeros(data.units, dtype=bool)
    before[data.stretches.owner] = True  # has time at risk without the event, and so a least time
    X, least = data.between.stretches.X, before[data.between.owner[data.between.stretches.owner]]
    at_event = np.vstack([data.events.X, X[least]])
    return recession(data.stretches.X, at_event, X[~least])


def recession(X: np.ndarray, at_event: np.ndarray, by: np.ndarray | None = None) -> Floats | None:
    """The same from the covariates of all that is at risk (r, p) and of the events (e, p), and of
    those that happened at any time by another (l, p), whose log hazard may rise and not fall."""
    p = X.shape[1]
    if p == 0:
        return None
    by = np.zeros((0, p)) if by is None else by
    scale = np.abs(np.vstack([X, by])).max(axis=0)
    scale[scale == 0] = 1.0
    at_events = np.column_stack([at_event / scale, np.ones(len(at_event))])
    sizes, vectors = np.linalg.eigh(at_events.T @ at_events)
    free = vectors[:, sizes < TOLERANCE**1.5 * len(at_events)]
    if free.shape[1] == 0:
        return None
    at_risk = np.unique(np.column_stack([X / scale, np.ones(len(X))]), axis=0)
    if len(by):
        at_risk = np.vstack([
            at_risk, -np.unique(np.column_stack([by / scale, np.ones(len(by))]), axis=0)
        ])  # fmt: skip
    at_risk = at_risk @ free
    from scipy.optimize import linprog

    found = linprog(
        at_risk.sum(axis=0),
        A_ub=at_risk,
        b_ub=np.zeros(len(at_risk)),
        bounds=(-1, 1),
        method="highs",
    )
    if found.status != 0:
        raise ValueError(f"the check for separation failed: {found.message}")
    if not (at_risk @ found.x).min() < -TOLERANCE:
        return None
    direction = (free @ found.x)[:p]
    direction[np.abs(direction) < TOLERANCE * np.abs(direction).max()] = 0.0
    direction /= scale
    return direction / np.abs(direction).max()
