"""How much of a posterior is its prior: which coefficients the data say nothing about."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from longsurv.priors import (
    MOSTLY_PRIOR,
    Cauchy,
    Normal,
    Prior,
    Stack,
    apart,
    as_normal,
    distribution,
    moments,
    prior_of,
)
from longsurv.words import listed, verb

if TYPE_CHECKING:
    from xarray import DataTree

QUARTILES, HALF_RANGE = np.array([0.25, 0.75]), 0.6744897501960817
"""And half the distance between those of a standard normal."""
ALL_PRIOR = 0.9
"""Share of the prior's variance that is left, from which on the data say as good as nothing."""
CONFLICT = 0.05
"""Prior-predictive tail probability below which prior and data are said to be in conflict."""
PART_OF = 0.1
"""Share of a direction from which on a coefficient is named as part of it."""


def all_prior(
    stack: Stack, samples: Mapping[str, np.ndarray], names: Sequence[str]
) -> tuple[str, ...]:
    """Coefficients that move along a direction in which the posterior is as wide as the prior.

    Directions, as the data may determine the sum of two coefficients and neither of them: in the
    coordinates in which the priors are stated, each in units of its prior's standard deviation, the
    posterior's covariance has an eigenvalue near 1 for what the data say nothing about, and small
    ones otherwise.

    Parameters
    ----------
    stack : Stack
    samples : mapping of str to ndarray, shape (chains, draws)
    names : sequence of str
        The coefficients.
    """
    smoothed = getattr(stack, "smoothed_with", lambda _: ())  # these have their priors together
    chosen = [j for j, name in enumerate(stack.names) if name in names and not smoothed(name)]
    sd = np.array([moments(stack.priors[j])[1] for j in chosen])
    if not len(chosen):
        return ()
    draws = np.stack([np.ravel(samples[stack.names[j]]) for j in chosen], axis=-1)
    phi = draws @ stack.whole_basis[np.ix_(chosen, chosen)].T
    wide = np.isfinite(sd)
    covariance = np.atleast_2d(np.cov((phi[:, wide] / sd[wide]).T))
    if not np.isfinite(covariance).all():
        return ()
    values, vectors = np.linalg.eigh(covariance)
    # Of a factor, the levels along such a direction are named.
    loose = (
        apart(stack)[np.ix_(chosen, chosen)][np.ix_(wide, wide)] @ vectors[:, values > ALL_PRIOR]
    )
    loads = (loose**2 / (loose**2).sum(axis=0)).max(axis=1, initial=0.0)
    part = np.array(chosen)[wide][loads > PART_OF]
    return tuple(stack.names[j] for j in part)


def all_prior_flag(stack: Stack, names: Sequence[str]) -> str:
    """That in words; empty for no coefficient."""
    if not names:
        return ""
    priors = [str(prior_of(stack, {name: 1.0}) or "its prior") for name in names]
    told = listed([f"{name} ({prior})" for name, prior in zip(names, priors, strict=True)])
    together = " taken together" if len(names) > 1 else ""
    return (
        f"Nothing but prior: the data say as good as nothing about {told}{together}; what is shown"
        f" of {verb(len(names), 'it', 'them')} is the prior."
    )


def marginal_prior(stack: Stack, name: str) -> Prior:
    """The prior of one parameter as named; if it is of no family a normal of its mean and SD, or,
    where it has none, a Cauchy: its parts' half interquartile ranges add up, as those of Cauchys
    do."""
    found = prior_of(stack, {name: 1.0})
    if found is not None:
        return found
    unit = np.zeros(len(stack.names))
    unit[stack.names.index(name)] = 1.0
    row = np.linalg.solve(stack.whole_basis.T, unit)
    mean, sd = np.array([moments(prior) for prior in stack.priors]).T
    used = np.flatnonzero(row)
    middle, spread = float(row[used] @ mean[used]), np.abs(row[used]) * sd[used]
    heavy = used[np.isinf(spread)]
    rest = float(np.sqrt(np.square(spread[np.isfinite(spread)]).sum()))
    if not len(heavy):
        return Normal(middle, rest)
    quarters = [float(np.diff(stack.priors[j].quantiles(QUARTILES))[0]) / 2.0 for j in heavy]
    return Cauchy(middle, float(np.abs(row[heavy]) @ quarters) + rest * HALF_RANGE)


