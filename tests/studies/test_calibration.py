"""Simulation-based calibration: parameters drawn from the prior rank uniformly among their
posterior draws.

Talts et al. (2018), arXiv:1804.06788. The ranks of every scalar parameter must stay inside a
simultaneous 99 % band.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rank_bands import check_uniform, ecdf_counts, simultaneous_bands

from longsurv import priors as pr
from longsurv.design import Residual
from longsurv.models import LMM, CoxPH

KEPT = 99  # draws kept of each posterior, so that ranks run from 0 to 99

MIXED_PRIORS: dict[str, pr.Prior] = {
    "Intercept": pr.Normal(1.0, 1.0),
    "time": pr.Normal(0.0, 0.5),
    "treated": pr.Normal(0.0, 1.0),
    "time:treated": pr.Normal(0.0, 0.5),
    "sigma": pr.Exponential(0.7),
    "sd(Intercept|id)": pr.Exponential(0.8),
    "sd(time|id)": pr.Exponential(0.4),
}
CROSSED_PRIORS: dict[str, pr.Prior] = {
    "Intercept": pr.Normal(1.0, 1.0),
    "treated": pr.Normal(0.0, 1.0),
    "sigma": pr.Exponential(0.7),
    "sd(Intercept|id)": pr.Exponential(0.8),
    "sd(Intercept|rater)": pr.Exponential(0.5),
}
SPLIT_PRIORS: dict[str, pr.Prior] = {
    "Intercept": pr.Normal(1.0, 1.0),
    "time": pr.Normal(0.0, 0.5),
    "treated": pr.Normal(0.0, 1.0),
    "sigma": pr.Exponential(0.7),  # of the first group; then the log of the other's to it
    "log_ratio[1]": pr.Normal(0.0, 0.5),
    "sd(Intercept|id)": pr.Exponential(0.8),
}
COX_PRIORS: dict[str, pr.Prior] = {"treated": pr.Normal(0.0, 1.0), "age": pr.Normal(0.0, 0.5)}


def draw(prior: pr.Prior, rng: np.random.Generator) -> float:
    """One draw from a prior."""
    if isinstance(prior, pr.Normal):
        return float(rng.normal(prior.mean, prior.sd))
    assert isinstance(prior, pr.Exponential)
    return float(rng.exponential(prior.scale))


def mixed_ranks(rng: np.random.Generator, seed: int) -> dict[str, float]:
    """Ranks of one cohort of 20 patients with four visits and a random intercept and slope."""
    truth = {name: draw(prior, rng) for name, prior in MIXED_PRIORS.items()}
    r = 2.0 * rng.beta(2.0, 2.0) - 1.0  # LKJ(2) in two dimensions
    n, times = 20, np.arange(4.0)
    treated = (np.arange(n) % 2).astype(float)
    sds = np.array([truth["sd(Intercept|id)"], truth["sd(time|id)"]])
    D = np.outer(sds, sds) * np.array([[1.0, r], [r, 1.0]])
    b = rng.multivariate_normal(np.zeros(2), D, size=n, method="cholesky")
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), 4), "time": np.tile(times, n)})
    frame["treated"] = np.repeat(treated, 4)
    t, z = frame["time"].to_numpy(), frame["treated"].to_numpy()
    mean = truth["Intercept"] + truth["time"] * t
    mean = mean + (truth["treated"] + truth["time:treated"] * t) * z
    own = np.repeat(b[:, 0], 4) + np.repeat(b[:, 1], 4) * t
    frame["y"] = mean + own + truth["sigma"] * rng.normal(size=len(frame))
    spec = LMM("y ~ time * treated + (time | id)", frame)
    post = spec.sample(draws=250, tune=250, chains=2, seed=seed, priors=MIXED_PRIORS)
    return ranks(post.samples, truth | {"cor(Intercept,time|id)": r})


def crossed_ranks(rng: np.random.Generator, seed: int) -> dict[str, float]:
    """Ranks of one cohort of 16 patients, each seen by four of six raters."""
    truth = {name: draw(prior, rng) for name, prior in CROSSED_PRIORS.items()}
    patient = np.repeat(np.arange(16), 4)
    rater = np.concatenate([rng.permutation(6)[:4] for _ in range(16)])
    treated = (patient % 2).astype(float)
    y = truth["Intercept"] + truth["treated"] * treated
    y = y + truth["sd(Intercept|id)"] * rng.normal(size=16)[patient]
    y = y + truth["sd(Intercept|rater)"] * rng.normal(size=6)[rater]
    y = y + truth["sigma"] * rng.normal(size=64)
    frame = pd.DataFrame({"id": patient, "rater": rater, "treated": treated, "y": y})
    spec = LMM("y ~ treated + (1 | id) + (1 | rater)", frame)
    post = spec.sample(draws=250, tune=250, chains=2, seed=seed, priors=CROSSED_PRIORS)
    return ranks(post.samples, truth)


def split_ranks(rng: np.random.Generator, seed: int) -> dict[str, float]:
    """Ranks of one cohort of 20 patients in two groups, each with a residual SD of its own."""
    truth = {name: draw(prior, rng) for name, prior in SPLIT_PRIORS.items()}
    n = 20
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), 4), "time": np.tile(np.arange(4.0), n)})
    frame["treated"] = np.repeat((np.arange(n) % 2).astype(float), 4)
    frame["group"] = np.where(frame["treated"] > 0, "b", "a")
    mean = truth["Intercept"] + truth["time"] * frame["time"] + truth["treated"] * frame["treated"]
    own = np.repeat(truth["sd(Intercept|id)"] * rng.normal(size=n), 4)
    sds = {"sigma(a)": truth.pop("sigma")}
    sds["sigma(b)"] = sds["sigma(a)"] * np.exp(truth.pop("log_ratio[1]"))
    sigma = np.where(frame["group"] == "a", sds["sigma(a)"], sds["sigma(b)"])
    frame["y"] = mean + own + sigma * rng.normal(size=len(frame))
    spec = LMM("y ~ time + treated + (1 | id)", frame, Residual(by="group"))
    post = spec.sample(draws=250, tune=250, chains=2, seed=seed, priors=SPLIT_PRIORS)
    return ranks(post.samples, truth | sds)


def cox_ranks(rng: np.random.Generator, seed: int) -> dict[str, float]:
    """Ranks of one cohort of 40 patients; the baseline hazard is not the model's concern."""
    truth = {name: draw(prior, rng) for name, prior in COX_PRIORS.items()}
    n = 40
    treated, age = (np.arange(n) % 2).astype(float), rng.normal(size=n)
    rate = np.exp(truth["treated"] * treated + truth["age"] * age)
    time, censored = rng.exponential(size=n) / rate, rng.exponential(2.0, size=n)
    data = pd.DataFrame({"treated": treated, "age": age, "time": np.minimum(time, censored)})
    data["event"] = (time <= censored).astype(int)
    spec = CoxPH("Surv(time, event) ~ treated + age", data)
    post = spec.sample(draws=250, tune=250, chains=2, seed=seed, priors=COX_PRIORS)
    return ranks(post.samples, truth)


