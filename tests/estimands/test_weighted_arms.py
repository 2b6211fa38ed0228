"""Weights, curves and doubly robust risks of three arms against R's definitions of them, and that
two of the arms by themselves are the case of two."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.adjusted_curves import weighted_comparison, weighted_survival
from longsurv.estimands.bayesian_bootstrap import bayesian_bootstrap
from longsurv.estimands.changes import adjusted_p_values
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.propensity import fit_arms, information_of
from longsurv.estimands.targets import TARGETS
from longsurv.estimands.weighting import overlap_weights, propensity_weights, weighted_difference

ARMS = ["control", "high", "low"]
NAMES = ["high - control", "low - control", "low - high"]
RIGHT = "age + log(crp)"
CASES = ["ATE", "ATT control", "ATT high", "ATT low", "overlap", "matching"]


@pytest.fixture
def cohort(data):
    return data("three_arms").assign(arm=lambda d: pd.Categorical(d["arm"], ARMS))


def weighed(cohort, case):
    target, _, like = case.partition(" ")
    return propensity_weights(cohort, "arm", RIGHT, target=target, like=like or None)


def rows(table):
    """By quantity and comparison, as R's terms are."""
    names = (table["quantity"] + " " + table["comparison"]).str.strip()
    return table.set_index(names)


def test_chances_are_the_multinomial_logits(cohort, reference):
    chance = propensity_weights(cohort, "arm", RIGHT).propensity.chance
    for i in range(5):
        for j, arm in enumerate(ARMS):
            expected = reference("weighted_arms", "score", "chance", f"{i + 1} {arm}")
            assert chance[i, j] == pytest.approx(expected, rel=1e-9)
    own = chance[np.arange(len(cohort)), cohort["arm"].cat.codes]
    assert np.log(own).sum() == pytest.approx(reference("weighted_arms", "score", "loglik"))
    assert chance.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("case", CASES)
def test_risks_and_mean_times_are_the_definitions_with_errors_by_the_jackknife(
    cohort, reference, case
):
    weights = weighed(cohort, case)
    table = weighted_comparison(weights, cohort, 20.0, compare="pairwise")
    found = rows(table)
    assert len(found) == 6 + 3 * 3
    for name, row in found.iterrows():
        value, se = (reference("weighted_arms", case, what, name) for what in ("value", "se"))
        estimate = np.log(row["estimate"]) if "ratio" in name else row["estimate"]
        assert estimate == pytest.approx(value, rel=1e-8, abs=1e-10)
        assert row["std_error"] == pytest.approx(se, rel=1e-6)
        assert row["df"] == 150 - 6
    own = table[table["quantity"] == "risk difference"]
    assert list(own["comparison"]) == NAMES
    assert own["p_holm"].tolist() == adjusted_p_values(own["p_value"], "holm").tolist()
    assert table.loc[table["comparison"] == "", "p_holm"].isna().all()
    effective = weights.effective_sample_size().set_index("group")["effective_n"]
    for arm in ARMS:
        expected = reference("weighted_arms", case, "effective_n", arm)
        assert effective[arm] == pytest.approx(expected)


@pytest.mark.parametrize("case", CASES)
def test_curves_are_survivals_and_balance_is_of_pairs(cohort, reference, case):
    weights = weighed(cohort, case)
    table = weighted_survival(weights, cohort, [5, 10, 20])
    assert list(table["group"].unique()) == ["high", "low", "control"]
    for row in table.to_dict("records"):
        term = f"{row['group']} {row['time']:g}"
        expected = reference("weighted_arms", case, "survival", term)
        assert row["estimate"] == pytest.approx(expected, rel=1e-9)
    balance = weights.balance()
    age = balance[balance["covariate"] == "age"].set_index("comparison")
    assert list(age.index) == NAMES
    for name in NAMES:
        expected = reference("weighted_arms", case, "balance of age", name)
        assert age.loc[name, "std_difference_weighted"] == pytest.approx(expected, rel=1e-7)
    largest = weights.imbalance().set_index("covariate")
    assert largest.loc["age", "std_difference"] == age["std_difference"].abs().max()
    assert list(largest.index) == ["age", "log(crp)"]
    assert len(weights.balance("reference")) == 4


