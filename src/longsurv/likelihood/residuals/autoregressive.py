"""First-order autoregression over the order of the visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.likelihood.residuals.correlation import Correlation, Pairs

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class Autoregressive(Correlation):
    """rho^lag."""

    name: ClassVar[str] = "ar1"
    in_order: ClassVar[bool] = True

    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """rho, shape (1,)."""
        return np.tanh(psi)

    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,)."""
        return rho[0] ** pairs.lag

    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` in PyMC."""
        import pytensor.tensor as pt

        return pt.tanh(psi[0]) ** pairs.lag
