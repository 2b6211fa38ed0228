"""Residuals that are not correlated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.likelihood.residuals.correlation import Correlation, Pairs

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class Independent(Correlation):
    """No correlation."""

    name: ClassVar[str] = "independent"
    needs_visit: ClassVar[bool] = False
    linear: ClassVar[bool] = True

    def size(self, visits: int) -> int:
        """Number of parameters psi for so many visits."""
        return 0

    def labels(self, visits: Sequence[str]) -> tuple[str, ...]:
        """Names of the natural parameters for visits of these names."""
        return ()

    def start(self, size: int) -> np.ndarray:
        """psi, shape (size,), of moderate correlation."""
        return np.zeros(size)

    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """psi itself, which is empty."""
        return psi

    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """1 for a row with itself, 0 for two rows."""
        return (pairs.lag == 0).astype(float)

    def pullback(self, psi: np.ndarray, pairs: Pairs, adjoint: np.ndarray) -> np.ndarray:
        """Gradient in psi, which is empty."""
        return np.zeros(0)

    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` in PyMC."""
        import pytensor.tensor as pt

        return pt.as_tensor((pairs.lag == 0).astype(float))
