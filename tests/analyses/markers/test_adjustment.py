"""Baseline adjustment: R and statsmodels, who is biased when, invariances, what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import longsurv as ls
from longsurv.analyses.markers.adjustment import BaselineAdjustment, adjusted_changes
from longsurv.analyses.markers.contrasts import AdjustedChanges
from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.estimands.changes import Change
from longsurv.models.linear import Linear

CHANGE = Change("phase", "baseline", "after", "arm", "active", "control")


def make_cohort(
    visits: pd.DataFrame,
    patients: pd.DataFrame,
    phases: tuple[Phase, ...] = (Phase("baseline", 1, 1), Phase("after", 2, 9)),
    *,
    randomised: bool = False,
    covariates: tuple[str, ...] = (),
    log: bool = False,
    direction: str | None = "lower",
    levels: tuple[str, ...] = ("control", "active"),
) -> Cohort:
    """A cohort of one marker "m": visits have id, day, value; patients id, arm, covariates."""
    schema = Schema(
        patient="id", treatment="arm", reference="control", exit="exit", status="died", time="day",
        covariates=covariates, phases=phases, levels=levels,
    )  # fmt: skip
    marker = Marker("m", "Marker", "U/L", transform="log" if log else "identity",
                    direction=direction)  # fmt: skip
    people = patients.assign(exit=28.0, died=(np.arange(len(patients)) == 0).astype(int))
    return Cohort(people, visits.assign(marker="m"), schema, [marker], randomised=randomised)


def two_visits(
    first: np.ndarray, later: np.ndarray, treated: np.ndarray, **covariates: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of patients measured on day 1 and on day 2 (missing where NaN)."""
    ids = np.array([f"P{k:03d}" for k in range(len(first))])
    arm = np.where(treated, "active", "control")
    parts = [pd.DataFrame({"id": ids, "day": d, "value": v}) for d, v in ((1, first), (2, later))]
    visits = pd.concat(parts).dropna().reset_index(drop=True)
    return visits, pd.DataFrame({"id": ids, "arm": arm, **covariates})


def answers(result: AdjustedChanges) -> pd.DataFrame:
    return result.tidy().set_index("adjustment")


@pytest.fixture(scope="module")
def twoarm(table: Callable[[str], pd.DataFrame]) -> Cohort:
    data = table("twoarm")
    visits = pd.DataFrame({"id": data["patient"], "day": data["phase"].map({"baseline": 1,
                           "after": 2}), "value": data["y"]})  # fmt: skip
    people = data.drop_duplicates("patient")
    arm = np.where(people["group"] == "ivig", "active", "control")
    patients = pd.DataFrame({"id": people["patient"], "arm": arm, "age": people["age"]})
    return make_cohort(visits, patients, randomised=True, covariates=("age",))


@pytest.fixture(scope="module")
def three_phases(table: Callable[[str], pd.DataFrame]) -> Cohort:
    data = table("visits").query("visit <= 3")
    visits = pd.DataFrame({"id": data["patient"], "day": data["visit"], "value": data["y"]})
    people = data.drop_duplicates("patient")
    patients = pd.DataFrame({"id": people["patient"], "arm": people["arm"]})
    phases = (Phase("baseline", 1, 1), Phase("second", 2, 2), Phase("after", 3, 3))
    return make_cohort(visits, patients, phases, randomised=True)


@pytest.fixture(scope="module")
def found(twoarm: Cohort) -> pd.DataFrame:
    return answers(BaselineAdjustment(twoarm, "m", CHANGE).fit())


