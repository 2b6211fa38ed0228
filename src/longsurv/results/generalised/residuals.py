"""Residuals of a fitted generalised mixed model, a row each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.design.names import free
from longsurv.diagnostics.quantile_residuals import quantile_residuals
from longsurv.likelihood.glmm.family import EXACT
from longsurv.results.generalised.quantities import AskedRows, row_means
from longsurv.results.simulated import SimulatedGLMM, check_determined


def residuals(fit: SimulatedGLMM, seed: int) -> pd.DataFrame:
    """See `GeneralisedMethods.residuals`."""
    check_determined(fit, "given residuals")
    design, data, theta = fit.design, fit.data, fit.theta
    own = {}
    if not design.levels:
        rows = AskedRows(design.fixed.X, design.Z, design.group, design.offsets)
        fitted, _ = row_means(data, theta, rows, link=False)
        seen = np.where(design.kind == EXACT, design.y, np.nan)
        own = {"fitted": fitted, "residual": seen - fitted}
    quantile = np.empty(len(design.y))
    # Rows of the kernel are sorted by patient.
    order = np.argsort(design.group, kind="stable")
    quantile[order] = quantile_residuals(data, theta, np.random.default_rng(seed))
    own["quantile"] = quantile
    patient = {free(design.group_name, own): design.labels[design.group]}
    return pd.DataFrame(patient | own, index=fit.spec.data.index[design.rows])
