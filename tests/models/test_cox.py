"""The Cox model through its public names, against R's survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import EstimationError, FormulaError, LongsurvError
from longsurv.models import CoxPH

MODELS = [
    "rossi_efron", "rossi_breslow", "rossi_two_efron", "heart_efron", "heart_breslow", "lung_efron",
    "lung_breslow",
]  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_coefficients_are_r_s(fits, r_results, name):
    fit = fits(name)
    coef, se = r_results("cox_basic", name, "coef"), r_results("cox_basic", name, "se")
    assert list(fit.names) == list(coef)
    np.testing.assert_allclose(fit.params, list(coef.values()), rtol=1e-6)
    np.testing.assert_allclose(fit.bse, list(se.values()), rtol=1e-6)
    assert fit.llf == pytest.approx(r_results("cox_basic", name, "loglik")[""], abs=1e-7)
    assert fit.nobs == r_results("cox_basic", name, "n")[""]
    assert fit.design.n_events == r_results("cox_basic", name, "events")[""]
    assert fit.aic == pytest.approx(-2 * fit.llf + 2 * len(coef))
    assert fit.converged and fit.diagnose().ok
    for pair, value in r_results("cox_basic", name, "vcov").items():
        a, b = pair.split(" | ")
        assert fit.cov_params().loc[a, b] == pytest.approx(
            value, rel=1e-5, abs=1e-6 * se[a] * se[b]
        )


def test_published_figures(fits):
    np.testing.assert_allclose(
        fits("rossi_efron").params,
        [-0.37942216, -0.05743772, 0.31389978, -0.14979572, -0.43370385, -0.08487107, 0.09149708],
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", ["rossi_efron", "rossi_breslow"])
def test_wald_test_is_r_s(fits, r_results, name):
    fit = fits(name)
    found = fit.test(np.eye(7)).iloc[0]
    assert found["df_num"] == 7
    chi2 = r_results("cox_basic", name, "wald_test")[""]
    assert found["statistic"] * 7 == pytest.approx(chi2, rel=1e-3)


@pytest.mark.parametrize("name", ["rossi_efron", "rossi_breslow"])
def test_survival_curves_are_r_s(fits, r_results, name):
    fit = fits(name)
    typical = pd.DataFrame(
        {"fin": [0, 1], "age": 25, "race": 1, "wexp": 1, "mar": 0, "paro": 1, "prio": 3}
    )
    times = [10, 20, 30, 40, 52]
    found = fit.predict(typical, times=times)
    assert list(found["time"]) == times * 2 and list(found["fin"]) == [0] * 5 + [1] * 5
    for column, quantity in (
        ("estimate", "survival"),
        ("std_error", "survival_se"),
        ("conf_low", "survival_low_log-log"),
        ("conf_high", "survival_high_log-log"),
    ):
        r = r_results("cox_basic", name, quantity)
        expected = [r[f"fin {arm} t {t}"] for arm in (0, 1) for t in times]
        np.testing.assert_allclose(found[column], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["heart_efron", "heart_breslow"])
def test_baseline_with_entry_times_is_r_s(fits, r_results, name):
    zero = pd.DataFrame({"age": [0.0], "year": 0.0, "surgery": 0, "transplant": 0})
    r = r_results("cox_basic", name, "basehaz")
    times = [float(term.removeprefix("t ")) for term in r]
    found = fits(name).predict(zero, times=times)
    np.testing.assert_allclose(-np.log(found["estimate"]), list(r.values()), rtol=1e-6)


class TestPredictions:
    new = pd.DataFrame({"fin": [0, 1], "prio": [3, 10]}, index=[4, 2])

    def test_log_relative_hazard(self, fits):
        fit = fits("rossi_two_efron")
        found = fit.predict(self.new, level=0.9)
        X = self.new.to_numpy(float)
        np.testing.assert_allclose(found["estimate"], X @ fit.params)
        V = fit.cov_params().to_numpy()
        np.testing.assert_allclose(found["std_error"], np.sqrt(np.diag(X @ V @ X.T)))
        same = fit.contrast(X, level=0.9)
        np.testing.assert_allclose(found["conf_low"], same["conf_low"])
        assert list(found.index) == [4, 2]
        assert len(fit.predict()) == 432

    def test_survival_before_the_first_event(self, fits):
        found = fits("rossi_two_efron").predict(self.new.iloc[:1], times=[0.0, 0.5]).iloc[0]
        assert tuple(found[["estimate", "std_error", "conf_low", "conf_high"]]) == (
            1.0,
            0.0,
            1.0,
            1.0,
        )

    def test_order_of_times_is_kept(self, fits):
        a = fits("rossi_two_efron").predict(self.new, times=[40, 10])
        b = fits("rossi_two_efron").predict(self.new, times=[10, 40])
        np.testing.assert_array_equal(a["estimate"].iloc[[1, 0]], b["estimate"].iloc[:2])

    @pytest.mark.parametrize("times", [[-1.0], [np.nan], [np.inf], 5.0, [[1.0]]])
    def test_impossible_times(self, fits, times):
        with pytest.raises(LongsurvError, match="times must be"):
            fits("rossi_two_efron").predict(self.new, times=times)

    def test_a_column_time_of_the_rows_is_kept(self, fits):
        fit = fits("rossi_two_efron")
        found = fit.predict(self.new.assign(time=[7.0, 8.0]), times=[40, 10])
        assert list(found["time"]) == [40, 10] * 2
        assert list(found["time_newdata"]) == [7.0, 7.0, 8.0, 8.0]
        both = self.new.assign(time=7.0, time_newdata=8.0)
        with pytest.raises(LongsurvError, match="rename one"):
            fit.predict(both, times=[40])
        assert list(fit.predict(both)["time"]) == [7.0, 7.0]

    def test_missing_columns(self, fits):
        with pytest.raises(FormulaError, match="'prio', which is not a column"):
            fits("rossi_two_efron").predict(self.new[["fin"]])

    def test_hazard_ratios(self, fits):
        fit = fits("rossi_two_efron")
        ratios, tidy = fit.hazard_ratios(level=0.8), fit.tidy(level=0.8)
        assert list(ratios["term"]) == ["fin", "prio"]
        for a, b in (
            ("hazard_ratio", "estimate"),
            ("conf_low", "conf_low"),
            ("conf_high", "conf_high"),
        ):
            np.testing.assert_allclose(np.log(ratios[a]), tidy[b])
        np.testing.assert_array_equal(ratios["p_value"], tidy["p_value"])


@pytest.fixture(scope="module")
def lives(table):
    rossi = table("rossi").iloc[::3]
    return rossi.assign(
        id=np.arange(len(rossi)),
        entry=rossi["week"] * (np.arange(len(rossi)) % 4) / 8.0,
        arm=np.where(rossi["fin"] == 1, "aid", "none"),
    )


FORMULA = "Surv(entry, week, arrest) ~ arm * age + prio"


@pytest.fixture(scope="module")
def fit(lives):
    return CoxPH(FORMULA, data=lives).fit()


class TestInvariance:
    def test_order_of_rows(self, fit, lives):
        for seed in range(3):
            again = CoxPH(FORMULA, data=lives.sample(frac=1, random_state=seed)).fit()
            assert again.llf == pytest.approx(fit.llf, abs=1e-9)
            np.testing.assert_allclose(again.params, fit.params, rtol=1e-7)

    @settings(max_examples=8, deadline=None)
    @given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
    def test_units(self, lives, time, covariate, shift):
        fit = CoxPH(FORMULA, data=lives).fit()
        moved = lives.assign(
            week=time * lives["week"],
            entry=time * lives["entry"],
            prio=covariate * (lives["prio"] + shift),
        )
        again = CoxPH(FORMULA, data=moved).fit()
        assert again.llf == pytest.approx(fit.llf, abs=1e-6) and again.converged
        unit = np.array([1, 1, covariate, 1])
        order = [again.names.index(n) for n in ("arm[T.none]", "age", "prio", "arm[T.none]:age")]
        old = [fit.names.index(n) for n in ("arm[T.none]", "age", "prio", "arm[T.none]:age")]
        np.testing.assert_allclose(
            again.coefficients[order] * unit, fit.coefficients[old], rtol=1e-4
        )

    def test_only_the_order_of_times_matters(self, fit, lives):
        again = CoxPH(
            FORMULA, data=lives.assign(week=lives["week"] ** 3, entry=lives["entry"] ** 3)
        ).fit()
        assert again.llf == pytest.approx(fit.llf, abs=1e-9)

    def test_another_reference(self, fit, lives):
        arm = pd.Categorical(lives["arm"], categories=["none", "aid"])
        again = CoxPH(FORMULA, data=lives.assign(arm=arm)).fit()
        assert again.llf == pytest.approx(fit.llf, abs=1e-8)
        for old, new in (("arm[T.none]", "arm[T.aid]"), ("arm[T.none]:age", "arm[T.aid]:age")):
            assert again.params[new] == pytest.approx(-fit.params[old], rel=1e-5)
            assert again.bse[new] == pytest.approx(fit.bse[old], rel=1e-6)

    def test_splitting_follow_up(self, fit, lives):
        """Two rows a patient, cut in the middle, are the same patient."""
        cut = (lives["entry"] + lives["week"]) / 2
        halves = pd.concat([lives.assign(week=cut, arrest=0), lives.assign(entry=cut)])
        again = CoxPH(FORMULA, data=halves).fit()
        assert again.llf == pytest.approx(fit.llf, abs=1e-8)
        np.testing.assert_allclose(again.params, fit.params, rtol=1e-6)


class TestHardData:
    def test_separation_is_told(self):
        """Everyone on one arm dies before anyone on the other."""
        lives = pd.DataFrame({"time": range(1, 13), "died": 1, "arm": [1] * 6 + [0] * 6})
        fit = CoxPH("Surv(time, died) ~ arm", data=lives).fit()
        assert fit.converged and 0 < fit.params["arm"] < 5
        assert "Firth" in fit.method and "coefficient of arm rises without end" in fit.flags[0]

    def test_a_constant_covariate_is_told(self, lives):
        fit = CoxPH("Surv(week, arrest) ~ prio + one", data=lives.assign(one=1.0)).fit()
        assert fit.names == ("prio",) and "determine them: one" in " ".join(fit.flags)

    def test_few_events_are_told(self, lives):
        fit = CoxPH("Surv(week, arrest) ~ age + prio", data=lives.iloc[:20]).fit()
        assert "10 events a coefficient" in " ".join(fit.flags)
        assert "10 events a coefficient" not in " ".join(
            CoxPH("Surv(week, arrest) ~ age", lives).fit().flags
        )

    def test_no_covariates(self, lives):
        spec = CoxPH("Surv(week, arrest) ~ 1", data=lives)
        fit = spec.fit()
        # Kaplan-Meier-like curve: minus log survival is Nelson-Aalen's with Efron's ties
        found = fit.predict(pd.DataFrame(index=[0]), times=[52.0])
        at_risk, hazard = len(lives), 0.0
        for t in np.sort(lives["week"].unique()):
            deaths = int(((lives["week"] == t) & (lives["arrest"] == 1)).sum())
            hazard += sum(1 / (at_risk - k) for k in range(deaths))
            at_risk -= int((lives["week"] == t).sum())
        assert -np.log(found["estimate"].iloc[0]) == pytest.approx(hazard)
        assert fit.tidy().empty and fit.converged
        with pytest.raises(EstimationError, match="no covariates"):
            spec.sample()

    def test_missing_rows_are_told(self, lives):
        some = lives.astype({"prio": float})
        some.iloc[:3, some.columns.get_loc("prio")] = np.nan
        fit = CoxPH("Surv(week, arrest) ~ prio", data=some).fit()
        assert fit.nobs == len(lives) - 3
        assert f"3 of {len(lives)} rows were left out" in fit.flags[0]


def test_options(table):
    with pytest.raises(LongsurvError, match="ties is one of efron, breslow"):
        CoxPH("Surv(week, arrest) ~ fin", data=table("rossi"), ties="exact")


def test_default_priors_follow_the_units(table):
    rossi = table("rossi")
    spec = CoxPH("Surv(week, arrest) ~ fin + age", data=rossi)
    priors = spec.default_priors()
    assert (priors["fin"].mean, priors["fin"].sd) == (0.0, 1.0)
    # each row as often as it is at risk at an event, which no cutting of follow-up changes
    times = rossi.loc[rossi["arrest"] == 1, "week"].unique()
    at_risk = (rossi["week"].to_numpy()[:, None] >= times).sum(axis=1)
    assert priors["age"].sd == pytest.approx(1 / np.repeat(rossi["age"], at_risk).std(ddof=0))
