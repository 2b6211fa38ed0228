"""The mixed-model kernel over the free elements of a block-diagonal covariance of random effects.

(1 | id) + (0 + t | id), or (t || id) for short, says that some random effects are independent: D, its
factor Lam and its correlation matrix are block-diagonal, and only the elements within a block move.
In canonical partial correlations that means z = 0 between blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.likelihood import lmm


def free_elements(blocks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle within blocks, row by row."""
    block = np.repeat(np.arange(len(blocks)), blocks)
    rows, columns = np.tril_indices(len(block))
    within = block[rows] == block[columns]
    return rows[within], columns[within]


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
        rows, columns = self.elements
        below = rows > columns
        z = rows[below] * (rows[below] - 1) // 2 + columns[below]
        return np.concatenate([np.arange(first), first + z])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free elements of Lam."""
        return tuple(f"Lam[{a},{b}]" for a, b in zip(*self.elements, strict=True))

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
