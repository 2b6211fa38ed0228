"""Whom a weighted comparison is about: the target population of a propensity weight.

With a tilting function h of the chances e_1, ..., e_k of the arms, a patient of arm j weighs
h(e) / e_j; the comparison is then the average effect in a population in which patients with these
chances count h(e). Of two arms h is 1 for everybody, e for those like the treated, e (1 - e) for
the overlap and min(e, 1 - e) for matching (Li, Morgan & Zaslavsky 2018, J Am Stat Assoc
113:390-400); of more, 1, the chance of the arm named, 1 / (1/e_1 + ... + 1/e_k) and the least
chance (Li & Li 2019, Ann Appl Stat 13:2389-2415).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

type OfChances = Callable[[np.ndarray, int], np.ndarray]
"""Of the chances of the arms, shape (..., k), and the arm that those treated have."""


@dataclass(frozen=True)
class Target:
    """A population, and the weights that make all arms like it.

    Attributes
    ----------
    name : str
        As users write it.
    who : str
        The population in words, after "among".
    tilt : callable
        How much a patient counts in it: h above.
    tilt_slope : callable
        Derivative of its logarithm in the log odds of each arm but the first against the first,
        shape (..., k - 1).
    """

    name: str
    who: str
    tilt: OfChances = field(repr=False)
    tilt_slope: OfChances = field(repr=False)

    def weights(self, arm: np.ndarray, chance: np.ndarray, treated: int = 1) -> np.ndarray:
        """Weight of each patient, shape (..., n).

        Parameters
        ----------
        arm : ndarray of int, shape (n,)
            0 for the reference, to k - 1.
        chance : ndarray, shape (..., n, k)
        treated : int
            The arm of those treated, of whom the target "ATT" is.
        """
        weight: np.ndarray = self.tilt(chance, treated) / _own(arm, chance)
        return weight

    def slope(self, arm: np.ndarray, chance: np.ndarray, treated: int = 1) -> np.ndarray:
        """Derivative of each log weight in the patient's log odds, shape (n, k - 1).

        Parameters
        ----------
        arm : ndarray of int, shape (n,)
        chance : ndarray, shape (n, k)
        treated : int
        """
        mine = arm[:, None] == np.arange(1, chance.shape[1])
        moved: np.ndarray = self.tilt_slope(chance, treated) - (mine - chance[:, 1:])
        return moved

    def __reduce__(self) -> tuple[Callable[[str], Target], tuple[str]]:
        """An answer that is stored has its target by name: the functions here have none."""
        return _named, (self.name,)


def _own(arm: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The chance of the arm a patient is in, shape (..., n)."""
    return chance[..., np.arange(len(arm)), arm]


def _moved(which: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Derivative of the logarithm of the chance of one arm of each patient, shape (n, k - 1)."""
    others = np.arange(1, chance.shape[1])
    return (np.broadcast_to(which, len(chance))[:, None] == others) - chance[:, 1:]


def _overlap(chance: np.ndarray) -> np.ndarray:
    """1 / (1/e_1 + ... + 1/e_k); 0 where a chance is 0."""
    least = chance.min(axis=-1, keepdims=True)
    ratios = np.divide(least, chance, out=np.zeros_like(chance), where=chance > 0)
    found: np.ndarray = least[..., 0] / np.maximum(ratios.sum(axis=-1), 1.0)
    return found


def _least(chance: np.ndarray) -> np.ndarray:
    """The arm of the least chance, the last of those that have it."""
    return chance.shape[1] - 1 - np.argmin(chance[:, ::-1], axis=1)


ATE = Target(
    "ATE", "all patients",
    lambda e, _: np.ones(e.shape[:-1]),
    lambda e, _: np.zeros((len(e), e.shape[1] - 1)),
)  # fmt: skip
ATT = Target(
    "ATT", "patients like those treated",
    lambda e, treated: e[..., treated],
    lambda e, treated: _moved(np.array(treated), e),
)  # fmt: skip
OVERLAP = Target(
    "overlap", "patients who might have been in either group",
    lambda e, _: _overlap(e),
    lambda e, _: _overlap(e)[:, None] / e[:, 1:] - e[:, 1:],
)  # fmt: skip
MATCHING = Target(
    "matching", "patients who would be matched one to one",
    lambda e, _: e.min(axis=-1),
    lambda e, _: _moved(_least(e), e),
)  # fmt: skip
TARGETS = {target.name: target for target in (ATE, ATT, OVERLAP, MATCHING)}
"""Every target, by name."""


def _named(name: str) -> Target:
    return TARGETS[name]
