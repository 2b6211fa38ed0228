"""The priors of a hazard model, and what the default ones are stated in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign, centred
from longsurv.design.hazard import HazardDesign
from longsurv.models.cox_priors import SITE_SD
from longsurv.models.hazard_start import check_smoothing

LEVEL_SD, SHAPE_SD, TREND_SD = 5.0, 0.5, 0.5
SD = "sd(log hazard)"


def centred_covariates(hazard: HazardDesign, data: pd.DataFrame) -> CentredDesign:
    """The covariates in variables centred before their products are formed.

    Means and SDs are over the time at risk, so that follow-up cut into rows changes nothing.
    """
    rows = data.iloc[hazard.survival.rows]
    return centred(hazard.survival.fixed, rows, _at_risk(hazard), intercept=False)


def _at_risk(hazard: HazardDesign) -> np.ndarray:
    d = hazard.survival
    return (d.exit - d.entry) * (1.0 if d.weights is None else d.weights)


def default_priors(hazard: HazardDesign, centred: CentredDesign) -> dict[str, pr.Prior]:
    """Default priors in the order of the parameters; see `Hazard.default_priors`."""
    scale = centred.unit
    sds = [*(1.0 / scale), *(TREND_SD / scale[list(hazard.varying)])]
    priors: dict[str, pr.Prior] = {
        name: pr.Normal(0.0, float(s)) for name, s in zip(hazard.names, sds, strict=True)
    }
    for k, name in enumerate(hazard.baseline.names):
        shape = k >= hazard.baseline.levels
        priors[name] = pr.Normal(0.0, SHAPE_SD) if shape else pr.Normal(hazard.level, LEVEL_SD)
    if hazard.baseline.smoothed:
        priors |= {f"shape[{k}]": pr.Normal(0.0, 1.0) for k in range(1, hazard.baseline.size)}
        priors[SD] = pr.Exponential(1.0)
    if hazard.survival.sites is not None:
        priors[hazard.survival.sites.deviation] = pr.HalfNormal(SITE_SD)
    return priors


def prior_basis(
    hazard: HazardDesign, centred: CentredDesign, given: Mapping[str, pr.Prior] | None
) -> tuple[np.ndarray | None, tuple[pr.Alike, ...]]:
    """What default priors are of: coefficients of centred variables, and the level at the mean
    over the time at risk; see `PriorStack.basis` and `PriorStack.alike`."""
    p, k = len(hazard.names), len(hazard.survival.fixed.names)
    levels = hazard.baseline.names[: hazard.baseline.levels]
    size = p + len(levels)
    to = np.eye(size)
    to[:k, :k] = centred.to
    # A factor's changes with log time are differences between its levels too, and a product's are
    # those at the means of the others, as far as these change too.
    varying = list(hazard.varying)
    others = np.delete(np.arange(k), varying)
    own = (centred.to[np.ix_(varying, others)] == 0.0).all(axis=1)
    to[k:p, k:p] = np.where(own[:, None], centred.to[np.ix_(varying, varying)], to[k:p, k:p])
    at_risk = _at_risk(hazard)
    to[p:, :k] = at_risk @ hazard.survival.fixed.X / at_risk.sum() - hazard.centre
    names = (*hazard.names, *levels)
    at = {j: k + i for i, j in enumerate(hazard.varying)}
    changing = [
        (tuple(at[j] for j in columns), root)
        for columns, root in centred.alike
        if at.keys() >= set(columns)
    ]
    alike = (*centred.alike, *changing)
    return pr.centred_basis(to, names, given, hazard.survival.fixed.variables, alike)


def prior_stack(
    hazard: HazardDesign,
    centred: CentredDesign,
    given: Mapping[str, pr.Prior] | None,
    smoothing: float | None,
) -> pr.PriorStack:
    """The priors in the order of the parameters; see `Hazard.prior_stack`."""
    defaults = default_priors(hazard, centred)
    check_smoothing(hazard.baseline, smoothing)
    if smoothing is not None:
        del defaults[SD]
    chosen = pr.choose(tuple(defaults), defaults, given, hazard.survival.fixed.variables)
    basis, alike = prior_basis(hazard, centred, given)
    return pr.PriorStack(tuple(defaults), chosen, basis=basis, alike=alike)
