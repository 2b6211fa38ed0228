"""The hazard model in PyMC, written out from the times themselves.

Meant to be read and extended, and to check the fast kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longsurv.design.hazard import POINTS, POWER, HazardDesign
from longsurv.design.quadrature import time_points
from longsurv.models.cox_twin import site_effects
from longsurv.models.twin_parameters import parameters
from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from pymc import Model
    from pytensor.tensor import TensorVariable


def twin(hazard: HazardDesign, stack: PriorStack, smoothing: float | None, frailty: str) -> Model:
    """The likelihood of a design with the priors of a stack, as a `pymc.Model`."""
    import pymc as pm
    import pytensor.tensor as pt

    d, base, p = hazard.survival, hazard.baseline, len(hazard.names)
    offset = np.zeros(len(d.exit)) if d.offset is None else d.offset
    weight = np.ones(len(d.exit)) if d.weights is None else d.weights
    dead = d.event == 1 if d.windows is None else d.windows.exact
    last = d.exit if d.windows is None else d.windows.left
    with pm.Model() as model:
        named = parameters(stack)
        shared = np.zeros(len(d.exit))
        if d.sites is not None:
            s = named.pop(d.sites.deviation)
            shared = site_effects(d.sites, s, frailty)[d.sites.group]
        values = list(named.values())
        beta = pm.math.stack(values[:p]) if p else np.zeros(0)
        tail = values[p:]

        def eta(rows: np.ndarray, t: np.ndarray) -> TensorVariable:
            return hazard.columns(d.fixed.X[rows], t) @ beta + offset[rows] + shared[rows]

        c = _smoothed(hazard, tail, smoothing) if base.smoothed else base.twin_natural(tail)
        rows = np.flatnonzero(dead)
        log_h = eta(rows, d.exit[rows]) + pm.math.log(base.twin_hazard(c, d.exit[rows]))
        value = (weight[rows] * log_h).sum()
        if not hazard.varying:
            everyone = np.arange(len(d.exit))
            H0 = base.twin_between(c, d.entry, last)
            value -= (weight * pm.math.exp(eta(everyone, d.exit)) * H0).sum()
            if d.windows is not None:
                i = np.flatnonzero(d.windows.open)
                within = base.twin_between(c, d.windows.left[i], d.windows.right[i])
                D = pm.math.exp(eta(i, d.exit[i])) * within
                value += (weight[i] * pm.math.log(-pt.expm1(-D))).sum()
        else:
            points = time_points(d.entry, d.exit, base.breaks, POWER, POINTS)
            i, t, w = points.owner, points.time, weight[points.owner] * points.weight
            value -= (w * pm.math.exp(eta(i, t)) * base.twin_hazard(c, t)).sum()
        pm.Potential("log_likelihood", value)
    return model


def _smoothed(
    hazard: HazardDesign, tail: list[TensorVariable], smoothing: float | None
) -> TensorVariable:
    """exp(level) v / q'v, where log v is that of a constant hazard and s times a random walk."""
    import pymc as pm

    data = hazard.data
    s = tail[-1] if smoothing is None else smoothing
    walk = data.walk @ pm.math.stack(tail[1 : hazard.baseline.size])
    v = data.constant * pm.math.exp(s * walk)
    return pm.Deterministic("coefficients", pm.math.exp(tail[0]) * v / (data.exposure * v).sum())
