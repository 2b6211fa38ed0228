"""What a correlation of a patient's residuals has to say, and what most of them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

COMPLEX_STEP = 1e-30


class Pairs(Protocol):
    """The kinds of pairs of a patient's rows (see `longsurv.likelihood.lmm.dense.residual`)."""

    @property
    def lag(self) -> np.ndarray:
        """Visits or time between the two rows of each kind of pair, shape (K,)."""

    @property
    def first(self) -> np.ndarray:
        """Visit of one of them, shape (K,)."""

    @property
    def second(self) -> np.ndarray:
        """Visit of the other, shape (K,)."""

    @property
    def n_visits(self) -> int:
        """Number of visits."""

    @property
    def most(self) -> int:
        """Largest number of rows a patient may have."""

    @property
    def shortest(self) -> float:
        """The smallest lag above 0."""


@dataclass(frozen=True)
class Correlation(ABC):
    """A correlation of a patient's residuals, as a function of unconstrained numbers psi.

    Attributes
    ----------
    name : str
        What `longsurv.Residual` calls it.
    needs_visit : bool
        Whether there is none without a column of visits.
    in_order : bool
        Whether the order of the visits counts.
    in_time : bool
        Whether that column holds times, and lags are differences of them.
    by_pair : bool
        Whether every pair of visits has a correlation of its own: the covariance is then linear in
        variances and covariances with a variance for each visit too, and psi, the partial
        correlations of a whole matrix, has an LKJ prior.
    linear : bool
        Whether the covariance is linear in one variance and the covariances.
    lower : float
        Lower bound of psi.
    boundary : str
        What it means that the estimate is there, in a sentence.
    """

    name: ClassVar[str]
    needs_visit: ClassVar[bool] = True
    in_order: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    by_pair: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    lower: ClassVar[float] = -np.inf
    boundary: ClassVar[str] = ""

    def size(self, visits: int) -> int:
        """Number of parameters psi for so many visits."""
        return 1

    def labels(self, visits: Sequence[str]) -> tuple[str, ...]:
        """Names of the natural parameters for visits of these names."""
        return ("rho",)

    def start(self, size: int) -> np.ndarray:
        """psi, shape (size,), of moderate correlation."""
        psi = np.zeros(size)
        psi[0] = 0.5
        return psi

    @abstractmethod
    def natural(self, psi: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation parameters on their natural scale; psi may be complex."""

    @abstractmethod
    def correlation(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,), from the natural parameters."""

    def shown(self, rho: np.ndarray, pairs: Pairs) -> np.ndarray:
        """The natural parameters as a reader is to see them."""
        return rho

    def pullback(self, psi: np.ndarray, pairs: Pairs, adjoint: np.ndarray) -> np.ndarray:
        """Gradient in psi of a function of gradient `adjoint`, shape (K,), in the correlations."""
        return (
            complex_step(lambda x: self.correlation(self.natural(x, pairs), pairs), psi) @ adjoint
        )

    @abstractmethod
    def twin(self, psi: Sequence[TensorVariable], pairs: Pairs, eta: float) -> TensorVariable:
        """`correlation` of `natural` in PyMC: psi are its variables, or, `by_pair`, none, and the
        matrix is LKJ(eta)."""


def complex_step(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Jacobian (len(x), K) of an analytic function, to machine precision (Squire & Trapp 1998)."""
    out = []
    for j in range(len(x)):
        moved = x.astype(complex)
        moved[j] += 1j * COMPLEX_STEP
        out.append(function(moved).imag / COMPLEX_STEP)
    return np.array(out)
