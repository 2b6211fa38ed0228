"""The mixed-model kernel over the free elements of a block-diagonal covariance of random effects.

(1 | id) + (0 + t | id), or (t || id) for short, says that some random effects are independent: D,
its factor Lam and its correlation matrix are block-diagonal, and only the elements within a block
move. In canonical partial correlations that means z = 0 between blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from longsurv.likelihood import lmm
from longsurv.likelihood.arithmetic.covariance import partial_correlations


def free_elements(blocks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle within blocks, row by row."""
    block = np.repeat(np.arange(len(blocks)), blocks)
    rows, columns = np.tril_indices(len(block))
    within = block[rows] == block[columns]
    return rows[within], columns[within]


def packed(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Places of the free elements below the diagonal among all of those, row by row."""
    below = rows > columns
    return rows[below] * (rows[below] - 1) // 2 + columns[below]


def interior(
    lam: np.ndarray, sigma: float, basis: np.ndarray, elements: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """log SDs and free partial correlations near Lam, away from any boundary.

    They are those of basis^-1 times the random effects that Lam, shape (q, q), is of.
    """
    q = len(lam)
    half = np.linalg.solve(basis, np.hstack([lam, 0.1 * np.eye(q)]))
    D = sigma**2 * half @ half.T
    tau = np.sqrt(np.diag(D))
    z = partial_correlations(D / np.outer(tau, tau)) if q > 1 else np.empty(0)
    return np.log(tau), z[packed(*elements)]


def straightened(
    data: Any, spread: float, centre: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Centre (d,) and factor (d, d): coefficients in orthonormal columns per residual SD `spread`,
    scales from `centre`, the rest as it is."""
    p = data.p
    whole, factor = np.zeros(size), np.eye(size)
    whole[:p], whole[p : p + len(centre)] = data.beta_ols, centre
    factor[:p, :p] = spread * np.linalg.inv(data.r)
    return whole, factor


def element_map(back: np.ndarray, elements: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Free elements of back @ D @ back.T from those of the symmetric D, shape (m, m)."""
    rows, columns = elements
    straight = back[np.ix_(rows, rows)] * back[np.ix_(columns, columns)]
    crossed = back[np.ix_(rows, columns)] * back[np.ix_(columns, rows)]
    return straight + np.where(rows == columns, 0.0, crossed)


@dataclass(frozen=True, eq=False)
class BlockKernel:
    """Likelihoods of vectors that hold the free elements only.

    Attributes
    ----------
    data : LMMData
    blocks : tuple of int
        Sizes of the blocks, in the order of the columns of Z.
    """

    data: lmm.LMMData
    blocks: tuple[int, ...]

    @cached_property
    def elements(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the free elements of Lam."""
        return free_elements(self.blocks)

    @cached_property
    def free(self) -> np.ndarray:
        """Positions of the free parameters in the parameter vector of `lmm.loglik`."""
        first = self.data.p + 1 + self.data.q
        return np.concatenate([np.arange(first), first + packed(*self.elements)])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free elements of Lam."""
        return tuple(f"Lam[{a},{b}]" for a, b in zip(*self.elements, strict=True))

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of residual parameters with scalar priors: none."""
        return ()

    @property
    def correlated(self) -> tuple[int, ...]:
        """Sizes of the correlation matrices of theta."""
        return self.blocks

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds of the free elements of Lam."""
        rows, columns = self.elements
        return np.where(rows == columns, 0.0, -np.inf)

    @property
    def starts(self) -> list[np.ndarray]:
        """Points to start a climb from, one of which is near."""
        rows, columns = self.elements
        return [size * (rows == columns) for size in (0.1, 0.3, 1.0, 3.0)]

    def factor(self, x: np.ndarray) -> np.ndarray:
        """Lam (q, q) from its free elements."""
        lam = np.zeros((self.data.q, self.data.q))
        lam[self.elements] = x
        return lam

    def criterion(self, x: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Profiled (restricted) log-likelihood of the free elements of Lam, and its gradient."""
        deviance, gradient = lmm.profiled_deviance(self.data, self.factor(x), reml)
        return -0.5 * deviance, -0.5 * gradient[self.elements]

    @property
    def to(self) -> tuple[np.ndarray, ...]:
        """The SDs and correlations of `loglik` are of the effects to @ b, b those of Z."""
        return (self.data.z_basis / self.data.z_scale[:, None],)

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and factor of unit-free coordinates u of `loglik`: theta = centre + factor u."""
        data = self.data
        spread = np.sqrt(data.cross[-1, -1] / data.nobs)
        centre = [np.log(spread), *np.log(spread / data.z_scale)]
        return straightened(data, spread, np.array(centre), len(self.free))

    def interior(
        self, beta: np.ndarray, sigma: float, x: np.ndarray, to: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """A vector for the `loglik` of a kernel with `to` near the point x of this criterion, away
        from any boundary; by default of the effects of Z themselves."""
        basis = self.data.z_basis if to is None else self.data.z_basis @ np.linalg.inv(to[0])
        log_tau, z = interior(self.factor(x), sigma, basis, self.elements)
        return np.concatenate([beta, [np.log(sigma)], log_tau, z])

    def expand(self, theta: np.ndarray) -> np.ndarray:
        """Parameter vectors (..., d) of `lmm.loglik` from their free elements."""
        q = self.data.q
        full = np.zeros((*theta.shape[:-1], self.data.p + 1 + q + q * (q - 1) // 2))
        full[..., self.free] = theta
        return full

    def loglik(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Marginal log-likelihood of the free parameters, and its gradient."""
        if len(self.blocks) == 1:
            return lmm.loglik(self.data, theta)
        value, gradient = lmm.loglik(self.data, self.expand(theta))
        return value, gradient[self.free]
