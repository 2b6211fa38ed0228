"""Residuals of a fitted generalised mixed model: a row each, their quantiles, and their bands."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.design.names import free
from longsurv.diagnostics.quantile_residuals import predicted_residuals, quantile_residuals
from longsurv.diagnostics.residuals import bin_count, binned, check_band, ordered
from longsurv.likelihood.glmm.family import EXACT
from longsurv.results.generalised.quantities import AskedRows, row_means
from longsurv.results.simulated import SimulatedGLMM, check_determined


def residuals(fit: SimulatedGLMM, seed: int) -> pd.DataFrame:
    """See `GeneralisedMethods.residuals`."""
    check_determined(fit, "given residuals")
    design, data, theta = fit.design, fit.data, fit.theta
    own = {}
    if not design.levels:
        site = design.site_of_row if design.crossed else None
        rows = AskedRows(design.fixed.X, design.effects.X, design.group, design.offsets, site)
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


def qq(fit: SimulatedGLMM, level: float, simulations: int, seed: int) -> pd.DataFrame:
    """See `GeneralisedMethods.qq`."""
    check_band(level, simulations)
    check_determined(fit, "given residuals")
    rng = np.random.default_rng(seed)
    _, own = predicted_residuals(fit.data, fit.theta, rng)
    rows = fit.design.rows[np.argsort(fit.design.group, kind="stable")]
    values = np.column_stack([own, rng.standard_normal((len(own), simulations))])
    return ordered("quantile", fit.spec.data.index[rows], values, level)


def residual_bands(
    fit: SimulatedGLMM, bins: int | None, level: float, simulations: int, seed: int
) -> pd.DataFrame:
    """See `GeneralisedMethods.residual_bands`."""
    check_band(level, simulations)
    check_determined(fit, "given residuals")
    count = bin_count(len(fit.design.y), bins)
    rng = np.random.default_rng(seed)
    eta, own = predicted_residuals(fit.data, fit.theta, rng)
    values = np.column_stack([own, rng.standard_normal((len(own), simulations))])
    return binned(np.broadcast_to(eta[:, None], values.shape), values, count, level)
