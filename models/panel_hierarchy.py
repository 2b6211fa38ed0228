"""What the hierarchical posterior of a panel is made of: the joint vector and its priors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from longsurv import priors as pr
from longsurv.inference import added
from longsurv.inference.density import LogDensity
from longsurv.likelihood.panel import Layout, Member

if TYPE_CHECKING:
    from longsurv.models.panel import PanelMarker


class HierarchyPriors(pr.PriorStack):
    """The priors of a panel's joint vector.

    Those of the markers' parameters are of variables centred in each marker's own rows, and so are
    evaluated with the marker's density: here only the families' are.
    """

    @cached_property
    def families(self) -> pr.PriorStack:
        """Those of the families' means and spreads, which come first."""
        own = [n for n in self.names if n.startswith(("mu(", "sd(")) and " of " not in n]
        return pr.PriorStack(tuple(own), self.priors[: len(own)])

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log prior density of the families' parameters, and its gradient in all of theta."""
        return self.families.value_and_gradient(theta)


def hierarchy(
    markers: Mapping[str, PanelMarker],
    families: Mapping[str, tuple[str, ...]],
    family_priors: Mapping[str, pr.Prior],
) -> tuple[Layout, HierarchyPriors]:
    """Where families and markers have their parameters, and the priors of those.

    Parameters
    ----------
    markers : mapping of str to PanelMarker
    families : mapping of str to tuple of str
        Markers of each family.
    family_priors : mapping of str to Prior
        Of the mean ("mu") and the spread ("sd") of a family's effects, in that order.

    Returns
    -------
    layout : Layout
    stack : HierarchyPriors
        In the order of the joint vector, without its last elements: the prior of a marker's pivot
        follows from that of the effect.
    """
    priors = {
        f"{kind}({family})": prior for family in families for kind, prior in family_priors.items()
    }
    members: list[Member] = []
    blocks: list[int] = []
    for index, names in enumerate(families.values()):
        for name in names:
            spec, own = markers[name].spec, markers[name].spec.prior_stack(None)
            terms, unit = spec.design.fixed.names, markers[name].unit
            weights = np.array([markers[name].weights.get(term, 0.0) / unit for term in terms])
            pivot = int(np.argmax(np.abs(weights)))
            member = Member(
                name=name,
                family=index,
                loglik=added(spec.sampled.loglik, without(own, pivot)),
                weights=weights,
                start=spec.start,
                cov=spec.fit(df="normal").cov_params().to_numpy(),
                n_scalars=len(own.priors),
            )
            members.append(member)
            blocks.extend(own.blocks)
            priors |= {
                f"{term} of {name}": prior
                for term, prior in zip(own.names, own.priors, strict=True)
                if term != terms[member.pivot]
            }
    correlations = (pr.LKJ(2.0), max(blocks), tuple(blocks))
    return (
        Layout(tuple(members), len(families)),
        HierarchyPriors(tuple(priors), tuple(priors.values()), *correlations),
    )


def without(stack: pr.PriorStack, pivot: int) -> LogDensity:
    """The log prior density of a marker's own vector, without that of one coefficient."""
    prior, p = stack.priors[pivot], 0 if stack.basis is None else len(stack.basis)
    row = stack.basis[pivot] if stack.basis is not None and pivot < p else None

    def density(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = stack.value_and_gradient(theta)
        x = theta[pivot] if row is None else row @ theta[:p]
        less, slope = pr.log_density(prior, x)
        if row is None:
            gradient[pivot] -= slope
        else:
            gradient[:p] -= slope * row
        return value - less, gradient

    return density
