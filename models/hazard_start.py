"""Steps of a hazard model: start, default priors, smoothing of a spline, draws, refusals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign, centred
from longsurv.design.hazard import HazardDesign
from longsurv.design.hazards import HazardBaseline
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Draws, Optimum, added, sample_posterior
from longsurv.inference.scoring import ascend
from longsurv.likelihood import hazard as hz
from longsurv.models.cox_priors import climbed_in
from longsurv.models.hazard_coordinates import ShapeCoordinates

LEVEL_SD, SHAPE_SD, TREND_SD = 5.0, 0.5, 0.5
SMOOTHEST, ROUGHEST = 0.05, 10.0
SD = "sd(log hazard)"


def start(hazard: HazardDesign) -> np.ndarray:
    """No effects and a constant hazard; a spline's z at 0."""
    base = hazard.baseline
    tail = np.full(base.size, hazard.level)
    tail[base.levels :] = 0.0
    return np.concatenate([np.zeros(len(hazard.names)), tail])


def centred_covariates(hazard: HazardDesign, data: pd.DataFrame) -> CentredDesign:
    """The covariates in variables centred before their products are formed.

    Means and SDs are over the time at risk, so that follow-up cut into rows changes nothing.
    """
    rows = data.iloc[hazard.survival.rows]
    return centred(hazard.survival.fixed, rows, _at_risk(hazard), intercept=False)


def _at_risk(hazard: HazardDesign) -> np.ndarray:
    d = hazard.survival
    return (d.exit - d.entry) * (1.0 if d.weights is None else d.weights)


def default_priors(hazard: HazardDesign, centred: CentredDesign) -> dict[str, pr.Prior]:
    """Default priors in the order of the parameters; see `Hazard.default_priors`."""
    scale = centred.unit
    sds = [*(1.0 / scale), *(TREND_SD / scale[list(hazard.varying)])]
    priors: dict[str, pr.Prior] = {
        name: pr.Normal(0.0, float(s)) for name, s in zip(hazard.names, sds, strict=True)
    }
    for k, name in enumerate(hazard.baseline.names):
        shape = k >= hazard.baseline.levels
        priors[name] = pr.Normal(0.0, SHAPE_SD) if shape else pr.Normal(hazard.level, LEVEL_SD)
    if hazard.baseline.smoothed:
        priors |= {f"shape[{k}]": pr.Normal(0.0, 1.0) for k in range(1, hazard.baseline.size)}
        priors[SD] = pr.Exponential(1.0)
    return priors


def prior_basis(
    hazard: HazardDesign, centred: CentredDesign, given: Mapping[str, pr.Prior] | None
) -> tuple[np.ndarray | None, tuple[pr.Alike, ...]]:
    """What default priors are of: coefficients of centred variables, and the level at the mean
    over the time at risk; see `PriorStack.basis` and `PriorStack.alike`."""
    p, k = len(hazard.names), len(hazard.survival.fixed.names)
    levels = hazard.baseline.names[: hazard.baseline.levels]
    size = p + len(levels)
    to = np.eye(size)
    to[:k, :k] = centred.to
    # A factor's changes with log time are differences between its levels too, and a product's are
    # those at the means of the others, as far as these change too.
    varying = list(hazard.varying)
    others = np.delete(np.arange(k), varying)
    own = (centred.to[np.ix_(varying, others)] == 0.0).all(axis=1)
    to[k:p, k:p] = np.where(own[:, None], centred.to[np.ix_(varying, varying)], to[k:p, k:p])
    at_risk = _at_risk(hazard)
    to[p:, :k] = at_risk @ hazard.survival.fixed.X / at_risk.sum() - hazard.centre
    names = (*hazard.names, *levels)
    at = {j: k + i for i, j in enumerate(hazard.varying)}
    changing = [
        (tuple(at[j] for j in columns), root)
        for columns, root in centred.alike
        if at.keys() >= set(columns)
    ]
    alike = (*centred.alike, *changing)
    return pr.centred_basis(to, names, given, hazard.survival.fixed.variables, alike)


