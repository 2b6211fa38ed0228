"""Overlap weights: exact balance, a standardised truth, the bootstrap, and separated groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.propensity import fit_propensity
from longsurv.estimands.weighting import overlap_weights, weighted_difference


def cohort(n=200, seed=1, effect=-1.0):
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=n)
    site = rng.choice(["north", "south", "west"], n)
    treated = rng.uniform(size=n) < special.expit(severity + 0.5 * (site == "south"))
    y = 2 * severity + effect * treated + 0.5 * (site == "south") + rng.normal(size=n)
    return pd.DataFrame(
        {
            "severity": severity, "site": site, "y": y,
            "arm": pd.Categorical(np.where(treated, "ivig", "none"), ["none", "ivig"]),
        }
    )  # fmt: skip


def test_the_groups_have_the_same_means_exactly():
    weights = overlap_weights(cohort(), "arm", "severity + site")
    balance = weights.balance()
    assert list(balance["covariate"]) == ["severity", "site[T.south]", "site[T.west]"]
    assert balance["std_difference"].abs().max() > 0.5
    assert balance["std_difference_weighted"].abs().max() < 1e-8
    assert weights.weights[weights.treated].sum() == pytest.approx(1)
    assert weights.note == ""


def test_balance_of_one_covariate_by_hand():
    data = cohort()
    row = overlap_weights(data, "arm", "severity").balance().iloc[0]
    a, b = (data.loc[data["arm"] == g, "severity"] for g in ("ivig", "none"))
    scale = np.sqrt((a.var() + b.var()) / 2)
    assert row["std_difference"] == pytest.approx((a.mean() - b.mean()) / scale)


def test_effective_sample_size():
    weights = overlap_weights(cohort(), "arm", "severity")
    table = weights.effective_sample_size().set_index("group")
    assert (table["effective_n"] < table["n"]).all()
    w = weights.weights[weights.treated]
    assert table.loc["ivig", "effective_n"] == pytest.approx(1 / (w**2).sum())
    # A covariate that says nothing costs nothing.
    same = cohort().assign(severity=np.tile([0.0, 1.0], 100), arm=np.repeat(["a", "b"], 100))
    none = overlap_weights(same, "arm", "severity").effective_sample_size()
    assert none["effective_n"].tolist() == pytest.approx([100, 100])


def test_weighting_removes_the_confounding():
    data = cohort(n=4000, seed=3)
    weights = overlap_weights(data, "arm", "severity + site")
    row = weighted_difference(weights, data["y"]).iloc[2]
    crude = data.groupby("arm", observed=True)["y"].mean()
    assert crude["ivig"] - crude["none"] > 0.3
    assert row["estimate"] == pytest.approx(-1, abs=4 * row["std_error"])
    assert row["std_error"] < 0.06


def test_sandwich_against_the_bootstrap():
    data = cohort(n=150, seed=4)
    weights = overlap_weights(data, "arm", "severity")
    sandwich = weighted_difference(weights, data["y"])
    bootstrap = weighted_difference(weights, data["y"], bootstrap=300, seed=5)
    assert sandwich["estimate"].tolist() == bootstrap["estimate"].tolist()
    ratio = sandwich["std_error"] / bootstrap["std_error"]
    assert ratio.between(0.8, 1.25).all()
    assert "300 bootstrap resamples" in bootstrap["note"][0]
    again = weighted_difference(weights, data["y"], bootstrap=300, seed=5)
    pd.testing.assert_frame_equal(bootstrap, again)


def test_sandwich_without_covariates_is_welch_s_up_to_its_factor():
    data = cohort(n=60, seed=6)
    weights = overlap_weights(data, "arm", "1")
    row = weighted_difference(weights, data["y"]).iloc[2]
    a, b = (data.loc[data["arm"] == g, "y"] for g in ("ivig", "none"))
    assert row["estimate"] == pytest.approx(a.mean() - b.mean())
    plain = a.var(ddof=0) / len(a) + b.var(ddof=0) / len(b)
    assert row["std_error"] == pytest.approx(np.sqrt(plain * 60 / 59))


@pytest.mark.slow
def test_the_interval_covers():
    covered = 0
    for seed in range(200):
        data = cohort(n=60, seed=100 + seed, effect=-1.0)
        row = weighted_difference(overlap_weights(data, "arm", "severity + site"), data["y"])
        covered += row["conf_low"][2] <= -1 <= row["conf_high"][2]
    assert 0.90 <= covered / 200 <= 0.99


def test_swapping_the_groups_changes_the_sign():
    data = cohort()
    other = data.assign(arm=data["arm"].cat.reorder_categories(["ivig", "none"]))
    a = weighted_difference(overlap_weights(data, "arm", "severity"), data["y"]).iloc[2]
    b = weighted_difference(overlap_weights(other, "arm", "severity"), data["y"]).iloc[2]
    assert a["estimate"] == pytest.approx(-b["estimate"])
    assert a["std_error"] == pytest.approx(b["std_error"])


def test_all_but_separated_groups_fall_back_on_firth_and_say_so():
    """The last of one and the first of the other are alike; without such two there is no answer."""
    data = pd.DataFrame({"x": np.arange(20.0), "arm": ["a"] * 10 + ["b"] * 10, "y": 1.0})
    with pytest.raises(EstimationError, match="apart without fail"):
        overlap_weights(data, "arm", "x")
    data.loc[10, "x"] = data.loc[9, "x"]
    weights = overlap_weights(data, "arm", "x")
    assert weights.propensity.method == "firth"
    assert "Firth" in weights.note
    assert np.isfinite(weights.weights).all()
    table = weighted_difference(weights, data["y"], bootstrap=20)
    assert table["estimate"][2] == pytest.approx(0)
    assert "Firth" in table["note"][0]
    assert "every outcome in a is the same" in table["note"][0]


def test_firth_against_a_direct_search():
    x = np.arange(12.0)
    X, z = np.column_stack([np.ones(12), (x - 5.5) / 4]), x > 5
    found = fit_propensity(X, z)
    assert found.method == "firth"

    def minus_penalised(b):
        eta = X @ b
        w = special.expit(eta) * special.expit(-eta)
        log_det = np.linalg.slogdet((X * w[:, None]).T @ X)[1]
        return -(z @ eta - np.logaddexp(0, eta).sum() + 0.5 * log_det)

    best = optimize.minimize(minus_penalised, np.zeros(2), method="Nelder-Mead",
                             options={"xatol": 1e-9, "fatol": 1e-12}).x  # fmt: skip
    assert found.coefficients[:, 0] == pytest.approx(best, abs=1e-5)


def test_missing_values_are_counted():
    data = cohort(n=50)
    data.loc[3, "severity"] = np.nan
    data.loc[[7, 8], "y"] = np.nan
    weights = overlap_weights(data, "arm", "severity")
    assert weights.n_excluded == 1
    table = weighted_difference(weights, data["y"])
    assert table["n"][2] == 47
    assert "1 patient left out" in table["note"][0]
    assert "2 patients without the outcome" in table["note"][0]


def test_what_cannot_be_compared_is_refused():
    data = cohort(n=30)
    with pytest.raises(LongsurvError, match="cannot predict itself"):
        overlap_weights(data, "arm", "arm")
    with pytest.raises(DataError, match="no column 'group'"):
        overlap_weights(data, "group", "severity")
    with pytest.raises(DataError, match="expected two groups"):
        overlap_weights(data.assign(arm="a"), "arm", "severity")
    weights = overlap_weights(data, "arm", "severity")
    with pytest.raises(DataError, match="one value for each of the 30 rows"):
        weighted_difference(weights, [1.0])
    with pytest.raises(DataError, match="no outcome is known in the group ivig"):
        weighted_difference(weights, np.where(data["arm"] == "ivig", np.nan, 1.0))


def test_an_outcome_that_the_adjustment_reproduces_leaves_no_variance():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"arm": np.arange(40) % 2, "age": rng.normal(60, 5, 40)})
    weights = overlap_weights(data, "arm", "age")
    for shift in (0.0, 1e6):
        table = weighted_difference(weights, 2.0 * data["arm"] + 0.3 * data["age"] + shift)
        last = table.iloc[-1]
        assert last["estimate"] == pytest.approx(2.0, abs=1e-6)
        assert last[["std_error", "p_value", "conf_low", "conf_high"]].isna().all()
        assert "reproduce the outcome" in last["note"]
        assert table["std_error"].iloc[:2].gt(0.0).all()
