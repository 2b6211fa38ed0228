"""Weighted curves and doubly robust risks against R, and against definitions written out there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.adjusted_curves import (
    weighted_comparison,
    weighted_incidence,
    weighted_survival,
)
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.kaplan_meier import survival_table
from longsurv.estimands.weighting import propensity_weights

TARGETS = ("ATE", "ATT", "overlap", "matching")
RIGHT = "age + log(crp)"


@pytest.fixture
def cohort(data):
    return data("weighted_cohort")


@pytest.mark.parametrize("target", TARGETS)
def test_risks_and_mean_times_are_the_definitions_with_errors_by_the_jackknife(
    cohort, reference, target
):
    weights = propensity_weights(cohort, "arm", RIGHT, target=target)
    found = weighted_comparison(weights, cohort, 20.0).set_index("quantity")
    names = {
        "risk of 1": "risk 1", "risk of 0": "risk 0", "risk difference": "risk difference",
        "mean time of 1": "mean 1", "mean time of 0": "mean 0",
        "mean time difference": "mean difference",
    }  # fmt: skip
    for ours, theirs in names.items():
        value, se = (reference("weighted_curves", target, what, theirs) for what in ("value", "se"))
        assert found.loc[ours, "estimate"] == pytest.approx(value, rel=1e-8)
        assert found.loc[ours, "std_error"] == pytest.approx(se, rel=1e-6)
    ratio = reference("weighted_curves", target, "value", "log risk ratio")
    assert np.log(found.loc["risk ratio", "estimate"]) == pytest.approx(ratio, rel=1e-8)
    error = reference("weighted_curves", target, "se", "log risk ratio")
    assert found.loc["risk ratio", "std_error"] == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_curves_are_survivals(cohort, reference, target):
    weights = propensity_weights(cohort, "arm", RIGHT, target=target)
    for function, what in ((weighted_survival, "survival"), (weighted_incidence, "incidence")):
        table = function(weights, cohort, [5, 10, 20])
        for row in table.to_dict("records"):
            term = f"{row['group']} {row['time']:g}"
            value = reference("weighted_curves", target, what, term)
            assert row["estimate"] == pytest.approx(value, rel=1e-9)
            assert row["conf_low"] < row["estimate"] < row["conf_high"]


@pytest.mark.parametrize("target", TARGETS)
def test_errors_with_weights_taken_as_known_are_survivals(cohort, reference, target):
    from longsurv.estimands.weighted_risks import WeightedRisks
    from longsurv.estimands.weighted_sample import WeightedSample

    weights = propensity_weights(cohort, "arm", RIGHT, target=target)
    sample = WeightedSample.of(weights, cohort)
    for label, mine in sample.groups(weights):
        curve = WeightedRisks(sample.side(mine), weights.weights[mine])
        for t in (5, 10, 20):
            expected = reference("weighted_curves", target, "incidence_se_known", f"{label} {t}")
            assert np.sqrt((curve.risk(t)[1] ** 2).sum()) == pytest.approx(expected, rel=1e-6)


def test_the_bootstrap_has_the_same_errors(cohort):
    weights = propensity_weights(cohort, "arm", RIGHT, target="overlap")
    sandwich = weighted_comparison(weights, cohort, 20.0)
    drawn = weighted_comparison(weights, cohort, 20.0, bootstrap=250, seed=3)
    assert (sandwich["std_error"] / drawn["std_error"]).between(0.85, 1.2).all()
    assert sandwich["estimate"].tolist() == drawn["estimate"].tolist()
    assert "250 bootstrap resamples" in drawn["note"][0]


def test_without_covariates_the_curves_are_the_unweighted_ones(cohort):
    weights = propensity_weights(cohort, "arm", "1")
    table = weighted_incidence(weights, cohort, [20.0])
    plain = incidence_difference(cohort, "arm", 20.0).set_index("quantity")
    found = table.set_index("group")["estimate"]
    for group in (0, 1):
        assert found[group] == pytest.approx(plain.loc[f"risk of {group}", "estimate"])
    one = cohort.assign(status=(cohort["status"] == 1) * 1)
    survival = weighted_survival(weights, cohort, [20.0])["estimate"]
    expected = survival_table(one, "arm", [20.0])["survival"]
    assert sorted(survival) == pytest.approx(sorted(expected))


@pytest.mark.parametrize("clock", ["exit", "exact"])
def test_doubly_robust_risks_are_the_definition_with_errors_by_the_jackknife(
    cohort, reference, clock
):
    rows = cohort.assign(exit=cohort[clock])
    found = doubly_robust_risk(propensity_weights(rows, "arm", RIGHT), rows, 20.0)
    found = found.set_index("quantity")
    for ours, theirs in (("risk of 1", "risk 1"), ("risk of 0", "risk 0")):
        model = f"doubly robust {clock}"
        value = reference("weighted_curves", model, "value", theirs)
        assert found.loc[ours, "estimate"] == pytest.approx(value, rel=1e-8)
        error = reference("weighted_curves", model, "se", theirs)
        assert found.loc[ours, "std_error"] == pytest.approx(error, rel=1e-6)
    error = reference("weighted_curves", f"doubly robust {clock}", "se", "risk difference")
    assert found.loc["risk difference", "std_error"] == pytest.approx(error, rel=1e-6)


def test_doubly_robust_risks_are_nearly_those_of_mets(cohort, reference):
    """The same before anybody was censored; mets then weights Y alone, not what is left of it."""
    rows = cohort.assign(exit=cohort["exact"])
    for horizon, close in ((4, 1e-6), (20, 0.01)):
        found = doubly_robust_risk(propensity_weights(rows, "arm", RIGHT), rows, float(horizon))
        for row, group in zip(found.to_dict("records"), ("risk 1", "risk 0"), strict=False):
            value = reference("weighted_curves", f"mets {horizon}", "value", group)
            assert row["estimate"] == pytest.approx(value, rel=close)


def confounded(n, seed, *, wrong):
    """Risks 0.3 treated and 0.5 not, whatever the covariate; treatment by a square or a line."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    treated = rng.uniform(size=n) < 1 / (1 + np.exp(-(x**2 - 1 if wrong == "score" else x)))
    risk = 1 / (1 + np.exp(-(-0.5 - treated + (x**2 if wrong == "outcome" else x))))
    event = rng.uniform(size=n) < risk
    time = np.where(event, rng.uniform(0, 10, n), 10)
    lost = np.where(treated, rng.uniform(2, 25, n), 30.0)
    rows = pd.DataFrame({"arm": treated * 1, "x": x, "exit": np.minimum(time, lost)})
    truth = [
        float(np.mean(1 / (1 + np.exp(-(-0.5 - a + (x**2 if wrong == "outcome" else x))))))
        for a in (1, 0)
    ]
    return rows.assign(event=(event & (time <= lost)) * 1), truth


