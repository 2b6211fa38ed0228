"""Residual SDs by group and precision weights, against R and dense computations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv import Residual
from longsurv.errors import DataError, EstimationError, FormulaError, LongsurvError
from longsurv.models import LMM

DAY = "y ~ day * arm"
SIX_DIGITS = {"rtol": 1e-6, "atol": 0.0}


@pytest.fixture(scope="module")
def visits(table):
    data = table("visits")
    arm = pd.Categorical(data["arm"], ["control", "active"])
    w = 1.0 + data["visit"] % 3
    return data.assign(arm=arm, w=w)


def by_arm(kind="independent", heterogeneous=None, apart=False):
    return Residual(kind, "visit", "patient", heterogeneous, by="arm", apart=apart)


MODELS = {
    "group_intercept": (DAY + " + (1 | patient)", by_arm(), None),
    "group_ar1": (DAY, by_arm("ar1"), None),
    "apart_ar1": (DAY, by_arm("ar1", apart=True), None),
    "group_cells_cs": (DAY, by_arm("cs", True), None),
    "weighted_intercept": (DAY + " + (1 | patient)", Residual(), "w"),
    "weighted_ar1": (DAY, Residual("ar1", "visit", "patient"), "w"),
    "weighted_group_intercept": (DAY + " + (1 | patient)", by_arm(), "w"),
}


@pytest.fixture(scope="module")
def specs(visits):
    return {
        name: LMM(formula, visits, residual, weights=weights)
        for name, (formula, residual, weights) in MODELS.items()
    }


def in_order(reference: dict[str, float]) -> np.ndarray:
    return np.array(list(reference.values()))


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", MODELS)
def test_against_r(specs, r_results, name, method):
    fit = specs[name].fit(method, "normal")

    def reference(quantity: str) -> dict[str, float]:
        return r_results("lmm_heteroscedastic", f"{name}_{method.lower()}", quantity)

    assert fit.converged and not fit.flags
    assert fit.llf == pytest.approx(in_order(reference("loglik"))[0], rel=1e-9)
    np.testing.assert_allclose(fit.coefficients, in_order(reference("coef")), **SIX_DIGITS)
    np.testing.assert_allclose(fit.bse, in_order(reference("se")), **SIX_DIGITS)
    found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    for term, value in reference("covariance_parameter").items():
        what, _, of = term.partition(" ")
        cell = ", ".join(of.split("."))
        ours = {"sd": f"sigma({cell})" if of else "sigma", "rho": f"rho({of})" if of else "rho"}[
            what
        ]
        ours = "sd(Intercept|patient)" if of == "patient" else ours
        assert found[ours] == pytest.approx(value, rel=2e-6), term
    assert np.isfinite(fit.variance.std_error).all()


@pytest.mark.parametrize("name", MODELS)
def test_small_samples_against_r(specs, r_results, name):
    def reference(quantity: str) -> np.ndarray:
        return in_order(r_results("lmm_heteroscedastic", f"{name}_reml", quantity))

    own = specs[name].fit(df="kenward-roger").tidy()
    np.testing.assert_allclose(own["std_error"], reference("kr_se"), **SIX_DIGITS)
    np.testing.assert_allclose(own["df"], reference("kr_df"), rtol=5e-6)
    df = specs[name].fit(df="satterthwaite").tidy()["df"]
    np.testing.assert_allclose(df, reference("satterthwaite_df"), rtol=1e-5)


def test_all_apart_is_a_model_for_each_arm(visits, r_results):
    """What mmrm fits as us(visit | arm / patient)."""
    fit = LMM(DAY, visits, by_arm("unstructured", apart=True)).fit("ML", "normal")
    expected = r_results("lmm_heteroscedastic", "apart_unstructured_ml", "loglik")[""]
    assert fit.llf == pytest.approx(expected, rel=1e-7)
    for arm, rows in visits.groupby("arm", observed=True):
        alone = LMM("y ~ day", rows, Residual("unstructured", "visit", "patient")).fit(
            "ML", "normal"
        )
        np.testing.assert_allclose(fit.visit_cov.loc[arm], alone.visit_cov, rtol=2e-4)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_crossed_groupings_take_weights(table, r_results, method):
    data = table("penicillin")
    data = data.assign(w=1.0 + np.arange(1, len(data) + 1) % 3)
    fit = LMM("diameter ~ 1 + (1 | plate) + (1 | sample)", data, weights="w").fit(method, "normal")

    def reference(quantity: str) -> dict[str, float]:
        return r_results("lmm_heteroscedastic", f"weighted_penicillin_{method.lower()}", quantity)

    assert fit.llf == pytest.approx(in_order(reference("loglik"))[0], rel=1e-9)
    np.testing.assert_allclose(fit.bse, in_order(reference("se")), **SIX_DIGITS)
    found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    for term, value in reference("covariance_parameter").items():
        ours = "sigma" if term == "sd" else f"sd(Intercept|{term.split('.')[0]})"
        assert found[ours] == pytest.approx(value, rel=2e-6)


def test_weights_of_one_value_change_sigma_alone(visits):
    plain = LMM(DAY + " + (1 | patient)", visits).fit()
    same = LMM(DAY + " + (1 | patient)", visits.assign(w=4.0), weights="w").fit()
    assert same.llf == pytest.approx(plain.llf, rel=1e-10)
    assert same.sigma == pytest.approx(2.0 * plain.sigma, rel=1e-7)
    np.testing.assert_allclose(same.tidy()["p_value"], plain.tidy()["p_value"], rtol=1e-6)


def test_a_mean_of_two_readings_weighs_twice(visits):
    """Two readings a visit, or their mean of weight 2: the likelihoods differ by a constant."""
    rng = np.random.default_rng(1)
    readings = visits.loc[visits.index.repeat(2)].reset_index(drop=True)
    readings["y"] += rng.normal(0.0, 0.3, len(readings))
    means = readings.groupby(["patient", "visit"], sort=False).agg(
        y=("y", "mean"), day=("day", "first"), arm=("arm", "first")
    ).reset_index().assign(w=2.0)  # fmt: skip
    spec = LMM("y ~ day * arm + (1 | patient)", means, weights="w")
    both = LMM("y ~ day * arm + (1 | patient)", readings)
    theta = np.r_[10.0, -0.2, 0.1, 0.0, np.log(0.4), np.log(1.2)]
    points = (theta, theta + np.r_[0.1, 0.02, 0.1, 0.01, 0.0, 0.3])
    gaps = [both.sampled.loglik(t)[0] - spec.sampled.loglik(t)[0] for t in points]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-9)


@pytest.mark.parametrize("name", ["group_intercept", "weighted_group_intercept"])
def test_predictions_against_dense_ones(specs, name):
    fit = specs[name].fit("ML", "normal")
    d, found = fit.spec.data, dict(zip(fit.variance.names, fit.variance.values, strict=True))
    spread = np.array([found[f"sigma({arm})"] ** 2 for arm in d["arm"]])
    spread = spread / (d["w"].to_numpy() if fit.design.weights is not None else 1.0)
    same = d["patient"].to_numpy()[:, None] == d["patient"].to_numpy()
    D = found["sd(Intercept|patient)"] ** 2
    W = np.linalg.inv(D * same + np.diag(spread))
    X = fit.design.fixed.X
    r = d["y"] - X @ fit.coefficients
    own = fit.predict(by_patient=True)
    np.testing.assert_allclose(own["estimate"], X @ fit.coefficients + D * same @ W @ r, rtol=1e-9)
    new = fit.predict(interval="prediction")["std_error"]
    phi = np.linalg.inv(X.T @ W @ X)
    total = np.einsum("ij,jk,ik->i", X, phi, X) + D + spread
    np.testing.assert_allclose(new, np.sqrt(total), rtol=1e-7)
    white = fit.residuals()
    assert white["scaled"].var() == pytest.approx(1.0, rel=0.05)
    np.testing.assert_allclose(
        white["residual"] / white["standardised"], np.sqrt(spread), rtol=1e-7
    )


@pytest.mark.parametrize("name", ["weighted_intercept", "weighted_group_intercept"])
def test_influence_and_profiles_know_the_weights(specs, name):
    fit = specs[name].fit("ML", "normal")
    patient = fit.design.labels[3]
    without = fit.spec.with_data(fit.spec.data.query("patient != @patient")).fit("ML", "normal")
    terms = fit.influence().terms
    found = terms[terms["patient"] == patient]["estimate"]
    np.testing.assert_allclose(found, without.coefficients, rtol=1e-6)
    limits = fit.profile("day").iloc[0]
    assert limits["conf_low"] < fit.params["day"] < limits["conf_high"]
    if fit.design.weights is not None and fit.design.residual is None:
        limits = fit.profile("sigma").iloc[0]
        assert limits["conf_low"] < fit.sigma < limits["conf_high"]


def test_simulations_have_the_spread_of_their_group(specs):
    fit = specs["weighted_group_intercept"].fit()
    draws = fit.simulate(400, seed=1).to_numpy()
    d = fit.spec.data
    found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    variance = (
        found["sd(Intercept|patient)"] ** 2
        + np.array([found[f"sigma({arm})"] ** 2 for arm in d["arm"]]) / d["w"].to_numpy()
    )
    np.testing.assert_allclose(draws.var(axis=1) / variance, 1.0, atol=0.35)
    assert (draws.var(axis=1) / variance).mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (0.0, "row at index 7 is 0"),
        (-1.0, "row at index 7 is -1"),
        (np.nan, "row at index 7 is missing"),
        (np.inf, "row at index 7 is inf"),
    ],
)
def test_a_weight_that_is_none_is_answered_with_its_row(visits, weights, says):
    wrong = visits.copy()
    wrong.loc[7, "w"] = weights
    with pytest.raises(DataError, match=says):
        LMM(DAY + " + (1 | patient)", wrong, weights="w").fit()


def test_what_is_not_determined_is_refused(visits):
    formula = DAY + " + (1 | patient)"
    with pytest.raises(FormulaError, match="weights='v'"):
        LMM(formula, visits, weights="v").fit()
    with pytest.raises(DataError, match="numbers"):
        LMM(formula, visits, weights="arm").fit()
    alone = visits.assign(lab=np.where(np.arange(len(visits)) == 4, "b", "a"))
    with pytest.raises(DataError, match="b has one row"):
        LMM(formula, alone, Residual(by="lab")).fit()
    with pytest.raises(DataError, match="one value only"):
        LMM(formula, visits.assign(lab="a"), Residual(by="lab")).fit()
    late = visits[(visits["arm"] == "active") | (visits["visit"] < 5)]
    with pytest.raises(DataError, match="control has 0 rows at visit 5"):
        LMM(DAY, late, by_arm("unstructured")).fit()
    labs = visits.assign(lab=np.where(visits["visit"] < 3, "a", "b"))
    with pytest.raises(DataError, match="several groups of lab"):
        LMM(DAY, labs, Residual("ar1", "visit", "patient", by="lab", apart=True)).fit()
    with pytest.raises(LongsurvError, match="column of the groups"):
        Residual("ar1", "visit", apart=True)
    exact = labs.assign(y=np.where(labs["lab"] == "a", 5.0, labs["y"]))
    with pytest.raises(EstimationError, match="of lab a"):
        LMM("y ~ lab", exact, Residual(by="lab", patient="patient")).fit()
    crossed = visits.assign(rater=np.arange(len(visits)) % 3)
    with pytest.raises(DataError, match="differ in spread"):
        LMM(formula + " + (1 | rater)", crossed, by_arm()).fit()
    fit = LMM(formula, labs, Residual(by="lab"), weights="w").fit()
    with pytest.raises(DataError, match="has not seen it"):
        fit.predict(labs.assign(lab="other"), interval="prediction")
    with pytest.raises(DataError, match="needs the column 'lab'"):
        fit.predict(visits, interval="prediction")


class TestBayes:
    @pytest.mark.parametrize("name", ["group_ar1", "apart_ar1", "group_cells_cs", "weighted_ar1"])
    def test_the_twin_has_the_same_density(self, specs, name):
        spec = specs[name]
        stack, model = spec.prior_stack(None), spec.to_pymc()
        logp = model.compile_logp(mode="FAST_COMPILE")

        def ours(theta):
            return spec.sampled.loglik(theta)[0] + stack.value_and_gradient(theta)[0]

        def theirs(theta):
            point = {}
            for name, value in zip(stack.labels, stack.coordinates(theta), strict=True):
                variable = model.rvs_to_values[model[name]].name
                point[variable] = np.array(np.log(value) if "log__" in variable else value)
            return float(logp(point))

        rng = np.random.default_rng(1)
        middle = np.r_[10.0, -0.2, -0.3, 0.0, np.zeros(len(stack.names) - 4)]
        points = [middle + 0.2 * rng.normal(size=len(middle)) for _ in range(3)]
        gap = [theirs(theta) - ours(theta) for theta in points]
        np.testing.assert_allclose(gap, gap[0], atol=1e-8)

    def test_matrices_apart_have_priors_apart(self, visits):
        spec = LMM(DAY, visits, by_arm("unstructured", apart=True))
        assert spec.prior_stack(None).blocks == (5, 5)
        names = set(spec.to_pymc().named_vars)
        assert {"group_0::residual_cholesky", "group_1::residual_cholesky"} <= names

    def test_the_posterior_is_near_the_estimate(self, specs):
        spec = specs["weighted_group_intercept"]
        post, fit = spec.sample(draws=400, seed=2, chains=2), spec.fit()
        table = post.tidy(component="all").set_index("term")
        assert (np.abs(table["estimate"][:4] - fit.params) < 0.3 * fit.bse).all()
        for name, value in zip(fit.variance.names, fit.variance.values, strict=True):
            assert table["estimate"][name] == pytest.approx(value, rel=0.15)
        mine, theirs = (a.predict(interval="prediction") for a in (post, fit))
        np.testing.assert_allclose(mine["std_error"], theirs["std_error"], rtol=0.15)

    def test_a_weighted_twin_of_random_effects(self, visits):
        import pymc as pm

        spec = LMM(DAY + " + (1 | patient)", visits, weights="w")
        model = spec.to_pymc()
        with model:
            sigma = model["sigma"]
            spread = pm.draw(model["y"].owner.inputs[-1] / sigma, 1, random_seed=1)
        np.testing.assert_allclose(spread, 1.0 / np.sqrt(visits["w"]), rtol=1e-12)
