"""Residuals of a linear mixed model, and quantile plots with simulation bands.

With V_i = Z_i D Z_i' + sigma^2 I = L_i L_i' the covariance of patient i's measurements,

    marginal     y_i - X_i b                      what the mean curve leaves
    scaled       L_i^-1 (y_i - X_i b)             the same, uncorrelated and of unit variance
    conditional  y_i - X_i b - Z_i b_i            what the patient's own curve leaves
                 = sigma^2 V_i^-1 (y_i - X_i b)

Santos Nobre & da Motta Singer (2007), Biom J 49:863-875; Houseman, Ryan & Coull (2004), J Am Stat
Assoc 99:383-394, for the scaled ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtri

from longsurv.errors import LongsurvError

KINDS = ("studentised", "scaled", "random effects")


class FittedMixed(Protocol):
    """What is used of a fitted mixed model."""

    spec: Any
    design: Any
    coefficients: np.ndarray
    sigma: float

    @property
    def random_cov(self) -> pd.DataFrame:
        """Covariance of the random effects, shape (q, q)."""
        ...


@dataclass(frozen=True)
class _Whitened:
    """The model in coordinates in which the measurements are independent with variance 1.

    Attributes
    ----------
    rows : list of ndarray of int
        Rows of each patient.
    L : list of ndarray
        Cholesky factor of each patient's V.
    basis : ndarray, shape (n, p)
        Orthonormal basis of the columns of L^-1 X.
    D : ndarray, shape (q, q)
    """

    rows: list[np.ndarray]
    L: list[np.ndarray]
    basis: np.ndarray
    D: np.ndarray

    def forth(self, values: np.ndarray) -> np.ndarray:
        """L^-1 values, shape (n, ...)."""
        out = np.empty_like(values, dtype=float)
        for rows, L in zip(self.rows, self.L, strict=True):
            out[rows] = solve_triangular(L, values[rows], lower=True)
        return out

    def back(self, values: np.ndarray) -> np.ndarray:
        """L'^-1 values, shape (n, ...)."""
        out = np.empty_like(values, dtype=float)
        for rows, L in zip(self.rows, self.L, strict=True):
            out[rows] = solve_triangular(L, values[rows], lower=True, trans="T")
        return out

    def effects(self, Z: np.ndarray, back: np.ndarray) -> np.ndarray:
        """D Z' V^-1 (y - Xb), shape (N, q, ...), from V^-1 (y - Xb)."""
        return np.stack(
            [self.D @ np.tensordot(Z[rows], back[rows], axes=(0, 0)) for rows in self.rows]
        )


def _whitened(fit: FittedMixed) -> _Whitened:
    design = fit.design
    if design.structured:
        raise LongsurvError(
            "residuals are available for models with one grouping and independent residuals only"
        )
    D, Z = fit.random_cov.to_numpy(), design.Z
    rows = list(_rows_by_patient(design.group, len(design.labels)))
    L = [cholesky(Z[at] @ D @ Z[at].T + fit.sigma**2 * np.eye(len(at)), lower=True) for at in rows]
    white = _Whitened(rows, L, np.empty((0, 0)), D)
    basis, _ = np.linalg.qr(white.forth(design.fixed.X))
    return _Whitened(rows, L, basis, D)


def _rows_by_patient(group: np.ndarray, n_groups: int) -> Iterator[np.ndarray]:
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=n_groups))
    yield from np.split(order, ends[:-1])


def residuals(fit: FittedMixed) -> pd.DataFrame:
    """Residuals of every measurement.

    Parameters
    ----------
    fit : MixedEstimate

    Returns
    -------
    DataFrame
        One row a measurement used, indexed as the data: the patient; fitted (with the patient's own
        random effects); residual (conditional); standardised (over sigma); studentised (over its
        own standard deviation, which shrinkage makes smaller than sigma); marginal; scaled (see the
        module).
    """
    design = fit.design
    white = _whitened(fit)
    marginal = design.y - design.fixed.X @ fit.coefficients
    scaled = white.forth(marginal)
    conditional = fit.sigma**2 * white.back(scaled)
    return pd.DataFrame(
        {
            design.group_name: design.labels[design.group],
            "fitted": design.y - conditional,
            "residual": conditional,
            "standardised": conditional / fit.sigma,
            "studentised": conditional / _conditional_sd(white, fit.sigma),
            "marginal": marginal,
            "scaled": scaled,
        },
        index=fit.spec.data.index[design.rows],
    )


