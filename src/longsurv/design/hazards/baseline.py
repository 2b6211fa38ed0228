"""What a baseline hazard on the full likelihood has to say, and what sums of bases share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from longsurv.likelihood.hazard.forms import ADDITIVE, Form

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


class Spent(NamedTuple):
    """Times at risk as the likelihood takes them.

    Attributes
    ----------
    row : ndarray of int, shape (r,)
        Whose they are.
    sign : ndarray, shape (r,)
        -1 where what happened before entry is taken off, else 1.
    Q : ndarray, shape (r, K)
        Integrated basis, or whatever the form of the likelihood has in its place.
    """

    row: np.ndarray
    sign: np.ndarray
    Q: np.ndarray


@dataclass(frozen=True)
class HazardBaseline(ABC):
    """The baseline hazard of a model.

    Attributes
    ----------
    kind : str
        What `Hazard` calls it.
    words : str
        What a reader calls it.
    form : Form
        How its likelihood is computed.
    smoothed : bool
        Whether its shape is drawn towards a constant hazard (see `likelihood.hazard.loglik`).
    knots : tuple of float
        Interior knots, or where pieces meet; ascending.
    lower, upper : float
        First time anyone was at risk and last time of follow-up.
    unit : float
        A typical event time: where logarithms of time are 0.
    """

    kind: ClassVar[str]
    words: ClassVar[str]
    form: ClassVar[Form]
    smoothed: ClassVar[bool] = False

    knots: tuple[float, ...]
    lower: float
    upper: float
    unit: float

    @classmethod
    def knots_for(cls, events: int) -> int | None:
        """How many knots so many events bear; None where there are none at all."""
        return None

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, without the shape of one that is smoothed."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of parameters of the kernel."""

    @property
    @abstractmethod
    def levels(self) -> int:
        """How many parameters, the first, are levels; the others, 0 at a constant hazard, shape
        it."""

    @property
    def breaks(self) -> tuple[float, ...]:
        """Times where the hazard or its third derivative jumps."""
        return self.knots

    def level(self, rate: float, each: float) -> float:
        """The level of a constant hazard with `rate` events a unit of time, `each` a patient."""
        return float(np.log(rate))

    @property
    def shapes(self) -> tuple[float, ...]:
        """Values of the one parameter of shape to begin at, beside that of a constant hazard."""
        return ()

    @property
    def constant(self) -> np.ndarray | None:
        """Weights, of sum 1, that make a smoothed hazard constant, shape (K,)."""
        return None

    @abstractmethod
    def basis(self, t: np.ndarray) -> np.ndarray:
        """The hazard's basis at times (n,), or what the form of the likelihood has in its place."""

    def left_out(self, t: np.ndarray) -> np.ndarray:
        """What the hazard at times (n,) that follows from the basis is still to be divided by."""
        return np.ones(len(t))

    @abstractmethod
    def spent(self, start: np.ndarray, stop: np.ndarray) -> Spent:
        """The times at risk (start, stop], of shape (n,)."""

    def without_events(self, times: np.ndarray) -> list[str]:
        """Where no event time lies and the hazard is therefore 0 by maximum likelihood."""
        return []

    # ---- the same in PyMC ----

    def twin_natural(self, parameters: Sequence[TensorVariable]) -> TensorVariable:
        """What the hazard is written in, from the parameters, which are its logarithms."""
        import pymc as pm

        return pm.math.exp(pm.math.stack(parameters))

    @abstractmethod
    def twin_hazard(self, natural: TensorVariable, t: np.ndarray) -> TensorVariable:
        """The hazard at times (n,)."""

    @abstractmethod
    def twin_between(
        self, natural: TensorVariable, entry: np.ndarray, exit: np.ndarray
    ) -> TensorVariable:
        """The cumulative hazard between times (n,)."""


@dataclass(frozen=True)
class Additive(HazardBaseline):
    """h0(t) = sum_k c_k M_k(t), c_k > 0, with parameters log c.

    The integrals of the bases are known in closed form, so the cumulative hazard between any two
    times is exact, with delayed entry as without.
    """

    form: ClassVar[Form] = ADDITIVE

    @property
    def levels(self) -> int:
        """How many parameters, the first, are levels; the others, 0 at a constant hazard, shape
        it."""
        return self.size

    @abstractmethod
    def hazard(self, t: np.ndarray) -> np.ndarray:
        """M(t), shape (n, K), at times of shape (n,)."""

    @abstractmethod
    def cumulative(self, t: np.ndarray) -> np.ndarray:
        """Integrals of M up to t, shape (n, K)."""

    def basis(self, t: np.ndarray) -> np.ndarray:
        """M(t), shape (n, K), at times of shape (n,)."""
        return self.hazard(t)

    def spent(self, start: np.ndarray, stop: np.ndarray) -> Spent:
        """The times at risk (start, stop], of shape (n,), each once."""
        Q = self.cumulative(stop) - self.cumulative(start)
        return Spent(np.arange(len(stop)), np.ones(len(stop)), Q)

    def twin_hazard(self, natural: TensorVariable, t: np.ndarray) -> TensorVariable:
        """The hazard at times (n,), in PyMC."""
        return self.hazard(t) @ natural

    def twin_between(
        self, natural: TensorVariable, entry: np.ndarray, exit: np.ndarray
    ) -> TensorVariable:
        """The cumulative hazard between times (n,), in PyMC."""
        return (self.cumulative(exit) - self.cumulative(entry)) @ natural
