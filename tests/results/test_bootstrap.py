"""The parametric bootstrap against what theory says of a balanced design, and its bookkeeping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.errors import LongsurvError
from longsurv.models import LMM
from longsurv.results import bootstrap as module
from longsurv.results.bootstrap import bootstrap, parameters
from longsurv.results.simulated import refit, simulator


@pytest.fixture(scope="module")
def boot(fits):
    return bootstrap(fits("sleepstudy_intercept"), replicates=200, seed=7)


def days_ratio(fit) -> dict[str, float]:
    return {"ratio": fit.coefficients[1] / fit.coefficients[0]}


def test_simulated_measurements_have_the_mean_and_covariance_of_the_model(fits):
    fit = fits("gaps")
    d = fit.design
    V = (d.group[:, None] == d.group) * (d.Z @ fit.random_cov.to_numpy() @ d.Z.T)
    V += fit.sigma**2 * np.eye(len(V))
    rng = np.random.default_rng(0)
    draw = simulator(fit)
    y = np.array([draw(rng) for _ in range(4000)])
    sd = np.sqrt(np.diag(V))
    assert np.abs((y.mean(axis=0) - d.fixed.X @ fit.coefficients) / sd * np.sqrt(4000)).max() < 4.5
    wrong = (np.cov(y, rowvar=False) - V) / np.outer(sd, sd)
    assert np.abs(wrong).max() < 0.1
    assert np.abs(wrong.mean()) < 0.002


def test_refitting_other_measurements_is_fitting_them(fits, table):
    fit = fits("sleepstudy")
    y = simulator(fit)(np.random.default_rng(3))
    again = refit(fit, y)
    direct = LMM("y ~ Days + (Days | Subject)", table("sleepstudy").assign(y=y)).fit()
    np.testing.assert_allclose(parameters(again), parameters(direct), rtol=1e-9)
    assert again.reference.method == fit.reference.method
    assert fit.design.y is fits("sleepstudy").design.y and not np.array_equal(fit.design.y, y)


def test_spread_and_intervals_agree_with_theory(boot, fits):
    """Balanced, normal: coefficients are exactly normal with the usual covariance."""
    fit = fits("sleepstudy_intercept")
    table = boot.tidy().set_index("term")
    se = fit.bse
    for name in fit.names:
        assert table.loc[name, "std_error"] == pytest.approx(se[name], rel=0.15)
        assert abs(boot.bias[name]) < 4 * se[name] / np.sqrt(200)
        assert table.loc[name, "conf_low"] == pytest.approx(
            fit.params[name] - 1.96 * se[name], abs=0.5 * se[name]
        )
    # (n - p - N + 1) s^2 / sigma^2 is chi-squared: the residual SD hardly strays.
    df = 180 - 18 - 1
    assert table.loc["sigma", "std_error"] == pytest.approx(fit.sigma / np.sqrt(2 * df), rel=0.15)


def test_basic_intervals_are_percentile_ones_reflected(boot):
    p, b = boot.tidy(), boot.tidy(kind="basic")
    np.testing.assert_allclose(b["conf_low"], 2 * p["estimate"] - p["conf_high"])
    np.testing.assert_allclose(b["conf_high"], 2 * p["estimate"] - p["conf_low"])
    q = np.quantile(boot.draws["sigma"], [0.05, 0.95])
    np.testing.assert_allclose(
        boot.tidy(0.9).set_index("term").loc["sigma", ["conf_low", "conf_high"]].to_list(), q
    )


def test_draws_do_not_depend_on_the_number_of_processes(fits):
    fit = fits("sleepstudy_intercept")
    one = bootstrap(fit, replicates=12, seed=3)
    two = bootstrap(fit, replicates=12, seed=3, n_jobs=2)
    pd.testing.assert_frame_equal(one.draws, two.draws)
    # Nor do the first ones on how many follow.
    more = bootstrap(fit, replicates=14, seed=3)
    pd.testing.assert_frame_equal(one.draws, more.draws.iloc[:12])
    assert not one.draws.equals(bootstrap(fit, replicates=12, seed=4).draws)


def test_any_estimand_will_do(fits):
    fit = fits("sleepstudy_intercept")
    full = bootstrap(fit, replicates=10, seed=2)
    ratio = bootstrap(fit, days_ratio, replicates=10, seed=2)
    np.testing.assert_allclose(ratio.draws["ratio"], full.draws["Days"] / full.draws["Intercept"])
    number = bootstrap(fit, lambda f: days_ratio(f)["ratio"], replicates=10, seed=2)
    np.testing.assert_allclose(number.draws["estimate"], ratio.draws["ratio"])
    table = bootstrap(fit, lambda f: f.contrast({"Days": 3.0}), replicates=10, seed=2)
    np.testing.assert_allclose(table.draws["3*Days"], 3 * full.draws["Days"])
    assert table.estimate["3*Days"] == pytest.approx(3 * fit.coefficients[1])


def test_failures_are_counted_and_told(fits, monkeypatch):
    fit = fits("sleepstudy_intercept")
    calls = iter(range(100))

    def sometimes(result, y):
        k = next(calls)
        if k % 5 == 0:
            raise LongsurvError("no luck")
        again = refit(result, y)
        stuck = replace(again.optimum, status="stopped early")
        return replace(again, optimum=stuck) if k % 5 == 1 else again

    monkeypatch.setattr(module, "refit", sometimes)
    found = bootstrap(fit, replicates=20, seed=1)
    assert sorted(set(found.failures)) == ["no luck", "stopped early"]
    assert (len(found.draws), len(found.failures), found.replicates) == (12, 8, 20)
    assert "8 of which could not be fitted" in repr(found)
    monkeypatch.setattr(
        module, "refit", lambda result, y: (_ for _ in ()).throw(LongsurvError("never"))
    )
    with pytest.raises(LongsurvError, match=r"10 of 10.*never"):
        bootstrap(fit, replicates=10)


def test_a_zero_variance_stays_near_zero(fits):
    draws = bootstrap(fits("dyestuff2"), replicates=60, seed=1).draws["sd(Intercept|Batch)"]
    assert (draws >= 0).all() and (draws == 0).mean() > 0.3


def test_wrong_arguments_are_refused(boot, fits):
    with pytest.raises(LongsurvError, match="kind"):
        boot.tidy(kind="bca")
    with pytest.raises(LongsurvError, match="replicates"):
        bootstrap(fits("sleepstudy"), replicates=1)
    with pytest.raises(LongsurvError, match="term and estimate"):
        bootstrap(fits("sleepstudy"), lambda f: f.glance(), replicates=2)


@pytest.mark.parametrize("model", ["nested", "repeated"])
def test_nested_groups_and_correlated_residuals_are_simulated(table, model):
    """Over many draws the patients' sums vary as the model says."""
    if model == "nested":
        fit = LMM("y ~ time + (1 | site/id)", table("sites")).fit()
        unit = fit.spec.data["site"]
    else:
        residual = Residual("unstructured", "visit", "patient")
        fit = LMM("y ~ C(visit)", table("visits"), residual).fit()
        unit = fit.spec.data["patient"]
    d = fit.design
    one = (unit == unit.iloc[0]).to_numpy()
    weights = np.where(one, 1.0, 0.0)
    if model == "nested":
        named = dict(zip(fit.variance.names, fit.variance.values, strict=True))
        sizes = fit.spec.data.loc[one, "id"].value_counts().to_numpy()
        expected = named["sd(Intercept|site)"] ** 2 * one.sum() ** 2
        expected += named["sd(Intercept|site:id)"] ** 2 * (sizes**2).sum()
        expected += fit.sigma**2 * one.sum()
    else:
        visits = fit.spec.data.loc[one, "visit"]
        expected = fit.visit_cov.loc[visits, visits].to_numpy().sum()
    draw, rng = simulator(fit), np.random.default_rng(5)
    sums = np.array([weights @ (draw(rng) - d.fixed.X @ fit.coefficients) for _ in range(3000)])
    assert sums.var() == pytest.approx(expected, rel=0.1)
    assert abs(sums.mean()) < 4 * np.sqrt(expected / 3000)
    again = bootstrap(fit, replicates=3, seed=1)
    assert list(again.draws.columns) == [*fit.names, *fit.variance.names]
