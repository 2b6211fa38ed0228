"""Many markers' marginal likelihoods with a hierarchy over one contrast of each.

    sum_k log L_k(theta_k) + sum_k log N(d_k; mu_f, spread_f),   d_k = w_k' beta_k

where theta_k is the marker's own parameter vector, beta_k its coefficients and f its family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

ValueAndGradient = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Member:
    """One marker in the hierarchy.

    Attributes
    ----------
    name : str
    family : int
    loglik : callable
        Value and gradient at the marker's own vector.
    weights : ndarray, shape (p,)
        The effect d as a combination of the coefficients, which come first in the marker's vector.
    start : ndarray, shape (d_k,)
        The marker's own vector near its estimate.
    cov : ndarray, shape (p, p)
        Covariance of the estimated coefficients.
    n_scalars : int
        Length of the marker's vector without the correlations, which follow, and what is drawn.
    n_drawn : int
        Random effects at its end that are drawn with it; `loglik` has their density.
    """

    name: str
    family: int
    loglik: ValueAndGradient
    weights: np.ndarray
    start: np.ndarray
    cov: np.ndarray
    n_scalars: int
    n_drawn: int = 0

    @property
    def effect(self) -> float:
        """The effect d at the start."""
        return float(self.weights @ self.start[: len(self.weights)])

    @property
    def pivot(self) -> int:
        """The coefficient with the greatest weight, which is solved for from the effect."""
        return int(np.argmax(np.abs(self.weights)))


@dataclass(frozen=True, eq=False)
class Layout:
    """Markers and families in the joint vector.

    The joint vector is (mu_f, log spread_f) of each family, the markers' scalar parameters, their
    correlations, and what has no prior of its own: their pivots, the coefficients that follow from
    the effects, and random effects that are drawn.

    Attributes
    ----------
    members : tuple of Member
    n_families : int
    """

    members: tuple[Member, ...]
    n_families: int

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each marker's own vector begins when they stand end to end, and where they end."""
        return np.cumsum([0, *(len(m.start) for m in self.members)])

    @cached_property
    def order(self) -> np.ndarray:
        """Place in the joint vector of each element of the markers' own vectors end to end."""
        kind = np.ones(self.offsets[-1])
        for member, at in zip(self.members, self.offsets[:-1], strict=True):
            kind[at : at + member.n_scalars] = 0
            kind[at + member.pivot] = 2
            kind[at + len(member.start) - member.n_drawn : at + len(member.start)] = 3
        places = np.empty(len(kind), dtype=np.int64)
        places[np.argsort(kind, kind="stable")] = np.arange(len(kind))
        return 2 * self.n_families + places

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Places of the markers' coefficients in the joint vector, end to end."""
        places = [
            self.order[at : at + len(m.weights)]
            for m, at in zip(self.members, self.offsets[:-1], strict=True)
        ]
        return np.concatenate(places)

    @cached_property
    def contrasts(self) -> tuple[np.ndarray, ...]:
        """Of each coefficient its marker and its weight in the effect; then `families`."""
        return (
            np.repeat(np.arange(len(self.members)), [len(m.weights) for m in self.members]),
            np.concatenate([m.weights for m in self.members]),
            *self.families,
        )

    @cached_property
    def families(self) -> tuple[np.ndarray, ...]:
        """The means' shares in each effect's, shape (markers, families), one family's mean each;
        places of the means in the joint vector, and that of each effect's log spread."""
        family = np.array([m.family for m in self.members])
        shares = (family[:, None] == np.arange(self.n_families)).astype(float)
        return shares, 2 * np.arange(self.n_families), 2 * family + 1

    @property
    def n_scalars(self) -> int:
        """Scalar parameters of all markers but their pivots."""
        return sum(m.n_scalars - 1 for m in self.members)

    @property
    def size(self) -> int:
        """Length of the joint vector."""
        return int(2 * self.n_families + self.offsets[-1])

    @property
    def n_priors(self) -> int:
        """Length of the part of the joint vector that has priors, its beginning."""
        return self.size - sum(1 + m.n_drawn for m in self.members)

    def effects(self, theta: np.ndarray) -> np.ndarray:
        """The effects, shape (..., markers), at joint vectors of shape (..., size)."""
        marker, weights, *_ = self.contrasts
        by_marker = np.zeros((len(marker), len(self.members)))
        by_marker[np.arange(len(marker)), marker] = weights
        return theta[..., self.coefficients] @ by_marker

    def start(self) -> np.ndarray:
        """The markers' own estimates, with moderate spread within the families."""
        theta = np.empty(self.size)
        theta[self.order] = np.concatenate([m.start for m in self.members])
        for f in range(self.n_families):
            effects = [m.effect for m in self.members if m.family == f]
            theta[2 * f : 2 * f + 2] = np.mean(effects), math.log(0.3)
        return theta


def log_density(layout: Layout, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The sum above at the joint vector, and its gradient.

    Parameters
    ----------
    layout : Layout
    theta : ndarray, shape (layout.size,)
    """
    own, slopes = theta[layout.order], np.empty(len(layout.order))
    value, at = 0.0, 0
    for member in layout.members:
        stop = at + len(member.start)
        loglik, slopes[at:stop] = member.loglik(own[at:stop])
        value += loglik
        at = stop
    prior, gradient = hierarchy_density(theta, layout.coefficients, *layout.contrasts)
    gradient[layout.order] += slopes
    return value + prior, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def hierarchy_density(theta, coefficients, marker, weights, shares, means, spreads):
    """Log density of the effects given their means and spreads, up to a constant, and its gradient.

    The mean of effect k is the sum of shares[k] times what theta has at the places `means`; its log
    spread stands at spreads[k]."""
    effects = np.zeros(shares.shape[0])
    for i in range(coefficients.shape[0]):
        effects[marker[i]] += weights[i] * theta[coefficients[i]]
    value, gradient = 0.0, np.zeros(theta.shape[0])
    pulls = np.empty(shares.shape[0])
    for k in range(shares.shape[0]):
        log_spread, mu = spreads[k], 0.0
        for f in range(means.shape[0]):
            mu += shares[k, f] * theta[means[f]]
        spread = math.exp(theta[log_spread])
        z = (effects[k] - mu) / spread
        value -= 0.5 * z * z + theta[log_spread]
        pulls[k] = -z / spread
        for f in range(means.shape[0]):
            gradient[means[f]] += shares[k, f] * (z / spread)
        gradient[log_spread] += z * z - 1.0
    for i in range(coefficients.shape[0]):
        gradient[coefficients[i]] += weights[i] * pulls[marker[i]]
    return value, gradient
