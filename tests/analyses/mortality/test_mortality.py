"""Every method side by side: known numbers, extremes of data, agreement with the parts."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv import priors as pr
from longsurv.analyses.mortality.failure_times import time_ratio
from longsurv.analyses.mortality.methods_table import QUANTITIES
from longsurv.analyses.mortality.mortality import Mortality
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.adjusted_curves import weighted_comparison
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.weighting import (
    overlap_weights,
    propensity_weights,
    weighted_difference,
)
from longsurv.models import CoxPH

ONE = {"weak": pr.TREATMENT["weak"]}


@pytest.fixture(scope="module")
def cohort():
    return ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")


@pytest.fixture(scope="module")
def found(cohort):
    return Mortality(cohort, adjust="age + apache2").methods(priors=ONE, draws=500)


def row(found, quantity, method):
    table = found.of(quantity)
    (index,) = np.flatnonzero(table["method"] == method)
    return table.iloc[index]


def follow_up(deaths, reference_deaths, n=9, reference_n=10, **columns) -> pd.DataFrame:
    """Deaths on days 3, 5, 7, ... of each group, all others alive on day 28."""
    sides = []
    for arm, events, size in (("b", deaths, n), ("a", reference_deaths, reference_n)):
        died = np.arange(size) < events
        exit = np.where(died, 3.0 + 2 * np.arange(size) + (arm == "a"), 28.0)
        sides.append(pd.DataFrame({"arm": arm, "exit": exit, "status": died.astype(int)}))
    return pd.concat(sides, ignore_index=True).assign(**columns)


@pytest.mark.parametrize(
    ("quantity", "method", "numbers"),
    [
        ("risk difference", "2 x 2, Miettinen-Nurminen", (-0.1292, -0.3470, 0.0950)),
        ("risk difference", "2 x 2, Newcombe", (-0.1292, -0.3371, 0.0930)),
        ("odds ratio", "2 x 2, conditional, exact", (0.2577, 0.0048, 2.945)),
        ("odds ratio", "2 x 2, normal approximation, prior weak N(0, 1)", (0.56, 0.13, 2.46)),
    ],
)
def test_published_numbers_of_the_two_by_two_table(found, quantity, method, numbers):
    got = row(found, quantity, method)[["estimate", "conf_low", "conf_high"]]
    places = 2 if "normal" in method else 3 if "exact" in method else 4
    for value, expected in zip(got, numbers, strict=True):
        assert value == pytest.approx(expected, abs=0.51 * 10.0**-places)


def test_tests_and_probabilities_of_the_two_by_two_table(found):
    for name, p in (("Fisher", 0.3499), ("Fisher, mid-p", 0.2572), ("Barnard", 0.2406),
                    ("Boschloo", 0.3054)):  # fmt: skip
        got = row(found, "no difference", f"2 x 2, {name}")["p_value"]
        assert got == pytest.approx(p, abs=5e-5)
    jeffreys = row(found, "risk difference", "2 x 2, beta-binomial, Jeffreys prior Beta(0.5, 0.5)")
    assert jeffreys["prob_benefit"] == pytest.approx(0.898, abs=5e-4)
    assert jeffreys["engine"] == "bayes"


def test_model_rows_are_those_of_the_models(cohort, found):
    data = cohort.survival_data()
    spec = CoxPH("Surv(entry, exit, event) ~ treatment", data)
    for method, how in (
        ("Cox, Wald", {}),
        ("Cox, likelihood ratio", {"intervals": "profile"}),
        ("Cox, Firth, profile", {"penalty": "firth"}),
    ):
        expected = spec.fit(**how).hazard_ratios().iloc[0]
        got = row(found, "hazard ratio", method)
        assert got["estimate"] == pytest.approx(expected["hazard_ratio"])
        assert got["conf_high"] == pytest.approx(expected["conf_high"])
        assert got["p_value"] == pytest.approx(expected["p_value"])
    adjusted = CoxPH("Surv(entry, exit, event) ~ treatment + age + apache2", data)
    got = row(found, "hazard ratio", "Cox adjusted, Firth, profile")
    expected = adjusted.fit(penalty="firth").hazard_ratios().iloc[0]
    assert got["estimate"] == pytest.approx(expected["hazard_ratio"])
    assert "adjusted for age + apache2" in got["estimand"]
    post = adjusted.sample(draws=500, seed=1, priors={"treatment": ONE["weak"]})
    got = row(found, "hazard ratio", f"Cox adjusted posterior, weak {ONE['weak']}")
    assert got["estimate"] == pytest.approx(np.exp(np.median(post.draw("treatment[T.ivig]"))))
    weights = overlap_weights(data, "treatment", "age + apache2")
    expected = weighted_difference(weights, data["event"]).set_index("quantity").loc["difference"]
    got = row(found, "risk difference", "overlap weights")
    assert (got["estimate"], got["conf_low"]) == pytest.approx(
        (expected["estimate"], expected["conf_low"])
    )


def test_hazard_ratios_are_of_the_groups_whatever_their_codes():
    """Of one group against the other, never per unit of a code."""
    plain = follow_up(2, 6).assign(arm=lambda d: (d["arm"] == "b").astype(int))
    coded = plain.assign(arm=plain["arm"] * 2 + 1)
    tables = [
        Mortality(d, "arm", 28.0).methods(priors=ONE, draws=200).of("hazard ratio")
        for d in (plain, coded)
    ]
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(tables[1][column], tables[0][column], rtol=1e-6)


def test_the_answers_to_one_question_are_of_one_mind(found):
    """Different methods, one cohort: every risk difference near the others, each in its interval"""
    table = found.of("risk difference")
    plain = table[~table["method"].str.contains("posterior, ")]
    assert plain["estimate"].between(-0.2, -0.1).all()
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["conf_high"]).all()
    assert table["conf_low"].max() < 0 < table["conf_high"].min()
    assert set(found.table["quantity"]) == set(QUANTITIES)
    without = found.unanswered  # more coefficients than five deaths carry
    assert set(without["quantity"]) <= {"time ratio"}
    why = "5 events for 5 parameters|lifelines, which is not installed"
    assert without["note"].str.contains(why).all()
    assert str(found).startswith("ivig (1/19) against control (4/22) by 28")


@pytest.mark.parametrize(
    ("deaths", "reference_deaths"), [(0, 0), (0, 3), (3, 0), (9, 10), (9, 0), (0, 10), (1, 1)]
)
def test_extremes_give_reasons_and_never_nonsense(deaths, reference_deaths):
    data = follow_up(deaths, reference_deaths)
    found = Mortality(data, "arm", 28).methods(priors=ONE, draws=200)
    table = found.table
    bounded = table.drop(columns=["conf_high"])
    assert not np.isinf(bounded.select_dtypes("number")).to_numpy().any()
    answered = table[~table["note"].str.startswith("no usable answer")]
    has = answered["p_value"].notna() | (answered["conf_low"].notna())
    assert has.all()
    assert (found.unanswered["note"].str.len() > len("no usable answer: ")).all()
    inside = answered["estimate"].isna() | (
        (answered["conf_low"] <= answered["estimate"] + 1e-9)
        & (answered["estimate"] <= answered["conf_high"] + 1e-9)
    )
    assert inside.all()
    ratios = table["quantity"].isin(["hazard ratio", "risk ratio", "odds ratio"])
    assert not (table.loc[ratios, "conf_low"] < 0).any()
    differences = table[table["quantity"] == "risk difference"]
    assert differences["conf_low"].dropna().ge(-1.5).all()
    if deaths + reference_deaths:
        firth = row(found, "hazard ratio", "Cox, Firth, profile")
        posterior = row(found, "hazard ratio", f"Cox posterior, weak {ONE['weak']}")
        for got in (firth, posterior):
            assert 0 < got["conf_low"] < got["estimate"] < got["conf_high"] < np.inf
    if deaths == 0 and reference_deaths:
        for method in ("Cox, Wald", "Cox, likelihood ratio"):
            got = row(found, "hazard ratio", method)
            assert got["note"].startswith("no usable answer: no event in b")
            assert np.isnan(got["estimate"])
        exact = row(found, "hazard ratio", "exact given the risk sets")
        assert (exact["estimate"], exact["conf_low"]) == (0, 0)
        assert exact["note"] == "the data set no lower limit"


def test_follow_up_that_ends_early_leaves_only_what_can_be_said():
    data = follow_up(2, 4)
    data.loc[data["exit"] == 28, "exit"] = 20.0
    found = Mortality(data, "arm", 28).methods(priors=ONE, draws=200)
    noted = row(found, "risk difference", "2 x 2, Newcombe")["note"]
    assert "13 censored before 28 count as alive" in noted
    for method in ("Kaplan-Meier, Greenwood", "Aalen-Johansen, limits of the two risks",
                   "Cox, Firth, standardised", "posterior of the hazards by cause"):  # fmt: skip
        got = row(found, "risk difference", method)
        assert got["note"].startswith("no usable answer")
        assert np.isnan(got["estimate"])
    assert np.isfinite(row(found, "hazard ratio", "Cox, Wald")["estimate"])


def test_times_have_the_unit_that_the_cohort_gives_them(found):
    """In every sentence of every method."""
    texts = found.table["estimand"].str.cat(found.table["note"], sep=" | ")
    assert texts.str.contains(r"\bby 28 days\b").any()
    said = bool(texts.str.contains("time counted from 7 days").any())
    assert said == (find_spec("lifelines") is not None)  # whose failure times begin at the entry
    assert not texts.str.contains(r"\b(?:by|to|after|from|before) \d+\b(?! days)").any()


def test_delayed_entry_at_different_times_leaves_out_what_is_not_defined_for_it():
    data = follow_up(3, 4, entry=np.arange(19) % 3 * 0.5)
    found = Mortality(data, "arm", 28).methods(priors=ONE, draws=200)
    none = found.unanswered.set_index("method")["note"]
    none = none[~none.str.contains("lifelines, which is not installed")]
    assert set(none.index) == {"overlap weights", "log-rank, imputation", "Gray"}
    assert "one entry time" in none["Gray"]
    assert "adjust=" in none["overlap weights"]


def test_weighted_methods_are_the_estimands_own():
    rng = np.random.default_rng(4)
    data = follow_up(5, 8).assign(age=lambda d: rng.normal(60, 10, len(d)).round())
    found = Mortality(data, "arm", 28, adjust="age").methods(priors=ONE, draws=100).table
    rows = found[found["adjusted_for"] == "age"].set_index(["quantity", "method"])
    weights = propensity_weights(data, "arm", "age")
    curves = weighted_comparison(weights, data, 28.0).set_index("quantity")
    both = doubly_robust_risk(weights, data, 28.0).set_index("quantity")
    overlap = propensity_weights(data, "arm", "age", target="overlap")
    means = weighted_comparison(overlap, data, 28.0).set_index("quantity")
    for key, expected in (
        (("risk difference", "inverse probability weights"), curves.loc["risk difference"]),
        (("risk difference", "doubly robust (AIPW)"), both.loc["risk difference"]),
        (("restricted mean difference", "overlap weights, Kaplan-Meier"),
         means.loc["mean time difference"]),
    ):  # fmt: skip
        for name in ("estimate", "conf_low", "conf_high", "p_value"):
            assert rows.loc[key, name] == pytest.approx(expected[name])


def test_many_patients_leave_the_exact_methods_out_with_the_reason():
    rng = np.random.default_rng(2)
    arm, time = np.repeat(["a", "b"], 1500), rng.exponential(30, 3000)
    data = pd.DataFrame(
        {"arm": arm, "exit": np.minimum(time, 28), "status": (time < 28).astype(int)}
    )
    found = Mortality(data, "arm", 28).methods(priors=ONE, draws=100)
    none = found.unanswered.set_index("method")["note"]
    for name in ("exact given the risk sets", "log-rank, permutation", "2 x 2, Boschloo"):
        assert name in none.index
    assert none.str.len().min() > 30
    differences = found.of("risk difference")["estimate"].dropna()
    assert differences.max() - differences.min() < 0.01


def test_follow_up_beyond_the_horizon_is_not_used():
    data = follow_up(2, 4).assign(exit=lambda d: np.where(d["exit"] == 28, 60.0, d["exit"]))
    data.loc[data.index[-1], "status"] = 1  # dies on day 60
    short = Mortality(data, "arm", 28).methods(priors=ONE, draws=200).table
    same = Mortality(follow_up(2, 4), "arm", 28).methods(priors=ONE, draws=200).table
    pd.testing.assert_frame_equal(short, same)


def test_competing_events_by_both_engines(cohort):
    found = Mortality(cohort).competing(draws=4000)
    assert list(found.table["cause"].unique()) == ["event", "discharge alive"]
    rows = found.table.set_index(["cause", "quantity", "engine"])
    expected = incidence_difference(cohort.survival_data(), "treatment", 28)
    expected = expected.set_index("quantity").loc["risk difference"]
    death = rows.loc[("event", "risk difference", "frequentist")]
    assert (death["estimate"], death["conf_low"], death["conf_high"]) == pytest.approx(
        (expected["estimate"], expected["conf_low"], expected["conf_high"])
    )
    for cause in ("event", "discharge alive"):
        bayes = rows.loc[(cause, "risk difference", "bayes")]
        other = rows.loc[(cause, "risk difference", "frequentist")]
        assert bayes["estimate"] == pytest.approx(other["estimate"], abs=0.04)
        assert bayes["prob_positive"] < 0.5  # fewer of the treated died, and fewer went home
        assert 0 < rows.loc[(cause, "no difference", "frequentist"), "p_value"] < 1
    assert "discharge alive" in str(found)


def test_competing_events_that_cannot_be_compared_say_why():
    data = follow_up(2, 4)
    data.loc[data["exit"] == 28, "exit"] = 20.0
    table = Mortality(data, "arm", 28).competing(draws=500).table
    assert table["note"].str.contains("no usable answer").sum() == 2
    assert table.loc[table["p_value"].notna(), "quantity"].tolist() == [
        "cause-specific hazard ratio", "subdistribution hazard ratio", "no difference"
    ]  # fmt: skip


def test_the_other_questions_are_passed_on(cohort):
    mortality = Mortality(cohort)
    tipping = mortality.tipping(2)
    assert tipping["to_reverse"].tolist() == [3, 4, 5]
    grid = mortality.prior_grid(ONE, draws=300, chains=2)
    assert grid.horizon == 28
    assert list(grid.table["prior"]) == ["weak"]
    later = mortality.landmark(14, markers=["crp"])
    assert (later.data["entry"] == 14).all()
    with pytest.raises(LongsurvError, match="needs a cohort"):
        Mortality(follow_up(1, 1), "arm", 28).landmark(7)


def test_markers_as_covariates_must_be_known_at_entry(cohort):
    adjusted = Mortality(cohort, adjust="log(il6)", markers={"il6": "baseline"})
    assert adjusted.cox_adjusted.design.fixed.names == ("treatment[T.ivig]", "log(il6)")
    with pytest.raises(DataError, match='"il6" is a marker, measured repeatedly'):
        _ = Mortality(cohort, adjust="log(il6)").data
    patients, measurements = cohort.patients, cohort.measurements
    schema = cohort.schema
    early = ls.Schema(
        **{name: getattr(schema, name) for name in
           ("patient", "treatment", "reference", "exit", "status", "event", "censored",
            "competing", "horizon", "time", "phases")}
    )  # fmt: skip
    after = measurements.query("marker == 'il6' and phase == 'after'").set_index("patient")["value"]
    late = patients.assign(il6_late=patients["patient"].map(after))
    risky = ls.Cohort(late, measurements, early, cohort.markers)
    with pytest.raises(DataError, match=r"after the start of risk in .*landmark"):
        _ = Mortality(risky, adjust="log(il6)", markers={"il6": "after"}).data
    with pytest.raises(DataError, match='"il6_late" is marker "il6" measured after'):
        _ = Mortality(risky, adjust="log(il6_late)").data


def test_what_is_missing_is_asked_for(cohort):
    with pytest.raises(LongsurvError, match="treatment= and horizon="):
        Mortality(follow_up(1, 1), "arm")
    with pytest.raises(LongsurvError, match="markers= needs a cohort"):
        Mortality(follow_up(1, 1), "arm", 28, markers={"crp": 1})
    with pytest.raises(DataError, match="no column 'drug'"):
        Mortality(follow_up(1, 1), "drug", 28).methods()
    with pytest.raises(LongsurvError, match="quantity is one of"):
        Mortality(follow_up(1, 1), "arm", 28).methods(priors=ONE, draws=100).of("hr")


@pytest.mark.parametrize(
    ("kind", "dist"),
    [("Weibull", "weibull"), ("log-normal", "lognormal"), ("log-logistic", "loglogistic")],
)
def test_accelerated_failure_times_are_survregs(table, r_results, kind, dist):
    spec = CoxPH("Surv(time, status) ~ sex + age", data=table("lung"))
    ratio, low, high, _ = time_ratio(spec, "sex", kind)
    coef, se = (r_results("weighted_log_rank", f"lung {dist}", w)["sex"] for w in ("coef", "se"))
    assert np.log(ratio) == pytest.approx(coef, rel=1e-5)
    assert np.log(high / low) / (2 * 1.959963984540054) == pytest.approx(se, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "dist"),
    [("Weibull", "weibull"), ("log-normal", "lognormal"), ("log-logistic", "loglogistic")],
)
def test_curves_of_failure_times_are_survregs(table, r_results, kind, dist):
    lung = table("lung").rename(columns={"time": "exit", "status": "event"})
    asked = Mortality(lung, "sex", 2000.0, adjust="age")
    found = asked.failure_time_curves([0.0, 100.0, 400.0], kind=kind)
    values, errors = (
        r_results("weighted_log_rank", f"lung {dist}", what) for what in ("survival", "survival_se")
    )
    assert len(found) == 6
    for row in found[found["time"] > 0].to_dict("records"):
        term = f"{row['group']} {row['time']:g}"
        assert row["estimate"] == pytest.approx(values[term], rel=1e-5)
        assert row["std_error"] == pytest.approx(errors[term], rel=1e-5)
        assert 0 < row["conf_low"] < row["estimate"] < row["conf_high"] < 1
    start = found[found["time"] == 0]
    assert start["estimate"].tolist() == [1.0, 1.0]
    assert start["std_error"].isna().all() and (start["note"] == "nobody has left yet").all()
    with pytest.raises(LongsurvError, match="name times within follow-up, from 0 to 1022"):
        asked.failure_time_curves([3000.0])


def test_curves_of_failure_times_of_several_arms_and_of_none(table):
    lung = table("lung").rename(columns={"time": "exit", "status": "event"})
    lung = lung[lung["ecog"] < 3].assign(ecog=lambda d: d["ecog"].map("ecog {:.0f}".format))
    found = Mortality(lung, "ecog", 1000.0).failure_time_curves([200.0]).set_index("group")
    assert list(found.index) == ["ecog 0", "ecog 1", "ecog 2"]
    assert found["estimate"].is_monotonic_decreasing
    quiet = lung.assign(event=np.where(lung["ecog"] == "ecog 2", 0, lung["event"]))
    with pytest.raises(EstimationError, match="no event in ecog 2"):
        Mortality(quiet, "ecog", 1000.0).failure_time_curves([200.0])


def test_failure_times_are_counted_from_the_first_entry(table):
    lung = table("lung").assign(entry=100.0, exit=lambda d: d["time"] + 100)
    late = CoxPH("Surv(entry, exit, status) ~ sex + age", data=lung)
    plain = CoxPH("Surv(time, status) ~ sex + age", data=table("lung"))
    assert time_ratio(late, "sex", "Weibull")[:3] == pytest.approx(
        time_ratio(plain, "sex", "Weibull")[:3], rel=1e-6
    )


def test_a_group_without_deaths_has_no_time_ratio():
    found = Mortality(follow_up(0, 4), "arm", 28).methods(priors=ONE, draws=100)
    rows = found.of("time ratio")
    assert len(rows) == 3 and not rows["answered"].any()
    assert rows["note"].str.contains("no event in b").all()
