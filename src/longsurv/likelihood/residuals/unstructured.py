"""A correlation for each pair of visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.likelihood.arithmetic.covariance import (
    correlation_cholesky,
    correlation_pullback,
    count_correlations,
)
from longsurv.likelihood.residuals.correlation import Correlation, Pairs

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class Unstructured(Correlation):
    """rho_ij of visits i and j < i, row by row."""

    name: ClassVar[str] = "unstructured"
    by_pair: ClassVar[bool] = True

    def size(self, visits: int) -> int:
        """Number of parameters psi for so many visits."""
        return count_correlations(visits)

    def labels(self, visits: Sequence[str]) -> tuple[str, ...]:
        """Names of the natural parameters for visits of these names."""
        return tuple(f"cor({visits[j]},{visits[i]})" for i in range(len(visits)) for j in range(i))

    def start(self, size: int) -> np.ndarray:
        """psi, shape (size,), of moderate correlation."""
        return np.full(size, 0.3)

    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """The correlations; tanh(psi) are canonical partial ones."""
        K = correlation_cholesky(np.ascontiguousarray(psi), pairs.n_visits)
        return (K @ K.T)[np.tril_indices(pairs.n_visits, -1)]

    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,)."""
        C = np.ones((pairs.n_visits, pairs.n_visits), dtype=rho.dtype)
        below = np.tril_indices(pairs.n_visits, -1)
        C[below] = C.T[below] = rho
        return C[pairs.first, pairs.second]

    def pullback(self, psi: np.ndarray, pairs: Pairs, adjoint: np.ndarray) -> np.ndarray:
        """Gradient in psi of a function of gradient `adjoint`, shape (K,), in the correlations."""
        m = pairs.n_visits
        K = correlation_cholesky(np.ascontiguousarray(psi), m)
        dC = np.bincount(pairs.first * m + pairs.second, adjoint, m * m).reshape(m, m)
        return correlation_pullback(psi, m, np.tril((dC + dC.T) @ K))

    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` in PyMC."""
        import pymc as pm

        K = pm.LKJCorr("residual_cholesky", n=pairs.n_visits, eta=eta)
        return (K @ K.T)[pairs.first, pairs.second]
