"""The spread of site effects of largest likelihood, and what sites are not for."""

from __future__ import annotations

import numpy as np

from longsurv.design import SurvivalDesign
from longsurv.design.sites import Sites, reproduced
from longsurv.errors import EstimationError, LongsurvError
from longsurv.results.survival.sites import SpreadClimb

GRID = (0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""Standard deviations among which the largest likelihood is looked for first."""
NO_GAIN = 1e-7
"""Log-likelihood by which sites have to be likelier than none."""


def counts(formula: str, design: SurvivalDesign) -> np.ndarray:
    """Weighted events of each site, shape (J,).

    Raises
    ------
    LongsurvError
        For weights or clusters that would need a robust covariance.
    """
    assert design.sites is not None
    weights = np.ones(len(design.event)) if design.weights is None else design.weights
    if design.cluster is not None or (weights != np.round(weights)).any():
        raise LongsurvError(
            f"{formula!r}: beside site effects there is no robust covariance, as cluster() and "
            "weights that are not whole numbers need; leave one of the two out"
        )
    return design.sites.sums(weights * design.event)


def not_separated(formula: str, moving: str) -> EstimationError:
    """Why a model with site effects has no maximum where one without has none."""
    return EstimationError(
        f"{formula!r} cannot be estimated: separated groups, the likelihood increases with "
        f"{moving} without end, and Firth's penalty is not for models with site effects; "
        "leave the sites out, or sample"
    )


def check_told_apart(formula: str, design: SurvivalDesign) -> None:
    """Refuse covariates that make every difference between sites.

    Raises
    ------
    EstimationError
    """
    sites = design.sites
    assert sites is not None
    if reproduced(sites, design.fixed.X, design.stratum):
        raise EstimationError(
            f"{formula!r} cannot be estimated: the covariates make every difference between the "
            f"values of {sites.name} (with one in each arm, say), so the data cannot tell the two "
            f"apart; leave (1 | {sites.name}) or these covariates out, or sample: its priors say "
            "how far sites may differ"
        )


def likeliest(found: SpreadClimb, without: float, formula: str, sites: Sites) -> float:
    """The standard deviation of largest likelihood, 0 where none is likelier than `without`.

    Parameters
    ----------
    found : SpreadClimb
    without : float
        Log-likelihood without site effects.
    formula : str
        For messages.
    sites : Sites

    Raises
    ------
    EstimationError
        If the likelihood still increases as sites differ more and more.
    """
    values = [found.value(GRID[0])]
    for s in GRID[1:]:
        values.append(found.value(s))
        if values[-1] < max(values) - 10.0:
            break
    best = int(np.argmax(values))
    if best == len(GRID) - 1:
        raise EstimationError(
            f"{formula!r} cannot be estimated: the likelihood still increases as the "
            f"{sites.name} differ more and more; sample() puts a prior on how much they do"
        )
    if best == 0 and found.slope(GRID[0]) <= 0.0:
        return 0.0
    s = _top(found, GRID[max(best - 1, 0)], GRID[best + 1])
    return s if found.value(s) > without + NO_GAIN else 0.0


def _top(found: SpreadClimb, low: float, high: float) -> float:
    """Where the slope changes its sign between two standard deviations, or the best between."""
    from scipy.optimize import brentq, minimize_scalar

    if found.slope(low) > 0.0 > found.slope(high):
        return float(brentq(found.slope, low, high, xtol=1e-12, rtol=1e-12))
    best = minimize_scalar(lambda s: -found.value(s), bounds=(low, high), method="bounded")
    return float(best.x)