def test_overlap_weights_say_that_several_arms_are_balanced_only_nearly(cohort):
    weights = overlap_weights(cohort, "arm", RIGHT)
    assert "balanced only nearly" in weights.note
    two = overlap_weights(cohort[cohort["arm"] != "low"], "arm", RIGHT)
    assert "nearly" not in two.note
    before, after = weights.imbalance()[["std_difference", "std_difference_weighted"]].max()
    assert after < 0.25 * before


def test_doubly_robust_risks_are_the_definition_with_errors_by_the_jackknife(cohort, reference):
    weights = weighed(cohort, "ATE")
    table = doubly_robust_risk(weights, cohort, 20.0, compare="pairwise")
    found = rows(table)
    for arm in ARMS:
        name = f"risk of {arm}"
        value, se = (
            reference("weighted_arms", "doubly robust", what, name) for what in ("value", "se")
        )
        assert found.loc[name, "estimate"] == pytest.approx(value, rel=1e-8)
        assert found.loc[name, "std_error"] == pytest.approx(se, rel=1e-6)
    for name in NAMES:
        row = found.loc[f"risk difference {name}"]
        se = reference("weighted_arms", "doubly robust", "se", f"risk difference {name}")
        assert row["std_error"] == pytest.approx(se, rel=1e-6)
        one, other = (found.loc[f"risk of {arm}", "estimate"] for arm in name.split(" - "))
        assert row["estimate"] == pytest.approx(one - other)
        assert found.loc[f"risk ratio {name}", "estimate"] == pytest.approx(one / other)


@pytest.mark.parametrize("case", CASES)
def test_answers_do_not_depend_on_which_arm_is_the_reference(cohort, case):
    other = cohort.assign(arm=cohort["arm"].cat.reorder_categories(["low", "control", "high"]))
    one, two = (
        rows(weighted_comparison(weighed(d, case), d, 20.0, compare="pairwise"))
        for d in (cohort, other)
    )
    for arm in ARMS:
        name = f"risk of {arm}"
        assert two.loc[name, "estimate"] == pytest.approx(one.loc[name, "estimate"])
        assert two.loc[name, "std_error"] == pytest.approx(one.loc[name, "std_error"])
    assert two.loc["risk difference high - low", "estimate"] == pytest.approx(
        -one.loc["risk difference low - high", "estimate"]
    )


@pytest.mark.parametrize("name", list(TARGETS))
def test_slopes_of_weights_are_their_derivatives(name):
    rng, step = np.random.default_rng(5), 1e-6
    eta, arm = rng.normal(size=(30, 3)), rng.integers(0, 4, 30)
    target = TARGETS[name]

    def logs(moved):
        whole = np.column_stack([np.zeros(30), moved])
        return np.log(target.weights(arm, special.softmax(whole, axis=1), 2))

    found = target.slope(arm, special.softmax(np.column_stack([np.zeros(30), eta]), axis=1), 2)
    for j in range(3):
        by = step * (np.arange(3) == j)
        expected = (logs(eta + by) - logs(eta - by)) / (2 * step)
        assert found[:, j] == pytest.approx(expected, abs=1e-7)


def test_firth_of_three_arms_against_a_direct_search():
    """One arm is below all others: the likelihood has no maximum, half a determinant more has."""
    x = np.arange(18.0)
    arm = np.array([0, 0, 0, 0, 0, 0, 2, 1, 1, 2, 1, 2, 2, 1, 2, 1, 1, 2])
    X = np.column_stack([np.ones(18), (x - 8.5) / 5])
    found = fit_arms(X, arm, 3)
    assert found.method == "firth"
    taken = arm[:, None] == np.arange(3)

    def minus_penalised(b):
        eta = np.column_stack([np.zeros(18), X @ b.reshape(2, 2)])
        chance = special.softmax(eta, axis=1)
        log_det = np.linalg.slogdet(information_of(X, chance, np.ones(18)))[1]
        return -(np.log(chance[taken]).sum() + 0.5 * log_det)

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000}
    best = optimize.minimize(minus_penalised, np.zeros(4), method="Nelder-Mead", options=options).x
    assert found.coefficients == pytest.approx(best.reshape(2, 2), abs=1e-5)


