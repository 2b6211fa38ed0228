"""One correlation for each number of visits between two residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.likelihood.residuals.correlation import Correlation, Pairs

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class Toeplitz(Correlation):
    """rho_lag."""

    name: ClassVar[str] = "toeplitz"
    in_order: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    def size(self, visits: int) -> int:
        """Number of parameters psi for so many visits."""
        return visits - 1

    def labels(self, visits: Sequence[str]) -> tuple[str, ...]:
        """Names of the natural parameters for visits of these names."""
        return tuple(f"cor(lag {k})" for k in range(1, len(visits)))

    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlations by lag; tanh(psi) are the partial ones."""
        return autocorrelations(np.tanh(psi))

    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,)."""
        return np.concatenate([[1.0], rho])[pairs.lag.astype(np.int64)]

    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` in PyMC."""
        import pytensor.tensor as pt

        # 1 and the autocorrelations at lags 1, 2, ..., as `autocorrelations` has them.
        rho: list[TensorVariable] = [pt.ones(())]
        phi: list[TensorVariable] = []
        for r in (pt.tanh(x) for x in psi):
            past = rho[1:]
            level = sum((a * b for a, b in zip(phi, past[::-1], strict=True)), pt.zeros(()))
            explained = sum((a * b for a, b in zip(phi, past, strict=True)), pt.zeros(()))
            rho.append(level + r * (1.0 - explained))
            phi = [*(a - r * b for a, b in zip(phi, phi[::-1], strict=True)), r]
        return pt.stack(rho)[pairs.lag.astype(int)]


def autocorrelations(partial: np.ndarray) -> np.ndarray:
    """Autocorrelations at lags 1, 2, ... from partial ones, by the Durbin-Levinson recursion.

    Any partial autocorrelations between -1 and 1 give a positive definite Toeplitz matrix
    (Barndorff-Nielsen & Schou 1973, J Multivar Anal 3:408-419).
    """
    rho = np.empty_like(partial)
    phi = partial[:0]
    for k, r in enumerate(partial):
        past = rho[:k]
        rho[k] = phi @ past[::-1] + r * (1.0 - phi @ past)
        phi = np.append(phi - r * phi[::-1], r)
    return rho
