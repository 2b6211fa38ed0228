"""Simulation-based calibration of shrunken subgroups of three arms: 600 cohorts.

Talts et al. (2018), arXiv:1804.06788. Ranks are of what the arms do; the levels' own hazards are
drawn about as their prior has them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rank_bands import check_uniform

from longsurv.analyses import Mortality
from longsurv.analyses.mortality.arms import comparisons_of
from longsurv.analyses.mortality.subgroup_shrinkage import shrink
from longsurv.analyses.mortality.subgroup_split import Trial, arm_contrasts

KEPT, PATIENTS, LEVELS, ARMS = 99, 90, 4, (0, 1, 2)
CODES = arm_contrasts(len(ARMS))


def ranks(seed: int) -> dict[str, float]:
    """Ranks of the spread and, of every pair of arms, of the mean and the first level's ratio."""
    rng = np.random.default_rng([31, seed])
    mean, sd = rng.normal(size=2), abs(rng.normal(0.0, 0.5))
    effects = mean + sd * rng.normal(size=(LEVELS, 2))
    level, arm = rng.permutation(PATIENTS) % LEVELS, rng.permutation(PATIENTS) % len(ARMS)
    own = rng.normal(0.0, 0.5, LEVELS)[level]
    time = rng.exponential(np.exp(-own - (effects[level] * CODES[arm]).sum(axis=1)))
    end = rng.uniform(0.5, 3.0, PATIENTS)
    frame = pd.DataFrame(
        {"exit": np.minimum(time, end), "status": (time <= end) * 1, "arm": arm, "level": level}
    )
    asked = tuple(comparisons_of(ARMS, "pairwise"))
    data = Mortality(frame, "arm", 100.0).data
    trial = Trial(data, "arm", ARMS, asked, 100.0, "", (1,), "efron", None)
    post = shrink(trial.split("level"), draws=250, chains=2, seed=seed + 1)
    found = {"sd": _rank(post.spread, sd)}
    for one in asked:
        weights = CODES[one.group] - CODES[one.reference]
        found[f"mean, {one.name}"] = _rank(post.mean(one), mean @ weights)
        found[f"first level, {one.name}"] = _rank(post.log_ratios("0", one), effects[0] @ weights)
    return found


def _rank(draws: np.ndarray, truth: float) -> float:
    kept = draws.ravel()[np.linspace(0, draws.size - 1, KEPT).astype(int)]
    return float(((kept < truth).sum() + 0.5) / (KEPT + 1.0))


@pytest.mark.study
def test_ranks_are_uniform() -> None:
    table = pd.DataFrame([ranks(seed) for seed in range(600)])
    check_uniform(table, 0.99)