def test_information_is_the_second_derivative_of_the_likelihood():
    rng = np.random.default_rng(2)
    X, arm = np.column_stack([np.ones(40), rng.normal(size=(40, 2))]), rng.integers(0, 3, 40)
    case, b = rng.uniform(0.5, 2.0, 40), rng.normal(size=6)

    def gradient(b):
        chance = special.softmax(np.column_stack([np.zeros(40), X @ b.reshape(2, 3).T]), axis=1)
        left = (arm[:, None] == np.arange(1, 3)) - chance[:, 1:]
        return (X.T @ (case[:, None] * left)).T.ravel()

    chance = special.softmax(np.column_stack([np.zeros(40), X @ b.reshape(2, 3).T]), axis=1)
    slopes = [(gradient(b + s) - gradient(b - s)) / 2e-6 for s in 1e-6 * np.eye(6)]
    assert information_of(X, chance, case) == pytest.approx(-np.array(slopes), abs=1e-6)


def test_means_of_three_arms_and_the_bootstrap(cohort):
    weights = weighed(cohort, "overlap")
    y = cohort["age"] + 5.0 * (cohort["arm"] == "low")
    table = weighted_difference(weights, y, compare="pairwise")
    assert list(table["comparison"]) == ["", "", "", *NAMES]
    w = weights.weights
    for arm in ARMS:
        mine = (cohort["arm"] == arm).to_numpy()
        row = table.set_index("quantity").loc[f"mean of {arm}"]
        assert row["estimate"] == pytest.approx(np.average(y[mine], weights=w[mine]))
    drawn = weighted_difference(weights, y, compare="pairwise", bootstrap=200)
    assert (drawn["std_error"] / table["std_error"]).between(0.75, 1.3).all()
    assert weighted_difference(weights, y)["comparison"].tolist()[3:] == NAMES[:2]


def test_the_bootstrap_of_risks_has_the_same_errors(cohort):
    weights = weighed(cohort, "overlap")
    sandwich = weighted_comparison(weights, cohort, 20.0)
    drawn = weighted_comparison(weights, cohort, 20.0, bootstrap=200)
    assert drawn["estimate"].tolist() == sandwich["estimate"].tolist()
    assert (drawn["std_error"] / sandwich["std_error"]).between(0.75, 1.3).all()


