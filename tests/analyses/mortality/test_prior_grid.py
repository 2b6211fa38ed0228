"""The grid of priors on the small cohort of immunoglobulin in sepsis, against quadrature."""

from __future__ import annotations

import time
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

import longsurv as ls
from longsurv import priors as pr
from longsurv.analyses.mortality.prior_grid import conflict, prior_grid
from longsurv.errors import LongsurvError
from longsurv.models import CoxPH

FORMULA = "Surv(entry, exit, event) ~ treatment"
HORIZON = 28
FEW = {"sceptical": pr.TREATMENT["sceptical"]}


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml").survival_data()


@pytest.fixture(scope="module")
def grid(patients):
    return prior_grid(CoxPH(FORMULA, data=patients), "treatment", horizon=HORIZON, draws=4000)


@pytest.fixture(scope="module")
def table(grid):
    return grid.table.set_index("prior")


@pytest.fixture(scope="module")
def likelihood(patients):
    """Log partial likelihood by explicit risk sets, Efron's ties; log hazard ratios to values."""
    treated = (patients["treatment"] == "ivig").to_numpy()
    entry, exit_, event = (patients[c].to_numpy() for c in ("entry", "exit", "event"))

    def value(b: np.ndarray) -> np.ndarray:
        out = np.zeros_like(b)
        relative = np.exp(np.outer(b, treated))
        for moment in np.unique(exit_[event == 1]):
            dead = (exit_ == moment) & (event == 1)
            at_risk = (entry < moment) & (exit_ >= moment)
            out += b * (treated & dead).sum()
            for step in range(dead.sum()):
                held = at_risk - dead * step / dead.sum()
                out -= np.log(relative @ held)
        return out

    return value


@pytest.fixture(scope="module")
def exact(likelihood):
    """Posterior of the log hazard ratio by quadrature: `exact(log_prior)` gives (points, mass)."""

    def posterior(log_prior) -> tuple[np.ndarray, np.ndarray]:
        b = np.linspace(-25.0, 15.0, 40001)
        log_density = likelihood(b) + log_prior(b)
        mass = np.exp(log_density - log_density.max())
        return b, mass / mass.sum()

    return posterior


def test_five_priors(grid):
    names = ["flat-ish", "weak", "sceptical", "enthusiastic", "pessimistic"]
    assert list(grid.table["prior"]) == names == list(grid.posteriors)
    assert (grid.table["r_hat"] < 1.01).all() and (grid.table["ess"] > 400).all()
    assert grid.term == "treatment[T.ivig]" and "under 5 priors" in str(grid)
    for name, post in grid.posteriors.items():
        assert post.stack.priors[0] == pr.TREATMENT[name]


@pytest.mark.parametrize("name", pr.TREATMENT)
def test_posterior_is_that_of_quadrature(table, exact, name):
    prior, row = pr.TREATMENT[name], table.loc[name]
    b, mass = exact(lambda x: norm.logpdf(x, prior.mean, prior.sd))
    cumulative = np.cumsum(mass)
    mean = b @ mass
    variance = (b - mean) ** 2 @ mass
    below = mass[b < 0].sum()
    error = np.sqrt(variance / row["ess"])
    assert 1 - row["prob_positive"] == pytest.approx(below, abs=4 * np.sqrt(0.25 / row["ess"]))
    # a variance of 8000 draws varies by 2.5 % from seed to seed
    assert row["prior_share"] == pytest.approx(variance / prior.sd**2, rel=0.1)
    median, low, high = np.interp([0.5, 0.025, 0.975], cumulative, b)
    assert np.log(row["hr"]) == pytest.approx(median, abs=6 * error)
    assert np.log(row["hr_low"]) == pytest.approx(low, abs=15 * error)
    assert np.log(row["hr_high"]) == pytest.approx(high, abs=15 * error)


ROBUST = pr.Mixture((pr.from_interval(0.97, 0.81, 1.15), pr.Normal(0.0, 1.0)), (0.8, 0.2))
SPIKE = pr.Mixture((pr.Normal(0.0, 0.002), pr.Normal(-1.0, 5.0)), (0.5, 0.5))


@pytest.mark.parametrize("prior", [ROBUST, SPIKE])
def test_posterior_under_a_mixture_is_that_of_quadrature(patients, likelihood, prior):
    """Brute force on a grid fine enough for the narrowest part."""
    b = np.concatenate([np.linspace(-30.0, 12.0, 20001), np.linspace(-0.5, 0.5, 40001)])
    b = np.unique(b)
    log = likelihood(b) + np.log(
        sum(w * norm.pdf(b, p.mean, p.sd) for w, p in zip(prior.weights, prior.parts, strict=True))
    )
    mass = np.exp(log - log.max())
    steps = 0.5 * (mass[1:] + mass[:-1]) * np.diff(b)
    below = steps[b[1:] <= 0.0].sum() / steps.sum()
    middle = 0.5 * (b[1:] + b[:-1])
    near = steps[np.abs(middle) < 0.006].sum() / steps.sum()
    mean = middle @ steps / steps.sum()
    post = CoxPH(FORMULA, data=patients).sample(priors={"treatment": prior}, draws=2000, chains=2)
    drawn = post.draw("treatment[T.ivig]")
    assert (drawn < 0).mean() == pytest.approx(below, abs=2e-3)
    assert (np.abs(drawn) < 0.006).mean() == pytest.approx(near, abs=2e-3)
    assert drawn.mean() == pytest.approx(mean, abs=5e-3)


