"""How much of a posterior is its prior: which coefficients the data say nothing about."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from longsurv.priors import Normal, Prior, Stack, apart, moments, prior_of
from longsurv.words import listed, verb

if TYPE_CHECKING:
    from xarray import DataTree

ALL_PRIOR = 0.9
"""Share of the prior's variance that is left, from which on the data say as good as nothing."""
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
    """The prior of one parameter as named; a normal of its mean and SD if it is of no family."""
    found = prior_of(stack, {name: 1.0})
    if found is not None:
        return found
    unit = np.zeros(len(stack.names))
    unit[stack.names.index(name)] = 1.0
    row = np.linalg.solve(stack.whole_basis.T, unit)
    mean, sd = np.array([moments(prior) for prior in stack.priors]).T
    used = row != 0.0
    variance = float((row[used] * sd[used]) @ (row[used] * sd[used]))
    return Normal(float(row[used] @ mean[used]), float(np.sqrt(variance)))


class PriorShare(NamedTuple):
    """How much of an answer is prior."""

    contraction: float
    prior_share: float
    psense_prior: float
    psense_likelihood: float
    psense_words: str


class Drawn(Protocol):
    """What is used of a posterior."""

    @property
    def idata(self) -> DataTree:
        """For ArviZ."""

    def draw(self, term: str) -> np.ndarray:
        """Draws of one parameter, shape (chains, draws)."""


def prior_shares(post: Drawn, term: str, prior: Prior) -> PriorShare:
    """How much of the answer is prior, by variances and by power scaling."""
    share = float(post.draw(term).var() / moments(prior)[1] ** 2)
    share = 0.0 if math.isinf(moments(prior)[1]) else min(share, 1.0)
    import arviz as az

    with _silenced("arviz_stats"), warnings.catch_warnings():  # its verdict is in the table
        warnings.simplefilter("ignore", UserWarning)
        sensitivity = az.psense_summary(post.idata, var_names=[term], prior_var_names=[term]).loc[
            term
        ]
    return PriorShare(
        contraction=1.0 - share,
        prior_share=share,
        psense_prior=float(sensitivity["prior"]),
        psense_likelihood=float(sensitivity["likelihood"]),
        psense_words=str(sensitivity["diagnosis"]),
    )


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
