"""Densities of priors and of posteriors, as they are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from longsurv.priors import Prior, log_densities

POINTS = 181
CUT = 0.002
"""Share of a posterior beyond either end of its own grid."""


def densities(
    draws: Mapping[str, np.ndarray],
    priors: Mapping[str, Prior],
    grids: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Prior and posterior density of several quantities.

    Parameters
    ----------
    draws : mapping of str to ndarray
        Posterior draws of each.
    priors : mapping of str to Prior
        By the same names.
    grids : mapping of str to ndarray, optional
        Where the densities are wanted; by default where nearly all of the posterior is.

    Returns
    -------
    DataFrame
        prior (the name), log_ratio (where), prior_density, posterior_density (NaN of draws that are
        all the same).
    """
    from scipy.stats import gaussian_kde

    parts = []
    for name, values in draws.items():
        flat = np.ravel(values)
        x = _grid(flat) if grids is None else grids[name]
        known = gaussian_kde(flat)(x) if np.ptp(flat) > 0.0 else np.full(len(x), np.nan)
        prior = np.exp(log_densities(priors[name], np.asarray(x)))
        parts.append(
            pd.DataFrame(
                {"prior": name, "log_ratio": x, "prior_density": prior, "posterior_density": known}
            )
        )
    return pd.concat(parts, ignore_index=True)


def ratio_densities(draws: Mapping[str, np.ndarray], priors: Mapping[str, Prior]) -> pd.DataFrame:
    """The same of the logarithm of a ratio under several priors, on one grid that a reader knows.

    Parameters
    ----------
    draws : mapping of str to ndarray
        Posterior draws under each prior.
    priors : mapping of str to Prior
    """
    ends = np.array([np.quantile(values, [0.01, 0.995]) for values in draws.values()])
    low = max(min(float(ends.min()), math.log(0.25)), math.log(0.02))
    high = min(max(float(ends.max()), math.log(4.0)), math.log(50.0))
    return densities(draws, priors, dict.fromkeys(draws, np.linspace(low, high, POINTS)))


def _grid(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, [CUT, 1.0 - CUT])
    room = 0.25 * (high - low) if high > low else max(abs(low), 1.0)
    start = low - room
    if values.min() >= 0.0:  # nothing is below 0, as of a standard deviation
        start = max(start, high * 1e-6)
    return np.linspace(start, high + room, POINTS)
