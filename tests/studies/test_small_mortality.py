"""The study of small cohorts in docs/: its simulation, its answers and its published table."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from longsurv.likelihood import cox
from longsurv.models import CoxPH
from longsurv.priors import TREATMENT

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALWAYS = ["Cox, Firth, profile", *(f"posterior, {p} {TREATMENT[p]}" for p in
                                   ("flat-ish", "weak", "sceptical"))]  # fmt: skip


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("small_mortality", DOCS / "small_mortality.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(study) -> pd.DataFrame:
    """10 cohorts a scenario."""
    return study.simulate(10, draws=250)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(DOCS / "small_mortality.csv")


def test_five_deaths_are_expected_and_the_hazard_ratio_is_that_stated(study):
    rng = np.random.default_rng(1)
    for ratio in study.SCENARIOS.values():
        tables = [study.cohort(rng, ratio)[0] for _ in range(400)]
        deaths = np.array([t.groupby("treatment", observed=False)["event"].sum() for t in tables])
        # 400 cohorts: the mean of about five has a standard error of 0.11.
        assert deaths.sum(axis=1).mean() == pytest.approx(5.0, abs=0.4)
        risk = deaths.mean(axis=0) / [22, 19]
        assert np.log1p(-risk[1]) / np.log1p(-risk[0]) == pytest.approx(ratio, rel=0.2)
        assert (deaths.sum(axis=1) > 0).all()


@pytest.mark.slow
def test_firth_and_bayes_always_answer(rows):
    found = rows[rows["method"].isin(ALWAYS)]
    assert len(found) == 2 * 10 * len(ALWAYS)
    assert np.isfinite(found[["estimate", "low", "high"]]).all(axis=None)
    assert (found["low"] < found["estimate"]).all()
    assert (found["estimate"] < found["high"]).all()


@pytest.mark.slow
def test_only_separated_cohorts_are_without_an_estimate(rows):
    wald = rows[rows["method"] == "Cox, Wald"]
    empty = (wald["treated_deaths"] == 0) | (wald["control_deaths"] == 0)
    assert empty.any()
    assert (np.isfinite(wald["estimate"]) == ~empty).all()


@pytest.mark.parametrize("k", [0, 1, 2])
def test_posteriors_agree_with_quadrature(study, k):
    """One coefficient, so a grid is exact: the likelihood, the priors and the sampler together."""
    data, _ = study.cohort(np.random.default_rng([7, k]), 0.3)
    spec = CoxPH("Surv(exit, event) ~ treatment", data)
    found = study._posteriors(spec, seed=1, draws=2000)
    grid = np.linspace(-25, 15, 8001)
    loglik = np.array([cox.loglik(spec.statistics, np.array([b])) for b in grid])
    for name in study.PRIORS:
        prior = TREATMENT[name]
        logs = loglik - 0.5 * ((grid - prior.mean) / prior.sd) ** 2
        weights = np.exp(logs - logs.max())
        cdf = np.cumsum(weights) / weights.sum()
        low, high = np.interp([0.025, 0.975], cdf, grid)
        mean = float(weights @ grid / weights.sum())
        sd = math.sqrt(weights @ (grid - mean) ** 2 / weights.sum())
        got = found[f"posterior, {name} {prior}"]
        assert got.estimate == pytest.approx(mean, abs=0.12 * sd)
        assert got.low == pytest.approx(low, abs=0.35 * sd)
        assert got.high == pytest.approx(high, abs=0.35 * sd)


def test_likelihood_ratio_of_a_separated_cohort_is_that_of_the_product_of_shares(study):
    """Deaths of controls only: the likelihood is the product of 1 / (controls + r treated)."""
    day = np.array([28.0] * 19 + [3.0, 9.0, 17.0] + [28.0] * 19)
    data = pd.DataFrame(
        {
            "exit": day, "event": (day < 28).astype(int),
            "treatment": pd.Categorical(["treated"] * 19 + ["control"] * 22),
        }
    )  # fmt: skip
    spec = CoxPH("Surv(exit, event) ~ treatment", data)
    got = study._one_sided(spec.statistics)
    controls = np.array([22, 21, 20])

    def fall(b: float) -> float:
        return float(2 * (np.log(controls + 19 * np.exp(b)) - np.log(controls)).sum())

    assert got.estimate == got.low == -math.inf
    limit = optimize.brentq(lambda b: fall(b) - 3.841458820694124, -10, 10)
    assert got.high == pytest.approx(limit, abs=1e-6)
    assert got.p_value == pytest.approx(math.erfc(math.sqrt(fall(0.0) / 2)), rel=1e-6)


def test_summary_counts_what_it_says(study):
    """Four answers made up: right, above 1 and excluding it, missing, and too wide."""
    inf = math.inf
    answers = [
        (-1.2, -3.0, 0.5), (1.0, 0.2, 1.8), (-inf, -inf, 0.4), (-2.0, -9.0, -0.1),
    ]  # fmt: skip
    rows = pd.DataFrame(answers, columns=["estimate", "low", "high"]).assign(
        scenario="x", true=math.log(0.3), method="m", p_value=0.5
    )
    (got,) = study.summary(rows).to_dict("records")
    assert got["cohorts"] == 4
    assert (got["no_estimate"], got["no_usable_answer"]) == (0.25, 0.5)
    assert (got["rejects"], got["coverage"], got["coverage_usable"]) == (0.5, 0.75, 0.5)
    assert (got["wrong_side"], got["sign_error"]) == (0.25, 0.5)
    assert got["median_hr"] == pytest.approx(math.exp(-1.6))
    assert got["exaggeration"] == pytest.approx(1.5 / abs(math.log(0.3)))


def test_the_page_shows_the_published_table(study, published):
    page = (DOCS / "small_mortality.md").read_text(encoding="utf-8")
    between = page.split(study.BEGIN)[1].split(study.END)[0]
    assert between.strip() == "\n".join(study.markdown(published)).strip()


def test_the_published_table_is_of_the_whole_study(published):
    assert (published["cohorts"] == 500).all()
    both = published.groupby("scenario")["method"].apply(set)
    assert len(both["no effect"]) == 13
    assert both["no effect"] == both["hazard ratio 0.3"]
    always = published[published["method"].isin(ALWAYS)]
    assert (always["no_estimate"] == 0).all()
    assert len(always) == 2 * len(ALWAYS)


@pytest.mark.study
def test_the_whole_study_again(study, published):
    rows = study.simulate(500)
    found = rows[rows["method"].isin(ALWAYS)]
    assert np.isfinite(found[["estimate", "low", "high"]]).all(axis=None)
    table = study.summary(rows).set_index(["scenario", "method"])
    expected = published.set_index(["scenario", "method"])
    for column in ("no_estimate", "no_usable_answer", "rejects", "coverage", "coverage_usable"):
        assert (table[column] - expected[column]).abs().max() <= 0.01, column
    for column in ("median_hr", "median_width"):
        assert (table[column] / expected[column] - 1).abs().max() <= 0.03, column
    # What the page claims: valid tests hold 5 %, within what 500 cohorts can tell.
    level = table.loc["no effect", "rejects"]
    for name in ("Cox, Firth, profile", "exact given the risk sets", "log-rank, permutation",
                 "2 x 2, Fisher", "2 x 2, Boschloo"):  # fmt: skip
        assert level[name] < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


@pytest.fixture(scope="module")
def risks() -> ModuleType:
    path = DOCS / "small_mortality_risks.py"
    spec = importlib.util.spec_from_file_location("small_mortality_risks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_table_of_risks(risks):
    page = (DOCS / "small_mortality.md").read_text(encoding="utf-8")
    published = pd.read_csv(DOCS / "small_mortality_risks.csv")
    between = page.split(risks.BEGIN)[1].split(risks.END)[0]
    assert between.strip() == risks.markdown(published).strip()
    assert set(published["method"]) == set(risks.METHODS)


def test_true_risk_differences_are_those_of_many_patients(risks):
    rng = np.random.default_rng(1)
    severity = rng.normal(size=200_000)
    hazard = risks.control_hazard(0.3)
    difference = risks.risk(hazard, 0.3, severity, 1.0) - risks.risk(hazard, 0.3, severity, 0.0)
    e = risks.chance(severity)
    assert risks.truth(hazard, 0.3, overlap=False) == pytest.approx(difference.mean(), abs=5e-4)
    expected = np.average(difference, weights=e * (1 - e))
    assert risks.truth(hazard, 0.3, overlap=True) == pytest.approx(expected, abs=5e-4)


def test_a_few_cohorts_again_are_answered_by_every_method(risks):
    table = risks.summary(risks.simulate(4))
    assert len(table) == 2 * len(risks.METHODS)
    always = table[table["method"].isin(["crude", "Cox, Firth, standardised"])]
    assert (always["no_estimate"] == 0).all() and (always["no_interval"] == 0).all()
