"""Structures of the covariance of a patient's residuals.

The covariance of two residuals of one patient depends only on the kind of their pair: which two
visits they belong to, or how much time lies between them. A structure turns a few unconstrained
numbers psi into the value of every kind of pair, relative to sigma^2, and a gradient in those
values back into psi. psi are log ratios of standard deviations, where each visit has its own, then
those of the correlation (see `longsurv.likelihood.residuals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.likelihood.residuals import Correlation


@dataclass(frozen=True, eq=False)
class Structure:
    """Values of all kinds of pairs as functions of the parameters.

    Attributes
    ----------
    kind : Correlation
    heterogeneous : bool
    lag : ndarray, shape (K,)
        Visits or time between the two rows of each kind of pair.
    first, second : ndarray of int, shape (K,)
        Their visits.
    n_visits : int
    most : int
        Largest number of rows a patient may have.
    """

    kind: Correlation
    heterogeneous: bool
    lag: np.ndarray
    first: np.ndarray
    second: np.ndarray
    n_visits: int
    most: int

    @property
    def n_ratios(self) -> int:
        """Number of free ratios of standard deviations to the first visit's."""
        return self.n_visits - 1 if self.heterogeneous else 0

    @property
    def n_correlations(self) -> int:
        """Number of parameters of the correlation."""
        return self.kind.size(self.n_visits)

    @property
    def size(self) -> int:
        """Number of unconstrained parameters: log ratios, then those of the correlation."""
        return self.n_ratios + self.n_correlations

    @cached_property
    def shortest(self) -> float:
        """The smallest lag above 0."""
        return float(self.lag[self.lag > 0].min(initial=np.inf))

    @cached_property
    def start(self) -> np.ndarray:
        """Parameters of moderate correlation and equal variances."""
        return np.concatenate([np.zeros(self.n_ratios), self.kind.start(self.n_correlations)])

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds."""
        ratios, own = np.full(self.n_ratios, -np.inf), np.full(self.n_correlations, self.kind.lower)
        return np.concatenate([ratios, own])

    def flags(self, psi: np.ndarray) -> tuple[str, ...]:
        """What a reader should know of estimates psi at a bound, in sentences."""
        bounded = np.isfinite(self.lower)
        return (self.kind.boundary,) if (psi[bounded] <= self.lower[bounded]).any() else ()

    @property
    def matrices(self) -> tuple[int, ...]:
        """Sizes of the correlation matrices that are in psi as a whole, after the scalars."""
        return (self.n_visits,) if self.kind.by_pair else ()

    @property
    def n_scalars(self) -> int:
        """Number of parameters other than those of a whole correlation matrix."""
        return self.n_ratios if self.kind.by_pair else self.size

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unconstrained parameters."""
        ratios = tuple(f"log_ratio[{k}]" for k in range(1, self.n_ratios + 1))
        return (*ratios, *(f"psi[{k}]" for k in range(self.n_correlations)))

    def natural(self, psi: np.ndarray) -> np.ndarray:
        """Correlation parameters on their natural scale, from the correlation's part of psi."""
        return self.kind.natural(psi, self)

    def correlation(self, rho: np.ndarray) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,), from the natural parameters."""
        return self.kind.correlation(rho, self)

    def values(self, psi: np.ndarray) -> np.ndarray:
        """Covariance over sigma^2 of each kind of pair, shape (K,)."""
        return self.correlation(self.natural(psi[self.n_ratios :])) * self._scales(psi)

    def _scales(self, psi: np.ndarray) -> np.ndarray | float:
        if not self.heterogeneous:
            return 1.0
        sd = np.exp(np.concatenate([[0.0], psi[: self.n_ratios]]))
        return sd[self.first] * sd[self.second]

    def pullback(self, psi: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
        """Gradient in psi of a function with gradient `adjoint`, shape (K,), in the values."""
        phi = psi[self.n_ratios :]
        scales = self._scales(psi)
        out = np.empty(self.size)
        if self.n_ratios:
            moved = adjoint * self.correlation(self.natural(phi)) * scales
            by_visit = np.bincount(self.first, moved, self.n_visits)
            by_visit += np.bincount(self.second, moved, self.n_visits)
            out[: self.n_ratios] = by_visit[1:]
        out[self.n_ratios :] = self.kind.pullback(phi, self, adjoint * scales)
        return out

    # ---- natural parameters of the covariance, for reports and for Kenward-Roger ----

    def report(self, sigma: float, psi: np.ndarray) -> np.ndarray:
        """Standard deviations of the visits (or one for all), then the correlation parameters as a
        reader is to see them."""
        return self.shown(self.covariance_parameters(sigma, psi))

    @property
    def linear(self) -> bool:
        """Whether the covariance is linear in the parameters of `covariance_parameters`."""
        if self.heterogeneous:
            return self.kind.by_pair or not self.n_correlations
        return self.kind.linear

    def covariance_parameters(self, sigma: float, psi: np.ndarray) -> np.ndarray:
        """Parameters eta of the residual covariance as SAS takes them.

        Variances and covariances where the covariance is linear in those; otherwise variances and
        natural correlation parameters.
        """
        sd = sigma * np.exp(np.concatenate([[0.0], psi[: self.n_ratios]]))
        rho = self.natural(psi[self.n_ratios :])
        if self.linear and self.heterogeneous:
            i, j = self._visits_of(rho)
            rho = rho * sd[i] * sd[j]
        elif self.linear:
            rho = rho * sigma**2
        return np.concatenate([sd**2, rho])

    def shown(self, eta: np.ndarray) -> np.ndarray:
        """What `report` gives, from `covariance_parameters`; eta may be complex."""
        count = self.n_ratios + 1
        variance, rho = eta[:count], eta[count:]
        if self.linear and self.heterogeneous:
            i, j = self._visits_of(rho)
            rho = rho / np.sqrt(variance[i] * variance[j])
        elif self.linear:
            rho = rho / variance[0]
        return np.concatenate([np.sqrt(variance), self.kind.shown(rho, self)])

    def _visits_of(self, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two visits that each correlation is of; none where nothing is correlated."""
        i, j = np.tril_indices(self.n_visits, -1)
        return i[: len(rho)], j[: len(rho)]

    def covariance(self, eta: np.ndarray) -> np.ndarray:
        """Covariance of each kind of pair, shape (K,), at `covariance_parameters` eta."""
        count = self.n_ratios + 1
        variance, rest = eta[:count], eta[count:]
        if not self.linear:
            return self.correlation(rest) * self._variances(variance)
        own = variance[self.first] if self.heterogeneous else variance[0]
        return np.where(self.lag == 0, own, self.correlation(rest))

    def _variances(self, variance: np.ndarray) -> np.ndarray:
        if not self.heterogeneous:
            return variance[0]
        return np.sqrt(variance[self.first] * variance[self.second])
