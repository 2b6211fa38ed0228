"""The posterior of a weighted difference, without a model of the outcome.

The Bayesian bootstrap: the joint distribution of covariates, treatment and outcome is unknown and
sits on the patients observed, with probabilities pi_i. Each draw gives the patients Dirichlet
weights, estimates the propensity score with them and computes the weighted means from that score
and those weights, so that the uncertainty of the score is part of the posterior.

Rubin's improper prior, the product of 1 / pi_i, leads to Dirichlet(1, ..., 1) and to intervals as
narrow as a sandwich variance without correction. The prior here is the product of
pi_i^(-1 - p/n), which leads to Dirichlet(a, ..., a) with a = (n - p) / n: patients count for less
because p coefficients of the score are estimated from them, as in the factor n / (n - p) of the
sandwich. In 400 simulated cohorts of 41 patients with p = 7 the 95 % intervals held the truth in
90 % (Rubin's in 87 %, the sandwich's in 93 %): with so few patients they are still narrow.

Rubin (1981), Ann Stat 9:130-134; Saarela et al. (2015), Biometrics 71:279-288 (with a score).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.propensity import propensity_draws
from longsurv.estimands.propensity_result import PropensityWeights
from longsurv.estimands.weighting import outcome_of
from longsurv.own_order import in_own_order, own_order
from longsurv.words import plural, verb

_CELLS = 4_000_000  # draws x patients held at once


@checked
def bayesian_bootstrap(
    weights: PropensityWeights, outcome: ArrayLike, *, draws: int = 2000, seed: int = 1
) -> np.ndarray:
    """Draw the weighted difference in means from its posterior.

    Parameters
    ----------
    weights : PropensityWeights
        Of two arms.
    outcome : array_like
        A value for every row of the table the weights were made from, none missing in the rows
        used.
    draws, seed : int

    Returns
    -------
    ndarray, shape (draws,)
        Mean of the group minus that of the reference.

    Raises
    ------
    DataError
        If an outcome is missing.
    LongsurvError
        If the weights are cut off, or of more than two arms.
    """
    treated, arm = weights.treated, weights.arm
    if weights.truncated is not None:
        raise LongsurvError("draws are of whole weights; make the weights without truncate=")
    y = outcome_of(weights, outcome)
    if not np.isfinite(y).all():
        absent = int((~np.isfinite(y)).sum())
        raise DataError(
            f"{plural(absent, 'patient')} {verb(absent, 'has', 'have')} no outcome; leave them out"
        )
    rng, (n, p) = np.random.default_rng(seed), weights.X.shape
    order = own_order(weights.treated, weights.X, y)
    difference, done = np.empty(draws), 0
    while done < draws:
        size = min(draws - done, max(1, _CELLS // n))
        mass = in_own_order(rng.standard_gamma((n - p) / n, size=(size, n)), order)
        mass *= n / mass.sum(axis=1, keepdims=True)
        e = propensity_draws(weights.centred, treated, mass)
        chance = np.stack([1 - e, e], axis=-1)
        mass = mass * weights.target.weights(arm, chance, weights.about)
        one, zero = mass * treated, mass * ~treated
        difference[done : done + size] = one @ y / one.sum(axis=1) - zero @ y / zero.sum(axis=1)
        done += size
    return difference
