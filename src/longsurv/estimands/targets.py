"""Whom a weighted comparison is about: the target population of a propensity weight.

With a tilting function h of the propensity score e, patients treated weigh h(e) / e and the others
h(e) / (1 - e); the comparison is then the average effect in a population in which patients with
score e count h(e) (Li, Morgan & Zaslavsky 2018, J Am Stat Assoc 113:390-400).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

type OfScore = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A number of each patient from who was treated, shape (n,), and the score, shape (..., n)."""


@dataclass(frozen=True)
class Target:
    """A population, and the weights that make both groups like it.

    Attributes
    ----------
    name : str
        As users write it.
    who : str
        The population in words, after "among".
    weights : callable
        Weight of each patient.
    slope : callable
        Derivative of its logarithm in the log odds of treatment.
    """

    name: str
    who: str
    weights: OfScore = field(repr=False)
    slope: OfScore = field(repr=False)

    def __reduce__(self) -> tuple[Callable[[str], Target], tuple[str]]:
        """An answer that is stored has its target by name: the functions here have none."""
        return _named, (self.name,)


ATE = Target(
    "ATE", "all patients",
    lambda z, e: np.where(z, 1 / e, 1 / (1 - e)),
    lambda z, e: np.where(z, e - 1, e),
)  # fmt: skip
ATT = Target(
    "ATT", "patients like those treated",
    lambda z, e: np.where(z, 1.0, e / (1 - e)),
    lambda z, e: np.where(z, 0.0, 1.0),
)  # fmt: skip
OVERLAP = Target(
    "overlap", "patients who might have been in either group",
    lambda z, e: np.where(z, 1 - e, e),
    lambda z, e: np.where(z, -e, 1 - e),
)  # fmt: skip
MATCHING = Target(
    "matching", "patients who would be matched one to one",
    lambda z, e: np.minimum(e, 1 - e) / np.where(z, e, 1 - e),
    lambda z, e: np.where(z, -1.0 * (e > 0.5), 1.0 * (e <= 0.5)),
)  # fmt: skip
TARGETS = {target.name: target for target in (ATE, ATT, OVERLAP, MATCHING)}
"""Every target, by name."""


def _named(name: str) -> Target:
    return TARGETS[name]