def test_a_mixture_in_the_twin(patients):
    from longsurv.likelihood import cox

    spec = CoxPH(FORMULA, data=patients)
    twin = spec.to_pymc(priors={"treatment": ROBUST})
    density = twin.compile_logp(mode="FAST_COMPILE")
    stack = spec.prior_stack({"treatment": ROBUST})
    for b in (-1.4, 0.0, 0.3):
        at = np.array([b])
        ours = cox.value_and_gradient(spec.statistics, at)[0] + stack.value_and_gradient(at)[0]
        assert density({twin.free_RVs[0].name: np.array(b)}) == pytest.approx(ours, abs=1e-9)


def test_a_mixture_counts_by_its_information(patients):
    """Its variance is that of its vague part; the share of the posterior is not."""
    mostly = pr.Mixture((pr.Normal(0.0, 0.1), pr.Normal(0.0, 3.0)), (0.99, 0.01))
    row = prior_grid(
        CoxPH(FORMULA, data=patients), "treatment", {"robust": mostly}, horizon=HORIZON, draws=1000
    ).table.iloc[0]
    narrow = prior_grid(
        CoxPH(FORMULA, data=patients), "treatment", {"narrow": pr.Normal(0.0, 0.1)},
        horizon=HORIZON, draws=1000,
    ).table.iloc[0]  # fmt: skip
    assert row["diagnosis"] == narrow["diagnosis"] == "mostly prior"
    assert row["prior_hr_low"] == pytest.approx(np.exp(pr.quantiles(mostly, np.array([0.025]))[0]))


def test_belief_follows_the_prior(table):
    ordered = ["pessimistic", "sceptical", "enthusiastic"]
    for column in ("prob_benefit", "prob_benefit_1"):
        assert table.loc[ordered, column].is_monotonic_increasing
        assert table.loc[ordered, column].is_unique
    for column in (
        "prior_prob_positive", "prob_positive", "hr", "hr_low", "hr_high", "risk_difference",
    ):  # fmt: skip
        assert table.loc[ordered, column].is_monotonic_decreasing


def test_wider_priors_leave_more_to_the_data(table):
    assert table["contraction"].between(0, 1).all()
    np.testing.assert_allclose(table["prior_share"], 1 - table["contraction"])
    assert table.loc[["sceptical", "weak", "flat-ish"], "contraction"].is_monotonic_increasing
    assert table.loc["flat-ish", "contraction"] > 0.9


def test_risks(table):
    """With one covariate a lower hazard is a lower risk, and small reductions are likelier."""
    np.testing.assert_allclose(table["prob_benefit"], 1 - table["prob_positive"], atol=1e-12)
    assert (table["prob_benefit"] >= table["prob_benefit_1"]).all()
    assert (table["prob_benefit_1"] >= table["prob_benefit_5"]).all()
    assert (table["risk_difference_low"] < table["risk_difference"]).all()
    assert (table["risk_difference"] < table["risk_difference_high"]).all()


def test_baseline_risk_is_kaplan_meier_s(grid, patients):
    control = patients[patients["treatment"] == "control"]
    survival = 1.0
    for moment in sorted(control.loc[control["event"] == 1, "exit"].unique()):
        at_risk = ((control["entry"] < moment) & (control["exit"] >= moment)).sum()
        survival *= 1 - ((control["exit"] == moment) & (control["event"] == 1)).sum() / at_risk
    assert grid.baseline_risk == pytest.approx(1 - survival, rel=1e-12)


def test_priors_on_the_risk_scale(patients):
    """A hazard ratio of 2 at a risk of 20 % is a risk of 36 %."""
    priors = {"harm": pr.Normal(np.log(2), 0.5), "heavy": pr.StudentT(4, -0.2, 0.3)}
    found = prior_grid(
        CoxPH(FORMULA, data=patients), "treatment", priors, horizon=HORIZON, baseline_risk=0.2,
        draws=300, level=0.9,
    ).table.set_index("prior")  # fmt: skip
    harm, heavy = found.loc["harm"], found.loc["heavy"]
    assert harm["prior_hr"] == pytest.approx(2.0)
    assert harm["prior_risk_ratio"] == pytest.approx(1.8)
    assert harm["prior_risk_difference"] == pytest.approx(0.16)
    assert harm["prior_hr_low"] == pytest.approx(2 * np.exp(0.5 * norm.ppf(0.05)))
    assert 1 - harm["prior_prob_positive"] == pytest.approx(norm.cdf(-np.log(2) / 0.5))
    assert heavy["prior_hr_high"] == pytest.approx(np.exp(-0.2 + 0.3 * t.ppf(0.95, 4)))
    assert 1 - heavy["prior_prob_positive"] == pytest.approx(t.cdf(0.2 / 0.3, 4))


