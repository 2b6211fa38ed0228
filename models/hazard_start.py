"""Steps of a hazard model: start, climb, smoothing of a spline, draws, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign
from longsurv.design.hazard import HazardDesign
from longsurv.design.hazards import HazardBaseline
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Draws, Optimum, added, sample_posterior
from longsurv.inference.density import LogDensity
from longsurv.inference.scoring import ascend
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.hazard.separation import separation
from longsurv.models import hazard_between
from longsurv.models.cox_priors import climbed_in
from longsurv.models.hazard_coordinates import ShapeCoordinates

SMOOTHEST, ROUGHEST = 0.05, 10.0


def start(hazard: HazardDesign) -> np.ndarray:
    """No effects and a constant hazard; a spline's z at 0. Another shape where the baseline has
    some to try, and one of them is likelier."""
    base = hazard.baseline
    tail = np.full(base.size, hazard.level)
    tail[base.levels :] = 0.0
    constant = np.concatenate([np.zeros(len(hazard.names)), tail])
    if hazard.survival.windows is not None or not base.shapes:
        return constant
    others = [_with_shape(hazard, constant, shape) for shape in base.shapes]
    return max([constant, *others], key=lambda x: hz.value_and_gradient(hazard.data, x)[0])


def _with_shape(hazard: HazardDesign, at: np.ndarray, shape: float) -> np.ndarray:
    """A start with another shape, at the level that has as many events as there are."""
    d, level = hazard.survival, len(hazard.names)
    x = at.copy()
    x[level:] = 0.0, shape
    events = float(d.event.sum() if d.weights is None else d.weights @ d.event)
    x[level] = math.log(events / (events - hz.value_and_gradient(hazard.data, x)[1][level]))
    return x


def maximum(
    formula: str, hazard: HazardDesign, penalty: str | None, smoothing: float | None
) -> Optimum:
    """The maximum of the (penalised) likelihood, under the smoothing given or that of largest
    marginal likelihood; of Firth's where asked for or where that has no maximum."""
    check_smoothing(hazard.baseline, smoothing)
    check_pieces(hazard)
    separated = separation(hazard.data)
    if hazard.survival.windows is not None:
        hazard_between.check_plain(formula, hazard, penalty, separated)
    firth = penalty == "firth" or separated is not None
    if hazard.baseline.smoothed and smoothing is None:
        smoothing, optimum = smoothest_likely(hazard, partial(climb, hazard, firth=firth))
    else:
        optimum = climb(hazard, smoothing or 0.0, start(hazard), firth=firth)
    if not np.isfinite(optimum.value):
        raise EstimationError(f"{formula!r} cannot be estimated: {optimum.status}")
    if hazard.survival.windows is not None:
        hazard_between.check_determined(formula, hazard, optimum, smoothing or 0.0)
    penalty = "firth" if firth else None
    return replace(optimum, penalty=penalty, separated=separated, smoothing=smoothing)


def climb(
    hazard: HazardDesign, smoothing: float, start: np.ndarray, *, firth: bool = False
) -> Optimum:
    """Maximise the (penalised) likelihood for one smoothing."""
    density = partial(hz.value_gradient_information, hazard.data, smoothing=smoothing, firth=firth)
    return ascend(density, start, hazard.names, exact=not firth)


def smoothest_likely(
    hazard: HazardDesign, climb: Callable[[float, np.ndarray], Optimum]
) -> tuple[float, Optimum]:
    """The smoothing of largest marginal likelihood, by Laplace's approximation, and its climb.

    `climb` goes from a start to the maximum for one smoothing.

    The marginal likelihood integrates coefficients, level and z out, with z ~ N(0, I) (Wood 2011,
    J R Stat Soc B 73:3-36). It is flat at 0, where the hazard is constant and often its maximum
    with few events: that value is compared with the best of the others.
    """
    from scipy.optimize import minimize_scalar

    first = len(hazard.names) + 1
    best = climb(0.0, start(hazard))
    constant = _marginal(best)
    last = (1.0, best.x)

    def at(s: float) -> Optimum:
        nonlocal last
        x = last[1].copy()
        x[first:] *= last[0] / s  # the same shape
        found = climb(s, x)
        last = (s, found.x)
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
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
) -> tuple[Optimum, Draws | None]:
    """Mode and draws of the parameters; None for draws where there is no mode."""
    begin = start(hazard)
    begin = np.concatenate([begin, np.zeros(len(stack.names) - len(begin))])
    likelihood = partial(hz.value_and_gradient, hazard.data, smoothing=smoothing)
    return drawn_from(
        likelihood, begin, hazard, stack, centred, smoothing,
        draws=draws, tune=tune, chains=chains, seed=seed,
    )  # fmt: skip


def drawn_from(
    likelihood: LogDensity,
    begin: np.ndarray,
    hazard: HazardDesign,
    stack: pr.PriorStack,
    centred: CentredDesign,
    smoothing: float | None,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
) -> tuple[Optimum, Draws | None]:
    """The same from a log-likelihood of the parameters of `stack`, of which those of the hazard
    come first, and a place to begin."""
    density = added(likelihood, stack.value_and_gradient)
    coordinates = None
    if hazard.baseline.smoothed and smoothing is None:
        coordinates = ShapeCoordinates(len(hazard.names) + 1, hazard.shape_information)
        density = coordinates.density(density)
    mode, drawn = sample_posterior(
        density,
        begin,
        names=stack.names,
        deviations=stack.deviations,
        coordinates=climbed_in(centred, len(begin)),
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
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
    if d.windows is not None:
        return  # an event may be in any of several pieces: seen at the maximum
    if empty := hazard.baseline.without_events(d.exit[d.event == 1]):
        raise EstimationError(
            f"no events in {', '.join(empty)}: the hazard there is 0 by maximum likelihood; "
            "give fewer knots, an 'mspline' baseline, or sample"
        )
