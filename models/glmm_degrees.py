"""Degrees of freedom of a censored model: those of the linear mixed model of the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.mixed import MixedDesign
from longsurv.errors import EstimationError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.models.lmm import LMM
from longsurv.results.mixed.small_sample import SMALL_SAMPLE
from longsurv.results.reference import DegreesOf

METHOD = "t, Kenward-Roger degrees of freedom of the linear mixed model"


@dataclass(frozen=True, eq=False)
class LinearDegrees:
    """Kenward and Roger's, with limits, or the middle between two, in place of values.

    The linear model is fitted when they are first asked for, which many a fit is not.

    Attributes
    ----------
    formula : str
    data : DataFrame
    design : GeneralisedDesign
    """

    formula: str
    data: pd.DataFrame = field(repr=False)
    design: GeneralisedDesign = field(repr=False)

    @cached_property
    def found(self) -> DegreesOf | None:
        """Those of the linear model; None where it has no fit, and tests are normal."""
        design = self.design
        inherited = {f.name: getattr(design, f.name) for f in fields(MixedDesign)}
        inherited |= {"y": design.middle - design.offsets, "offset": None, "offset_term": ""}
        linear = LMM(self.formula, self.data).with_design(MixedDesign(**inherited))
        try:
            fit = linear.fit("REML", "kenward-roger")
        except EstimationError:
            return None
        patients = max(len(design.labels) - len(design.fixed.names), 1)
        return DegreesOf(fit.reference, float(patients))

    @property
    def method(self) -> str:
        """What they are, in words."""
        return "normal" if self.found is None else METHOD

    def df(self, row: np.ndarray) -> float:
        """Of one combination, weights of shape (p,).

        Parameters
        ----------
        row : ndarray, shape (p,)
        """
        return np.inf if self.found is None else self.found.df(row)

    def joint(self, L: np.ndarray) -> float:
        """Denominator degrees of freedom of several.

        Parameters
        ----------
        L : ndarray, shape (r, p)
        """
        return np.inf if self.found is None else self.found.joint(L)


def degrees_of(formula: str, data: pd.DataFrame, design: GeneralisedDesign) -> LinearDegrees | None:
    """Those of a censored model below `SMALL_SAMPLE` patients; None for all others."""
    if not FAMILIES[design.family].takes_censored or len(design.labels) >= SMALL_SAMPLE:
        return None
    return LinearDegrees(formula, data, design)
