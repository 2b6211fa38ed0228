"""What is used of any answer of a model by what draws it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from longsurv.priors import Prior


class Headed(Protocol):
    """An answer that can be wrong, and says so."""

    @property
    def headings(self) -> tuple[str, ...]:
        """What is wrong with the answer, to stand before its numbers."""


class Drawable(Headed, Protocol):
    """A fit or a posterior."""

    @property
    def engine(self) -> Literal["ml", "bayes"]:
        """How one is told from the other."""

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a coefficient."""


class DrawablePosterior(Drawable, Protocol):
    """A posterior."""

    @property
    def samples(self) -> Mapping[str, np.ndarray]:
        """Draws of every scalar parameter, by term."""

    @property
    def priors(self) -> Mapping[str, Prior]:
        """The prior of each that has one of its own."""
