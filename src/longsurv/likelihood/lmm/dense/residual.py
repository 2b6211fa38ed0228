"""Structures of the covariance of a patient's residuals.

The covariance of two residuals of one patient depends only on the kind of their pair: which two
visits they belong to, or how much time lies between them. A structure turns a few unconstrained
numbers psi into the value of every kind of pair, relative to sigma^2, and a gradient in those
values back into psi. psi are log ratios of standard deviations, where each visit or each group of
rows has its own, then those of the correlation (see `longsurv.likelihood.residuals`), which groups
share or have each for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.likelihood.residuals import Correlation


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of rows with residual standard deviations of their own.

    Attributes
    ----------
    first, second : ndarray of int, shape (K,)
        Of the two rows of each kind of pair.
    count : int
    apart : bool
        Whether each has correlations of its own too; then no pair is of two groups.
    """

    first: np.ndarray
    second: np.ndarray
    count: int
    apart: bool


@dataclass(frozen=True, eq=False)
class Structure:
    """Values of all kinds of pairs as functions of the parameters.

    A cell are the residuals that share a standard deviation: all, those of a visit, of a group, or
    of a visit in a group (one group's visits, then the next one's).

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
    groups : Groups, optional
        With standard deviations of their own.
    """

    kind: Correlation
    heterogeneous: bool
    lag: np.ndarray
    first: np.ndarray
    second: np.ndarray
    n_visits: int
    most: int
    groups: Groups | None = None

    @property
    def n_cells(self) -> int:
        """Number of standard deviations."""
        count = 1 if self.groups is None else self.groups.count
        return count * self.n_visits if self.heterogeneous else count

    @property
    def n_ratios(self) -> int:
        """Number of free ratios of standard deviations to the first cell's."""
        return self.n_cells - 1

    @property
    def n_blocks(self) -> int:
        """How many times there are the parameters of the correlation."""
        return self.groups.count if self.groups is not None and self.groups.apart else 1

    @property
    def n_correlations(self) -> int:
        """Number of parameters of the correlations."""
        return self.n_blocks * self.kind.size(self.n_visits)

    @cached_property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells of the two rows of each kind of pair, shape (K,)."""
        first, second = (
            (self.first, self.second) if self.heterogeneous else (np.zeros(len(self.lag), int),) * 2
        )
        if self.groups is None:
            return first, second
        wide = self.n_visits if self.heterogeneous else 1
        return self.groups.first * wide + first, self.groups.second * wide + second

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
        one = self.kind.start(self.kind.size(self.n_visits))
        return np.concatenate([np.zeros(self.n_ratios), np.tile(one, self.n_blocks)])

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
        return (self.n_visits,) * self.n_blocks if self.kind.by_pair else ()

    @property
    def n_scalars(self) -> int:
        """Number of parameters other than those of a whole correlation matrix."""
        return self.n_ratios if self.kind.by_pair else self.size

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unconstrained parameters."""
        ratios = tuple(f"log_ratio[{k}]" for k in range(1, self.n_ratios + 1))
        return (*ratios, *(f"psi[{k}]" for k in range(self.n_correlations)))

    def blocks(self, parameters: np.ndarray) -> list[np.ndarray]:
        """Those of each correlation, from those of all."""
        return [parameters] if self.n_blocks == 1 else np.split(parameters, self.n_blocks)

    def chosen(self, block: int) -> np.ndarray | float:
        """1 for each kind of pair that has the correlation of a block, else 0; shape (K,)."""
        if self.n_blocks == 1:
            return 1.0
        assert self.groups is not None  # else there is one block
        return (self.groups.first == block).astype(float)

    def natural(self, psi: np.ndarray) -> np.ndarray:
        """Correlation parameters on their natural scale, from the correlations' part of psi."""
        return np.concatenate([self.kind.natural(part, self) for part in self.blocks(psi)])

    def correlation(self, rho: np.ndarray) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,), from the natural parameters."""
        if self.n_blocks == 1:
            return self.kind.correlation(rho, self)
        parts = [
            self.kind.correlation(part, self) * self.chosen(b)
            for b, part in enumerate(self.blocks(rho))
        ]
        return np.sum(parts, axis=0)

    def values(self, psi: np.ndarray) -> np.ndarray:
        """Covariance over sigma^2 of each kind of pair, shape (K,)."""
        return self.correlation(self.natural(psi[self.n_ratios :])) * self._scales(psi)

    def log_sds(self, psi: np.ndarray) -> np.ndarray:
        """Log of the cells' standard deviations over sigma, shape (cells,): sigma is the first
        visit's, or the geometric mean of all where there are groups, none of which is the first."""
        found = np.concatenate([[0.0], psi[: self.n_ratios]])
        return found if self.groups is None else found - found.mean()

    def _scales(self, psi: np.ndarray) -> np.ndarray | float:
        if not self.n_ratios:
            return 1.0
        sd, (first, second) = np.exp(self.log_sds(psi)), self.cells
        return sd[first] * sd[second]

    def pullback(self, psi: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
        """Gradient in psi of a function with gradient `adjoint`, shape (K,), in the values."""
        phi = psi[self.n_ratios :]
        scales = self._scales(psi)
        out = np.empty(self.size)
        if self.n_ratios:
            moved = adjoint * self.correlation(self.natural(phi)) * scales
            first, second = self.cells
            by_cell = np.bincount(first, moved, self.n_cells)
            by_cell += np.bincount(second, moved, self.n_cells)
            if self.groups is not None:
                by_cell = by_cell - by_cell.mean()
            out[: self.n_ratios] = by_cell[1:]
        adjoint = adjoint * scales
        out[self.n_ratios :] = np.concatenate(
            [
                self.kind.pullback(part, self, adjoint * self.chosen(b))
                for b, part in enumerate(self.blocks(phi))
            ]
        )
        return out

    # ---- natural parameters of the covariance, for reports and for Kenward-Roger ----

    def report(self, sigma: float, psi: np.ndarray) -> np.ndarray:
        """Standard deviations of the cells (or one for all), then the correlation parameters as a
        reader is to see them."""
        return self.shown(self.covariance_parameters(sigma, psi))

    @property
    def linear(self) -> bool:
        """Whether the covariance is linear in the parameters of `covariance_parameters`: each
        covariance of two residuals is one of them."""
        if not self.n_correlations:
            return True
        if self.groups is not None and not self.groups.apart:
            return False
        return self.kind.by_pair if self.heterogeneous else self.kind.linear

    def covariance_parameters(self, sigma: float, psi: np.ndarray) -> np.ndarray:
        """Parameters eta of the residual covariance as SAS takes them.

        Variances and covariances where the covariance is linear in those; otherwise variances and
        natural correlation parameters.
        """
        sd = sigma * np.exp(self.log_sds(psi))
        rho = self.natural(psi[self.n_ratios :])
        if self.linear:
            i, j = self._cells_of(rho)
            rho = rho * sd[i] * sd[j]
        return np.concatenate([sd**2, rho])

    def shown(self, eta: np.ndarray) -> np.ndarray:
        """What `report` gives, from `covariance_parameters`; eta may be complex."""
        variance, rho = eta[: self.n_cells], eta[self.n_cells :]
        if self.linear:
            i, j = self._cells_of(rho)
            rho = rho / np.sqrt(variance[i] * variance[j])
        rho = np.concatenate([self.kind.shown(part, self) for part in self.blocks(rho)])
        return np.concatenate([np.sqrt(variance), rho])

    def _cells_of(self, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two cells that each correlation is of, where the covariance is linear; none where
        nothing is correlated."""
        size = len(rho) // self.n_blocks
        i, j = np.zeros((2, size), dtype=np.int64)
        if self.heterogeneous:
            i, j = (visits[:size] for visits in np.tril_indices(self.n_visits, -1))
        start = np.arange(self.n_blocks)[:, None] * (self.n_cells // self.n_blocks)
        return (start + i).ravel(), (start + j).ravel()

    def covariance(self, eta: np.ndarray) -> np.ndarray:
        """Covariance of each kind of pair, shape (K,), at `covariance_parameters` eta."""
        variance, rest = eta[: self.n_cells], eta[self.n_cells :]
        first, second = self.cells
        if not self.linear:
            own = np.sqrt(variance[first] * variance[second]) if self.n_ratios else variance[0]
            return self.correlation(rest) * own
        return np.where(self.lag == 0, variance[first], self.correlation(rest))
