"""Simulation studies of joint models: recovery and coverage, calibration, informative dropout."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joint_cohorts import RECOVERED, Truth, joint, simulated
from rank_bands import check_uniform
from scipy.stats import binom

from longsurv import priors as pr

DOCS = Path(__file__).resolve().parents[2] / "docs"


def recovery(repeats: int, seed: int, n: int = 300) -> pd.DataFrame:
    """Bias in standard errors of simulation, ratio of standard errors, and coverage, by term."""
    rows = []
    for child in np.random.SeedSequence(seed).spawn(repeats):
        fit = joint(*simulated(np.random.default_rng(child), n)).fit()
        assert fit.converged
        rows.append(fit.tidy(component="all").set_index("term").loc[list(RECOVERED)])
    truth = np.array(list(RECOVERED.values()))
    estimate = np.array([r["estimate"] for r in rows])
    low, high = (np.array([r[c] for r in rows]) for c in ("conf_low", "conf_high"))
    sd = estimate.std(axis=0, ddof=1)
    return pd.DataFrame(
        {
            "bias": estimate.mean(axis=0) - truth,
            "z": (estimate.mean(axis=0) - truth) / (sd / np.sqrt(repeats)),
            "sd": sd,
            "coverage": ((low <= truth) & (truth <= high)).mean(axis=0),
        },
        index=list(RECOVERED),
    )


def check_recovery(repeats: int, seed: int, n: int) -> None:
    """Intervals cover 95 % but for simulation, and no bias is a fifth of the spread."""
    table = recovery(repeats, seed, n)
    share = 0.0005 / len(RECOVERED)
    low, high = binom.ppf([share, 1 - share], repeats, 0.95) / repeats
    assert table["coverage"].between(low, high).all(), table
    allowed = 0.2 + 4 / np.sqrt(repeats)  # maximum likelihood is a little biased in variances
    assert (table["bias"].abs() < allowed * table["sd"]).all(), table


@pytest.mark.slow
def test_short_recovery() -> None:
    check_recovery(12, seed=2, n=200)


@pytest.mark.study
def test_recovery_and_coverage() -> None:
    check_recovery(200, seed=3, n=300)


PRIORS: dict[str, pr.Prior] = {
    "Intercept": pr.Normal(1.0, 0.5),
    "t": pr.Normal(0.2, 0.2),
    "sigma": pr.Gamma(3.0, 6.0),
    "sd(Intercept|id)": pr.Exponential(0.6),
    "sd(t|id)": pr.Exponential(0.2),
    "baseline.log_hazard": pr.Normal(-2.0, 0.5),
    "event.treated": pr.Normal(0.0, 0.7),
    "assoc.value": pr.Normal(0.0, 0.5),
}
CENTRE, KEPT = 1.0, 99


def draw(prior: pr.Prior, rng: np.random.Generator) -> float:
    """One draw from a prior."""
    if isinstance(prior, pr.Normal):
        return float(rng.normal(prior.mean, prior.sd))
    if isinstance(prior, pr.Gamma):
        return float(rng.gamma(prior.shape, 1.0 / prior.rate))
    assert isinstance(prior, pr.Exponential)
    return float(rng.exponential(prior.scale))


def joint_ranks(rng: np.random.Generator, seed: int, draws: int) -> dict[str, float]:
    """Ranks of one cohort of 60 patients with six visits.

    A model centres links at the mean of the data, so that its baseline hazard, and the prior of it,
    depend on the data. Here the centre is a constant, for draws and for the fit.
    """
    drawn = {name: draw(prior, rng) for name, prior in PRIORS.items()}
    r = 2.0 * rng.beta(2.0, 2.0) - 1.0  # LKJ(2) in two dimensions
    truth = Truth(
        intercept=drawn["Intercept"],
        slope=drawn["t"],
        treated_slope=0.0,
        sigma=drawn["sigma"],
        sds=(drawn["sd(Intercept|id)"], drawn["sd(t|id)"]),
        correlation=r,
        effect=drawn["event.treated"],
        association=drawn["assoc.value"],
        scale=np.exp(drawn["baseline.log_hazard"] - 0.5 * drawn["event.treated"]),
        shape=1.0,
        centre=CENTRE,
        visits=tuple(np.arange(6.0)),
        censoring=(6.0, 6.0),
    )
    spec = joint(*simulated(rng, 60, truth), "exponential", marker="y ~ t + (t | id)")
    cause = spec.design.causes[0]
    links = tuple(
        replace(link, centre=np.full_like(link.centre, CENTRE)) for link in cause.points.links
    )
    fixed = replace(cause, points=replace(cause.points, links=links))
    # Cached on the specification, from which everything else is made.
    vars(spec)["design"] = replace(spec.design, causes=(fixed,))
    post = spec.sample(draws=draws, tune=draws, chains=2, seed=seed, priors=PRIORS)
    out = {}
    for name, value in (drawn | {"cor(Intercept,t|id)": r}).items():
        flat = np.concatenate(post.samples[name])
        thinned = flat[np.linspace(0, len(flat) - 1, KEPT).round().astype(int)]
        out[name] = (int((thinned < value).sum()) + 0.5) / (KEPT + 1.0)
    return out


def check_calibration(repeats: int, seed: int, level: float, draws: int = 250) -> None:
    """Ranks of every parameter inside simultaneous bands (Talts et al. 2018, arXiv:1804.06788)."""
    rows = [
        joint_ranks(np.random.default_rng(child), k + 1, draws)
        for k, child in enumerate(np.random.SeedSequence(seed).spawn(repeats))
    ]
    table = pd.DataFrame(rows)
    check_uniform(table, level)


@pytest.mark.slow
def test_short_joint_calibration() -> None:
    check_calibration(6, seed=5, level=0.999, draws=150)


@pytest.mark.study
def test_joint_calibration() -> None:
    check_calibration(200, seed=6, level=0.99)


@pytest.fixture(scope="module")
def dropout():
    spec = importlib.util.spec_from_file_location("dropout_doc", DOCS / "informative_dropout.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_short_informative_dropout(dropout) -> None:
    """The mixed model misses the change of the untreated, the joint model does not."""
    table, failed = dropout.study(cohorts=10, seed=1)
    rows = table.set_index(["method", "quantity"])
    z = rows["bias"] / rows["error"]
    assert failed == 0
    assert z["survivors only", "untreated"] < z["mixed model", "untreated"] < -4
    assert abs(z["joint model", "untreated"]) < 4 and abs(z["joint model", "treated"]) < 4


def test_the_documents_figures_are_of_its_table(dropout) -> None:
    """The committed table says what the figure and the text claim."""
    table = pd.read_csv(DOCS / "informative_dropout.csv")
    assert set(table["cohorts"]) == {dropout.COHORTS}
    assert table["truth"].to_numpy() == pytest.approx(table["quantity"].map(dropout.TRUTH))
    rows = table.set_index(["method", "quantity"])
    z = rows["bias"] / rows["error"]
    assert (z["joint model"].abs() < 3.5).all()
    assert (z["mixed model"][["untreated", "treated"]] < -10).all()
    low, high = binom.ppf([0.0005, 0.9995], dropout.COHORTS, 0.95) / dropout.COHORTS
    assert rows.loc["joint model", "coverage"].between(low, high).all()
    assert (rows.loc["mixed model", "coverage"][["untreated", "treated"]] < 0.9).all()
    drawn = dropout.figure(table)
    assert [text.get_text() for text in drawn.axes[1].get_yticklabels()] == list(dropout.TRUTH)


@pytest.mark.study
def test_informative_dropout(dropout) -> None:
    table, failed = dropout.study()
    written = pd.read_csv(DOCS / "informative_dropout.csv")
    assert failed == 0
    assert table["mean"].to_numpy() == pytest.approx(written["mean"].to_numpy(), abs=1e-3)
