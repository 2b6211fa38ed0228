"""What is used of an answer of a generalised mixed model by its means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from longsurv.results.averaged import AveragedDraws, AveragedFit

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign
    from longsurv.inference import Draws
    from longsurv.likelihood.glmm.data import GLMMData


class FittedGeneralised(AveragedFit, Protocol):
    """An estimate of a generalised mixed model."""

    @property
    def design(self) -> GeneralisedDesign:
        """The arrays of the model."""

    @property
    def data(self) -> GLMMData:
        """Those of the likelihood."""

    @property
    def theta(self) -> np.ndarray:
        """All parameters, shape (d,)."""

    @property
    def half(self) -> np.ndarray:
        """A square root of their covariance."""

    def estimable(self, X: np.ndarray, link: bool) -> np.ndarray:
        """Which rows of X the data determine."""


class DrawnGeneralised(AveragedDraws, Protocol):
    """A posterior of one."""

    @property
    def design(self) -> GeneralisedDesign:
        """The arrays of the model."""

    @property
    def data(self) -> GLMMData:
        """Those of the likelihood."""

    @property
    def draws(self) -> Draws:
        """Of all parameters."""

    def thetas(self) -> Iterator[np.ndarray]:
        """Every draw of all parameters."""


type GeneralisedAnswer = FittedGeneralised | DrawnGeneralised