class TestAgainstR:
    def test_analysis_of_covariance(self, found: pd.DataFrame, r_results) -> None:
        row, model = found.loc["baseline"], ("adjustment", "twoarm_baseline")
        assert row["estimate"] == pytest.approx(r_results(*model, "coef")["treated"], rel=1e-8)
        assert row["std_error"] == pytest.approx(r_results(*model, "se")["treated"], rel=1e-6)
        assert row["p_value"] == pytest.approx(r_results(*model, "p")[""], rel=1e-6)
        assert row["conf_low"] == pytest.approx(r_results(*model, "confint")["low"], rel=1e-6)
        assert row["n"] == r_results("adjustment", "twoarm", "pairs")[""]

    def test_overlap_weights_and_their_stacked_variance(self, found, r_results) -> None:
        row, r = found.loc["overlap"], r_results("adjustment", "twoarm_overlap", "value")
        assert row["estimate"] == pytest.approx(r["estimate"], rel=1e-6)
        assert row["std_error"] == pytest.approx(r["se"], rel=1e-5)
        expected = r["effective_1"] + r["effective_0"]
        assert row["n_effective"] == pytest.approx(expected, rel=1e-6)

    def test_constrained_baseline(self, twoarm: Cohort, r_results) -> None:
        spec, weights = BaselineAdjustment(twoarm, "m", CHANGE).spec("clda")
        fit = spec.fit()
        assert fit.design.fixed.aliased == ()
        assert set(fit.names) == {"Intercept", "phase[T.after]", "treated"}
        coef, se = (r_results("adjustment", "twoarm_clda", q) for q in ("coef", "se"))
        assert fit.contrast(weights)["estimate"][0] == pytest.approx(coef["later"], rel=1e-5)
        naive = fit.spec.fit(df="normal")  # nlme's standard error, without Kenward and Roger's
        assert naive.bse["treated"] == pytest.approx(se["later"], rel=1e-4)
        loglik = r_results("adjustment", "twoarm_clda", "loglik")[""]
        assert fit.llf == pytest.approx(loglik, rel=1e-7)

    def test_several_later_phases(self, three_phases: Cohort, r_results) -> None:
        study = BaselineAdjustment(three_phases, "m", CHANGE)
        clda, weights = study.spec("clda")
        assert clda.fit().contrast(weights)["estimate"][0] == pytest.approx(
            r_results("adjustment", "visits_clda", "coef")["at3"], rel=1e-3
        )
        naive = clda.fit(df="normal").bse["treated"]
        expected = r_results("adjustment", "visits_clda", "se")["at3"]
        assert naive == pytest.approx(expected, rel=1e-3)
        ancova, weights = study.spec("baseline")
        row = ancova.fit(df="normal").contrast(weights).iloc[0]
        r = {q: r_results("adjustment", "visits_baseline", q)[""] for q in ("estimate", "se")}
        assert row["estimate"] == pytest.approx(r["estimate"], rel=1e-3)
        assert row["std_error"] == pytest.approx(r["se"], rel=1e-3)

    def test_the_effect_at_another_phase(self, three_phases: Cohort, r_results) -> None:
        second = Change("phase", "baseline", "second", "arm", "active", "control")
        clda, weights = BaselineAdjustment(three_phases, "m", second).spec("clda")
        coef = r_results("adjustment", "visits_clda", "coef")
        assert clda.fit().contrast(weights)["estimate"][0] == pytest.approx(coef["at2"], abs=1e-4)


def test_one_later_value_against_statsmodels(twoarm: Cohort) -> None:
    import statsmodels.formula.api as smf

    wide = twoarm.wide().pivot(index="id", columns="day", values="m").dropna()
    wide.columns = ["first", "later"]
    wide["z"] = (twoarm.patients.set_index("id")["arm"] == "active").astype(float)
    ols = smf.ols("later ~ z + first", wide).fit()
    row = answers(BaselineAdjustment(twoarm, "m", CHANGE).fit()).loc["baseline"]
    assert row["estimate"] == pytest.approx(ols.params["z"], rel=1e-8)
    assert row["conf_high"] == pytest.approx(ols.conf_int().loc["z", 1], rel=1e-6)
    assert row["df"] == pytest.approx(ols.df_resid)


def test_overlap_weighting_by_hand(twoarm: Cohort) -> None:
    from statsmodels.discrete.discrete_model import Logit

    wide = twoarm.wide().pivot(index="id", columns="day", values="m").dropna()
    people = twoarm.patients.set_index("id").loc[wide.index]
    z = (people["arm"] == "active").to_numpy()
    X = np.column_stack([np.ones(len(z)), people["age"], wide[1]])
    e = special.expit(X @ np.asarray(Logit(z.astype(float), X).fit(disp=0).params))
    change = (wide[2] - wide[1]).to_numpy()
    by_hand = np.average(change[z], weights=1 - e[z]) - np.average(change[~z], weights=e[~z])
    later = wide[2].to_numpy()
    same = np.average(later[z], weights=1 - e[z]) - np.average(later[~z], weights=e[~z])
    result = BaselineAdjustment(twoarm, "m", CHANGE).fit()
    assert answers(result).loc["overlap", "estimate"] == pytest.approx(by_hand, rel=1e-5)
    # The first values are balanced exactly, so that the change says what the later values say.
    assert by_hand == pytest.approx(same, rel=1e-4)
    balance = result.balance().set_index("covariate")
    assert list(balance.index) == ["age", "baseline"]
    assert balance["std_difference_weighted"].abs().max() < 1e-6
    assert result.effective_sample_size()["n"].sum() == len(wide)