class PriorShare(NamedTuple):
    """How much of an answer is prior, by variances and by power scaling, and whether they agree.

    Attributes
    ----------
    contraction, prior_share : float
        1 - posterior variance / prior variance, and the rest. Of a mixture the variance is that of
        the normal prior with the same information, on average over the posterior.
    psense_prior, psense_likelihood : float
        Power-scaling sensitivities (Kallioinen and others 2024).
    conflict_p : float
        `predictive_tail` of what the data alone say.
    diagnosis : str
        See `diagnosis`.
    """

    contraction: float
    prior_share: float
    psense_prior: float
    psense_likelihood: float
    conflict_p: float
    diagnosis: str


class Drawn(Protocol):
    """What is used of a posterior."""

    @property
    def idata(self) -> DataTree:
        """For ArviZ."""

    def draw(self, term: str) -> np.ndarray:
        """Draws of one parameter, shape (chains, draws)."""


def prior_shares(post: Drawn, term: str, prior: Prior) -> PriorShare:
    """How much of the answer is prior."""
    import arviz as az

    draws = post.draw(term)
    mean, sd = as_normal(prior, draws)
    share = 0.0 if math.isinf(sd) else min(float(draws.var() / sd**2), 1.0)
    with _silenced("arviz_stats"), warnings.catch_warnings():  # its verdict is in the table
        warnings.simplefilter("ignore", UserWarning)
        sensitivity = az.psense_summary(post.idata, var_names=[term], prior_var_names=[term]).loc[
            term
        ]
    tail = predictive_tail(prior, *_without_prior(float(draws.mean()), share, mean, sd, draws))
    return PriorShare(
        contraction=1.0 - share,
        prior_share=share,
        psense_prior=float(sensitivity["prior"]),
        psense_likelihood=float(sensitivity["likelihood"]),
        conflict_p=tail,
        diagnosis=diagnosis(share, tail),
    )


def diagnosis(share: float, tail: float) -> str:
    """Prior against data in a word or two: the one verdict there is on them.

    Parameters
    ----------
    share : float
        Posterior over prior variance.
    tail : float
        Prior-predictive tail probability; NaN where it is not known.
    """
    if tail < CONFLICT:
        return "in conflict"
    if share >= MOSTLY_PRIOR:
        return "mostly prior"
    return "prior and data" if share >= 1.0 - ALL_PRIOR else "mostly data"


def predictive_tail(prior: Prior, estimate: float, std_error: float) -> float:
    """How far out the data lie for someone who believed the prior (Box 1980; Evans & Moshonov
    2006).

    Twice the smaller tail probability, under the prior predictive distribution, of an estimate that
    is normal around the true value; the prior is integrated out by quadrature.

    Parameters
    ----------
    prior : Normal or StudentT
        Of the parameter.
    estimate, std_error : float
        Of the parameter without the prior.

    Returns
    -------
    float
        NaN where there is no estimate without the prior.
    """
    if not (math.isfinite(estimate) and math.isfinite(std_error) and std_error > 0):
        return math.nan
    # Over the estimate's error, by the trapezoidal rule.
    z = np.linspace(-9.0, 9.0, 6001)
    weight = np.exp(-0.5 * z**2)
    chance = distribution(prior, estimate - std_error * z)
    below, above = (float(weight @ side / weight.sum()) for side in (chance, 1.0 - chance))
    return 2.0 * min(below, above)


def _without_prior(
    mean: float, share: float, prior_mean: float, prior_sd: float, draws: np.ndarray
) -> tuple[float, float]:
    """Estimate and standard error that give such a posterior under such a normal prior."""
    if math.isinf(prior_sd):
        return mean, float(draws.std())
    if share >= ALL_PRIOR:  # nearly all of it is prior: what is left is simulation error
        return math.nan, math.nan
    left = 1.0 - share
    return prior_mean + (mean - prior_mean) / left, prior_sd * math.sqrt(share / left)


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
