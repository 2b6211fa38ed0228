"""The posterior of generalised mixed models against their PyMC twins: density, then draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

from longsurv import priors as pr
from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm
from longsurv.models import GLMM
from longsurv.results.generalised.quantities import (
    natural_coefficients,
    natural_draws,
    variance_parameters,
)

GRID = np.arange(-9.0, 9.01, 0.1)
COUNTED = ["poisson", "negative_binomial", "nbinom1"]
FAMILIES = ["bernoulli", "ordinal", "censored", "student", "student4", *COUNTED]


def tiny(family: str, random: str = "1") -> GLMM:
    """Four patients, thirteen visits."""
    rng = np.random.default_rng(8)
    patient = np.repeat([11, 12, 13, 14], [2, 4, 3, 4])
    n = len(patient)
    t = rng.uniform(0, 3, n)
    eta = -0.5 + 0.4 * t + rng.normal(size=15)[patient]
    data = pd.DataFrame({"t": t, "id": patient, "kind": "none"})
    formula = f"y ~ t + ({random} | id)"
    if family == "bernoulli":
        data["y"] = rng.random(n) < expit(eta)
        return GLMM(formula, data, nodes=41)
    if family == "ordinal":
        data["y"] = np.searchsorted([-0.5, 0.7], eta + rng.logistic(size=n))
        return GLMM(formula, data, family="ordinal", nodes=41)
    if family in COUNTED:
        data = data.assign(y=rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n)), days=2.0 + t)
        formula = f"y ~ t + offset(log(days)) + ({random} | id)"
        return GLMM(formula, data, family=family, nodes=41)
    y = eta + 0.6 * rng.standard_t(4, size=n)
    if family == "censored":
        kind = np.where(y < -0.3, "left", np.where(y > 1.0, "right", "none"))
        between = (y > 0.3) & (y < 0.9)
        data = data.assign(
            y=np.where(between, 0.3, y.clip(-0.3, 1.0)),
            kind=np.where(between, "interval", kind),
            upper=np.where(between, 0.9, np.nan),
        )
        assert set(data["kind"]) == {"none", "left", "right", "interval"}
        return GLMM(formula, data, family="censored", censored="kind", nodes=41, upper="upper")
    df = 4.0 if family == "student4" else None
    return GLMM(formula, data.assign(y=y), family="student", df=df, nodes=41)


def integrated(logp, point: dict, patients: int) -> float:
    """Log of exp(logp) integrated over the random intercepts, independent given the rest."""

    def at(patient: int, value: float) -> float:
        raw = np.zeros((patients, 1))
        raw[patient] = value
        return float(logp({**point, "raw": raw}))

    base = at(0, 0.0)
    each = [
        logsumexp([at(k, u) - base for u in GRID]) + np.log(GRID[1] - GRID[0])
        for k in range(patients)
    ]
    return base + sum(each)


@pytest.mark.parametrize("family", FAMILIES)
def test_density_is_the_twin_s_integrated(family):
    """log p(y, theta) on the natural scale, constants included."""
    spec = tiny(family)
    model = spec.to_pymc()
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    stack = spec.prior_stack(None)
    rng = np.random.default_rng(0)
    for _ in range(2):
        theta = 0.6 * rng.normal(size=len(stack.names))
        # The intercept's prior is of its value at the mean of t; the Jacobian of that is 1.
        values, logged = stack.coordinates(theta), [prior.positive for prior in stack.priors]
        point = {
            model.rvs_to_values[model[label]].name: np.log(values[j]) if logged[j] else values[j]
            for j, label in enumerate(stack.labels)
        }
        jacobian = theta[[prior.positive for prior in stack.priors]].sum()
        expected = integrated(logp, point, 4)
        ours = glmm.loglik(spec.arrays, theta)[0] + stack.value_and_gradient(theta)[0] - jacobian
        # Not closer for Student, whose quadrature converges slowest.
        assert ours == pytest.approx(expected, abs=1e-4 if "student" in family else 1e-6)


def test_the_twin_is_told_the_priors_and_the_blocks():
    spec = tiny("ordinal", "t")
    model = spec.to_pymc({"t": pr.StudentT(5.0), "gap(1|2)": pr.Gamma(2.0, 1.0)}, eta=3.0)
    assert {v.name for v in model.free_RVs} == {
        "t", "0|1 (centred)", "gap(1|2)", "sd(Intercept|id) (centred)", "sd(t|id)", "raw",
        "correlation_cholesky",
    }  # fmt: skip
    assert {v.name for v in model.deterministics} >= {"0|1", "sd(Intercept|id)", "b"}
    # What the user gives a prior is what it is called.
    named = spec.to_pymc({"0|1": pr.Normal(0.0, 2.0), "sd(Intercept|id)": pr.Exponential(1.0)})
    assert {"0|1", "sd(Intercept|id)"} <= {v.name for v in named.free_RVs}
    assert "StudentT" in type(model["t"].owner.op).__name__
    independent = GLMM("y ~ t + (t || id)", spec.data, family="ordinal", nodes=5)
    assert "correlation_cholesky" not in {v.name for v in independent.to_pymc().free_RVs}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("random", ["1 | id", "t | id", "t + s | id", "t + s || id"])
def test_draws_on_their_natural_scales_are_those_of_the_fit(family, random):
    spec = tiny(family)
    data = spec.data.assign(s=spec.data["t"] ** 2)
    arrays = replace(spec, formula=f"y ~ t + ({random})", data=data, nodes=1).arrays
    thetas = np.random.default_rng(5).normal(size=(4, len(arrays.free_unconstrained)))
    factors = [glmm.to_factor(arrays, theta) for theta in thetas]
    expected = [
        np.append(natural_coefficients(arrays, f), variance_parameters(arrays, f)) for f in factors
    ]
    np.testing.assert_allclose(natural_draws(arrays, thetas), expected, rtol=1e-10)


@pytest.fixture(scope="module")
def posterior(table):
    spec = GLMM("positive ~ time * treated + (1 | patient)", table("dic"), nodes=9)
    return spec.sample(draws=1000, chains=2, seed=1)


def test_results_of_a_posterior(posterior):
    assert posterior.diagnose().ok
    assert set(posterior.samples) == {*posterior.names, "sd(Intercept|patient)"}
    again = posterior.spec.sample(draws=1000, chains=2, seed=1)
    np.testing.assert_array_equal(again.draws.theta, posterior.draws.theta)
    assert "sd(Intercept|patient) ~ Exponential(1)" in repr(posterior)
    assert posterior.idata["log_likelihood"]["y"].shape == (2, 1000, 60)
    total = posterior.idata["log_likelihood"]["y"].to_numpy()[0, 7].sum()
    theta = posterior.draws.theta[0, 7]
    assert total == pytest.approx(glmm.loglik(posterior.spec.arrays, theta)[0])


def test_predictions_of_a_posterior(posterior):
    new = pd.DataFrame({"time": [0.0, 2.0], "treated": [1, 0], "patient": [1, 999]})
    link = posterior.predict(new)
    X = np.array([[1, 0, 1, 0], [1, 2, 0, 0]])
    np.testing.assert_allclose(link["estimate"], X @ posterior.coefficients.mean(axis=(0, 1)))
    response = posterior.predict(new.drop(columns="patient"), type="response")
    grid = normal_grid(25, 1)
    w = np.exp(grid.log_weight - grid.nodes**2 / 2)
    eta = posterior.coefficients.reshape(-1, 4) @ X.T
    sd = posterior.samples["sd(Intercept|patient)"].reshape(-1, 1, 1)
    p = expit(eta[..., None] + sd * grid.nodes) @ w
    np.testing.assert_allclose(response["estimate"], p.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(response["conf_high"], np.quantile(p, 0.975, axis=0), rtol=1e-3)
    b = posterior.ranef().set_index("patient")
    own = posterior.predict(new, by_patient=True, new_groups="population")
    assert own["estimate"].iloc[0] == pytest.approx(
        link["estimate"].iloc[0] + b.loc[1, "estimate"], abs=0.1
    )
    # A new patient's effects vary between draws as they do between patients.
    new_sd = np.sqrt(link["std_error"].iloc[1] ** 2 + (sd**2).mean())
    assert own["std_error"].iloc[1] == pytest.approx(new_sd, rel=0.1)
    assert own["estimate"].iloc[1] == pytest.approx(link["estimate"].iloc[1], abs=0.1 * new_sd)
    own = posterior.predict(new, by_patient=True, new_groups="population", type="response")
    assert own["estimate"].iloc[1] == pytest.approx(response["estimate"].iloc[1], abs=0.03)
    assert own["std_error"].iloc[1] > 2 * response["std_error"].iloc[1]


def test_leave_one_out_and_sensitivity(posterior):
    loo = posterior.loo()
    assert loo.n_data_points == 60
    # Leaving a patient out cannot raise the expected log density.
    pointwise = posterior.idata["log_likelihood"]["y"].to_numpy()
    assert loo.elpd < (logsumexp(pointwise, axis=(0, 1)) - np.log(2000)).sum()
    table = posterior.prior_sensitivity()
    assert {*posterior.names} <= {*table.index}


def mcse(x: np.ndarray) -> float:
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method="mean"))


@pytest.mark.study  # a minute of compiling; the densities are compared above
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
def test_draws_are_pymc_s(posterior):
    """Means within 4 Monte Carlo standard errors, SDs within 12 %."""
    import nutpie

    twin = nutpie.sample(
        nutpie.compile_pymc_model(posterior.spec.to_pymc()),
        draws=1500, tune=600, chains=2, cores=2, seed=3, progress_bar=False,
    )["posterior"]  # fmt: skip
    for name, ours in posterior.samples.items():
        x = twin[name].to_numpy()
        assert abs(ours.mean() - x.mean()) < 4 * np.hypot(mcse(ours), mcse(x)), name
        assert ours.std() == pytest.approx(x.std(), rel=0.12), name
    values = twin["b"].to_numpy()[..., 0]
    rows = posterior.ranef()
    for i in range(0, 60, 7):
        x, row = values[..., i], rows.iloc[i]
        assert abs(row["estimate"] - x.mean()) < 4 * np.hypot(mcse(x), 0.03 * x.std())
        assert row["std_error"] == pytest.approx(x.std(), rel=0.12)
