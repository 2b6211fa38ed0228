"""Hazards and cumulative hazards of the rows of a likelihood, with their derivatives."""

from __future__ import annotations

import numpy as np

from longsurv.likelihood.hazard.data import HazardData
from longsurv.likelihood.hazard.kernel import Floats
from longsurv.likelihood.hazard.rows import Events, Stretches


def increments(data: HazardData, stretches: Stretches, theta: Floats) -> tuple[Floats, Floats]:
    """Cumulative hazard of each stretch and its derivative, shapes (r,) and (r, p + K).

    In the kernel's coordinates; weights are included.
    """
    p = stretches.X.shape[1]
    level = stretches.weight * np.exp(stretches.offset + stretches.X @ theta[:p])
    mu, tail = data.form.increments(stretches, level, theta[p:])
    return mu, np.hstack([mu[:, None] * stretches.X, tail])


def log_hazards(data: HazardData, events: Events, theta: Floats) -> tuple[Floats, Floats]:
    """Log hazard at each event and its derivative, shapes (e,) and (e, p + K)."""
    p = events.X.shape[1]
    eta = events.offset + events.X @ theta[:p]
    value, tail = data.form.log_hazards(events, eta, theta[p:])
    return value, np.hstack([events.X, tail])
