"""Simulation-based calibration of survival models with site effects: 200 cohorts each.

Talts et al. (2018), arXiv:1804.06788.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rank_bands import check_uniform

from longsurv import priors as pr
from longsurv.models import CoxPH, Hazard

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


CUT = 0.4
"""Where the two pieces of a hazard meet."""


def hazard_ranks(seed: int, frailty: str = "gaussian") -> dict[str, float]:
    """Ranks of one cohort with late entries and a hazard of two pieces, the levels of the hazard
    and single effects among them."""
    rng = np.random.default_rng([12, seed])
    beta, s = rng.normal(0.0, 1.0), abs(rng.normal(0.0, 0.5))
    level = rng.normal(0.0, 0.7, 2)
    factor = np.exp(rng.normal(0.0, s, SITES))
    if frailty == "gamma":
        factor = rng.gamma(s**-2, s**2, SITES)
    site, arm = rng.permutation(PATIENTS) % SITES, rng.permutation(PATIENTS) % 2
    rate = np.exp(level + beta * (arm - 0.5)[:, None]) * factor[site][:, None]
    entry = np.where(rng.random(PATIENTS) < 0.3, rng.uniform(0.1, 0.6, PATIENTS), 0.0)
    # the time at which the cumulative hazard since entry is an exponential number
    left = rng.exponential(size=PATIENTS)
    first = np.maximum(CUT - entry, 0.0)
    early = left < rate[:, 0] * first
    late = np.maximum(entry, CUT) + (left - rate[:, 0] * first) / rate[:, 1]
    time = np.where(early, entry + left / rate[:, 0], late)
    end = entry + rng.uniform(0.5, 3.0, PATIENTS)
    frame = pd.DataFrame(
        {"arm": arm, "site": site, "entry": entry, "t": np.minimum(time, end),
         "d": (time <= end).astype(int)}
    )  # fmt: skip
    spec = Hazard(
        "Surv(entry, t, d) ~ arm + (1 | site)", frame, "piecewise", (CUT,), frailty=frailty
    )
    levels = spec.hazard.baseline.names
    given = {"arm": pr.Normal(0.0, 1.0)} | {name: pr.Normal(0.0, 0.7) for name in levels}
    post = spec.sample(draws=250, chains=2, seed=seed + 1, priors=given)
    kept = np.linspace(0, len(post.natural) - 1, KEPT).astype(int)
    return {
        "arm": _rank(post.natural[kept, 0], beta),
        "first level": _rank(post.natural[kept, 1], level[0]),
        "second level": _rank(post.natural[kept, 2], level[1]),
        "sd": _rank(post.spread[kept], s),
        "effect": _rank(post.site_effects[kept, 0], np.log(factor[0])),
    }


def gamma_ranks(seed: int) -> dict[str, float]:
    """The same of gamma effects."""
    return hazard_ranks(seed, "gamma")


def _rank(draws: np.ndarray, truth: float) -> float:
    return float(((draws < truth).sum() + 0.5) / (KEPT + 1.0))


@pytest.mark.study
@pytest.mark.parametrize(
    "ranks", [cox_ranks, hazard_ranks, gamma_ranks], ids=["CoxPH", "Hazard", "Hazard, gamma"]
)
def test_ranks_are_uniform(ranks) -> None:
    table = pd.DataFrame([ranks(seed) for seed in range(200)])
    check_uniform(table, 0.99)