@cache
def simulated(selected_by: str) -> dict[str, np.ndarray]:
    """Estimates in 40 cohorts of 150 patients without any effect of treatment."""
    out: dict[str, list[float]] = {"unadjusted": [], "baseline": [], "overlap": []}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        level = rng.normal(size=150)
        first, later = level + rng.normal(size=150), level + rng.normal(size=150)
        cause = first if selected_by == "first value" else 1.5 * level
        treated = rng.uniform(size=150) < special.expit(1.2 * cause)
        cohort = make_cohort(*two_visits(first, later, treated))
        table = answers(BaselineAdjustment(cohort, "m", CHANGE).fit())
        for name, estimates in out.items():
            estimates.append(table.loc[name, "estimate"])
    return {name: np.array(estimates) for name, estimates in out.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selected_by", "biased", "sound"),
    [
        # Those treated for a high first value fall back: the unadjusted change is an artefact.
        ("first value", ["unadjusted"], ["baseline", "overlap"]),
        # Those treated for their level stay where they are; adjusting for a noisy reading of the
        # level takes the rest of the difference for an effect. This is Lord's paradox.
        ("level", ["baseline", "overlap"], ["unadjusted"]),
    ],
)
def test_who_is_biased_depends_on_what_decided_treatment(selected_by, biased, sound) -> None:
    found = simulated(selected_by)
    for name in biased:
        mean, error = found[name].mean(), found[name].std(ddof=1) / np.sqrt(40)
        assert abs(mean) > 0.35
        assert abs(mean) > 6 * error
    for name in sound:
        mean, error = found[name].mean(), found[name].std(ddof=1) / np.sqrt(40)
        assert abs(mean) < 3.5 * error


def small(seed: int = 3, n: int = 30) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    level, treated = rng.normal(size=n), np.arange(n) % 2 == 1
    first = np.exp(level + rng.normal(size=n) + 0.5 * treated)
    later = np.exp(level + rng.normal(size=n))
    first[4], later[[7, 8]] = np.nan, np.nan
    return two_visits(first, later, treated, age=rng.normal(60, 10, n).round())


@cache
def small_answers(log: bool) -> pd.DataFrame:
    cohort = make_cohort(*small(), covariates=("age",), log=log, randomised=True)
    return answers(BaselineAdjustment(cohort, "m", CHANGE).fit())


class TestInvariance:
    @settings(max_examples=8, deadline=None)
    @given(st.randoms(use_true_random=False))
    def test_order_and_names_of_the_patients(self, random) -> None:
        visits, patients = small()
        order = list(range(len(patients)))
        random.shuffle(order)
        names = dict(zip(patients["id"], [f"Q{k:03d}" for k in order], strict=True))
        rows = list(range(len(visits)))
        random.shuffle(rows)
        visits = visits.iloc[rows].assign(id=lambda t: t["id"].map(names))
        patients = patients.iloc[order].assign(id=lambda t: t["id"].map(names))
        cohort = make_cohort(visits, patients, covariates=("age",), log=True, randomised=True)
        found = answers(BaselineAdjustment(cohort, "m", CHANGE).fit())
        for column in ("estimate", "conf_low", "conf_high"):
            expected = small_answers(True)[column].to_numpy()
            assert found[column].to_numpy() == pytest.approx(expected, rel=1e-4, abs=1e-5)

    @settings(max_examples=8, deadline=None)
    @given(st.floats(1e-3, 1e3), st.booleans())
    def test_the_unit(self, factor: float, log: bool) -> None:
        visits, patients = small()
        visits = visits.assign(value=visits["value"] * factor)
        cohort = make_cohort(visits, patients, covariates=("age",), log=log, randomised=True)
        found = answers(BaselineAdjustment(cohort, "m", CHANGE).fit())
        by = 1.0 if log else factor  # the logarithm only moves
        for column in ("estimate", "conf_low", "conf_high"):
            expected = small_answers(log)[column].to_numpy() * by
            assert found[column].to_numpy() == pytest.approx(expected, rel=1e-3, abs=1e-4 * by)
        assert found["std_estimate"].to_numpy() == pytest.approx(
            small_answers(log)["std_estimate"].to_numpy(), rel=1e-3, abs=1e-4
        )

    def test_exchanging_the_groups_changes_the_sign(self) -> None:
        cohort = make_cohort(*small(), covariates=("age",), log=True, randomised=True)
        back = Change("phase", "baseline", "after", "arm", "control", "active")
        turned = answers(BaselineAdjustment(cohort, "m", back).fit())
        # Not the constrained model: which group a common mean is written from is no matter either.
        expected = -small_answers(True)["estimate"].to_numpy()
        assert turned["estimate"].to_numpy() == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def both(twoarm: Cohort) -> pd.DataFrame:
    result = adjusted_changes(twoarm, CHANGE, draws=1000, chains=2, seed=4)
    assert len(result.answers) == 8
    return result.tidy().set_index(["adjustment", "engine"])


