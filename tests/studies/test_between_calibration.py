"""Hazards of events between two visits: coverage of the limits, and ranks of the posterior.

Talts et al. (2018), arXiv:1804.06788, on the ranks.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from lengths import lengths
from rank_bands import check_uniform

from longsurv import priors as pr
from longsurv.models import Hazard

FORMULA = "Surv(left, right, type='interval2') ~ arm"
KEPT, PATIENTS, CUT = 99, 120, 1.0
LOG_RATIO, SHAPE, SCALE = -0.6, 1.4, 1.5  # of the cohorts whose limits are counted


def seen(rng: np.random.Generator, arm: np.ndarray, time: np.ndarray) -> pd.DataFrame:
    """Visits about every half unit of time, one in five but the first missed, until 2 to 4.

    One patient in four is seen to the day: dates of death are known, relapses found at a visit.
    """
    left, right = np.zeros(len(time)), np.full(len(time), np.inf)
    for i, event in enumerate(time):
        visits = np.cumsum(rng.uniform(0.3, 0.7, 14))
        came = rng.random(14) > 0.2
        came[0] = True
        visits = visits[(visits < rng.uniform(2.0, 4.0)) & came]
        before, after = visits[visits < event], visits[visits >= event]
        left[i] = before.max(initial=0.0)
        right[i] = after.min(initial=np.inf)
        if np.isfinite(right[i]) and rng.random() < 0.25:
            left[i] = right[i] = event
    # who was never seen without the event has no left end, who was never seen with it no right one
    return pd.DataFrame(
        {"arm": arm, "left": np.where(left > 0, left, np.nan),
         "right": np.where(np.isfinite(right), right, np.nan)}
    )  # fmt: skip


def answers(n: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Truth and limits: a log hazard ratio, a log shape and the survival of the reference at 1."""
    rng = np.random.default_rng([21, n, seed])
    arm = rng.permutation(n) % 2
    time = SCALE * (rng.exponential(size=n) * np.exp(-LOG_RATIO * arm)) ** (1 / SHAPE)
    fit = Hazard(FORMULA, seen(rng, arm, time), "weibull").fit()
    table = fit.tidy(component="all").set_index("term")
    found = {
        name: (truth, *table.loc[term, ["conf_low", "conf_high"]].astype(float))
        for name, term, truth in (
            ("log hazard ratio", "arm", LOG_RATIO), ("log shape", "log_shape", math.log(SHAPE)),
        )
    }  # fmt: skip
    row = fit.predict(pd.DataFrame({"arm": [0]}), times=[1.0]).iloc[0]
    truth = math.exp(-((1.0 / SCALE) ** SHAPE))
    return found | {"survival": (truth, row["conf_low"], row["conf_high"])}


@lengths("cohorts", 20, 500)
@pytest.mark.parametrize("n", [60, 200])
def test_limits_hold_the_truth(n: int, cohorts: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(name, *v) for seed in range(cohorts) for name, v in answers(n, seed).items()]
    table = pd.DataFrame(rows, columns=["quantity", "truth", "low", "high"])
    assert np.isfinite(table[["low", "high"]]).all(axis=None)
    table["held"] = (table["low"] <= table["truth"]) & (table["truth"] <= table["high"])
    shown = table.groupby("quantity", sort=False)["held"].mean()
    with capsys.disabled():
        print(f"\n{n} patients, {cohorts} cohorts\n{shown.round(3).to_string()}")
    error = np.sqrt(0.95 * 0.05 / cohorts)
    assert (shown >= 0.95 - 3.5 * error).all() and (shown <= 0.95 + 3.5 * error).all()


def ranks(seed: int) -> dict[str, float]:
    """Ranks of one cohort whose hazard of two pieces is drawn from its prior."""
    rng = np.random.default_rng([22, seed])
    beta, level = rng.normal(0.0, 1.0), rng.normal(0.0, 0.7, 2)
    arm = rng.permutation(PATIENTS) % 2
    rate = np.exp(level + beta * (arm - 0.5)[:, None])
    left = rng.exponential(size=PATIENTS)
    early = left < rate[:, 0] * CUT
    time = np.where(early, left / rate[:, 0], CUT + (left - rate[:, 0] * CUT) / rate[:, 1])
    spec = Hazard(FORMULA, seen(rng, arm, time), "piecewise", (CUT,))
    given = {"arm": pr.Normal(0.0, 1.0)}
    given |= {name: pr.Normal(0.0, 0.7) for name in spec.hazard.baseline.names}
    post = spec.sample(draws=250, chains=2, seed=seed + 1, priors=given)
    kept = np.linspace(0, len(post.natural) - 1, KEPT).astype(int)
    truths = {"arm": beta, "first level": level[0], "second level": level[1]}
    return {
        name: float(((post.natural[kept, j] < truth).sum() + 0.5) / (KEPT + 1.0))
        for j, (name, truth) in enumerate(truths.items())
    }


@pytest.mark.study
def test_ranks_are_uniform() -> None:
    table = pd.DataFrame([ranks(seed) for seed in range(200)])
    check_uniform(table, 0.99)
