"""Compound symmetry: one correlation for any two residuals of a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.likelihood.residuals.correlation import Correlation, Pairs

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class CompoundSymmetry(Correlation):
    """rho for any two rows, from -1 / (most - 1), below which R is not positive definite, to 1."""

    name: ClassVar[str] = "cs"
    needs_visit: ClassVar[bool] = False
    linear: ClassVar[bool] = True

    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """rho, shape (1,)."""
        low = -1.0 / (pairs.most - 1) if pairs.most > 1 else -1.0
        return low + (1.0 - low) / (1.0 + np.exp(-2.0 * psi))

    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,)."""
        return np.where(pairs.lag == 0, 1.0, rho[0])

    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` in PyMC."""
        import pymc as pm
        import pytensor.tensor as pt

        low = -1.0 / (pairs.most - 1)
        rho = low + (1.0 - low) * pm.math.sigmoid(2.0 * psi[0])
        return pt.where(pairs.lag == 0, 1.0, rho)
