"""Residuals of a linear mixed model, and quantile plots with simulation bands.

With V = R + sum Z D Z' = L L' the covariance of a cluster of measurements (a patient, unless
patients are nested in sites), R that of their residuals (sigma^2 I unless said otherwise),

    marginal     y - X b                          what the mean curve leaves
    scaled       L^-1 (y - X b)                   the same, uncorrelated and of unit variance
    conditional  y - X b - sum Z u = R V^-1 (y - X b)    what the patient's own curve leaves

Santos Nobre & da Motta Singer (2007), Biom J 49:863-875; Houseman, Ryan & Coull (2004), J Am Stat
Assoc 99:383-394, for the scaled ones.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from longsurv.arguments import checked
from longsurv.design.names import free
from longsurv.diagnostics.clusters import (
    FittedMixed,
    MixedFit,
    Whitened,
    groupings,
    split_rows,
    whiten,
)
from longsurv.errors import LongsurvError

type Of = Literal["studentised", "scaled", "random effects"]


@checked
def residuals(fit: MixedFit) -> pd.DataFrame:
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
    design, white = fit.design, whiten(fit)
    marginal = design.y - design.fixed.X @ fit.coefficients
    scaled = white.forth(marginal)
    conditional = white.residual(white.back(scaled))
    spread = np.empty(len(marginal))
    for cluster in white.clusters:
        spread[cluster.rows] = np.sqrt(np.diag(cluster.R))
    own = {
        "fitted": design.y - conditional,
        "residual": conditional,
        "standardised": conditional / spread,
        "studentised": conditional / white.residual_sd(),
        "marginal": marginal,
        "scaled": scaled,
    }
    patient = {free(design.group_name, own): design.labels[design.group]}
    return pd.DataFrame(patient | own, index=fit.spec.data.index[design.rows])


@checked
def qq(
    fit: MixedFit,
    of: Of = "scaled",
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
    check_band(level, simulations)
    design, white = fit.design, whiten(fit)
    both = _simulated(fit, white, simulations, seed)
    if of == "random effects":
        parts = _effects(fit, white, both)
    else:
        if of == "studentised":
            both = white.residual(white.back(both)) / white.residual_sd()[:, None]
        parts = [(of, fit.spec.data.index[design.rows], both)]
    return pd.concat([ordered(*part, level) for part in parts], ignore_index=True)


@checked
def residual_bands(
    fit: MixedFit,
    *,
    bins: int | None = None,
    level: float = 0.95,
    simulations: int = 999,
    seed: int = 1,
) -> pd.DataFrame:
    """Mean and spread of the studentised residuals over the fitted values, with bands.

    The measurements are cut into bins of equal size by the fitted value, with the patient's own
    random effects. Shrinkage alone tilts conditional residuals over these, so that no line is level
    if the model is right: the bands are those of data simulated from the fit as for `qq`, each
    binned by fitted values of its own, and hold both curves whole with probability `level`.

    Parameters
    ----------
    fit : MixedEstimate
    bins : int, optional
        By default one for every ten measurements, from three to ten.
    level : float
    simulations, seed : int
        Of the simulated samples.

    Returns
    -------
    DataFrame
        of ("mean", "spread": the root mean square), fitted (mean of the bin), n (measurements),
        observed, low, high.

    Raises
    ------
    LongsurvError
        For fewer than two bins, or with fewer than two measurements each.
    """
    check_band(level, simulations)
    design, white = fit.design, whiten(fit)
    count = bin_count(len(design.y), bins)
    both = _simulated(fit, white, simulations, seed)
    conditional = white.residual(white.back(both))
    fitted = (design.fixed.X @ fit.coefficients)[:, None] + white.unscaled(both) - conditional
    sd = white.residual_sd()
    known = sd > 1e-10 * sd.max()
    studentised = np.where(known[:, None], conditional / np.where(known, sd, 1.0)[:, None], 0.0)
    return binned(fitted, studentised, count, level)


def bin_count(n: int, bins: int | None) -> int:
    """Into how many bins n measurements are cut; see `residual_bands`.

    Raises
    ------
    LongsurvError
        For fewer than two bins, or with fewer than two measurements each.
    """
    count = min(10, max(3, n // 10)) if bins is None else bins
    if count < 2 or n < 2 * count:
        raise LongsurvError(
            f"bins are at least two of two measurements each; got {count} of {n} measurements"
        )
    return count


def binned(fitted: np.ndarray, values: np.ndarray, count: int, level: float) -> pd.DataFrame:
    """Mean and spread over the fitted values of each sample's residuals, and their bands.

    Parameters
    ----------
    fitted, values : ndarray, shape (n, 1 + S)
        Of the data, then of S samples from the model.
    count : int
        Bins.
    level : float
        With which the bands hold both curves whole.

    Returns
    -------
    DataFrame
        As of `residual_bands`.
    """
    n = len(values)
    order = np.argsort(fitted, axis=0, kind="stable")
    sizes = np.diff(np.linspace(0, n, count + 1).astype(int))
    edges = np.append(0, np.cumsum(sizes)[:-1])
    values = np.take_along_axis(values, order, axis=0)
    mean = np.add.reduceat(values, edges, axis=0) / sizes[:, None]
    spread = np.sqrt(np.add.reduceat(values**2, edges, axis=0) / sizes[:, None])
    curves = np.vstack([mean, spread])
    low, high = simultaneous_band(curves[:, 1:], level)
    place = np.add.reduceat(np.sort(fitted[:, 0]), edges) / sizes
    return pd.DataFrame(
        {
            "of": np.repeat(["mean", "spread"], count),
            "fitted": np.tile(place, 2),
            "n": np.tile(sizes, 2),
            "observed": curves[:, 0],
            "low": low,
            "high": high,
        }
    )


def check_band(level: float, simulations: int) -> None:
    """Refuse a level or a number of samples that make no band."""
    if not 0.0 < level < 1.0 or simulations * (1.0 - level) < 2.0:
        raise LongsurvError(
            "level is between 0 and 1 and simulations enough for its tails, got "
            f"{level!r}, {simulations!r}"
        )


def _simulated(fit: FittedMixed, white: Whitened, simulations: int, seed: int) -> np.ndarray:
    """Scaled residuals of the data, then of so many samples from the fit: (n, 1 + simulations)."""
    design, rng = fit.design, np.random.default_rng(seed)
    observed = white.forth(design.y - design.fixed.X @ fit.coefficients)
    noise = rng.standard_normal((len(observed), simulations))
    noise -= white.basis @ (white.basis.T @ noise)
    noise *= np.sqrt((observed @ observed) / (noise**2).sum(axis=0))
    return np.column_stack([observed, noise])


def _effects(
    fit: FittedMixed, white: Whitened, scaled: np.ndarray
) -> list[tuple[str, pd.Index, np.ndarray]]:
    """Name, units and D Z' V^-1 (y - X b) of each random effect, from scaled residuals (n, S)."""
    back, found = white.back(scaled), groupings(fit)
    parts = []
    for grouping, D in found:
        Z = grouping.random.X
        rows = split_rows(grouping.group, len(grouping.labels))
        effects = np.stack([D @ (Z[at].T @ back[at]) for at in rows])
        for k, name in enumerate(grouping.random.names):
            label = name if len(found) == 1 else f"{name}|{grouping.name}"
            parts.append((label, grouping.labels, effects[:, k]))
    if not parts:
        raise LongsurvError("the model has no random effects to plot")
    return parts


def ordered(name: str, units: pd.Index, values: np.ndarray, level: float) -> pd.DataFrame:
    """Quantile-quantile data of the first column of values (n, 1 + S), with the band of the others.

    Parameters
    ----------
    name : str
        What the values are of.
    units : Index
        Whose each value is.
    values : ndarray, shape (n, 1 + S)
    level : float
    """
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
