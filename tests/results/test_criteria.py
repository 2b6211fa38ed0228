"""Models side by side: against R's AIC and BIC, closed forms, ArviZ, and what must be refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import longsurv as ls
from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM, CoxPH, Hazard


@pytest.fixture(scope="module")
def sleep(table):
    formulas = {
        "null": "Reaction ~ 1 + (1 | Subject)",
        "intercept": "Reaction ~ Days + (1 | Subject)",
        "slope": "Reaction ~ Days + (Days | Subject)",
        "curve": "Reaction ~ I(Days ** 2) + (1 | Subject)",
    }
    return {name: LMM(formula, table("sleepstudy")) for name, formula in formulas.items()}


def test_criteria_are_those_of_r(sleep, r_results):
    fits = {name: sleep[name].fit("ML") for name in ("intercept", "slope")}
    table = ls.information_criteria(fits).set_index("model")
    names = {"intercept": "sleepstudy_intercept_ml", "slope": "sleepstudy_ml"}
    for name, model in names.items():
        for column in ("aic", "bic"):
            expected = r_results("lmm_basic", model, column)[""]
            assert table.loc[name, column] == pytest.approx(expected, abs=1e-6)
        assert table.loc[name, "df"] == r_results("lmm_basic", model, "df_model")[""]
    n, k = 180, table["df"]
    np.testing.assert_allclose(table["aicc"], table["aic"] + 2 * k * (k + 1) / (n - k - 1))
    ratio = np.exp(-0.5 * (table.loc["intercept", "aic"] - table.loc["slope", "aic"]))
    assert table["weight"].sum() == pytest.approx(1.0)
    assert table.loc["intercept", "weight"] / table.loc["slope", "weight"] == pytest.approx(ratio)
    assert list(table["delta_aic"] == 0.0) == [False, True]


def test_likelihood_ratios_are_against_the_largest_nested_model(sleep):
    fits = {name: spec.fit("ML") for name, spec in sleep.items()}
    table = ls.information_criteria(fits).set_index("model")
    assert list(table["against"]) == ["", "null", "intercept", "null"]
    gain = 2.0 * (fits["intercept"].llf - fits["null"].llf)
    assert table.loc["intercept", "statistic"] == pytest.approx(gain)
    assert table.loc["intercept", "p_value"] == pytest.approx(chi2.sf(gain, 1))
    assert np.isnan(table.loc["null", "p_value"])
    assert table.loc["slope", "p_boundary"] < table.loc["slope", "p_value"]


def test_reml_fits_of_one_mean_are_compared_and_others_are_not(sleep):
    fits = [sleep["intercept"].fit(), sleep["slope"].fit()]
    table = ls.information_criteria(fits)
    assert list(table["model"]) == [fit.spec.formula for fit in fits]
    with pytest.raises(LongsurvError, match="REML likelihoods of different fixed effects"):
        ls.information_criteria([*fits, sleep["null"].fit()])
    with pytest.raises(LongsurvError, match="fit all alike"):
        ls.information_criteria([fits[0], sleep["slope"].fit("ML")])


def test_survival_models_count_events(table):
    rossi = table("rossi")
    cox = {
        covariates: CoxPH(f"Surv(week, arrest) ~ {covariates}", rossi).fit()
        for covariates in ("fin", "fin + age")
    }
    found = ls.information_criteria(cox).set_index("model")
    events, k = int(rossi["arrest"].sum()), np.array([1, 2])
    np.testing.assert_allclose(found["aicc"], found["aic"] + 2 * k * (k + 1) / (events - k - 1))
    assert found.loc["fin + age", "against"] == "fin"
    # Baselines of one full likelihood need not be nested.
    baselines = {
        kind: Hazard("Surv(week, arrest) ~ fin + age", rossi, baseline=kind).fit()
        for kind in ("exponential", "weibull")
    }
    shown = ls.information_criteria(baselines)
    assert shown["delta_aic"].min() == 0.0 and list(shown["against"]) == ["", ""]


class TestRefusals:
    def test_one_model_and_equal_names(self, sleep):
        fit = sleep["slope"].fit("ML")
        with pytest.raises(LongsurvError, match="two models or more, not 1"):
            ls.information_criteria([fit])
        with pytest.raises(LongsurvError, match="same formula; give them names"):
            ls.information_criteria([fit, fit])

    def test_other_rows(self, sleep, table):
        shorter = LMM(sleep["slope"].formula, table("sleepstudy").iloc[:-1]).fit("ML")
        with pytest.raises(LongsurvError, match="different data"):
            ls.information_criteria([sleep["intercept"].fit("ML"), shorter])

    def test_models_of_other_kinds(self, table):
        rossi = table("rossi")
        formula = "Surv(week, arrest) ~ fin"
        both = {"cox": CoxPH(formula, rossi).fit(), "weibull": Hazard(formula, rossi).fit()}
        with pytest.raises(LongsurvError, match="CoxPH and Hazard"):
            ls.information_criteria(both)
        with pytest.raises(LongsurvError, match="unpenalised"):
            firth = CoxPH("Surv(week, arrest) ~ fin + age", rossi).fit(penalty="firth")
            ls.information_criteria([both["cox"], firth])

    def test_measurements_and_categories(self):
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"id": np.repeat(np.arange(30), 4), "t": np.tile(np.arange(4.0), 30)})
        frame["y"] = rng.integers(0, 4, 120) + 0.0
        fits = {
            family: GLMM("y ~ t + (1 | id)", frame, family).fit()
            for family in ("ordinal", "student")
        }
        with pytest.raises(LongsurvError, match="categories"):
            ls.information_criteria(fits)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")  # by ArviZ's own below
def test_posteriors_are_compared_by_what_they_predict(sleep):
    import arviz as az

    how = {"draws": 400, "chains": 2, "seed": 1}
    posts = {name: sleep[name].sample(**how) for name in ("null", "slope")}
    table = ls.information_criteria(posts).set_index("model")
    expected = az.compare({k: v.loo(pointwise=True) for k, v in posts.items()}, round_to="none")
    for ours, theirs in (("elpd", "elpd"), ("weight", "weight"), ("se_diff", "dse")):
        np.testing.assert_allclose(
            table[ours].astype(float), expected.loc[table.index, theirs], rtol=1e-9, atol=1e-12
        )
    assert table.loc["slope", "weight"] > 0.9 and set(table["unit"]) == {"Subject"}
    assert table.loc["null", "elpd_diff"] != 0.0 and table.loc["slope", "elpd_diff"] == 0.0
    with pytest.raises(LongsurvError, match="only the ones or only the others"):
        ls.information_criteria([sleep["null"].fit("ML"), posts["slope"]])


def test_posteriors_that_leave_out_other_units_are_not_compared(table):
    sites = table("sites").assign(patient=lambda d: d["site"] + d["id"])
    how = {"draws": 100, "chains": 2, "seed": 1}
    nested = LMM("y ~ time + (1 | site/id)", sites).sample(**how)
    patients = LMM("y ~ time + (1 | patient)", sites).sample(**how)
    with pytest.raises(LongsurvError, match="leave out different units"):
        ls.information_criteria({"nested": nested, "patients": patients})