def climb(hazard: HazardDesign, smoothing: float, firth: bool, start: np.ndarray) -> Optimum:
    """Maximise the (penalised) likelihood for one smoothing."""
    density = partial(hz.value_gradient_information, hazard.data, smoothing=smoothing, firth=firth)
    return ascend(density, start, hazard.names, exact=not firth)


def smoothest_likely(hazard: HazardDesign, firth: bool) -> tuple[float, Optimum]:
    """The smoothing of largest marginal likelihood, by Laplace's approximation, and its climb.

    The marginal likelihood integrates coefficients, level and z out, with z ~ N(0, I) (Wood 2011,
    J R Stat Soc B 73:3-36). It is flat at 0, where the hazard is constant and often its maximum
    with few events: that value is compared with the best of the others.
    """
    from scipy.optimize import minimize_scalar

    first = len(hazard.names) + 1
    best = climb(hazard, 0.0, firth, start(hazard))
    constant = _marginal(best)
    last: dict[str, Any] = {"s": 1.0, "x": best.x}

    def at(s: float) -> Optimum:
        x = last["x"].copy()
        x[first:] *= last["s"] / s  # the same shape
        found = climb(hazard, s, firth, x)
        last.update(s=s, x=found.x)
        return found

    bounds = (math.log(SMOOTHEST), math.log(ROUGHEST))
    found = minimize_scalar(
        lambda log_s: -_marginal(at(math.exp(log_s))),
        bounds=bounds,
        method="bounded",
        options={"xatol": 0.01},
    )
    if not -found.fun > constant + 1e-6:
        return 0.0, best
    smoothing = math.exp(float(found.x))
    return smoothing, at(smoothing)


def _marginal(optimum: Optimum) -> float:
    """Laplace's approximation up to a constant; -inf where there is no maximum."""
    sign, log_det = np.linalg.slogdet(-optimum.hessian)
    if sign <= 0 or not np.isfinite(optimum.value):
        return -math.inf
    return optimum.value - 0.5 * float(log_det)


def draw(
    hazard: HazardDesign,
    stack: pr.PriorStack,
    centred: CentredDesign,
    smoothing: float | None,
    **how: Any,
) -> tuple[Optimum, Draws | None]:
    """Mode and draws of the parameters; `how` is draws, tune, chains and seed."""
    density = added(
        partial(hz.value_and_gradient, hazard.data, smoothing=smoothing), stack.value_and_gradient
    )
    coordinates = None
    if hazard.baseline.smoothed and smoothing is None:
        coordinates = ShapeCoordinates(hazard.shape_information)
        density = coordinates.density(density)
    begin = start(hazard)
    begin = np.concatenate([begin, np.zeros(len(stack.names) - len(begin))])
    mode, drawn = sample_posterior(
        density,
        begin,
        names=stack.names,
        deviations=stack.deviations,
        coordinates=climbed_in(centred, len(begin)),
        draws=how["draws"],
        tune=how["tune"],
        chains=how["chains"],
        seed=how["seed"],
    )
    if coordinates is None or drawn is None:
        return mode, drawn
    mode = replace(mode, x=coordinates.outward(mode.x))
    return mode, replace(coordinates.drawn(drawn), mode=mode)


def check_smoothing(base: HazardBaseline, smoothing: float | None) -> None:
    """Refuse a smoothing where there is nothing to smooth, and negative ones."""
    if smoothing is None:
        return
    if not base.smoothed:
        raise LongsurvError(f"the {base.kind} baseline has no smoothing")
    if not (np.isfinite(smoothing) and smoothing >= 0):
        raise LongsurvError(f"smoothing is a number of at least 0, got {smoothing!r}")


def check_pieces(hazard: HazardDesign) -> None:
    """Refuse to maximise where some pieces have no events."""
    d = hazard.survival
    if empty := hazard.baseline.without_events(d.exit[d.event == 1]):
        raise EstimationError(
            f"no events in {', '.join(empty)}: the hazard there is 0 by maximum likelihood; "
            "give fewer knots, an 'mspline' baseline, or sample"
        )
