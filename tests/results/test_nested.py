"""Likelihood-ratio tests of nested models, against lme4, lmerTest, R's survival, closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from joint_cohorts import simulated
from scipy.stats import chi2

import longsurv as ls
from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM, CoxPH, Hazard, JointModel, Linear
from longsurv.results.nested import lrt


def test_lrt_of_a_random_slope_is_lmertests(fits, r_results):
    found = lrt(fits("sleepstudy_intercept"), fits("sleepstudy")).iloc[0]
    row = "Days in (Days | Subject)"
    for ours, theirs in [("statistic", "LRT"), ("df", "Df"), ("p_value", "Pr(>Chisq)")]:
        expected = r_results("lmm_kr", "sleepstudy", f"ranova_{theirs}")[row]
        assert found[ours] == pytest.approx(expected, rel=1e-6)
    mixture = 0.5 * chi2.sf(found["statistic"], 1) + 0.5 * chi2.sf(found["statistic"], 2)
    assert found["p_boundary"] == pytest.approx(mixture)
    assert "boundary" in found["note"]


def test_lrt_of_a_fixed_effect_is_lme4s(fits, table, r_results):
    null = LMM("Reaction ~ 1 + (Days | Subject)", table("sleepstudy")).fit("ML")
    found = lrt(null, fits("sleepstudy", "ML")).iloc[0]
    assert found["statistic"] == pytest.approx(
        r_results("lmm_kr", "sleepstudy", "ml_lr_days")[""], rel=1e-7
    )
    assert found["p_value"] == pytest.approx(
        r_results("lmm_kr", "sleepstudy", "ml_lr_days_p")[""], rel=1e-6
    )
    assert np.isnan(found["p_boundary"]) and found["note"] == ""


def test_two_variances_more_get_a_warning_not_a_mixture(fits, table):
    data = table("sleepstudy")
    curved = LMM("Reaction ~ Days + (Days + I(Days**2) | Subject)", data).fit()
    found = lrt(fits("sleepstudy_intercept"), curved).iloc[0]
    assert np.isnan(found["p_boundary"]) and "2 variances" in found["note"]
    assert found["df"] == 5


def test_lrt_under_the_null_hypothesis_has_half_its_mass_at_zero(fits):
    """Random slope absent: the statistic must follow the mixture, not the chi-squared."""
    rng = np.random.default_rng(3)
    group, t = np.repeat(np.arange(20), 4), np.tile(np.arange(4.0) - 1.5, 20)
    below = 0
    for _ in range(60):
        data = pd.DataFrame(
            {"g": group, "t": t, "y": rng.normal(size=80) + rng.normal(size=20)[group]}
        )
        found = lrt(LMM("y ~ t + (1 | g)", data).fit(), LMM("y ~ t + (t | g)", data).fit()).iloc[0]
        below += found["p_boundary"] < 0.5
    assert 18 <= below <= 42


def test_models_that_cannot_be_compared_are_refused(fits, table):
    data = table("sleepstudy")
    one, two = fits("sleepstudy_intercept"), fits("sleepstudy")
    with pytest.raises(LongsurvError, match="smaller model first"):
        lrt(two, one)
    with pytest.raises(LongsurvError, match="fit both alike"):
        lrt(one, fits("sleepstudy", "ML"))
    null = LMM("Reaction ~ 1 + (Days | Subject)", data)
    with pytest.raises(LongsurvError, match="REML likelihoods of different fixed effects"):
        lrt(null.fit(), two)
    with pytest.raises(LongsurvError, match="different data"):
        lrt(LMM("Reaction ~ Days + (1 | Subject)", data.iloc[:-1]).fit(), two)
    with pytest.raises(LongsurvError, match="different data"):
        lrt(LMM("log(Reaction) ~ Days + (1 | Subject)", data).fit(), two)
    other = LMM("Reaction ~ sqrt + (1 | Subject)", data.assign(sqrt=np.sqrt(data["Days"])))
    with pytest.raises(LongsurvError, match=r"fixed effects.*not nested"):
        lrt(other.fit("ML"), fits("sleepstudy", "ML"))
    other = LMM("Reaction ~ Days + (0 + sqrt | Subject)", data.assign(sqrt=np.sqrt(data["Days"])))
    with pytest.raises(LongsurvError, match=r"random effects.*not nested"):
        lrt(other.fit(), two)
    other = LMM("Reaction ~ Days + (1 | half)", data.assign(half=data["Subject"] // 2))
    with pytest.raises(LongsurvError, match=r"random effects.*not nested"):
        lrt(other.fit(), two)


def test_the_same_space_in_another_coding_is_the_same_model(table):
    data = table("visits")
    plain = LMM("y ~ C(visit) + (1 | patient)", data).fit()
    other = LMM("y ~ C(visit, contr.helmert) + (day | patient)", data).fit()
    assert lrt(plain, other)["df"].item() == 2


def test_lrt_of_a_site_variance(table):
    data = table("sites")
    data = data.assign(who=data["site"] + data["id"])
    larger = LMM("y ~ time * treated + (1 | site) + (1 | who)", data).fit()
    smaller = LMM("y ~ time * treated + (1 | who)", data).fit()
    found = lrt(smaller, larger).iloc[0]
    assert found["df"] == 1 and found["statistic"] == pytest.approx(2 * (larger.llf - smaller.llf))
    assert found["p_boundary"] == pytest.approx(found["p_value"] / 2)


@pytest.fixture(scope="module")
def deaths() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 80
    arm, age = np.arange(n) % 2, rng.normal(60.0, 10.0, n)
    time = rng.exponential(10.0 * np.exp(0.5 * arm - 0.02 * (age - 60.0)))
    return pd.DataFrame(
        {"days": np.minimum(time, 28.0), "died": (time < 28.0) * 1, "arm": arm, "age": age}
    )


def test_two_exponential_hazards_have_a_ratio_in_closed_form(deaths):
    def llf(part: pd.DataFrame) -> float:
        d, total = part["died"].sum(), part["days"].sum()
        return d * np.log(d / total) - d

    base = Hazard("Surv(days, died) ~ age", data=deaths.assign(age=1.0 * (deaths["age"] > 60)))
    exponential = {"baseline": "exponential"}
    small = Hazard(
        "Surv(days, died) ~ old", data=deaths.assign(old=base.data["age"]), **exponential
    )
    large = Hazard(
        "Surv(days, died) ~ old * arm", data=deaths.assign(old=base.data["age"]), **exponential
    )
    found = ls.lrt(small.fit(), large.fit()).iloc[0]
    whole = deaths.assign(old=base.data["age"])
    expected = 2.0 * sum(
        sum(llf(cell) for _, cell in group.groupby("arm")) - llf(group)
        for _, group in whole.groupby("old")
    )
    assert found["statistic"] == pytest.approx(expected, rel=1e-7)
    assert found["df"] == 2
    assert found["p_value"] == pytest.approx(chi2.sf(expected, 2), rel=1e-6)


def test_cox_models_by_their_partial_likelihood_written_out(deaths):
    def partial(columns: list[str]) -> float:
        from scipy.optimize import minimize

        X = deaths[columns].to_numpy(float)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        t, d = deaths["days"].to_numpy(), deaths["died"].to_numpy()

        def negative(beta: np.ndarray) -> float:
            eta = X @ beta
            return -sum(eta[i] - np.log(np.exp(eta[t >= t[i]]).sum()) for i in np.flatnonzero(d))

        return -minimize(negative, np.zeros(len(columns)), tol=1e-12).fun

    small, large = (
        CoxPH(f"Surv(days, died) ~ {right}", data=deaths).fit() for right in ("age", "arm + age")
    )
    found = lrt(small, large).iloc[0]
    assert found["statistic"] == pytest.approx(2 * (partial(["arm", "age"]) - partial(["age"])))
    assert found["df"] == 1 and np.isnan(found["p_boundary"])


def test_binary_and_linear_models(deaths):
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"id": np.repeat(np.arange(40), 4), "x": rng.normal(size=160)})
    rows["z"] = rng.normal(size=160)
    rows["y"] = (rng.random(160) < 1 / (1 + np.exp(-rows["x"]))) * 1
    small, large = (GLMM(f"y ~ {right} + (1 | id)", data=rows).fit() for right in ("z", "z + x"))
    found = lrt(small, large).iloc[0]
    assert found["statistic"] == pytest.approx(2 * (large.llf - small.llf))
    assert (found["df"], found["p_value"]) == (1, pytest.approx(chi2.sf(found["statistic"], 1)))
    with pytest.raises(LongsurvError, match="fit both alike"):
        lrt(small, GLMM("y ~ z + x + (1 | id)", data=rows, nodes=7).fit())

    once = deaths.assign(id=np.arange(len(deaths)))
    exact = Linear("days ~ arm", data=once, patient="id").fit()
    with pytest.raises(LongsurvError, match="F test is exact"):
        lrt(exact, Linear("days ~ arm + age", data=once, patient="id").fit())


def test_survival_fits_whose_likelihoods_cannot_be_compared(deaths):
    formula = "Surv(days, died) ~ arm"
    plain, more = (CoxPH(f, data=deaths).fit() for f in (formula, formula + " + age"))
    with pytest.raises(LongsurvError, match="unpenalised"):
        lrt(CoxPH(formula, data=deaths).fit(penalty="firth"), more)
    with pytest.raises(LongsurvError, match="one kind, not CoxPH and Hazard"):
        lrt(plain, Hazard(formula, data=deaths, baseline="weibull").fit())
    with pytest.raises(LongsurvError, match="robust"):
        wards = deaths.assign(ward=np.arange(len(deaths)) % 7)
        robust = CoxPH(f"{formula} + cluster(ward)", data=wards).fit()
        lrt(robust, more)
    with pytest.raises(LongsurvError, match="smoothed baseline"):
        lrt(
            Hazard(formula, data=deaths).fit(),
            Hazard(f"{formula} + age", data=deaths).fit(),
        )
    with pytest.raises(LongsurvError, match="different data"):
        lrt(CoxPH(formula, data=deaths.iloc[:-1]).fit(), more)
    with pytest.raises(LongsurvError, match="smaller is an Estimate, not a dict"):
        lrt({}, more)


def test_far_from_the_origin_a_curve_is_still_no_line(deaths):
    far = deaths.assign(year=deaths["age"] / 30 + 2015)
    small, large = (
        CoxPH(f"Surv(days, died) ~ {right}", data=far).fit()
        for right in ("I(year**2)", "year + arm")
    )
    with pytest.raises(LongsurvError, match="not nested"):
        lrt(small, large)


@pytest.fixture(scope="module")
def repeated():
    rng = np.random.default_rng(2)
    n, m = 40, 4
    data = pd.DataFrame({"id": np.repeat(np.arange(n), m), "t": np.tile(np.arange(m) * 1.0, n)})
    data = data.assign(
        g=data["id"] % 2, bent=(data["t"] - 1.0) ** 2, w=rng.uniform(0.5, 2.0, n * m)
    )
    noise = rng.normal(size=n * m) * (1.0 + data["t"]) + np.repeat(rng.normal(size=n), m)
    return data.assign(y=noise)


def _covariances(data):
    def residual(kind, **more):
        spec = ls.Residual(kind, patient="id", **more)
        return LMM("y ~ t + g", data, residual=spec).fit("ML")

    return {
        "group": residual("independent", by="g"),
        "visit": residual("independent", visit="t", heterogeneous=True),
        "cs": residual("cs", visit="t"),
        "ar1": residual("ar1", visit="t"),
        "cs, group": residual("cs", visit="t", by="g"),
        "toeplitz": residual("toeplitz", visit="t"),
        "unstructured": residual("unstructured", visit="t"),
        "cells": residual("independent", visit="t", heterogeneous=True, by="g"),
    }


def test_residual_structures_are_nested_where_one_is_a_case_of_the_other(repeated):
    """By their definitions; whatever the numbers of parameters and the likelihoods."""
    fits = _covariances(repeated)
    nested = {
        ("group", "cs, group"), ("group", "cells"), ("visit", "cells"), ("visit", "unstructured"),
        ("cs", "cs, group"), ("cs", "toeplitz"), ("cs", "unstructured"), ("ar1", "toeplitz"),
        ("ar1", "unstructured"), ("toeplitz", "unstructured"),
    }  # fmt: skip
    found = set()
    for a, one in fits.items():
        for b, other in fits.items():
            try:
                lrt(one, other)
            except LongsurvError:
                continue
            found.add((a, b))
    assert found == nested


def test_random_effects_are_nested_as_far_as_they_are_correlated(repeated):
    correlated = LMM("y ~ t + (1 + t | id)", repeated).fit("ML")
    apart = LMM("y ~ t + (1 + t || id)", repeated).fit("ML")
    more = LMM("y ~ t + (1 + t + bent + w || id)", repeated).fit("ML")
    assert lrt(apart, correlated)["df"].iloc[0] == 1
    assert lrt(apart, more)["df"].iloc[0] == 2
    with pytest.raises(LongsurvError, match="id are correlated with others"):
        lrt(correlated, more)
    with pytest.raises(LongsurvError, match="the rows have other weights"):
        lrt(apart, LMM("y ~ t + (1 + t | id)", repeated, weights="w").fit("ML"))


def test_joint_models_of_other_limits_or_other_people_are_not_compared():
    """Which values lie beyond a limit is part of the data, and entry= says who is described."""
    rows, people = simulated(np.random.default_rng(3), 60, late=1.0)
    people = people.assign(extra=np.arange(60) % 7)
    rows = rows.assign(none="none", some=np.where(rows["y"] > 3.0, "right", "none"))

    def fit(column, right="treated", **more):
        marker = GLMM("y ~ t + (1 | id)", rows, family="censored", censored=column)
        event = CoxPH(f"Surv(entry, stop, event) ~ {right}", people)
        return JointModel(marker, event, time="t", baseline="weibull", **more).fit()

    plain = fit("none")
    larger = fit("none", "treated + extra", entry="population")
    with pytest.raises(LongsurvError, match="different data"):
        ls.information_criteria({"plain": plain, "some": fit("some")})
    with pytest.raises(LongsurvError, match=r"'?at_risk'? \(entry\), the other by '?population"):
        lrt(plain, larger)
    assert lrt(plain, fit("none", "treated + extra"))["df"].iloc[0] == 1


def test_hazards_with_other_knots_are_not_nested():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({
        "t": rng.exponential(size=60) + 0.01, "e": 1, "x": rng.normal(size=60),
        "g": rng.integers(0, 2, 60),
    })  # fmt: skip

    def fit(right: str, *knots: float):
        return Hazard(f"Surv(t, e) ~ {right}", data, baseline="piecewise", knots=knots).fit()

    plain = fit("g", 0.2, 0.9)
    assert lrt(plain, fit("g", 0.2, 0.5, 0.9))["df"].item() == 1  # one piece cut in two
    assert lrt(plain, fit("g + x", 0.2, 0.9))["df"].item() == 1
    for other in (fit("g + x", 0.1, 0.5), fit("g", 0.1, 0.5, 0.9), fit("g + x", 0.2, 0.8)):
        with pytest.raises(LongsurvError, match=r"knots at 0\.2, 0\.9, not all"):
            lrt(plain, other)


def test_joint_models_with_other_links_or_knots_are_not_nested():
    rows, patients = simulated(np.random.default_rng(4), 80)
    patients = patients.assign(x=np.random.default_rng(5).normal(size=80))

    def fit(link, right: str = "treated", **more):
        event = CoxPH(f"Surv(stop, event) ~ {right}", patients)
        marker = LMM("y ~ t + (t | id)", rows)
        how = {"baseline": "weibull"} | more
        return JointModel(marker, event, time="t", link=link, **how).fit()

    value, slope = fit(ls.models.value()), ls.models.slope()
    assert lrt(fit(None), value)["df"].item() == 1
    assert lrt(value, fit(ls.models.value() + slope))["df"].item() == 1
    assert lrt(value, fit(ls.models.value(by="treated")))["df"].item() == 1
    with pytest.raises(LongsurvError, match=r"does not have the link value\(\)"):
        lrt(value, fit(slope, "treated + x"))
    with pytest.raises(LongsurvError, match=r"link value\(by='treated'\)"):
        lrt(fit(ls.models.value(by="treated")), fit(ls.models.value() + slope, "treated + x"))
    pieces = {"baseline": "piecewise", "knots": (2.0, 4.0)}
    other = pieces | {"knots": (1.0, 3.0)}
    with pytest.raises(LongsurvError, match="knots at 2, 4"):
        lrt(fit(slope, **pieces), fit(slope, "treated + x", **other))
