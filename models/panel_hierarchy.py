"""What the hierarchical posterior of a panel is made of: the joint vector and its priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from longsurv import priors as pr
from longsurv.likelihood.panel import Layout, Member

if TYPE_CHECKING:
    from longsurv.models.panel import PanelMarker


def hierarchy(
    markers: Mapping[str, PanelMarker],
    families: Mapping[str, tuple[str, ...]],
    family_priors: Mapping[str, pr.Prior],
) -> tuple[Layout, pr.PriorStack]:
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
    stack : PriorStack
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
            member = Member(
                name=name,
                family=index,
                loglik=spec.sampled.loglik,
                weights=np.array([markers[name].weights.get(term, 0.0) / unit for term in terms]),
                start=spec.start,
                cov=spec.fit(df="normal").cov_params().to_numpy(),
                n_scalars=len(own.priors),
            )
            members.append(member)
            blocks.extend(own.blocks)
            pivot = terms[member.pivot]
            priors |= {
                f"{term} of {name}": prior
                for term, prior in zip(own.names, own.priors, strict=True)
                if term != pivot
            }
    correlations = (pr.LKJ(2.0), max(blocks), tuple(blocks))
    return (
        Layout(tuple(members), len(families)),
        pr.PriorStack(tuple(priors), tuple(priors.values()), *correlations),
    )
