"""Robust covariances that cannot say what they seem to: of few clusters, of separated groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from longsurv.diagnostics.cox_residuals import robust_covariance
from longsurv.errors import EstimationError
from longsurv.estimands.standardised import restricted_mean_difference, risk_difference
from longsurv.estimands.standardised_curves import standardised_survival
from longsurv.models import CoxPH, FineGray, Hazard

LEFT = "Surv(t, event) ~ "


def cohort(k: int, rng: np.random.Generator, *, between: bool = False, per: int = 0):
    """About 120 patients at k sites, no effect of the treatment; or so many of each site."""
    site = np.repeat(np.arange(k), per or 120 // k)
    n = len(site)
    whole = (rng.permutation(k) < k / 2).astype(int)[site]
    treated = whole if between else rng.integers(0, 2, n)
    died, left = rng.exponential(np.exp(0.5 * rng.standard_normal(k)[site])), rng.exponential(2, n)
    return pd.DataFrame({
        "treated": treated, "age": np.round(rng.normal(60.0, 9.0, n)), "site": site,
        "t": np.minimum(died, left), "event": (died <= left).astype(int),
    })  # fmt: skip


def fits(right: str, data: pd.DataFrame):
    yield CoxPH(LEFT + right, data).fit()
    yield Hazard(LEFT + right, data, baseline="weibull").fit()
    yield FineGray(LEFT + right, data).fit()


@pytest.mark.parametrize("k", [3, 8, 40])
def test_few_clusters_leave_few_degrees_of_freedom(k):
    data = cohort(k, np.random.default_rng(1))
    for fit in fits("treated + age + cluster(site)", data):
        row = fit.tidy().set_index("term").loc["treated"]
        assert row["df"] == k - 1
        width = stats.t.ppf(0.975, k - 1) * row["std_error"]
        assert row["conf_high"] - row["estimate"] == pytest.approx(width)
        assert any(f"There are {k} clusters" in flag for flag in fit.flags)
    fit = CoxPH(LEFT + "treated + age + cluster(site)", data).fit()
    plain = robust_covariance(fit.data, fit.coefficients, fit.naive_cov, None, fit.design.cluster)
    np.testing.assert_allclose(fit.cov_params(), plain * k / (k - 1.0), rtol=1e-9)
    wald = fit.global_tests().set_index("test").loc["Wald"]
    assert wald["p_value"] == pytest.approx(stats.f.sf(wald["statistic"] / 2.0, 2, k - 1))


def test_what_differs_between_clusters_only_uses_them_up():
    data = cohort(6, np.random.default_rng(3), between=True)
    for fit in fits("treated + age + cluster(site)", data):
        table = fit.tidy().set_index("term")
        assert table["df"].to_dict() == {"treated": 4.0, "age": 5.0}
    # Every site treats alike, and there are two: nothing tells site from treatment.
    two = data.assign(site=data["treated"])
    for fit in fits("treated + age + cluster(site)", two):
        table = fit.tidy().set_index("term")
        assert table.loc["treated", ["estimate", "std_error", "p_value"]].isna().all()
        assert np.isfinite(table.loc["age", "std_error"]) and fit.undetermined == ("treated",)
        assert any("Not determined by the data: treated" in flag for flag in fit.flags)


def test_many_clusters_are_taken_as_other_programs_do():
    data = cohort(60, np.random.default_rng(4), per=2)
    fit = CoxPH(LEFT + "treated + age + cluster(site)", data).fit()
    plain = robust_covariance(fit.data, fit.coefficients, fit.naive_cov, None, fit.design.cluster)
    np.testing.assert_allclose(fit.cov_params(), plain, rtol=1e-12)
    assert np.isinf(fit.tidy()["df"]).all() and not fit.flags


def rejected(k: int, between: bool, cohorts: int, seed: int) -> float:
    """Share of cohorts without an effect in which p is below 0.05."""
    rng = np.random.default_rng(seed)
    p = [
        CoxPH(LEFT + "treated + cluster(site)", cohort(k, rng, between=between))
        .fit()
        .pvalues.iloc[0]
        for _ in range(cohorts)
    ]
    return float(np.mean(np.array(p) < 0.05))


@pytest.mark.parametrize("between", [False, True])
def test_type_one_error_of_few_clusters(between):
    """A short version of the study below: as they stand 14 and 30 % of p values are below 0.05."""
    assert rejected(4, between, 150, 1) < 0.09


@pytest.mark.study
@pytest.mark.parametrize("k", [4, 6, 10, 20])
@pytest.mark.parametrize("between", [False, True])
def test_type_one_error_of_few_clusters_at_length(k, between):
    assert 0.025 < rejected(k, between, 2000, 2) < 0.075


def separated() -> pd.DataFrame:
    """Nobody who was treated has the event."""
    data = cohort(60, np.random.default_rng(5), per=2)
    return data.assign(event=data["event"] * (1 - data["treated"]), w=np.linspace(0.5, 1.5, 120))


def test_a_robust_covariance_knows_nothing_of_separated_groups():
    """Firth's likelihood has wide profile limits, and the sandwich about it narrow ones."""
    data = separated()
    honest = CoxPH(LEFT + "treated + age", data).fit().tidy().set_index("term").loc["treated"]
    assert honest["conf_high"] - honest["conf_low"] > 5.0
    robust = [
        *fits("treated + age + cluster(site)", data),
        CoxPH(LEFT + "treated + age", data, weights="w").fit(),
        Hazard(LEFT + "treated + age", data, weights="w", baseline="exponential").fit(),
        FineGray(LEFT + "treated + age", data).fit(),
    ]
    for fit in robust:
        table = fit.tidy().set_index("term")
        assert table.loc["treated"].drop("df").isna().all()
        assert np.isfinite(table.loc["age", "std_error"])
        assert any("A robust covariance sees nothing of groups without" in f for f in fit.flags)
        assert any(flag.startswith("Separated groups") for flag in fit.flags)
        assert fit.undetermined == ("treated",)


