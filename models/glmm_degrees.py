"""Degrees of freedom of a censored model: those of the linear mixed model of the same rows."""

from __future__ import annotations

from dataclasses import fields

import pandas as pd

from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.mixed import MixedDesign
from longsurv.errors import EstimationError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.models.lmm import LMM
from longsurv.results.mixed.small_sample import SMALL_SAMPLE
from longsurv.results.reference import DegreesOf


def degrees_of(formula: str, data: pd.DataFrame, design: GeneralisedDesign) -> DegreesOf | None:
    """Kenward and Roger's, with limits, or the middle between two, in place of values.

    None for other families, from `SMALL_SAMPLE` patients on, and where that model has no fit.
    """
    if not FAMILIES[design.family].takes_censored or len(design.labels) >= SMALL_SAMPLE:
        return None
    inherited = {f.name: getattr(design, f.name) for f in fields(MixedDesign)}
    inherited |= {"y": design.middle - design.offsets, "offset": None, "offset_term": ""}
    linear = LMM(formula, data).with_design(MixedDesign(**inherited))
    try:
        fit = linear.fit("REML", "kenward-roger")
    except EstimationError:
        return None
    patients = max(len(design.labels) - len(design.fixed.names), 1)
    return DegreesOf(fit.reference, float(patients))
