"""A hazard model with site effects: its maximum, and its posterior.

    h_ij(t) = h_0(t) exp(x_ij' beta + b_j)

for patient i of site j. Both engines have the effects integrated out, each site's by itself
(`likelihood.hazard.sites`): nothing is approximated, and a posterior draws the effects last, from
their distribution given the data and the parameters.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign
from longsurv.design.hazard import HazardDesign
from longsurv.errors import EstimationError
from longsurv.inference import Draws, Optimum, identify
from longsurv.inference.density import LogDensity
from longsurv.likelihood.cox.frailty import SiteEffects
from longsurv.likelihood.hazard.sites import SiteHazards
from longsurv.models import hazard_start
from longsurv.models.site_spread import check_told_apart, counts, likeliest, not_separated
from longsurv.results.survival.hazard_site_climb import HazardSiteClimb, climb_at

ROUNDS = 20
"""Turns of smoothing and spread, each of largest likelihood given the other."""
SETTLED = 0.02
"""Change of the log smoothing within which its search ends anyway."""


def site_hazards(formula: str, hazard: HazardDesign, effects: SiteEffects) -> SiteHazards:
    """Arrays of the likelihood with the sites of the rows.

    Raises
    ------
    LongsurvError
        For weights or clusters that would need a robust covariance.
    """
    design = hazard.survival
    assert design.sites is not None
    return SiteHazards(hazard.data, design.sites.group, counts(formula, design), effects)


def maximum(
    formula: str, hazard: HazardDesign, sites: SiteHazards, smoothing: float | None
) -> Optimum:
    """The maximum over the effects' standard deviation, which may be 0.

    Of a spline whose smoothing is not given, that is of largest marginal likelihood given the
    spread, and the spread of largest likelihood given the smoothing.

    Returns
    -------
    Optimum
        Of the parameters and then the standard deviation; its Hessian is of both together.

    Raises
    ------
    EstimationError
        If the data do not determine a coefficient or tell sites from covariates, the groups are
        separated, or the likelihood still increases as sites differ more and more.
    """
    check_told_apart(formula, hazard.survival)
    without = _without(formula, hazard, smoothing)
    assert hazard.survival.sites is not None
    evaluations, estimated = without.evaluations, hazard.baseline.smoothed and smoothing is None
    for _ in range(ROUNDS):
        rough = without.smoothing or 0.0
        found = HazardSiteClimb(sites, without.x, rough)
        s = likeliest(found, without.value, formula, hazard.survival.sites)
        evaluations += found.evaluations
        if not estimated or s == 0.0:
            break
        again = hazard_start.smoothest_likely(hazard, partial(climb_at, sites, s))[0]
        if abs(np.log((again + 1e-6) / (rough + 1e-6))) <= SETTLED:
            break
        top = hazard_start.climb(hazard, again, hazard_start.start(hazard))
        without = replace(top, smoothing=again)
    x = np.append(without.x if s == 0.0 else found.at(s).x, s)
    if s == 0.0:
        return replace(
            without, x=x, gradient=np.zeros(len(x)), evaluations=evaluations,
            at_boundary=(hazard.survival.sites.deviation,),
        )  # fmt: skip
    top = found.at(s)
    gradient, information = sites.with_spread(top.x, s, rough)
    return replace(
        top, x=x, gradient=gradient, hessian=-information, free=np.arange(len(x)),
        evaluations=evaluations, smoothing=without.smoothing,
        newton_decrement=0.5 * float(gradient @ identify(information).cov @ gradient),
    )  # fmt: skip


def _without(formula: str, hazard: HazardDesign, smoothing: float | None) -> Optimum:
    """The maximum without site effects.

    Where there is none, or none of some coefficients, there is none with site effects either.
    """
    top = hazard_start.maximum(formula, hazard, None, smoothing)
    if top.separated is not None:
        raise not_separated(
            formula, ", ".join(hazard.names[j] for j in np.flatnonzero(top.separated))
        )
    flat = identify(-top.hessian).flat.of(np.arange(len(hazard.names)))
    lost = [n for n, known in zip(hazard.names, flat.determined, strict=True) if not known]
    if lost:
        raise EstimationError(
            f"{formula!r} cannot be estimated: the data do not determine {', '.join(lost)}"
        )
    return top


def density(sites: SiteHazards, smoothing: float | None) -> LogDensity:
    """The log-likelihood of parameters and, last, the log standard deviation of the effects."""

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        s = float(np.exp(theta[-1]))
        value, slope, by_s = sites.value_and_gradient(theta[:-1], s, smoothing)
        return value, np.append(slope, by_s)

    return value_and_gradient


def draw(
    hazard: HazardDesign, sites: SiteHazards, stack: pr.PriorStack, centred: CentredDesign,
    smoothing: float | None, *, draws: int, tune: int, chains: int, seed: int,
) -> tuple[Optimum, Draws | None]:  # fmt: skip
    """Mode and draws of the parameters and, last, the log standard deviation of the effects."""
    begin = hazard_start.start(hazard)
    begin = np.concatenate([begin, np.zeros(len(stack.names) - len(begin))])
    begin[-1] = np.log(0.3)
    return hazard_start.drawn_from(
        density(sites, smoothing), begin, hazard, stack, centred, smoothing,
        draws=draws, tune=tune, chains=chains, seed=seed,
    )  # fmt: skip
