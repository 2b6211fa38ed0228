"""The odds of a better outcome in one group over those in another, whatever counts as better.

    P(y > k | group) / P(y <= k | group)  =  OR x the same of the reference,   for every k

One number for the whole order of outcomes, if the ratio is the same at every cut. With every
outcome a category of its own the outcomes may be measurements, deaths among them as the worst.

`proportional_odds` maximises the likelihood, with its profile's interval. `odds_posterior` is the
profile posterior: the profile likelihood of log OR times its normal prior, on a grid, without
chains; it has an answer even where the groups hardly overlap. The thresholds are at their best and
not integrated out. With one for every outcome, integrating them under a flat prior would not even
find the right ratio: with 600 outcomes, all different, it doubles log OR.

McCullagh (1980), J R Stat Soc B 42:109-142; Lee, Kosorok & Fine (2005), JASA 100:960-969 (the
profile posterior, and why its intervals are right).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import interpolate, optimize, stats

from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.worst_rank import two_groups_ranked
from longsurv.likelihood.odds.loglik import OddsProfile, profile
from longsurv.tables.notebook import Quantities

Floats = NDArray[np.float64]
SCALE = 2.5
"""Prior SD of the log odds ratio per SD of the group's indicator, as `GLMM` has it."""
_POINTS = 161
_LOW = 16.0  # log density below its peak from which on nothing is left
_FARTHEST = 100.0  # log OR beyond which no density is followed


@dataclass(frozen=True, repr=False)
class OddsRatio(Quantities):
    """A ratio of the odds of a better outcome.

    Attributes
    ----------
    estimate : float
        Maximum likelihood, or posterior median.
    conf_low, conf_high : float
        Of the profile likelihood, or equal-tailed.
    p_value : float
        Of the likelihood-ratio test that it is 1; NaN for a posterior.
    prob_positive : float
        Posterior probability that it is above 1; NaN for an estimate.
    """

    estimate: float
    conf_low: float
    conf_high: float
    p_value: float = np.nan
    prob_positive: float = np.nan


@checked
def proportional_odds(outcome: ArrayLike, treated: ArrayLike, *, level: float = 0.95) -> OddsRatio:
    """The odds ratio by maximum likelihood.

    With few patients its interval is a little narrow: in 2,500 simulated cohorts of 19 and 22
    patients, a fifth of them dead, it held the ratio in 93.6 %, in 600 of 60 and 60 in 94.5 %.

    Parameters
    ----------
    outcome : array_like, shape (n,)
        More is better; only the order matters.
    treated : array_like of bool, shape (n,)
        Who is in the group; the others are the reference.
    level : float
        Of the interval.

    Raises
    ------
    EstimationError
        If nobody of one group fares better than anybody of the other: the ratio has no bound.
    LongsurvError
        For a group of fewer than two, or outcomes that are all equal.
    """
    counts, apart = _table(outcome, treated)
    if apart:
        raise EstimationError(
            "no patient of one group fares better than any of the other: the odds ratio has no"
            " bound; its posterior and the rank test have an answer"
        )
    best = _climb(counts)
    drop = stats.chi2.ppf(level, 1) / 2.0
    step = np.sqrt(2.0 * drop / -best.curvature)

    def short(beta: float) -> float:
        return best.value - profile(best.beta + beta, counts, best.thresholds).value - drop

    ends = []
    for sign in (-1.0, 1.0):
        far = step
        while short(sign * far) < 0:
            far *= 1.6
        ends.append(optimize.brentq(short, 0.0, sign * far, xtol=1e-10))
    at_none = profile(0.0, counts).value
    low, high = sorted(np.exp(best.beta + np.array(ends)))
    p = stats.chi2.sf(max(0.0, 2.0 * (best.value - at_none)), 1)
    return OddsRatio(float(np.exp(best.beta)), float(low), float(high), p_value=float(p))