@pytest.mark.parametrize("wrong", ["score", "outcome"])
def test_one_wrong_model_of_the_two_does_no_harm(wrong):
    rows, truth = confounded(20_000, 5, wrong=wrong)
    found = doubly_robust_risk(propensity_weights(rows, "arm", "x"), rows, 10.0)
    for value, error, expected in zip(
        found["estimate"], found["std_error"], truth, strict=False
    ):  # fmt: skip
        assert value == pytest.approx(expected, abs=4 * error)
        assert error < 0.01


def test_separated_outcomes_have_firths_regression():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(
        {"arm": np.repeat([0, 1], [22, 19]), "x": rng.normal(size=41), "exit": 28.0, "event": 0}
    )
    rows.loc[:4, ["exit", "event"]] = [[9.0, 1]] * 5
    found = doubly_robust_risk(propensity_weights(rows, "arm", "x"), rows, 28.0)
    assert "outcome by Firth" in found["note"][0] and "1: no events" in found["note"][0]
    risks = found.set_index("quantity")
    assert 0.05 < risks.loc["risk of 0", "conf_low"] < risks.loc["risk of 0", "estimate"]
    # what is left over makes the risk of those without an event a little less than nothing
    assert np.isnan(risks.loc["risk of 1", "estimate"]) and "which is none" in found["note"][0]
    assert risks.loc["risk difference", ["estimate", "conf_low"]].isna().all()


def test_a_group_without_events_has_no_variance():
    rows = pd.DataFrame({"arm": [0, 1] * 20, "x": np.arange(40) % 7, "exit": 28.0, "event": 0})
    rows.loc[[0, 2, 4], ["exit", "event"]] = [[5.0, 1]] * 3
    found = weighted_comparison(propensity_weights(rows, "arm", "x"), rows, 28.0)
    table = found.set_index("quantity")
    assert table.loc["risk of 1", "estimate"] == 0
    for name in ("risk of 1", "risk difference", "risk ratio", "mean time of 1"):
        assert np.isnan(table.loc[name, "std_error"]) and "no events" in table.loc[name, "note"]
    assert table.loc["risk of 0", "std_error"] > 0


def test_what_cannot_be_asked_is_said(cohort):
    weights = propensity_weights(cohort, "arm", RIGHT)
    with pytest.raises(DataError, match="give the same one"):
        weighted_comparison(weights, cohort.head(20), 20.0)
    with pytest.raises(DataError, match="not known"):
        weighted_comparison(weights, cohort, 40.0)
    with pytest.raises(LongsurvError, match="target='ATE'"):
        doubly_robust_risk(propensity_weights(cohort, "arm", RIGHT, target="ATT"), cohort, 20.0)
    late = cohort.assign(entry=np.arange(len(cohort)) % 2 * 0.5)
    with pytest.raises(DataError, match="delayed entry"):
        doubly_robust_risk(propensity_weights(late, "arm", RIGHT), late, 20.0)
    alive = cohort.assign(status=0)
    with pytest.raises(EstimationError, match="no event happened by"):
        doubly_robust_risk(propensity_weights(alive, "arm", RIGHT), alive, 1.0)
