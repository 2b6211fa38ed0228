"""Mixed models summed up: R squared."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.results.mixed.fitted import DrawnLMM, FittedLMM


def r2(fit: FittedLMM | DrawnLMM, level: float = 0.95) -> pd.DataFrame:
    """Share of the variance explained by the fixed effects, and by all effects together.

    Nakagawa & Schielzeth (2013), Methods Ecol Evol 4:133-142; with random slopes, the mean variance
    of the random part over the rows (Johnson 2014, Methods Ecol Evol 5:944-946). The variance of
    the fixed part has divisor n - 1.

    Returns
    -------
    DataFrame
        Rows "marginal" and "conditional". Of an estimate: term, estimate. Of a posterior: the
        columns of `tidy`.

    Raises
    ------
    LongsurvError
        For a posterior with several groupings or correlated residuals.
    """
    from longsurv.results.posterior import summarise

    spread = np.atleast_2d(np.cov(fit.design.fixed.X, rowvar=False))
    beta = np.asarray(fit.coefficients)
    fixed = np.einsum("...j,jk,...k->...", beta, spread, beta)
    if fit.engine == "bayes":
        if fit.design.structured:
            raise LongsurvError(
                "R squared of a posterior is for models with one grouping and independent residuals"
            )
        Z = fit.design.Z
        random = np.einsum("...ab,ab->...", _drawn_covariance(fit), Z.T @ Z / len(Z))
        weights = fit.design.weights
        over = 1.0 if weights is None else float(np.mean(1.0 / weights.values))
        total = fixed + random + over * fit.samples["sigma"] ** 2
        return summarise(
            {"marginal": fixed / total, "conditional": (fixed + random) / total}, level
        )
    residual, total = _mean_variances(fit)
    total += float(fixed)
    shares = [float(fixed) / total, 1.0 - residual / total]
    return pd.DataFrame({"term": ["marginal", "conditional"], "estimate": shares})


def _mean_variances(fit: FittedLMM) -> tuple[float, float]:
    """Variance of the residuals, and of residuals and random effects, averaged over the rows."""
    from longsurv.diagnostics.clusters import residual_blocks

    residual = total = sum(float(np.trace(R)) for _, R in residual_blocks(fit))
    for grouping, (D, basis) in zip(fit.design.groupings, fit.own_covariances, strict=True):
        Z = grouping.random.X @ np.linalg.inv(basis)
        total += float(np.vdot(Z.T @ Z, D))
    return residual / fit.nobs, total / fit.nobs


def _drawn_covariance(post: DrawnLMM) -> np.ndarray:
    """Draws of D, shape (chains, draws, q, q)."""
    q = len(post.design.random.names)
    names = post.design.variance_names
    sd = np.stack([post.samples[name] for name in names[1 : 1 + q]], axis=-1)
    D = sd[..., :, None] ** 2 * np.eye(q)
    for name, (i, j) in zip(names[1 + q :], post.design.random.pairs, strict=True):
        D[..., i, j] = D[..., j, i] = post.samples[name] * sd[..., i] * sd[..., j]
    return D
