"""What marginal means are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.design import FixedDesign
from longsurv.design.formula import Formula
from longsurv.estimands.answered import ByBayes, ByLikelihood
from longsurv.inference.specification import TableSpecification


class FixedEffects(Protocol):
    """Arrays of a model of measurements."""

    @property
    def formula(self) -> Formula:
        """The model."""

    @property
    def fixed(self) -> FixedDesign:
        """Its fixed effects."""

    @property
    def rows(self) -> np.ndarray:
        """Positions of the used rows in the data, shape (n,)."""


class Averaged(Protocol):
    """What means are made of: an answer of a model of measurements."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The model."""

    @property
    def design(self) -> FixedEffects:
        """Its arrays."""

    @property
    def contrast(self) -> Callable[..., pd.DataFrame]:
        """Linear combinations of coefficients."""


class AveragedFit(Averaged, ByLikelihood, Protocol):
    """An estimate."""

    @property
    def cov_params(self) -> Callable[..., pd.DataFrame]:
        """Covariance of the coefficients."""

    @property
    def test(self) -> Callable[..., pd.DataFrame]:
        """Joint F test."""


class AveragedDraws(Averaged, ByBayes, Protocol):
    """A posterior."""


type MeansAnswer = AveragedFit | AveragedDraws
