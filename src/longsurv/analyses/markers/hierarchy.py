"""What the hierarchical posterior of a panel is made of: the joint vector and its priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import block_diag

from longsurv import priors as pr
from longsurv.analyses.markers.responses import in_hierarchy
from longsurv.likelihood.panel.loglik import Layout, Member

if TYPE_CHECKING:
    from longsurv.analyses.markers.marker import PanelMarker
    from longsurv.analyses.markers.responses import MarkerModel


@dataclass(frozen=True, eq=False)
class HierarchyPriors(pr.PriorStack):
    """The priors of a panel's joint vector.

    Attributes
    ----------
    of_markers : tuple of PriorStack
        Those of each marker's own vector, of variables centred in its rows.
    layout : Layout
    """

    of_markers: tuple[pr.PriorStack, ...] = ()
    layout: Layout = field(kw_only=True)

    @cached_property
    def order(self) -> np.ndarray:
        """Places in the joint vector of the markers' coefficients, of the other scalars, and of
        the correlations."""
        n = 2 * self.layout.n_families
        scalars = np.arange(n, n + self.layout.n_scalars)
        others = scalars[~np.isin(scalars, self.layout.coefficients)]
        after = np.arange(n + self.layout.n_scalars, self.layout.n_priors)
        return np.concatenate([self.layout.coefficients, np.arange(n), others, after])

    @cached_property
    def together(self) -> pr.PriorStack:
        """All of them, of the elements in that order: one call to evaluate."""
        coefficients: list[pr.Prior] = []
        others = list(self.priors[: 2 * self.layout.n_families])
        bases = []
        for member, own in zip(self.layout.members, self.of_markers, strict=True):
            p = len(member.weights)
            kept = [j for j in range(p) if j != member.pivot]
            coefficients += [own.priors[j] for j in kept]
            others += own.priors[p:]
            bases.append(own.whole_basis[kept, :p])
        priors = (*coefficients, *others)
        correlations = (self.correlation, self.size, self.blocks)
        names = tuple(map(str, range(len(priors))))
        return pr.PriorStack(names, priors, *correlations, basis=block_diag(*bases))

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log prior density of the joint vector, but for the pivots, and its gradient.

        Parameters
        ----------
        theta : ndarray, shape (d,)
            The joint vector.

        Returns
        -------
        tuple of float and ndarray, shape (d,)
        """
        value, slopes = self.together.value_and_gradient(theta[self.order])
        gradient = np.zeros(len(theta))
        gradient[self.order] = slopes
        return value, gradient


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
    stacks: list[pr.PriorStack] = []
    blocks: list[int] = []
    for index, names in enumerate(families.values()):
        for name in names:
            spec = markers[name].spec
            terms, unit = spec.design.fixed.names, markers[name].unit
            weights = np.array([markers[name].weights.get(term, 0.0) / unit for term in terms])
            own = _one_by_one(spec, terms[int(np.argmax(np.abs(weights)))])
            of = in_hierarchy(spec)
            member = Member(
                name=name,
                family=index,
                loglik=of.loglik,
                weights=weights,
                start=of.start,
                cov=of.cov,
                n_scalars=len(own.priors),
                n_drawn=of.n_drawn,
            )
            members.append(member)
            stacks.append(own)
            blocks.extend(own.blocks)
            priors |= {
                f"{term} of {name}": prior
                for term, prior in zip(own.names, own.priors, strict=True)
                if term != terms[member.pivot]
            }
    correlations = (pr.LKJ(2.0), max(blocks), tuple(blocks))
    layout = Layout(tuple(members), len(families))
    stack = HierarchyPriors(
        tuple(priors),
        tuple(priors.values()),
        *correlations,
        of_markers=tuple(stacks),
        layout=layout,
    )
    return layout, stack


def _one_by_one(spec: MarkerModel, term: str) -> pr.PriorStack:
    """The default priors of a marker, with one of `term` alone: should it be a difference between
    levels of a factor, the other differences have independent ones."""
    default, own = spec.prior_stack(None), spec.default_priors()[term]
    at = default.names.index(term)
    if not any(at in columns for columns, _ in default.alike):
        return default
    return spec.prior_stack({term: own})
