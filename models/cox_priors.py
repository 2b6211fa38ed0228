"""What the default priors of a Cox model are stated in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design import SurvivalDesign
from longsurv.design.centred import CentredDesign, centred
from longsurv.design.expression import Functions
from longsurv.design.fixed import fixed_design
from longsurv.inference import Affine
from longsurv.likelihood.cox.loglik import CoxData

SITE_SD = 0.5
"""Scale of the half-normal prior of the standard deviation of site effects."""


def centred_covariates(
    design: SurvivalDesign,
    data: pd.DataFrame,
    statistics: CoxData,
    functions: Functions | None = None,
) -> CentredDesign:
    """Covariates centred before their products are formed, with weights of risk sets.

    A row counts once for each event time at which it is at risk (times its case weight), whatever
    that time is called and however follow-up was cut into rows. Where no one at risk differs in a
    covariate, its unit is the spread of all rows.
    """
    a = statistics.arrays
    weights = np.zeros(statistics.n_rows)
    weights[statistics.order] = (a.last - a.first) * a.weight
    rows = data.iloc[design.rows].reset_index(drop=True)
    found = centred(design.fixed, rows, weights, intercept=False)
    if design.strata is not None and design.fixed.aliased:
        # strata stand for the columns that they determine, beside which products can be centred
        whole, _ = fixed_design(design.formula.fixed, rows, intercept=False, functions=functions)
        every = centred(whole, rows, weights, intercept=False)
        kept = [whole.names.index(name) for name in design.fixed.names]
        at = {j: k for k, j in enumerate(kept)}
        alike = tuple(
            (tuple(at[j] for j in columns), root)
            for columns, root in every.alike
            if at.keys() >= set(columns)
        )
        found = CentredDesign(
            every.X[:, kept], every.to[np.ix_(kept, kept)], every.sd[kept], every.unit[kept], alike
        )
    spread = design.fixed.X.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    unit = np.where(found.unit > 1e-9 * spread, found.unit, spread)
    return replace(found, unit=unit)


def default_priors(design: SurvivalDesign, centred: CentredDesign) -> dict[str, pr.Prior]:
    """Default priors in the order of the coefficients; see `CoxPH.default_priors`."""
    priors: dict[str, pr.Prior] = {
        name: pr.Normal(0.0, float(1.0 / unit))
        for name, unit in zip(design.fixed.names, centred.unit, strict=True)
    }
    if design.sites is not None:
        priors[design.sites.deviation] = pr.HalfNormal(SITE_SD)
    return priors


def prior_stack(
    design: SurvivalDesign, centred: CentredDesign, given: Mapping[str, pr.Prior] | None
) -> pr.PriorStack:
    """The priors in the order of the coefficients; see `CoxPH.prior_stack`."""
    defaults, aliases = default_priors(design, centred), design.fixed.variables
    chosen = pr.choose(tuple(defaults), defaults, given, aliases)
    names = design.fixed.names
    basis, alike = pr.centred_basis(centred.to, names, given, aliases, centred.alike)
    return pr.PriorStack(tuple(defaults), chosen, basis=basis, alike=alike)


def climbed_in(centred: CentredDesign, size: int) -> Affine | None:
    """Coordinates to climb and draw in: the first coefficients, of `size` parameters, become those
    of centred variables; None where they are those already.

    With products of variables far from 0 the coefficients as named are all but collinear, and a
    curvature by differences in them loses its digits.
    """
    k = len(centred.to)
    if np.array_equal(centred.to, np.eye(k)):
        return None
    factor = np.eye(size)
    factor[:k, :k] = np.linalg.inv(centred.to)
    return Affine(np.zeros(size), factor)
