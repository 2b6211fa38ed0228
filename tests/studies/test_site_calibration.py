"""Simulation-based calibration of survival models with site effects: 200 cohorts each.

Talts et al. (2018), arXiv:1804.06788.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rank_bands import ecdf_counts, simultaneous_bands

from longsurv import priors as pr
from longsurv.models import CoxPH

KEPT, SITES, PATIENTS = 99, 8, 120


def cox_ranks(seed: int) -> dict[str, float]:
    """Ranks of one cohort under the default priors.

    Of an effect only its difference from the others is in a partial likelihood.
    """
    rng = np.random.default_rng([11, seed])
    beta, s = rng.normal(0.0, 1.0), abs(rng.normal(0.0, 0.5))
    b = rng.normal(0.0, s, SITES)
    site, arm = rng.permutation(PATIENTS) % SITES, rng.permutation(PATIENTS) % 2
    time = rng.exponential(np.exp(-beta * arm - b[site]))
    end = rng.uniform(0.5, 3.0, PATIENTS)
    frame = pd.DataFrame(
        {"arm": arm, "site": site, "t": np.minimum(time, end), "d": (time <= end).astype(int)}
    )
    spec = CoxPH("Surv(t, d) ~ arm + (1 | site)", data=frame)
    post = spec.sample(draws=250, chains=2, seed=seed + 1, priors={"arm": pr.Normal(0.0, 1.0)})
    kept = np.linspace(0, len(post.whole) - 1, KEPT).astype(int)
    effects = post.whole[kept, 1:]
    return {
        "arm": _rank(post.whole[kept, 0], beta),
        "sd": _rank(post.samples["sd(Intercept|site)"].ravel()[kept], s),
        "effect": _rank(effects[:, 0] - effects.mean(axis=1), b[0] - b.mean()),
    }


def _rank(draws: np.ndarray, truth: float) -> float:
    return float(((draws < truth).sum() + 0.5) / (KEPT + 1.0))


@pytest.mark.study
@pytest.mark.parametrize("ranks", [cox_ranks], ids=["CoxPH"])
def test_ranks_are_uniform(ranks) -> None:
    table = pd.DataFrame([ranks(seed) for seed in range(200)])
    points = np.linspace(0.05, 0.95, 19)
    low, high = simultaneous_bands(len(table), 0.99, points)
    for name in table:
        counts = ecdf_counts(table[name].to_numpy(), points)
        assert ((counts >= low) & (counts <= high)).all(), f"{name}: {counts} {low}..{high}"
