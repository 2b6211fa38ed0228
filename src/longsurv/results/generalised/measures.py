"""Share of the variance that the effects of a generalised mixed model explain."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd

from longsurv.results.generalised.quantities import factor
from longsurv.results.simulated import SimulatedGLMM, check_determined


def r2(fit: SimulatedGLMM) -> pd.DataFrame:
    """See `GeneralisedMethods.r2`."""
    check_determined(fit, "given an R squared")
    data, theta = fit.data, fit.theta
    own = theta[data.p : data.p + data.n_family]
    fixed = float(np.var(fit.design.fixed.X @ theta[: data.p], ddof=1))
    level = _level(fit) if data.family.log else np.nan
    random = _random_variance(fit)
    total = fixed + random + data.family.variance_around(level, own, data.kappa)
    shares = [fixed / total, (fixed + random) / total] if np.isfinite(total) else [np.nan, np.nan]
    return pd.DataFrame({"term": ["marginal", "conditional"], "estimate": shares})


def _random_variance(fit: SimulatedGLMM) -> float:
    """Of the random effects, averaged over the rows (Johnson 2014)."""
    return float(np.mean(((fit.design.effects.X @ factor(fit.data, fit.theta)) ** 2).sum(axis=1)))


def _level(fit: SimulatedGLMM) -> float:
    """The expected count of the model without fixed effects but an intercept."""
    design = fit.design
    fixed = replace(design.fixed, X=np.ones((len(design.y), 1)), names=("Intercept",))
    null = cast("SimulatedGLMM", fit.again(fit.spec.with_design(replace(design, fixed=fixed))))
    log = float(null.coefficients[0] + np.mean(design.offsets)) + 0.5 * _random_variance(null)
    return float(np.exp(log))