def test_relabelling_the_treatment_mirrors(table, patients):
    order = ["ivig", "control"]
    other = patients.assign(treatment=patients["treatment"].cat.reorder_categories(order))
    mirrored = {k: pr.Normal(-p.mean, p.sd) for k, p in pr.TREATMENT.items()}
    found = prior_grid(
        CoxPH(FORMULA, data=other), "treatment", mirrored, horizon=HORIZON, draws=4000, seed=2
    ).table.set_index("prior")
    chance = 0.04  # four simulation errors of a difference of two probabilities
    np.testing.assert_allclose(found["prob_positive"], 1 - table["prob_positive"], atol=chance)
    np.testing.assert_allclose(found["contraction"], table["contraction"], atol=0.08)
    np.testing.assert_allclose(found["risk_difference"], -table["risk_difference"], atol=0.01)
    informative = ["weak", "sceptical", "enthusiastic", "pessimistic"]
    np.testing.assert_allclose(
        np.log(found.loc[informative, "hr"]), -np.log(table.loc[informative, "hr"]), atol=0.07
    )
    np.testing.assert_allclose(found["prior_hr"], 1 / table["prior_hr"])


def test_sensitivity_is_to_the_treatment_s_prior(patients):
    """A prior that settles another coefficient says nothing about this one."""
    found = prior_grid(
        CoxPH(f"{FORMULA} + age", data=patients), "treatment", {"wide": pr.Normal(0, 5)},
        horizon=HORIZON, others={"age": pr.Normal(0.5, 0.001)},
    ).table.iloc[0]  # fmt: skip
    assert found["psense_prior"] < 0.05


def test_a_prior_without_variance(patients):
    priors = {"cauchy": pr.StudentT(1, 0, 1)}
    found = prior_grid(
        CoxPH(FORMULA, data=patients), "treatment", priors, horizon=HORIZON, draws=300
    ).table.iloc[0]
    assert found["contraction"] == 1.0