@pytest.mark.parametrize("model", ["CoxPH", "Hazard", "FineGray"])
@pytest.mark.parametrize("clusters", [3, 49])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99])
def test_curves_and_risks_have_students_limits_at_every_level(model, clusters, level):
    data = cohort(60, np.random.default_rng(6), per=2)
    data["site"] = np.arange(len(data)) % clusters
    made = zip(("CoxPH", "Hazard", "FineGray"), fits("treated + cluster(site)", data), strict=True)
    fit, t = dict(made)[model], stats.t.ppf(0.5 + level / 2, clusters - 1)
    who = data.head(1)
    if model == "FineGray":
        curve = fit.incidence(who, [1.0], level=level).iloc[0]
        curve[["estimate", "conf_low", "conf_high"]] = 1 - curve[
            ["estimate", "conf_high", "conf_low"]
        ].to_numpy(float)
    else:
        curve = fit.predict(who, times=[1.0], level=level).iloc[0]
    H, low, high = (-np.log(curve[name]) for name in ("estimate", "conf_low", "conf_high"))
    step = t * curve["std_error"] / curve["estimate"] / H
    assert [np.log(low / H), np.log(H / high)] == pytest.approx([step, step])
    if model == "FineGray":
        return
    risks = risk_difference(fit, "treated", 1.0, level=level).set_index("term")
    ratio = risks.loc["risk ratio"]
    width = np.log(ratio["conf_high"] / ratio["conf_low"])
    assert width == pytest.approx(2 * t * ratio["std_error"])
    z = np.log(ratio["estimate"]) / ratio["std_error"]
    assert ratio["p_value"] == pytest.approx(2 * stats.t.sf(abs(z), clusters - 1))
    times = restricted_mean_difference(fit, "treated", 1.0, level=level).set_index("term")
    ratio = times.loc["mean time ratio"]
    width = np.log(ratio["conf_high"] / ratio["conf_low"])
    assert width == pytest.approx(2 * t * ratio["std_error"])
    survival = standardised_survival(fit, "treated", [1.0], level=level)
    logit = special.logit(survival[["estimate", "conf_high"]].to_numpy())
    slope = survival["estimate"] * (1 - survival["estimate"])
    np.testing.assert_allclose(logit[:, 1] - logit[:, 0], t * survival["std_error"] / slope)
    if model == "Hazard":
        shape = fit.variance_table(level).iloc[0]
        assert shape["conf_high"] - shape["estimate"] == pytest.approx(t * shape["std_error"])


@pytest.mark.parametrize("between", [False, True])
def test_a_ratio_over_time_has_the_clusters_of_its_term(between):
    """Cut at a time, a treatment of whole clusters seems to differ within them."""
    data = cohort(6, np.random.default_rng(7), between=between)
    fit = CoxPH(LEFT + "treated + age + cluster(site)", data).fit()
    df = fit.tidy()["df"].iloc[0]
    assert df == (4 if between else 5)
    for how in ({"cuts": [0.4]}, {"times": [0.2, 1.0]}):
        found = fit.hazard_ratio_over_time("treated", **how)
        table = found.attrs["coefficients"]
        assert (table["df"].iloc[:2] == df).all()
        width = np.log(found["conf_high"] / found["conf_low"])
        t = stats.t.ppf(0.975, df)
        if "cuts" in how:
            np.testing.assert_allclose(width, 2 * t * table["std_error"].iloc[:2])
        else:
            assert found.attrs["statistic"] == pytest.approx(table["statistic"].iloc[1] ** 2)
            assert found.attrs["p_value"] == pytest.approx(table["p_value"].iloc[1])
    two = data.assign(site=data["treated"])
    fit = CoxPH(LEFT + "treated + age + cluster(site)", two).fit()
    if between:
        with pytest.raises(EstimationError, match="do not determine treated"):
            fit.hazard_ratio_over_time("treated", cuts=[0.4])


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_tests_that_take_rows_for_independent_have_no_p_value(copies):
    """Copies of patients are no further patients: the robust Wald test does not move."""
    data = cohort(60, np.random.default_rng(8), per=2).assign(row=np.arange(120))
    table = pd.concat([data] * copies, ignore_index=True).assign(who=lambda d: d.index)
    spec = CoxPH(LEFT + "treated + age + cluster(row)", table, ties="breslow", patient="who")
    found = spec.fit().global_tests().set_index("test")["p_value"]
    alone = CoxPH(LEFT + "treated + age + cluster(row)", data, ties="breslow").fit()
    assert found["Wald"] == pytest.approx(alone.global_tests()["p_value"][1], rel=1e-6)
    assert found.drop("Wald").isna().all()
    plain = CoxPH(LEFT + "treated + age", data).fit().global_tests()
    assert plain["p_value"].notna().all()