def test_the_interval_of_each_arm_holds_the_truth_where_arms_are_confounded():
    """Of a large cohort: one arm has no effect, the other halves the hazard."""
    rng = np.random.default_rng(3)
    n = 6000
    x = rng.normal(size=n)
    chance = special.softmax(np.column_stack([np.zeros(n), 0.8 * x, -0.6 * x]), axis=1)
    arm = (rng.uniform(size=n)[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
    times = rng.exponential(1 / (0.03 * np.exp(0.7 * x + np.array([0, 0, np.log(0.5)])[arm])))
    data = pd.DataFrame({
        "arm": arm, "x": x, "exit": np.minimum(times, 28), "event": (times < 28) * 1
    })  # fmt: skip
    nodes, mass = np.polynomial.hermite_e.hermegauss(60)
    truth = [
        np.average(1 - np.exp(-28 * 0.03 * np.exp(0.7 * nodes) * h), weights=mass) for h in (1, 0.5)
    ]
    crude = data[data["exit"] < 28].groupby("arm").size() / data.groupby("arm").size()
    assert crude[1] - crude[0] > 0.1  # what is confounded
    weights = propensity_weights(data, "arm", "x")
    for ask in (weighted_comparison, doubly_robust_risk):
        found = rows(ask(weights, data, 28.0))
        for name, true in (("1 - 0", 0.0), ("2 - 0", truth[1] - truth[0])):
            row = found.loc[f"risk difference {name}"]
            assert row["estimate"] == pytest.approx(true, abs=4 * row["std_error"])
            assert row["std_error"] < 0.03


def test_an_arm_without_events_has_no_variance_and_takes_none_from_the_others(cohort):
    data = cohort.assign(status=np.where(cohort["arm"] == "low", 0, cohort["status"]))
    for ask in (weighted_comparison, doubly_robust_risk):
        found = rows(ask(weighed(data, "ATE"), data, 20.0, compare="pairwise"))
        for name in ("risk of low", "risk difference low - control", "risk difference low - high"):
            assert found.loc[name, ["std_error", "conf_low", "conf_high"]].isna().all()
            assert "low: no events" in found.loc[name, "note"]
        row = found.loc["risk difference high - control"]
        assert row["conf_low"] < row["estimate"] < row["conf_high"]
        assert np.isnan(found.loc["risk ratio low - high", "p_holm"])


def test_arms_that_covariates_tell_apart_are_refused_by_name():
    """Of three arms each meets the one in the middle, so that every chance is between 0 and 1."""
    x = np.concatenate([np.linspace(0, 4, 20), np.linspace(6, 10, 20), np.linspace(0, 10, 40)])
    arm = pd.Categorical(["a"] * 20 + ["b"] * 20 + ["m"] * 40)
    data = pd.DataFrame({"x": x, "arm": arm})
    assert fit_arms(np.column_stack([np.ones(80), x]), arm.codes, 3).method == "logistic"
    with pytest.raises(EstimationError, match="the groups a and b of arm apart without fail"):
        propensity_weights(data, "arm", "x")
    data.loc[0, "x"], data.loc[39, "x"] = 10.0, 0.0  # one of each among the others
    assert propensity_weights(data, "arm", "x").propensity.method == "logistic"


def test_an_arm_that_is_lost_with_its_covariates_is_not_left_out_in_silence(cohort):
    data = cohort.assign(age=cohort["age"].where(cohort["arm"] != "low"))
    with pytest.raises(DataError, match="nobody of low in 'arm' has all of age"):
        propensity_weights(data, "arm", "age")


def test_few_patients_are_told_why(cohort):
    few = cohort.groupby("arm", observed=True).head(3).reset_index(drop=True)
    with pytest.raises(EstimationError, match="of arm apart without fail"):
        propensity_weights(few, "arm", "age + crp + log(crp)")
    rng = np.random.default_rng(1)
    columns = {f"x{j}": rng.normal(size=24) for j in range(8)}
    mixed = pd.DataFrame({**columns, "arm": np.tile(list("abcd"), 6)})
    with pytest.raises(EstimationError, match=r"apart without fail|are too few for a propensity"):
        propensity_weights(mixed, "arm", " + ".join(columns))


def test_what_is_about_two_arms_refuses_three_and_says_why(cohort):
    weights = weighed(cohort, "overlap")
    for ask in (lambda: weights.treated, lambda: weights.group,
                lambda: bayesian_bootstrap(weights, cohort["age"])):  # fmt: skip
        with pytest.raises(LongsurvError, match="these weights are of 3, control, high and low"):
            ask()
    with pytest.raises(LongsurvError, match="name it with like="):
        propensity_weights(cohort, "arm", RIGHT, target="ATT")
    for like, target in (("none", "ATT"), ("low", "ATE")):
        with pytest.raises(LongsurvError, match="like= names the arm"):
            propensity_weights(cohort, "arm", RIGHT, target=target, like=like)
    with pytest.raises(DataError, match="expected two groups"):
        propensity_weights(cohort[cohort["arm"] == "low"], "arm", RIGHT)


def test_positivity_names_the_arm_that_patients_hardly_could_be_in():
    rng = np.random.default_rng(8)
    x = rng.normal(size=300)
    chance = special.softmax(np.column_stack([np.zeros(300), 2.5 * x, 0 * x]), axis=1)
    arm = (rng.uniform(size=300)[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
    data = pd.DataFrame({"x": x, "arm": pd.Categorical(np.array(["a", "b", "c"])[arm])})
    said = propensity_weights(data, "arm", "x", target="ATT", like="c").positivity
    assert "% chance of being in b" in said
    assert "being in c" not in said
    assert propensity_weights(data, "arm", "x", target="overlap").positivity == ""
