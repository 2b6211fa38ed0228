"""Sum of many markers' marginal likelihoods with a hierarchy over one contrast of each.

The joint vector is (mu_f, log spread_f) of each family, then for each marker eta_k and its other
parameters, in the order of its own vector with the pivot coefficient left out. The pivot is the
coefficient that is solved for from the effect:

    beta_pivot = (scale d - sum_{j != pivot} l_j beta_j) / l_pivot,   d = mu + spread eta

The map from (eta, others) to the marker's own vector is linear given (mu, spread), and the priors
are stated on eta and the others, so no Jacobian enters. The non-centred eta keeps the mode away
from spread = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ValueAndGradient = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Member:
    """One marker in the hierarchy.

    Attributes
    ----------
    name : str
    family : int
    loglik, prior : callable
        Value and gradient: of the marker's own vector, and of that vector without the pivot.
    weights : ndarray, shape (p,)
        The contrast l over the coefficients, which come first in the marker's vector.
    pivot : int
    scale : float
        Contrast units per unit of d, with the sign that makes d > 0 a benefit.
    start : ndarray, shape (d_k,)
        The marker's own vector near its estimate.
    deviations : mapping of int to float
        Positions of log standard deviations in the vector without the pivot, and their prior means.
    """

    name: str
    family: int
    loglik: ValueAndGradient
    prior: ValueAndGradient
    weights: np.ndarray
    pivot: int
    scale: float
    start: np.ndarray
    deviations: Mapping[int, float]

    @property
    def size(self) -> int:
        """Length of the marker's own vector."""
        return len(self.start)

    def own_vector(self, d: float, others: np.ndarray) -> np.ndarray:
        """The marker's own vector from the effect d and its other parameters."""
        full = np.insert(others, self.pivot, 0.0)
        rest = float(self.weights @ full[: len(self.weights)])
        full[self.pivot] = (self.scale * d - rest) / self.weights[self.pivot]
        return full

    def effect(self, own: np.ndarray) -> float:
        """The effect d at the marker's own vector."""
        return float(self.weights @ own[: len(self.weights)]) / self.scale


@dataclass(frozen=True, eq=False)
class Layout:
    """Markers and families in the joint vector.

    Attributes
    ----------
    members : tuple of Member
    n_families : int
    """

    members: tuple[Member, ...]
    n_families: int

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Each marker's part of the joint vector, eta first."""
        out, at = [], 2 * self.n_families
        for member in self.members:
            out.append(slice(at, at + member.size))
            at += member.size
        return tuple(out)

    @property
    def size(self) -> int:
        """Length of the joint vector."""
        return self.slices[-1].stop

    @property
    def deviations(self) -> dict[int, float]:
        """Positions of all markers' log standard deviations in the joint vector."""
        return {
            part.start + 1 + j: mean
            for member, part in zip(self.members, self.slices, strict=True)
            for j, mean in member.deviations.items()
        }

    def hyper(self, theta: np.ndarray, family: int) -> tuple[float, float]:
        """mu and spread of a family."""
        return float(theta[2 * family]), math.exp(theta[2 * family + 1])

    def start(self) -> np.ndarray:
        """A point near the markers' own estimates, with moderate spread within the families."""
        theta = np.zeros(self.size)
        for family in range(self.n_families):
            effects = [m.effect(m.start) for m in self.members if m.family == family]
            theta[2 * family : 2 * family + 2] = np.mean(effects), math.log(0.3)
        for member, part in zip(self.members, self.slices, strict=True):
            mu, spread = self.hyper(theta, member.family)
            theta[part.start] = np.clip((member.effect(member.start) - mu) / spread, -2.0, 2.0)
            theta[part.start + 1 : part.stop] = np.delete(member.start, member.pivot)
        return theta


def log_density(
    layout: Layout, hyper_prior: ValueAndGradient, theta: np.ndarray
) -> tuple[float, np.ndarray]:
    """Log posterior density of the joint vector theta, and its gradient.

    Parameters
    ----------
    layout : Layout
    hyper_prior : callable
        Value and gradient of the log prior of (mu_f, log spread_f) of all families.
    theta : ndarray, shape (layout.size,)
    """
    gradient = np.zeros(layout.size)
    top = 2 * layout.n_families
    value, gradient[:top] = hyper_prior(theta[:top])
    for member, part in zip(layout.members, layout.slices, strict=True):
        mu, spread = layout.hyper(theta, member.family)
        eta, others = theta[part.start], theta[part.start + 1 : part.stop]
        loglik, slope = member.loglik(member.own_vector(mu + spread * eta, others))
        prior, prior_slope = member.prior(others)
        value += loglik + prior - 0.5 * eta * eta
        pivot = slope[member.pivot] / member.weights[member.pivot]
        by_effect = pivot * member.scale
        slope[: len(member.weights)] -= pivot * member.weights
        gradient[part.start] = spread * by_effect - eta
        gradient[part.start + 1 : part.stop] = np.delete(slope, member.pivot) + prior_slope
        gradient[2 * member.family] += by_effect
        gradient[2 * member.family + 1] += spread * eta * by_effect
    return value, gradient
