"""What is used of a linear mixed model's answers by questions that have modules of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.design.mixed import MixedDesign
from longsurv.diagnostics.clusters import FittedMixed
from longsurv.diagnostics.influence import Fitted
from longsurv.estimands.answered import ByBayes, ByLikelihood
from longsurv.inference.specification import TableSpecification
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.kernel import MixedData
from longsurv.results.contrasts import ContrastLike
from longsurv.results.mixed.variances import VarianceEstimate
from longsurv.results.reference import Reference


class MixedSpecification(TableSpecification["FittedLMM", object], Protocol):
    """A linear mixed model."""

    @property
    def design(self) -> MixedDesign:
        """Its arrays."""

    @property
    def kernel(self) -> BlockKernel | DenseKernel | CrossedKernel:
        """Its likelihood."""


class FittedLMM(FittedMixed, Fitted, ByLikelihood, Protocol):
    """An estimate: it can be refitted, simulated from and profiled."""

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
    def variance(self) -> VarianceEstimate:
        """The variance parameters."""

    @property
    def params(self) -> pd.Series:
        """Coefficients by name."""

    @property
    def lam(self) -> np.ndarray:
        """Relative covariance factor of the patients' random effects, shape (q, q)."""

    @property
    def data(self) -> MixedData:
        """The arrays of the kernel."""

    @property
    def spec(self) -> MixedSpecification:
        """The model."""

    @property
    def again(self) -> Callable[..., FittedLMM]:
        """Another specification fitted as this one was."""

    def test(self, of: ContrastLike) -> pd.DataFrame:
        """Joint F test."""


class DrawnLMM(ByBayes, Protocol):
    """A posterior."""

    @property
    def design(self) -> MixedDesign:
        """The arrays of the model."""

    @property
    def samples(self) -> Mapping[str, np.ndarray]:
        """Draws of every parameter by term, shape (chains, draws) each."""

    @property
    def coefficients(self) -> np.ndarray:
        """Draws, shape (chains, draws, p)."""