def test_same_seed_same_grid(patients):
    a, b = (
        prior_grid(CoxPH(FORMULA, data=patients), "treatment", FEW, horizon=HORIZON, draws=200)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(a.table, b.table)


def test_takes_seconds(patients, grid):
    """After compilation, which `grid` has done."""
    start = time.perf_counter()
    prior_grid(CoxPH(FORMULA, data=patients), "treatment", horizon=HORIZON)
    assert time.perf_counter() - start < 15


class TestRefused:
    def test_a_treatment_without_one_coefficient(self, patients):
        spec = CoxPH("Surv(entry, exit, event) ~ treatment * age", data=patients)
        with pytest.raises(LongsurvError, match="exactly one coefficient"):
            prior_grid(spec, "treatment", FEW, horizon=HORIZON)
        with pytest.raises(LongsurvError, match="exactly one coefficient"):
            prior_grid(CoxPH(FORMULA, data=patients), "arm", FEW, horizon=HORIZON)

    @pytest.mark.parametrize(
        ("priors", "more", "words"),
        [
            ({}, {}, "at least one prior"),
            ({"half": pr.HalfNormal(1)}, {}, "takes a Normal or StudentT prior"),
            (FEW, {"baseline_risk": 1.0}, "between 0 and 1"),
            (FEW, {"level": 95}, "level"),
        ],
    )
    def test_arguments(self, patients, priors, more, words):
        with pytest.raises(LongsurvError, match=words):
            prior_grid(CoxPH(FORMULA, data=patients), "treatment", priors, horizon=28, **more)

    @pytest.mark.parametrize("horizon", [0, -1, np.nan])
    def test_a_horizon_that_is_no_time(self, patients, horizon):
        with pytest.raises(LongsurvError, match=r"horizon is a time a(fter|bove) 0"):
            prior_grid(CoxPH(FORMULA, data=patients), "treatment", FEW, horizon=horizon)


class TestWithoutRisks:
    """A hazard ratio needs no horizon: where there are no risks, it stands alone, and as it was."""

    def test_beyond_the_last_exit(self, patients):
        alone = ["hr", "hr_low", "hr_high", "prob_positive", "prior_share", "conflict_p"]
        whole, found = (
            prior_grid(CoxPH(FORMULA, data=patients), "treatment", FEW, horizon=end, draws=200)
            for end in (HORIZON, 90)
        )
        pd.testing.assert_frame_equal(found.table[alone], whole.table[alone])
        missing = found.table.filter(regex="risk|prob_benefit")
        assert missing.shape[1] == 12 and missing.isna().all(axis=None)
        assert whole.no_risks == "" and "last exit is at 28" in found.no_risks
        assert np.isnan(found.baseline_risk)
        for shown in (str(found), str(found.summary())):
            assert "No risks after the data: nobody was followed to 90" in shown

    @pytest.mark.parametrize("all_of", ["control", "everybody", "nobody"])
    def test_a_baseline_without_room_is_that_of_all_patients(self, patients, all_of):
        """The reference's own risk where it is between 0 and 1, else that of all, else none."""
        reference = patients["treatment"] != "ivig"
        chosen = {"control": reference, "everybody": reference | True, "nobody": reference}[all_of]
        event = patients["event"].where(~chosen, int(all_of != "nobody"))
        given = patients.assign(event=event, status=event)
        found = prior_grid(CoxPH(FORMULA, data=given), "treatment", FEW, horizon=HORIZON, draws=200)
        assert np.isfinite(found.table["hr"]).all() and found.no_risks == ""
        if all_of == "everybody":
            assert np.isnan(found.baseline_risk)
            return
        free = 1.0
        for moment in np.unique(given.loc[given["event"] == 1, "exit"]):
            at_risk = (given["entry"] < moment) & (given["exit"] >= moment)
            dead = (given["exit"] == moment) & (given["event"] == 1)
            free *= 1.0 - dead.sum() / at_risk.sum()
        assert found.baseline_risk == pytest.approx(1.0 - free)


class TestConflict:
    """The prior-predictive tail of the events in the treated group."""

    def test_is_that_of_a_simulation(self, patients):
        """Hazard ratios from the prior, then events one by one from the risk sets as they were."""
        rng = np.random.default_rng(2)
        prior = pr.TREATMENT["pessimistic"]
        ratios = np.exp(rng.normal(prior.mean, prior.sd, 200_000))
        treated = (patients["treatment"] == "ivig").to_numpy()
        entry, exit_, event = (patients[c].to_numpy() for c in ("entry", "exit", "event"))
        count = np.zeros(len(ratios))
        for moment, deaths in zip(*np.unique(exit_[event == 1], return_counts=True), strict=True):
            at_risk = (entry < moment) & (exit_ >= moment)
            mine, others = (at_risk & treated).sum(), (at_risk & ~treated).sum()
            chance = np.cumsum(
                [comb(mine, k) * comb(others, deaths - k) * ratios**k for k in range(deaths + 1)],
                axis=0,
            )
            count += (rng.random(len(ratios)) > chance / chance[-1]).sum(axis=0)
        seen = (treated & (event == 1)).sum()
        half = 0.5 * (count == seen).mean()
        tail = 2 * min((count < seen).mean() + half, (count > seen).mean() + half)
        spec = CoxPH(FORMULA, data=patients)
        found = conflict(spec, "treatment", "treatment[T.ivig]", prior)
        assert found == pytest.approx(tail, abs=4e-3)

    def test_a_prior_that_the_data_contradict_is_in_conflict(self, patients):
        spec = CoxPH(FORMULA, data=patients)
        priors = {"harm": pr.Normal(2.0, 0.3), **FEW}
        found = prior_grid(spec, "treatment", priors, horizon=HORIZON, draws=300).table
        assert list(found["diagnosis"]) == ["in conflict", "mostly prior"]
        assert found["conflict_p"].iloc[0] < 0.02 < 0.2 < found["conflict_p"].iloc[1]

    def test_does_not_depend_on_the_coding(self, patients):
        coded = patients.assign(x=np.where(patients["treatment"] == "ivig", 12.0, 10.0))
        spec = CoxPH("Surv(entry, exit, event) ~ x", data=coded)
        half = conflict(spec, "x", "x", pr.Normal(0.2, 0.15))
        plain = CoxPH(FORMULA, data=patients)
        whole = conflict(plain, "treatment", "treatment[T.ivig]", pr.Normal(0.4, 0.3))
        assert half == pytest.approx(whole, rel=1e-9)

    def test_covariates_leave_it_to_the_normal(self, patients):
        """A covariate without effect moves it little from the exact one."""
        noise = patients.assign(noise=np.random.default_rng(4).normal(size=len(patients)))
        spec = CoxPH(f"{FORMULA} + noise", data=noise)
        prior = pr.Normal(2.0, 0.3)
        found = conflict(spec, "treatment", "treatment[T.ivig]", prior)
        exact = conflict(CoxPH(FORMULA, data=patients), "treatment", "treatment[T.ivig]", prior)
        assert found < 0.05 and exact < 0.05
