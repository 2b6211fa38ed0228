"""Responses without anything left to explain: refused, with a sentence that says why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.errors import EstimationError
from longsurv.models import LMM


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"id": np.repeat(np.arange(10), 4), "t": np.tile(np.arange(4.0), 10)})
    return rows.assign(y=rng.normal(size=40), site=rows["id"] // 5)


@pytest.mark.parametrize("value", [3.7, 0.0, -1e5, 1e-200])
@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("right", ["1 + (1 | id)", "t + (t | id)", "t + (1 | site/id)"])
def test_a_constant_response(data, value, method, right):
    with pytest.raises(EstimationError, match=f"the response is {value:g} in every row"):
        LMM(f"y ~ {right}", data.assign(y=value)).fit(method)


def test_a_constant_response_with_correlated_residuals(data):
    spec = LMM("y ~ t", data.assign(y=5.0), Residual("unstructured", "t", "id"))
    with pytest.raises(EstimationError, match="the response is 5 in every row"):
        spec.fit()


def test_a_constant_response_is_not_sampled(data):
    with pytest.raises(EstimationError, match="the response is 5 in every row"):
        LMM("y ~ t + (1 | id)", data.assign(y=5.0)).sample(draws=10, tune=10, chains=2)


def test_a_response_the_fixed_effects_reproduce(data):
    with pytest.raises(EstimationError, match="reproduce every measurement exactly"):
        LMM("y ~ t + (1 | id)", data.assign(y=1.1 + 0.3 * data["t"])).fit()


def test_a_response_the_random_effects_reproduce(data):
    with pytest.raises(EstimationError, match="random effects reproduce every measurement"):
        LMM("y ~ t + (t | id)", data.assign(y=1.0 * data["id"])).fit()


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_little_variation_is_variation(data, offset):
    """Days since 1970 in seconds, say: the digits that vary are few, and count."""
    fit = LMM("y ~ t + (1 | id)", data.assign(y=offset + data["y"])).fit()
    plain = LMM("y ~ t + (1 | id)", data).fit()
    assert fit.converged and fit.sigma == pytest.approx(plain.sigma, rel=1e-6)


def test_no_random_term_and_independent_residuals_is_least_squares():
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=40), "id": np.arange(40) // 2})
    data["y"] = 1.0 + 0.5 * data["x"] + rng.normal(size=40)
    fit = LMM("y ~ x", data, residual=Residual("independent", patient="id")).fit()
    ols = sm.OLS(data["y"], sm.add_constant(data["x"])).fit()
    table = fit.tidy()
    np.testing.assert_allclose(table["estimate"], ols.params, rtol=1e-7)
    np.testing.assert_allclose(table["std_error"], ols.bse, rtol=1e-6)
    np.testing.assert_allclose(table["p_value"], ols.pvalues, rtol=1e-4)
