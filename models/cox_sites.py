"""Cox's model with site effects: its maximum, and its posterior.

    h_ij(t) = h_0(t) exp(x_ij' beta + b_j),    b_j ~ N(0, s^2)

for patient i of site j. As in R's coxme: given s, coefficients and effects maximise the penalised
partial likelihood together; s maximises the likelihood with the effects integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longsurv import priors as pr
from longsurv.design import SurvivalDesign
from longsurv.design.centred import CentredDesign
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Draws, Optimum, drawn, sample_posterior
from longsurv.likelihood import cox
from longsurv.likelihood.cox.frailty import SiteData, SiteEffects, effects_of
from longsurv.models.cox_climb import climb, statistics
from longsurv.models.cox_priors import climbed_in
from longsurv.models.site_spread import check_told_apart, counts, likeliest, not_separated
from longsurv.results.survival.site_climb import SiteClimb


def site_data(formula: str, design: SurvivalDesign, ties: str) -> SiteData:
    """Arrays of the partial likelihood with a column for each site.

    Raises
    ------
    LongsurvError
        For weights or clusters that would need a robust covariance.
    """
    sites = design.sites
    assert sites is not None
    events = counts(formula, design)
    X = np.hstack([design.fixed.X, sites.indicators])
    data = statistics(formula, replace(design, fixed=replace(design.fixed, X=X)), ties)
    return SiteData(data, design.fixed.X.shape[1], sites.group[data.order], events)


def maximum(
    formula: str, design: SurvivalDesign, sites: SiteData, effects: SiteEffects, ties: str
) -> Optimum:
    """The maximum over the effects' standard deviation, which may be 0.

    Returns
    -------
    Optimum
        Of coefficients, site effects and their standard deviation, in that order.

    Raises
    ------
    EstimationError
        If the data do not determine a coefficient or tell sites from covariates, the groups are
        separated, or the likelihood still increases as sites differ more and more.
    """
    check_told_apart(formula, design)
    assert design.sites is not None
    without = _without(formula, design, ties)
    found = SiteClimb(sites, effects)
    p, s = sites.p, likeliest(found, without.value, formula, design.sites)
    x = np.zeros(p + len(sites.events) + 1)
    evaluations = without.evaluations + len(found._found)
    if s == 0.0:
        x[:p] = without.x
        return replace(
            without, x=x, gradient=np.zeros(len(x)), at_boundary=(design.sites.deviation,),
            evaluations=evaluations,
        )  # fmt: skip
    peak, step = found.at(s), 1e-3 * s
    curvature = (found.slope(s + step) - found.slope(s - step)) / (2.0 * step)
    x[:-1], x[-1] = peak.x, s
    hessian = np.zeros((len(x), len(x)))
    hessian[:-1, :-1], hessian[-1, -1] = -peak.information, curvature
    gradient = np.zeros(len(x))
    gradient[-1] = found.slope(s)
    return replace(
        without, x=x, value=found.value(s), gradient=gradient, hessian=hessian,
        free=np.arange(len(x)), evaluations=evaluations,
        newton_decrement=0.5 * gradient[-1] ** 2 / abs(curvature),
    )  # fmt: skip


def _without(formula: str, design: SurvivalDesign, ties: str) -> Optimum:
    """The maximum of the partial likelihood without site effects.

    Where that has none, or none of some coefficients, there is none with site effects either.
    """
    names = design.fixed.names
    top = climb(statistics(formula, design, ties), names, None)
    if len(top.free) < len(names):
        raise EstimationError(f"{formula!r} cannot be estimated: {top.status}")
    if top.separated is not None:
        moving = ", ".join(names[j] for j in np.flatnonzero(top.separated))
        raise not_separated(formula, moving)
    if not np.isfinite(top.value):
        raise EstimationError(f"{formula!r} cannot be estimated: {top.status}")
    return top


def draw(
    formula: str, sites: SiteData, effects: SiteEffects, stack: pr.PriorStack,
    centred: CentredDesign, *, draws: int, tune: int, chains: int, seed: int,
) -> Draws:  # fmt: skip
    """Draws of coefficients, the log standard deviation, and the effects in units of it.

    The effects are drawn with the rest and not integrated out: nothing is approximated.
    """
    if effects.kind != "gaussian":
        raise LongsurvError("sample() has normal site effects; frailty='gamma' is for fit()")
    p, J = sites.p, len(sites.events)

    def density(theta: np.ndarray) -> tuple[float, np.ndarray]:
        s, z = np.exp(theta[p]), theta[p + 1 :]
        value, slope = cox.value_and_gradient(sites.data, effects_of(sites, theta))
        prior, gradient = stack.value_and_gradient(theta)
        gradient[:p] += slope[:p]
        gradient[p] += s * float(slope[p:] @ z)
        gradient[p + 1 :] += s * slope[p:] - z
        return value + prior - 0.5 * float(z @ z), gradient

    start = np.zeros(p + 1 + J)
    start[p] = np.log(0.3)
    names: Sequence[str] = (*stack.names, *(f"effect[{j + 1}]" for j in range(J)))
    found = sample_posterior(
        density, start, names=names, deviations=stack.deviations,
        coordinates=climbed_in(centred, len(start)),
        draws=draws, tune=tune, chains=chains, seed=seed,
    )  # fmt: skip
    return drawn(formula, found)
