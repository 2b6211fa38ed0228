"""Responses drawn from a fitted generalised mixed model, refits, and quantile residuals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv.diagnostics.quantile_residuals import drawn_effects
from longsurv.errors import EstimationError, LongsurvError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.models import GLMM
from longsurv.results.simulated import simulator

FORMULA = "y ~ t * treated + (1 | id)"
COUNTS = ("poisson", "negative_binomial", "nbinom1")
PARAMETERS = {
    "bernoulli": [], "ordinal": [-0.5, 0.2, -0.3], "censored": [-0.4], "student": [-0.4, 0.2],
    "poisson": [], "negative_binomial": [0.5], "nbinom1": [0.8],
}  # fmt: skip


def rows(family: str, patients: int = 200, seed: int = 3, spread: float = 0.7) -> pd.DataFrame:
    """Four visits of each patient, in no order."""
    rng = np.random.default_rng(seed)
    group, t = np.repeat(np.arange(patients), 4), np.tile(np.arange(4.0), patients)
    treated = group % 2.0
    eta = 0.6 + 0.2 * t - 0.3 * treated - 0.2 * t * treated
    eta += spread * rng.standard_normal(patients)[group]
    own = np.array(PARAMETERS[family])
    if family == "ordinal":
        eta -= 0.6
    y = FAMILIES[family].replicate(eta, own, np.nan, rng)
    data = pd.DataFrame({"id": group, "t": t, "treated": treated, "y": y})
    if family == "censored":
        data["kind"] = np.where(y < 0.0, "left", np.where(y > 2.0, "right", "none"))
        data["y"] = np.clip(y, 0.0, 2.0)
    return data.sample(frac=1.0, random_state=seed)


def model(family: str, data: pd.DataFrame, nodes: int = 9) -> GLMM:
    return GLMM(FORMULA, data, family, nodes, "kind" if family == "censored" else None)


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def get(family: str):
        if family not in made:
            made[family] = model(family, rows(family)).fit()
        return made[family]

    return get


def test_quantile_residuals_stay_in_their_bands_where_the_model_is_right(fitted):
    """And not where it is wrong: values with heavy tails as if they were normal."""
    fit = fitted("censored")
    curve, bands = fit.qq(), fit.residual_bands()
    assert set(curve["of"]) == {"quantile"} and set(curve["unit"]) == set(fit.spec.data.index)
    by_unit = curve.set_index("unit")["observed"]
    np.testing.assert_allclose(by_unit[fit.spec.data.index], fit.residuals(seed=1)["quantile"])
    # One in twenty is outside somewhere, whatever the model: the bands hold 95 % of them.
    few = {"simulations": 200}
    asked = [(fit.qq(seed=k, **few), fit.residual_bands(seed=k, **few)) for k in range(1, 21)]
    for drawn in zip(*asked, strict=True):
        within = [table["observed"].between(table["low"], table["high"]).all() for table in drawn]
        assert np.mean(within) >= 0.85
    assert bands["n"].sum() == 2 * fit.nobs
    data = rows("censored").assign(y=lambda d: d["y"] ** 3, kind="none")
    wrong = model("censored", data).fit()
    curve = wrong.qq()
    assert not curve["observed"].between(curve["low"], curve["high"]).all()
    with pytest.raises(LongsurvError, match="bins are at least two"):
        fit.residual_bands(bins=1)
    with pytest.raises(LongsurvError, match="simulations enough"):
        fit.qq(simulations=10)


def everything(fit) -> np.ndarray:
    return np.concatenate([fit.coefficients, fit.variance.values])


@pytest.mark.parametrize("family", FAMILIES)
def test_refitting_the_same_responses_is_the_fit_bit_for_bit(fitted, family):
    fit = fitted(family)
    again = fit.refit(fit.spec.data["y"])
    np.testing.assert_array_equal(again.theta, fit.theta)
    assert again.llf == fit.llf and again.flags == fit.flags
    np.testing.assert_array_equal(again.reference.cov, fit.reference.cov)
    assert again.tidy().equals(fit.tidy())


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_simulated_gives_the_parameters_back(fitted, family):
    fit = fitted(family)
    drawn = fit.simulate(2, seed=5)
    assert list(drawn.columns) == ["simulation_1", "simulation_2"]
    assert drawn.index.equals(fit.spec.data.index)
    pd.testing.assert_series_equal(fit.simulate(1, seed=5)["simulation_1"], drawn["simulation_1"])
    again = fit.refit(drawn["simulation_1"])
    table = fit.variance_table().set_index("term")["std_error"]
    errors = np.concatenate([fit.bse.to_numpy(), table.to_numpy()])
    known = np.isfinite(errors)
    assert known.sum() >= len(fit.names) + 1
    away = np.abs(everything(again) - everything(fit))[known] / errors[known]
    assert away.max() < 4.0
    direct = fit.spec.with_data(_with(fit, drawn["simulation_1"])).fit()
    np.testing.assert_allclose(again.coefficients, direct.coefficients, rtol=1e-5, atol=1e-7)


def _with(fit, y: pd.Series) -> pd.DataFrame:
    data = fit.spec.data.assign(y=y)
    if "kind" in data:
        kind = np.where(y < 0.0, "left", np.where(y > 2.0, "right", "none"))
        data = data.assign(kind=kind, y=y.clip(0.0, 2.0))
    return data


def test_moments_of_what_is_simulated(fitted):
    """Mean and variance of counts over patients, in closed form."""
    fit = fitted("negative_binomial")
    draw, rng, d = simulator(fit), np.random.default_rng(0), fit.design
    y = np.array([draw(rng) for _ in range(3000)])
    tau2 = float(fit.random_cov.to_numpy()[0, 0])
    theta = fit.variance.values[0]
    mu = np.exp(d.fixed.X @ fit.coefficients + tau2 / 2)
    variance = mu + mu**2 * (np.exp(tau2) * (1 + 1 / theta) - 1)
    assert np.abs((y.mean(axis=0) - mu) / np.sqrt(variance / 3000)).max() < 4.8
    assert y.var(axis=0).mean() == pytest.approx(variance.mean(), rel=0.05)
    first = d.group == d.group[0]
    pairs = np.cov(y[:, first], rowvar=False)[0, 1]
    expected = mu[first][0] * mu[first][1] * (np.exp(tau2) - 1)
    assert pairs == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize("family", FAMILIES)
def test_cumulative_probabilities_are_those_of_what_is_drawn(family):
    own, rng = np.array(PARAMETERS[family]), np.random.default_rng(2)
    eta = np.full(40_000, 0.4)
    y = FAMILIES[family].replicate(eta, own, np.nan, rng)
    for value in np.quantile(y, [0.2, 0.5, 0.9]):
        at = np.full(1, value)
        below, above = FAMILIES[family].cumulative(at, eta[:1], own, np.nan)
        assert below[0] == pytest.approx((y <= value).mean(), abs=0.012)
        assert below[0] + above[0] == pytest.approx(1.0, abs=1e-12)
    if not FAMILIES[family].measured:
        assert FAMILIES[family].cumulative(np.full(1, -1.0), eta[:1], own, np.nan) == (0.0, 1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_quantile_residuals_are_standard_normal_under_the_model(fitted, family):
    fit = fitted(family)
    table = fit.residuals(seed=2)
    assert table.index.equals(fit.spec.data.index)
    r = table["quantile"]
    assert np.isfinite(r).all()
    assert stats.kstest(r, "norm").pvalue > 0.001
    by = r.groupby(table["id"]).mean() * 2.0
    assert by.std() == pytest.approx(1.0, abs=0.2)
    assert not r.equals(fit.residuals(seed=3)["quantile"])
    pd.testing.assert_series_equal(r, fit.residuals(seed=2)["quantile"])


@pytest.mark.parametrize("wrong", ["overdispersion", "tails"])
def test_quantile_residuals_see_what_a_model_leaves_out(wrong):
    if wrong == "overdispersion":
        data = rows("negative_binomial", seed=8)
        ignoring = model("poisson", data).fit()
        right = model("negative_binomial", data).fit()
    else:
        data = rows("student", seed=8).assign(y=lambda d: d["y"].round(3))
        rng = np.random.default_rng(1)
        data["y"] += 3.0 * rng.standard_t(2, len(data)) * (rng.random(len(data)) < 0.3)
        ignoring = model("censored", data.assign(kind="none")).fit()
        right = model("student", data).fit()
    p = {
        name: stats.kstest(fit.residuals()["quantile"], "norm").pvalue
        for name, fit in (("ignoring", ignoring), ("right", right))
    }
    assert p["ignoring"] < 1e-4 < 0.005 < p["right"]


def test_effects_are_drawn_from_their_distribution_given_the_data(fitted):
    fit = fitted("bernoulli")
    rng = np.random.default_rng(6)
    drawn = np.stack([drawn_effects(fit.data, fit.theta, rng).own[:, 0] for _ in range(100)])
    drawn *= fit.data.effects[0, 0]
    table = fit.ranef()
    away = (drawn.mean(axis=0) - table["estimate"]) / table["std_error"] * np.sqrt(100)
    assert np.abs(away).max() < 4.5
    assert (drawn.std(axis=0) / table["std_error"]).mean() == pytest.approx(1.0, abs=0.03)


def test_fitted_and_residual_are_of_the_response(fitted):
    for family in ("poisson", "censored", "ordinal"):
        fit = fitted(family)
        table = fit.residuals()
        if family == "ordinal":
            assert list(table.columns) == ["id", "quantile"]
            continue
        same = fit.predict(by_patient=True, type="response")["estimate"].to_numpy()
        np.testing.assert_allclose(table["fitted"], same)
        whole = table["fitted"] + table["residual"]
        measured = fit.design.extent == 0.0
        np.testing.assert_allclose(whole[measured], fit.design.y[measured])
        assert whole[~measured].isna().all()


def test_bootstrap_of_counts(fitted):
    fit = fitted("poisson")
    boot = fit.bootstrap(replicates=16, seed=2)
    assert list(boot.estimate.index) == [*fit.names, *fit.variance.names]
    table = boot.tidy().set_index("term")
    ratio = table.loc[list(fit.names), "std_error"] / fit.bse
    assert (ratio - 1.0).abs().max() < 0.6
    assert (boot.bias[list(fit.names)] / fit.bse * np.sqrt(16)).abs().max() < 4.0


def test_categories_are_those_of_the_data(fitted):
    words = ["bad", "poor", "fair", "good"]
    data = rows("ordinal")
    column = pd.Categorical.from_codes(data["y"].astype(int), words, ordered=True)
    fit = model("ordinal", data.assign(y=column)).fit()
    np.testing.assert_array_equal(fit.coefficients, fitted("ordinal").coefficients)
    drawn = fit.simulate(1)["simulation_1"]
    codes = fitted("ordinal").simulate(1)["simulation_1"].astype(int)
    assert list(drawn) == [words[k] for k in codes]
    assert fit.refit(drawn).llf == fitted("ordinal").refit(codes).llf
    with pytest.raises(LongsurvError, match="'best', which is no category of the fit"):
        fit.refit(drawn.where(drawn.index != drawn.index[0], "best"))
    with pytest.raises(LongsurvError, match="no response is bad, and the thresholds"):
        fit.refit(drawn.replace("bad", "poor"))
    with pytest.raises(LongsurvError, match="missing or not finite"):
        fit.refit(drawn.where(drawn.index != drawn.index[0], None))


def test_what_a_refit_draws_has_the_categories_of_the_data():
    """Whatever was put in place of them: the same numbers, named, draw the same names."""
    data = rows("ordinal", patients=60)
    names = np.array(["bad", "fair", "good", "best"])
    values = np.unique(data["y"])
    coded = np.searchsorted(values, data["y"])
    kinds = names[: len(values)]
    named = data.assign(y=pd.Categorical.from_codes(coded, kinds, ordered=True))
    fit, plain = model("ordinal", named).fit(), model("ordinal", data.assign(y=coded)).fit()
    new = plain.simulate(1, seed=7)["simulation_1"].astype(int)
    assert (new.to_numpy() != coded).any()
    again, same = fit.refit(pd.Series(kinds[new], index=new.index)), plain.refit(new)
    stream = np.random.default_rng(np.random.SeedSequence(2).spawn(1)[0])
    drawn = simulator(same)(stream).astype(int)  # by number, whatever they are called
    assert (again.simulate(1, seed=2)["simulation_1"] == kinds[drawn]).all()


def test_wrong_responses_are_refused(fitted):
    fit = fitted("poisson")
    y = fit.simulate(1)["simulation_1"]
    with pytest.raises(LongsurvError, match="a count is a whole number"):
        fit.refit(y + 0.5)
    with pytest.raises(LongsurvError, match="indexed otherwise"):
        fit.refit(y.sort_index())
    with pytest.raises(LongsurvError, match="has the shape"):
        fit.refit(y.to_numpy()[1:])
    with pytest.raises(LongsurvError, match="one number a measurement"):
        fit.refit(["few"] * len(y))
    with pytest.raises(LongsurvError, match="n is the number of data sets"):
        fit.simulate(0)


def test_limits_that_differ_are_not_guessed():
    data = rows("censored", 40)
    for column, change in (
        ("y", data["y"].where(data.index != data.index[data["kind"] == "left"][0], -0.2)),
        ("y", data["y"].where(data.index != data.index[data["kind"] == "none"][0], -3.0)),
    ):
        fit = model("censored", data.assign(**{column: change})).fit()
        drawn = fit.simulate(1)["simulation_1"]
        with pytest.raises(LongsurvError, match="more than one limit on a side"):
            fit.refit(drawn)
        np.testing.assert_array_equal(fit.refit(fit.spec.data["y"]).theta, fit.theta)
    between = data.assign(kind=data["kind"].replace("right", "interval"), upper=9.0)
    fit = GLMM(FORMULA, between, "censored", 5, "kind", upper="upper").fit()
    with pytest.raises(LongsurvError, match="between which limits"):
        fit.refit(fit.simulate(1)["simulation_1"])
    assert np.isfinite(fit.residuals()["quantile"]).all()


def test_answers_do_not_depend_on_the_order_of_rows(fitted):
    fit = fitted("poisson")
    other = fit.spec.with_data(fit.spec.data.sort_index()).fit()
    mine, theirs = fit.residuals(seed=4), other.residuals(seed=4)
    np.testing.assert_allclose(mine["fitted"], theirs.loc[mine.index, "fitted"], rtol=1e-4)


def test_answers_do_not_depend_on_units(fitted):
    fit = fitted("censored")
    data, sides = fit.spec.data, {"none": "none", "left": "right", "right": "left"}
    mirrored = data.assign(y=40.0 - 7.0 * data["y"], kind=data["kind"].map(sides))
    other = fit.spec.with_data(mirrored).fit()
    mine, theirs = fit.residuals(seed=4), other.residuals(seed=4)
    np.testing.assert_allclose(theirs["fitted"], 40.0 - 7.0 * mine["fitted"], rtol=1e-4)
    measured = fit.design.extent == 0.0
    # The draws of the random effects are mirrored only in distribution.
    away = np.abs(theirs["quantile"] + mine["quantile"])[measured]
    assert away.mean() < 1.5 and stats.kstest(theirs["quantile"], "norm").pvalue > 0.001


def test_offsets_and_slopes_are_drawn_with(fitted):
    data = rows("poisson").assign(days=lambda d: 1.0 + d["t"])
    formula = "y ~ treated + offset(log(days)) + (t | id)"
    fit = GLMM(formula, data, "poisson", 5).fit()
    y = np.array([simulator(fit)(np.random.default_rng(k)) for k in range(500)])
    d, D = fit.design, fit.random_cov.to_numpy()
    eta = d.offsets + d.fixed.X @ fit.coefficients
    mu = np.exp(eta + 0.5 * np.einsum("nq,qr,nr->n", d.Z, D, d.Z))
    assert (y.mean(axis=0) / mu).mean() == pytest.approx(1.0, abs=0.02)


def test_a_climb_that_stopped_is_not_called_flat(fitted):
    """Where it stopped the likelihood may look flat; what is said is that it did not arrive."""
    fit = fitted("poisson")
    stopped = replace(
        fit.optimum, status="stopped early", hessian=np.zeros_like(fit.optimum.hessian)
    )
    with pytest.raises(EstimationError, match=r"not arrived at a maximum: stopped early"):
        fit.spec.estimate(stopped)