class TestPosterior:
    def test_weak_priors_leave_the_estimate(self, both: pd.DataFrame) -> None:
        for name in ("unadjusted", "baseline", "overlap", "clda"):
            ml, bayes = both.loc[(name, "ml")], both.loc[(name, "bayes")]
            assert abs(bayes["estimate"] - ml["estimate"]) < 0.25 * ml["std_error"]
            assert bayes["std_error"] == pytest.approx(ml["std_error"], rel=0.2)
            assert bayes["r_hat"] < 1.02

    def test_benefit_has_the_direction_of_the_marker(self, both: pd.DataFrame) -> None:
        bayes = both.xs("bayes", level="engine")
        assert np.allclose(bayes["prob_benefit"], 1 - bayes["prob_positive"])
        assert both.xs("ml", level="engine")["prob_benefit"].isna().all()
        assert (bayes["p_value"].isna()).all()

    def test_a_model_already_fitted_is_not_fitted_again(self, twoarm: Cohort) -> None:
        study = BaselineAdjustment(twoarm, "m", CHANGE, adjustments=("unadjusted",))
        spec, _ = study.spec("unadjusted")
        fit, post = spec.fit(), spec.sample(draws=100, tune=100, chains=2)
        assert study.fit(unadjusted=fit).answers[0].source.result is fit
        assert study.sample(unadjusted=post).answers[0].source.result is post
        half = spec.with_data(spec.data.iloc[: len(spec.data) // 2])
        other = half.sample(draws=50, tune=50, chains=1)
        for found in (study.fit(unadjusted=half.fit()), study.sample(unadjusted=other)):
            (answer,) = found.answers
            assert answer.source is None and "this one is of others" in answer.reason

    def test_draws_depend_on_the_seed_alone(self, twoarm: Cohort) -> None:
        study = BaselineAdjustment(twoarm, "m", CHANGE, adjustments=("baseline", "overlap"))
        a, b, c = (study.sample(draws=200, seed=s, chains=2).tidy() for s in (1, 1, 2))
        pd.testing.assert_frame_equal(a, b)
        assert (a["estimate"] != c["estimate"]).all()


class TestWords:
    def test_everyone_left_out_is_counted(self) -> None:
        cohort = make_cohort(*small(), covariates=("age",), log=True)
        table = BaselineAdjustment(cohort, "m", CHANGE).fit().table.set_index("adjustment")
        assert table["n"].to_dict() == {"unadjusted": 30, "baseline": 27, "overlap": 27}
        expected = "left out: 1 without a value at baseline and 2 without a later value"
        assert table.loc["baseline", "notes"] == expected
        assert table.loc["overlap", "notes"].startswith(expected)
        assert " in active, " in table.loc["overlap", "effective"]
        assert table.loc["unadjusted", "notes"] == ""

    def test_a_patient_with_another_later_value_is_missing_at_the_end_only(self) -> None:
        visits, patients = small()
        gone = visits["id"].eq("P000") & visits["day"].eq(2)
        between = visits[visits["day"].eq(2)].assign(day=3)
        # Other values than those of day 2, which would determine them.
        between["value"] *= np.exp(0.3 * np.random.default_rng(9).normal(size=len(between)))
        phases = (Phase("baseline", 1, 1), Phase("after", 2, 2), Phase("last", 3, 3))
        cohort = make_cohort(pd.concat([visits[~gone], between]), patients, phases, log=True)
        table = BaselineAdjustment(cohort, "m", CHANGE).fit().table.set_index("adjustment")
        assert "2 without a later value" in table.loc["baseline", "notes"]
        assert "3 without a value at after" in table.loc["overlap", "notes"]

    def test_ratios_are_exponentials_and_differences_are_not(self) -> None:
        logs = small_answers(True)
        assert np.allclose(logs["ratio"], np.exp(logs["estimate"]))
        assert np.allclose(logs["ratio_low"], np.exp(logs["conf_low"]))
        assert small_answers(False)["ratio"].isna().all()
        cohort = make_cohort(*small(), log=True)
        table = BaselineAdjustment(cohort, "m", CHANGE).fit().table
        assert (table["scale"] == "ratio").all()
        assert ((table["conf_low"] > 0) & (table["conf_low"] < table["estimate"])).all()

    def test_questions_name_groups_and_covariates(self) -> None:
        cohort = make_cohort(*small(), covariates=("age",), log=True)
        result = BaselineAdjustment(cohort, "m", CHANGE).fit()
        table = result.table.set_index("adjustment")
        assert table["question"].str.contains("active").all()
        assert "age, the first value" in table.loc["overlap", "question"]
        assert "randomis" not in " ".join(table["assumes"])
        assert not table[["question", "assumes"]].stack().str.contains("[{}]").any()
        assert "Note: m baseline, m overlap: left out" in repr(result)
        assert "<table" in result._repr_html_()

    def test_values_below_the_detection_limit_are_said(self) -> None:
        visits, patients = small()
        values = visits["value"].map(lambda v: "<0.5" if v < 0.5 else f"{v:.3f}")
        censored = int((visits["value"] < 0.5).sum())
        cohort = make_cohort(visits.assign(value=values), patients, log=True)
        table = BaselineAdjustment(cohort, "m", CHANGE).fit().table.set_index("adjustment")
        assert censored > 0
        notes, of = table["notes"], f"{censored} of {len(visits)} values"
        assert f"{of} are below their limit and enter as such" in notes["unadjusted"]
        assert f"{of} are below their limit and enter as such" in notes["baseline"]
        assert f"{of} lie beyond" in notes["overlap"]
        assert "maximum likelihood" in table.loc["unadjusted", "method"]
        former = BaselineAdjustment(cohort, "m", CHANGE, beyond_limit="at the limit").fit().table
        assert former["notes"].str.contains(f"{of} lie beyond").all()

    def test_results_can_be_stored(self) -> None:
        result = BaselineAdjustment(make_cohort(*small()), "m", CHANGE).fit()
        again = pickle.loads(pickle.dumps(result))
        pd.testing.assert_frame_equal(again.table, result.table)


class TestRefused:
    def test_a_common_baseline_without_randomisation(self) -> None:
        cohort = make_cohort(*small())
        with pytest.raises(ls.LongsurvError, match="randomised = true"):
            BaselineAdjustment(cohort, "m", CHANGE, adjustments=("clda",))
        assert BaselineAdjustment(cohort, "m", CHANGE).adjustments == (
            "unadjusted", "baseline", "overlap",
        )  # fmt: skip
        randomised = make_cohort(*small(), randomised=True)
        assert BaselineAdjustment(randomised, "m", CHANGE).adjustments[-1] == "clda"

    def test_what_cannot_be_asked(self, twoarm: Cohort) -> None:
        with pytest.raises(ls.LongsurvError, match="no marker 'crp'"):
            BaselineAdjustment(twoarm, "crp", CHANGE)
        with pytest.raises(ls.LongsurvError, match="not \\['ancova'\\]"):
            BaselineAdjustment(twoarm, "m", CHANGE, adjustments=("ancova",))
        with pytest.raises(ls.LongsurvError, match="engines are"):
            adjusted_changes(twoarm, CHANGE, engines=["mle"])
        along_time = Change("day", 0.0, 1.0, "arm", "active", "control")
        with pytest.raises(ls.LongsurvError, match="compares phases"):
            BaselineAdjustment(twoarm, "m", along_time)
        wrong = Change("phase", "after", "baseline", "arm", "active", "placebo")
        with pytest.raises(ls.LongsurvError, match="no group 'placebo'"):
            BaselineAdjustment(twoarm, "m", wrong)

    def test_one_adjustment_without_an_answer_leaves_the_others(self) -> None:
        visits, patients = small()
        rng = np.random.default_rng(1)
        columns = {f"x{k}": rng.normal(size=len(patients)) for k in range(14)}
        cohort = make_cohort(visits, patients.assign(**columns), covariates=tuple(columns))
        table = BaselineAdjustment(cohort, "m", CHANGE).fit().table.set_index("adjustment")
        assert "coefficients for 13 patients" in table.loc["overlap", "reason"]
        assert np.isnan(table.loc["overlap", "estimate"])
        assert np.isfinite(table.loc["baseline", "estimate"])
        fewer = BaselineAdjustment(cohort, "m", CHANGE, covariates="x1 + baseline").fit()
        assert fewer.table["reason"].eq("").all()

    @pytest.mark.parametrize(
        ("first", "later", "reason"),
        [
            (np.full(12, 2.0), np.full(12, 2.0), "every value is the same"),
            (np.arange(12.0), np.where(np.arange(12) % 2 == 0, 1.0, np.nan), "active has 0"),
        ],
    )
    def test_groups_that_cannot_be_compared(self, first, later, reason) -> None:
        cohort = make_cohort(*two_visits(first, later, np.arange(12) % 2 == 1))
        table = BaselineAdjustment(cohort, "m", CHANGE).fit().table
        assert table["reason"].str.contains(reason).all()
        assert table["estimate"].isna().all()

    def test_a_covariate_called_baseline(self) -> None:
        visits, patients = small()
        cohort = make_cohort(visits, patients.assign(baseline=1.0 * np.arange(len(patients))),
                             covariates=("baseline",))  # fmt: skip
        reasons = BaselineAdjustment(cohort, "m", CHANGE).fit().table.set_index("adjustment")
        assert "column 'baseline'" in reasons.loc["overlap", "reason"]


def test_several_values_in_a_phase_are_correlated() -> None:
    visits, patients = small()
    again = visits[visits["day"] == 2].assign(day=3, value=lambda t: t["value"] * 1.1)
    cohort = make_cohort(pd.concat([visits, again]), patients, log=True, randomised=True)
    study = BaselineAdjustment(cohort, "m", CHANGE)
    assert "(1 | patient)" in study.spec("baseline")[0].formula
    assert "(phase | patient)" in study.spec("clda")[0].formula
    table = study.fit().table
    assert table["reason"].eq("").all()
    # A second value that says what the first said adds no information.
    single = make_cohort(visits, patients, log=True, randomised=True)
    assert isinstance(BaselineAdjustment(single, "m", CHANGE).spec("baseline")[0], Linear)
    alone = answers(BaselineAdjustment(single, "m", CHANGE).fit()).loc["baseline"]
    twice = answers(study.fit()).loc["baseline"]
    assert twice["estimate"] == pytest.approx(alone["estimate"], rel=1e-3)
    assert twice["std_error"] == pytest.approx(alone["std_error"], rel=0.02)


def test_a_third_group_is_left_out_of_the_comparison() -> None:
    visits, patients = small()
    other = patients["id"].isin([f"P{k:03d}" for k in range(20, 30)])
    three = patients.assign(arm=patients["arm"].mask(other, "other"))
    cohort = make_cohort(visits, three, log=True, levels=("control", "active", "other"))
    found = answers(BaselineAdjustment(cohort, "m", CHANGE).fit())
    few = visits[visits["id"].isin(patients.loc[~other, "id"])]
    two = make_cohort(few, patients[~other], log=True)
    alone = answers(BaselineAdjustment(two, "m", CHANGE).fit())
    for name in ("baseline", "overlap"):
        assert found.loc[name, "estimate"] == pytest.approx(alone.loc[name, "estimate"])
        assert found.loc[name, "n"] == alone.loc[name, "n"]
    # The mixed model shares its variances with the third group; its means are their own.
    assert found.loc["unadjusted", "n"] == 20


def test_all_markers_of_the_example() -> None:
    cohort = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")
    change = Change("phase", "baseline", "after", "treatment", "ivig", "control")
    result = adjusted_changes(cohort, change, engines=["ml"])
    assert len(result.answers) == 3 * 14
    table = result.tidy()
    assert table["estimate"].notna().all()
    assert (table["p_fdr"] >= table["p_value"] - 1e-12).all()
    # The treated began with more procalcitonin: the difference shrinks when that is adjusted for.
    pct = table[table["marker"] == "pct"].set_index("adjustment")["estimate"]
    assert abs(pct["unadjusted"]) > abs(pct["baseline"]) > abs(pct["overlap"])
