"""Profile-likelihood intervals of the coefficients of a generalised mixed model.

The interval holds the values at which the deviance, minimised over all other parameters, is within
a chi-squared quantile of its minimum. In the orthonormal columns of the climb a combination of
coefficients is a direction; they are turned so that it is one of the axes, which is then held.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from scipy.special import chdtri

from longsurv.errors import LongsurvError
from longsurv.estimands.answered import ByLikelihood
from longsurv.inference import maximise
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.start import Climb, climb
from longsurv.results.contrasts import ContrastLike, contrast_matrix
from longsurv.results.profiled import Criterion, ProfilePath, limit_of
from longsurv.results.reference import Reference, estimable


class ProfiledGeneralised(ByLikelihood, Protocol):
    """An estimate of a generalised mixed model."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    @property
    def data(self) -> GLMMData:
        """Its rows."""

    @property
    def theta(self) -> np.ndarray:
        """All parameters, shape (d,)."""

    @property
    def reference(self) -> Reference:
        """Covariance of the coefficients."""

    @property
    def llf(self) -> float:
        """Log-likelihood."""


def profile_intervals(
    fit: ProfiledGeneralised, of: ContrastLike | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Profile-likelihood intervals of combinations of coefficients.

    Parameters
    ----------
    fit : GeneralisedEstimate
    of : str, mapping, array or DataFrame, optional
        As for `contrast`; each of the fixed effects by default. Thresholds have none.
    level : float

    Returns
    -------
    DataFrame
        term, estimate, conf_low, conf_high; NaN where the data do not determine one.

    Raises
    ------
    LongsurvError
        For a threshold of an ordinal response.
    EstimationError
        If the likelihood does not fall far enough to give a limit.
    """
    p = fit.data.p
    L, labels = contrast_matrix(np.eye(len(fit.names))[:p] if of is None else of, fit.names)
    if of is None:
        labels = list(fit.names[:p])
    if L[:, p:].any():
        raise LongsurvError("only fixed effects have a profile interval, thresholds have none")
    to, cut = climb(fit.data), float(chdtri(1, 1.0 - level))
    rows = []
    for name, row, known in zip(labels, L[:, :p], estimable(fit.reference, L), strict=True):
        low, high, estimate = np.nan, np.nan, np.nan
        if known:
            path = _path(fit, to, row)
            estimate = path.estimate
            low, high = (limit_of(path, -2.0 * fit.llf, cut, side, name) for side in (-1, 1))
        rows.append((name, estimate, low, high))
    return pd.DataFrame(rows, columns=["term", "estimate", "conf_low", "conf_high"])


def fall(fit: ProfiledGeneralised, of: ContrastLike, value: float) -> float:
    """How much the deviance rises where a combination of fixed effects is held at a value: the
    likelihood-ratio statistic, chi-squared on 1 degree of freedom in large samples.

    Parameters
    ----------
    fit : GeneralisedEstimate
    of : str, mapping or array
        One combination, as for `contrast`.
    value : float
    """
    p = fit.data.p
    (row,), _ = contrast_matrix(of, fit.names)
    path = _path(fit, climb(fit.data), row[:p])
    held = maximise(path.hold(value), path.start, lower=path.lower)
    return max(2.0 * (fit.llf - held.value), 0.0)


def _path(fit: ProfiledGeneralised, to: Climb, weights: np.ndarray) -> ProfilePath:
    """Of weights' beta, weights of shape (p,)."""
    p, inner = len(weights), to.coordinates
    h = inner.T[:p, :p].T @ weights
    shift, size = float(weights @ inner.centre[:p]), float(np.linalg.norm(h))
    turn = np.linalg.qr(np.column_stack([h, np.eye(p)]))[0][:, :p]
    turn[:, 0] = h / size
    x = inner.inward(fit.theta)

    def hold(value: float) -> Criterion:
        first = (value - shift) / size

        def criterion(z: np.ndarray) -> tuple[float, np.ndarray]:
            at = np.concatenate([turn @ np.append(first, z[: p - 1]), z[p - 1 :]])
            found, gradient = to.log_likelihood(at)
            return found, np.concatenate([(turn.T @ gradient[:p])[1:], gradient[p:]])

        return criterion

    cov = fit.reference.cov[:p, :p]
    return ProfilePath(
        estimate=float(weights @ fit.theta[:p]),
        scale=float(np.sqrt(weights @ cov @ weights)),
        bounds=(-np.inf, np.inf),
        hold=hold,
        start=np.concatenate([(turn.T @ x[:p])[1:], x[p:]]),
        lower=np.concatenate([np.full(p - 1, -np.inf), to.lower[p:]]),
    )