def ranks(samples, truth: dict[str, float]) -> dict[str, float]:
    """Rank of each true value among thinned draws, scaled to (0, 1)."""
    out = {}
    for name, value in truth.items():
        flat = np.concatenate(samples[name])
        thinned = flat[np.linspace(0, len(flat) - 1, KEPT).round().astype(int)]
        out[name] = (int((thinned < value).sum()) + 0.5) / (KEPT + 1.0)
    return out


def check(make, repeats: int, seed: int, level: float) -> None:
    rows = []
    for k, child in enumerate(np.random.SeedSequence(seed).spawn(repeats)):
        rows.append(make(np.random.default_rng(child), k + 1))
    table = pd.DataFrame(rows)
    check_uniform(table, level)


def test_bands_hold_as_often_as_they_say() -> None:
    """Uniform ranks leave a 90 % band about one time in ten, and skewed ones nearly always."""
    rng, points = np.random.default_rng(1), np.linspace(0.05, 0.95, 19)
    low, high = simultaneous_bands(200, 0.9, points)

    def inside(values: np.ndarray) -> bool:
        counts = ecdf_counts(values, points)
        return bool(((counts >= low) & (counts <= high)).all())

    kept = np.mean([inside(rng.uniform(size=200)) for _ in range(400)])
    assert 0.85 < kept < 0.95
    assert np.mean([inside(rng.uniform(size=200) ** 1.5) for _ in range(50)]) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("make", [mixed_ranks, cox_ranks])
def test_short_calibration(make) -> None:
    check(make, 30, seed=3, level=0.999)


@pytest.mark.study
@pytest.mark.parametrize("make", [mixed_ranks, cox_ranks])
def test_calibration(make) -> None:
    check(make, 500, seed=4, level=0.99)


@pytest.mark.study
@pytest.mark.parametrize("make", [crossed_ranks, split_ranks])
def test_calibration_of_several_spreads(make) -> None:
    check(make, 200, seed=5, level=0.99)
