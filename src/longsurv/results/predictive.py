"""Responses that a posterior, and its priors, would have them be, for ArviZ."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.limits import beyond_alike
from longsurv.design.mixed import MixedDesign
from longsurv.inference import Draws
from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from xarray import DataTree

    from longsurv.diagnostics.replicates import DrawnMixed, DrawnResponses

type Replicated = Callable[[np.ndarray, bool, np.ndarray | None], np.ndarray]
"""Responses (n,) of the rows of the design at a vector of draws, of new patients or not."""


class DrawnFrom(Protocol):
    """What is used of the posterior of a mixed model, linear or generalised."""

    @property
    def design(self) -> MixedDesign:
        """Its arrays."""

    @property
    def draws(self) -> Draws:
        """Of its parameters."""

    @property
    def stack(self) -> PriorStack:
        """Their priors."""

    @property
    def idata(self) -> DataTree:
        """The draws for ArviZ."""


class Predictive:
    """Methods of posteriors of mixed models, linear and generalised."""

    def predictive(self: DrawnFrom, *, draws: int = 400, seed: int = 1) -> DataTree:
        """`idata` with responses drawn from the posterior and from the priors, for ArviZ's plots.

        Posterior ones are of the same patients measured again at the same visits, with random
        effects drawn given their data; prior ones of new patients in their places. Where values
        have a limit, what lies beyond it is at it, as in the data; categories are numbers from 0.

        Parameters
        ----------
        draws : int
            Of each: at evenly spaced draws of every chain of the posterior, as near to this number
            as that comes.
        seed : int

        Returns
        -------
        DataTree
            With the groups posterior_predictive and prior_predictive besides, each with y of shape
            (chain, draw, rows).

        Raises
        ------
        LongsurvError
            Where limits differ, so that nothing says what would have been seen.
        """
        return predictive(self, draws, seed)


def predictive(post: DrawnFrom, draws: int, seed: int) -> DataTree:
    """See `Predictive.predictive`."""
    import arviz_base

    rng, theta = np.random.default_rng(seed), post.draws.theta
    chains, kept, _ = theta.shape
    each = np.unique(np.linspace(0, kept - 1, min(max(draws // chains, 1), kept)).astype(int))
    replicated = _replicated(post.design, post, rng)
    at = [[c * kept + k for k in each] for c in range(chains)]
    drawn = post.draws.with_effects()
    again = np.array([[replicated(drawn[j][0], False, drawn[j][1]) for j in own] for own in at])
    prior = np.array([[replicated(at, True, None) for at in _from_priors(post, draws, rng)]])
    trees = {
        name: arviz_base.from_dict({name: {"y": y}}, coords={"draw": at})[name]
        for name, y, at in (
            ("posterior_predictive", again, each),
            ("prior_predictive", prior, np.arange(draws)),
        )
    }
    return post.idata.assign(trees)


@singledispatch
def _replicated(design: MixedDesign, post: DrawnFrom, rng: np.random.Generator) -> Replicated:
    """How responses are drawn; a function a kind of design."""
    from longsurv.diagnostics.replicates import replicate

    kernel = cast("DrawnMixed", post).kernel

    def draw(theta: np.ndarray, new: bool, sites: np.ndarray | None) -> np.ndarray:
        return replicate(design, kernel, kernel.point(theta), rng, new=new)

    return draw


@_replicated.register
def _of_generalised(
    design: GeneralisedDesign, post: DrawnFrom, rng: np.random.Generator
) -> Replicated:
    from longsurv.diagnostics.replicates import replicate_responses

    data = cast("DrawnResponses", post).data
    order = np.argsort(design.group, kind="stable")  # of the rows of the kernel
    limits = bool((design.extent != 0.0).any())

    def draw(theta: np.ndarray, new: bool, sites: np.ndarray | None) -> np.ndarray:
        y = np.empty(len(order))
        y[order] = replicate_responses(data, theta, rng, new=new, sites=sites)
        return beyond_alike(y, design.y, design.extent)[0] if limits else y

    return draw


def _from_priors(post: DrawnFrom, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors of parameters drawn from the priors, shape (draws, d)."""
    found = post.stack.drawn(draws, rng)
    if isinstance(post.design, GeneralisedDesign):
        return found
    return np.asarray(cast("DrawnMixed", post).kernel.expand(found))
