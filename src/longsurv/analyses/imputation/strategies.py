"""What is assumed of the values a patient would have had after the last one that was seen.

Each kind composes the mean of a patient's visits from that under the patient's own group and that
under the reference group; missing values are then drawn given the seen ones, with the covariance
that both groups share (Carpenter, Roger & Kenward 2013, J Biopharm Stat 23:1352-1371).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

Method = Literal["mar", "jump_to_reference", "copy_increments", "copy_reference"]


@dataclass(frozen=True)
class Strategy(ABC):
    """An assumption about what is missing."""

    words: ClassVar[str]
    needs_reference: ClassVar[bool] = True

    @abstractmethod
    def mean(self, own: np.ndarray, reference: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The mean of one patient's visits, in their order.

        Parameters
        ----------
        own, reference : ndarray, shape (..., k)
            Under the patient's own group, and under the reference group.
        after : ndarray of bool, shape (k,)
            Visits after the last value that was seen.

        Returns
        -------
        ndarray, shape (..., k)
        """


@dataclass(frozen=True)
class MissingAtRandom(Strategy):
    """As patients of the same group who were seen."""

    words: ClassVar[str] = (
        "missing at random: a value that is missing is like those of patients of the same group "
        "with the same values before"
    )
    needs_reference: ClassVar[bool] = False

    def mean(self, own: np.ndarray, reference: np.ndarray, after: np.ndarray) -> np.ndarray:
        """That of the own group.

        Parameters
        ----------
        own, reference : ndarray, shape (..., k)
        after : ndarray of bool, shape (k,)
        """
        return own


@dataclass(frozen=True)
class JumpToReference(Strategy):
    """The benefit is gone at once."""

    words: ClassVar[str] = (
        "jump to reference: after the last value a patient's mean is that of the reference group"
    )

    def mean(self, own: np.ndarray, reference: np.ndarray, after: np.ndarray) -> np.ndarray:
        """That of the reference group after the last value.

        Parameters
        ----------
        own, reference : ndarray, shape (..., k)
        after : ndarray of bool, shape (k,)
        """
        return np.where(after, reference, own)


@dataclass(frozen=True)
class CopyIncrements(Strategy):
    """The benefit so far is kept, and grows no further."""

    words: ClassVar[str] = (
        "copy increments in reference: after the last value a patient's mean moves as that of the "
        "reference group, and keeps the difference that there was"
    )

    def mean(self, own: np.ndarray, reference: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The steps of the reference group, from where the own group was.

        Parameters
        ----------
        own, reference : ndarray, shape (..., k)
        after : ndarray of bool, shape (k,)
        """
        if after.all():
            return reference
        last = int(np.flatnonzero(~after)[-1])
        kept = (own - reference)[..., last : last + 1]
        return np.where(after, reference + kept, own)


@dataclass(frozen=True)
class CopyReference(Strategy):
    """As if the patient had been of the reference group all along."""

    words: ClassVar[str] = (
        "copy reference: a patient whose values end is like one of the reference group with the "
        "same values before"
    )

    def mean(self, own: np.ndarray, reference: np.ndarray, after: np.ndarray) -> np.ndarray:
        """That of the reference group, the visits that were seen included.

        Parameters
        ----------
        own, reference : ndarray, shape (..., k)
        after : ndarray of bool, shape (k,)
        """
        return reference if after.any() else own


STRATEGIES: dict[Method, Strategy] = {
    "mar": MissingAtRandom(),
    "jump_to_reference": JumpToReference(),
    "copy_increments": CopyIncrements(),
    "copy_reference": CopyReference(),
}
