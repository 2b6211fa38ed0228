"""How finely the random effects of a joint model are integrated out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import joint

LARGEST_CHECK = 2000


def with_nodes(data: joint.JointData, nodes: int) -> joint.JointData:
    """The same arrays with another number of Gauss-Hermite nodes."""
    grid = vars(normal_grid(nodes, data.q))
    cut = data.truncation
    if cut is not None:
        cut = replace(cut, data=replace(cut.data, **grid))
    return replace(data, **grid, truncation=cut)


def laplace_flag(data: joint.JointData, theta: np.ndarray) -> tuple[str, ...]:
    """What Laplace's approximation costs, if that is what was used."""
    if len(data.nodes) > 1:
        return ()
    text = "The random effects were integrated out by Laplace's approximation (one node)"
    if 3**data.q > LARGEST_CHECK:
        return (f"{text}; node_convergence() shows what more nodes change.",)
    few, more = (joint.loglik(d, theta)[0] for d in (data, with_nodes(data, 3)))
    return (
        f"{text}; with 3 nodes a random effect the log-likelihood at the estimate is "
        f"{abs(more - few):.2g} {'higher' if more > few else 'lower'}.",
    )
