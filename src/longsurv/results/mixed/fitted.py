"""What is used of a linear mixed model's answers by questions that have modules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from longsurv.diagnostics.clusters import FittedMixed
from longsurv.inference import Optimum
from longsurv.results.contrasts import ContrastLike
from longsurv.results.mixed.variances import VarianceEstimate
from longsurv.results.reference import Reference


class FittedLMM(FittedMixed, Protocol):
    """An estimate: it can be refitted, simulated from and profiled."""

    @property
    def engine(self) -> Literal["ml"]:
        """By which it is told from a posterior."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    @property
    def llf(self) -> float:
        """(Restricted) log-likelihood."""

    @property
    def nobs(self) -> int:
        """Measurements."""

    @property
    def method(self) -> str:
        """REML or ML."""

    @property
    def reference(self) -> Reference:
        """Covariance and reference distribution of the coefficients."""

    @property
    def optimum(self) -> Optimum:
        """Where the climb ended."""

    @property
    def variance(self) -> VarianceEstimate:
        """The variance parameters."""

    @property
    def params(self) -> pd.Series:
        """Coefficients by name."""

    @property
    def converged(self) -> bool:
        """Whether it can be relied on."""

    @property
    def lam(self) -> np.ndarray:
        """Relative covariance factor of the patients' random effects, shape (q, q)."""

    @property
    def data(self) -> Any:
        """The arrays of the kernel."""

    def again(self, spec: Any) -> FittedLMM:
        """Another specification fitted as this one was."""

    def test(self, of: ContrastLike) -> pd.DataFrame:
        """Joint F test."""


class DrawnLMM(Protocol):
    """A posterior."""

    @property
    def engine(self) -> Literal["bayes"]:
        """By which it is told from an estimate."""

    @property
    def design(self) -> Any:
        """The arrays of the model."""

    @property
    def samples(self) -> Mapping[str, np.ndarray]:
        """Draws of every parameter by term, shape (chains, draws) each."""

    @property
    def coefficients(self) -> np.ndarray:
        """Draws, shape (chains, draws, p)."""
