"""Simultaneous bands for the ECDF of ranks (Sailynoja, Buerkner & Vehtari 2022, Stat Comput
32:32)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binom


def ecdf_counts(ranks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How many ranks, scaled to [0, 1], are at or below each point."""
    return np.searchsorted(np.sort(ranks), points, side="right")


def simultaneous_bands(
    n: int, level: float, points: np.ndarray, *, repeats: int = 4000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Counts between which the whole ECDF of n uniforms stays with probability `level`.

    The pointwise binomial level is calibrated by simulation so that the band holds everywhere at
    once.
    """
    rng = np.random.default_rng(seed)
    counts = np.array([ecdf_counts(rng.uniform(size=n), points) for _ in range(repeats)])
    below = binom.cdf(counts, n, points)
    above = binom.sf(counts - 1, n, points)
    extreme = 2.0 * np.minimum(below, above).min(axis=1)
    alpha = float(np.quantile(extreme, 1.0 - level))
    return binom.ppf(alpha / 2.0, n, points), binom.ppf(1.0 - alpha / 2.0, n, points)


def check_uniform(table: pd.DataFrame, level: float) -> None:
    """The ranks of every parameter, a column each and a row a cohort, stay inside their band."""
    points = np.linspace(0.05, 0.95, 19)
    low, high = simultaneous_bands(len(table), level, points)
    for name in table:
        counts = ecdf_counts(table[name].to_numpy(), points)
        assert ((counts >= low) & (counts <= high)).all(), f"{name}: {counts} outside {low}..{high}"
