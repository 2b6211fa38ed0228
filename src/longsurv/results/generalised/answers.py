"""What is used of an answer of a generalised mixed model by its means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from longsurv.results.averaged import AveragedDraws, AveragedFit
from longsurv.results.reference import degrees

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign
    from longsurv.inference import Draws
    from longsurv.likelihood.glmm.data import GLMMData
    from longsurv.results.reference import Reference


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

    @property
    def reference(self) -> Reference:
        """Covariance and reference distribution of the coefficients."""

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


def degrees_of_predictors(result: FittedGeneralised, rows: np.ndarray) -> np.ndarray:
    """Degrees of freedom of means whose slope in the coefficients is rows, shape (k, p): those of
    the coefficients where a mean response is the predictor, else infinite; shape (k,)."""
    if not result.design.mean_is_predictor:
        return np.full(len(rows), np.inf)
    return degrees(result.reference, rows)


type GeneralisedAnswer = FittedGeneralised | DrawnGeneralised