@checked
def odds_posterior(
    outcome: ArrayLike, treated: ArrayLike, *, level: float = 0.95, prior_sd: float | None = None
) -> OddsRatio:
    """The odds ratio's posterior.

    Parameters
    ----------
    outcome, treated, level
        As for `proportional_odds`.
    prior_sd : float, optional
        SD of the normal prior of log OR, around 0; by default 2.5 over the SD of the group's
        indicator (about 5), as `GLMM` has it.

    Raises
    ------
    LongsurvError
        For a group of fewer than two, outcomes that are all equal, or an SD that is not above 0.
    """
    if prior_sd is not None and not prior_sd > 0:
        raise LongsurvError(f"prior_sd must be above 0, not {prior_sd}")
    counts, _ = _table(outcome, treated)
    coarse, density = _density(counts, prior_sd)
    beta = np.linspace(coarse[0], coarse[-1], 20 * _POINTS)
    mass = interpolate.CubicSpline(coarse, density).antiderivative()(beta)
    tails = np.interp([0.5, 0.5 - level / 2.0, 0.5 + level / 2.0], mass / mass[-1], beta)
    above = 1.0 - float(np.interp(0.0, beta, mass / mass[-1], left=0.0, right=1.0))
    median, low, high = (float(v) for v in np.exp(tails))
    return OddsRatio(median, low, high, prob_positive=above)


def _density(counts: Floats, prior_sd: float | None = None) -> tuple[Floats, Floats]:
    """Posterior density of log OR on a grid that holds all but nothing of it.

    Parameters
    ----------
    counts : ndarray, shape (K, 2)
        Patients by outcome, the worst first, and group, the reference first.
    prior_sd : float, optional

    Returns
    -------
    log_ratio, density : ndarray, shape (points,)
    """
    of_each = counts.sum(axis=0)
    sd = prior_sd or SCALE * counts.sum() / float(np.sqrt(of_each.prod()))
    last: list[Floats] = []

    def log_density(beta: float) -> float:
        found = profile(beta, counts, last[-1] if last else None)
        last[:] = [found.thresholds]
        return found.value - beta**2 / (2.0 * sd**2)

    top = optimize.minimize_scalar(lambda b: -log_density(b), bracket=(0.0, 0.2), tol=1e-6)
    mode, peak = float(top.x), -float(top.fun)
    first, final = (_end(log_density, mode, peak, sign, sd) for sign in (-1.0, 1.0))
    beta = np.linspace(first, final, _POINTS)
    values = np.array([log_density(b) for b in beta]) - peak
    density: Floats = np.exp(values)
    return beta, density


def _end(
    log_density: Callable[[float], float], mode: float, peak: float, sign: float, sd: float
) -> float:
    """Where nothing of the density is left."""
    far = min(0.05 * sd, 0.5)
    while log_density(mode + sign * far) > peak - _LOW:
        far *= 1.3
        if abs(mode + sign * far) > _FARTHEST:
            raise EstimationError(
                "the groups hardly overlap, and the prior lets the odds ratio go on without end;"
                " give a smaller prior_sd"
            )
    return mode + sign * far


@dataclass(frozen=True, eq=False)
class _Best(OddsProfile):
    beta: float = 0.0


def _climb(counts: Floats) -> _Best:
    """Newton's method on the profile, which is concave."""
    beta, found, near = 0.0, profile(0.0, counts), 0
    for _ in range(100):
        step = found.slope / -found.curvature
        near += abs(found.slope * step) < 1e-10
        step = min(max(step, -2.0), 2.0)
        if near == 3:
            break
        new = profile(beta + step, counts, found.thresholds)
        while not near and new.value < found.value and abs(step) > 1e-12:
            step /= 2.0
            new = profile(beta + step, counts, found.thresholds)
        beta, found = beta + step, new
    return _Best(**vars(found), beta=beta)


def _table(outcome: ArrayLike, treated: ArrayLike) -> tuple[Floats, bool]:
    """Patients by outcome and group, and whether the groups only touch."""
    x, y = two_groups_ranked(outcome, treated)
    levels, place = np.unique(np.concatenate([y, x]), return_inverse=True)
    counts = np.zeros((len(levels), 2))
    np.add.at(counts, (place, np.repeat([0, 1], [len(y), len(x)])), 1.0)
    return counts, bool(x.min() >= y.max() or x.max() <= y.min())