def _conditional_sd(white: _Whitened, sigma: float) -> np.ndarray:
    """sigma^2 sqrt(diag(V^-1 - V^-1 X (X'V^-1 X)^-1 X' V^-1)), shape (n,)."""
    precision = np.empty(len(white.basis))
    for rows, L in zip(white.rows, white.L, strict=True):
        inverse = solve_triangular(L, np.eye(len(rows)), lower=True)
        precision[rows] = (inverse**2).sum(axis=0)
    lost = (white.back(white.basis) ** 2).sum(axis=1)
    return sigma**2 * np.sqrt(np.maximum(precision - lost, 0.0))


def qq(
    fit: FittedMixed,
    of: str = "scaled",
    *,
    level: float = 0.95,
    simulations: int = 999,
    seed: int = 1,
) -> pd.DataFrame:
    """Quantile-quantile data with a simultaneous band.

    The band holds the whole ordered sample with probability `level` if the model is right:
    residuals are drawn from the fitted model, its coefficients and overall variance estimated anew
    each time and the ratios of the variances held (the band is Myllymaki et al.'s of directional
    quantiles, 2017, J R Stat Soc B 79:381-404). Least-squares fits and shrinkage make residuals and
    random effects correlated and less than normal in spread; the band has that too.

    Parameters
    ----------
    fit : MixedEstimate
    of : {"studentised", "scaled", "random effects"}
        Conditional residuals over their standard deviation; scaled marginal residuals; or
        predictions of the random effects.
    level : float
    simulations : int
        Number of simulated samples.
    seed : int

    Returns
    -------
    DataFrame
        of (the effect's name for random effects), unit (index of the measurement, or the patient),
        theoretical (standard normal quantile), observed, low, high; ordered by observed.
    """
    if of not in KINDS:
        raise LongsurvError(f"of is one of {KINDS}, not {of!r}")
    if not 0.0 < level < 1.0 or simulations * (1.0 - level) < 2.0:
        raise LongsurvError(
            "level is between 0 and 1 and simulations enough for its tails, got "
            f"{level!r}, {simulations!r}"
        )
    design, white = fit.design, _whitened(fit)
    rng = np.random.default_rng(seed)
    observed = white.forth(design.y - design.fixed.X @ fit.coefficients)
    noise = rng.standard_normal((len(observed), simulations))
    noise -= white.basis @ (white.basis.T @ noise)
    noise *= np.sqrt((observed @ observed) / (noise**2).sum(axis=0))
    both = np.column_stack([observed, noise])
    if of == "random effects":
        effects = white.effects(design.Z, white.back(both))
        parts = [(name, design.labels, effects[:, k]) for k, name in enumerate(design.random.names)]
    else:
        if of == "studentised":
            sd = _conditional_sd(white, fit.sigma)
            both = fit.sigma**2 * white.back(both) / sd[:, None]
        parts = [(of, fit.spec.data.index[design.rows], both)]
    return pd.concat([_ordered(*part, level) for part in parts], ignore_index=True)


def _ordered(name: str, units: pd.Index, values: np.ndarray, level: float) -> pd.DataFrame:
    n = len(values)
    order = np.argsort(values[:, 0], kind="stable")
    low, high = simultaneous_band(np.sort(values[:, 1:], axis=0), level)
    return pd.DataFrame(
        {
            "of": name,
            "unit": np.asarray(units)[order],
            "theoretical": ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25)),
            "observed": values[order, 0],
            "low": low,
            "high": high,
        }
    )


def simultaneous_band(curves: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """A band that holds a share `level` of the curves whole.

    Each curve's departure at a point is measured in units of the distance between mean and outer
    quantile there, above and below apart, and the band is as wide as the largest departures of most
    curves.

    Parameters
    ----------
    curves : ndarray, shape (points, S)
    level : float

    Returns
    -------
    low, high : ndarray, shape (points,)
    """
    centre = curves.mean(axis=1)
    lower, upper = np.quantile(curves, [0.025, 0.975], axis=1)
    above, below = upper - centre, centre - lower
    departure = np.maximum(
        (curves - centre[:, None]) / above[:, None], (centre[:, None] - curves) / below[:, None]
    ).max(axis=0)
    size = np.quantile(departure, level, method="higher")
    return centre - size * below, centre + size * above
