"""The hazard model in PyMC, written out from the times themselves.

Meant to be read and extended, and to check the fast kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from longsurv.design.hazard import HazardDesign
from longsurv.models.twin_parameters import parameters
from longsurv.priors import PriorStack


def twin(hazard: HazardDesign, stack: PriorStack, smoothing: float | None) -> Any:
    """The likelihood of a design with the priors of a stack, as a `pymc.Model`."""
    import pymc as pm

    d, base, p = hazard.survival, hazard.baseline, len(hazard.names)
    offset = np.zeros(len(d.exit)) if d.offset is None else d.offset
    weight = np.ones(len(d.exit)) if d.weights is None else d.weights
    dead = d.event == 1
    with pm.Model() as model:
        values = list(parameters(stack).values())
        beta = pm.math.stack(values[:p]) if p else np.zeros(0)
        tail = values[p:]

        def eta(rows: np.ndarray, t: np.ndarray) -> Any:
            return hazard.columns(d.fixed.X[rows], t) @ beta + offset[rows]

        if base.kind == "weibull":
            level, k = pm.math.exp(tail[0]), pm.math.exp(tail[1])

            def h0(t: np.ndarray) -> Any:
                return level * k / t * (t / base.unit) ** k

            def H0() -> Any:
                return level * ((d.exit / base.unit) ** k - (d.entry / base.unit) ** k)

        else:
            c = (
                _spline(hazard, tail, smoothing)
                if base.kind == "mspline"
                else pm.math.exp(pm.math.stack(tail))
            )

            def h0(t: np.ndarray) -> Any:
                return base.hazard(t) @ c

            def H0() -> Any:
                return (base.cumulative(d.exit) - base.cumulative(d.entry)) @ c

        rows = np.flatnonzero(dead)
        log_h = eta(rows, d.exit[rows]) + pm.math.log(h0(d.exit[rows]))
        value = (weight[rows] * log_h).sum()
        if not hazard.varying:
            everyone = np.arange(len(d.exit))
            value -= (weight * pm.math.exp(eta(everyone, d.exit)) * H0()).sum()
        else:
            s = hazard.data.stretches  # points of quadrature, whose weights have Weibull's 1 / t
            t = np.exp(s.Q[:, 0]) * base.unit if base.kind == "weibull" else _times(hazard)
            w = s.weight * t if base.kind == "weibull" else s.weight
            value -= (w * pm.math.exp(eta(s.owner, t)) * h0(t)).sum()
        pm.Potential("log_likelihood", value)
    return model


def _spline(hazard: HazardDesign, tail: list[Any], smoothing: float | None) -> Any:
    """exp(level) v / q'v, where log v is that of a constant hazard and s times a random walk."""
    import pymc as pm

    base, d = hazard.baseline, hazard.survival
    s = tail[-1] if smoothing is None else smoothing
    walk = hazard.data.walk @ pm.math.stack(tail[1 : base.size])
    v = base.constant * pm.math.exp(s * walk)
    weight = np.ones(len(d.exit)) if d.weights is None else d.weights
    spent = weight @ (base.cumulative(d.exit) - base.cumulative(d.entry))
    mean_cumulative = (spent / weight[d.first_rows].sum() * v).sum()
    return pm.Deterministic("coefficients", pm.math.exp(tail[0]) * v / mean_cumulative)


def _times(hazard: HazardDesign) -> np.ndarray:
    from longsurv.design.hazard import POINTS, POWER
    from longsurv.design.quadrature import time_points

    d = hazard.survival
    return time_points(d.entry, d.exit, hazard.baseline.breaks, POWER, POINTS).time
