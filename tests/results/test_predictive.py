"""Responses drawn from posteriors and priors, for ArviZ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv import priors as pr
from longsurv.design import Residual
from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM

SAMPLING = {"draws": 60, "tune": 150, "chains": 2}
KINDS = {
    "bernoulli": lambda y: (y > 1.0) * 1.0, "ordinal": lambda y: y.clip(0.0, 3.0).round(),
    "student": lambda y: y, "censored": lambda y: y.clip(0.0, 2.0),
    "poisson": lambda y: (y.clip(0.0) ** 2).round(),
    "negative_binomial": lambda y: (y.clip(0.0) ** 2).round(),
    "nbinom1": lambda y: (y.clip(0.0) ** 2).round(),
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    group, t = np.repeat(np.arange(30), 4), np.tile(np.arange(4.0), 30)
    y = 0.8 + 0.2 * t + 0.7 * rng.standard_normal(30)[group] + 0.8 * rng.standard_normal(120)
    data = pd.DataFrame({"id": group, "t": t, "y": y, "kind": "none"})
    return data.sample(frac=1.0, random_state=2)


@pytest.mark.parametrize("family", KINDS)
def test_every_family_has_both_groups(rows, family):
    y = KINDS[family](rows["y"])
    data, column = rows.assign(y=y), None
    if family == "censored":
        data["kind"] = np.select([y == 0.0, y == 2.0], ["left", "right"], "none")
        column = "kind"
    post = GLMM("y ~ t + (1 | id)", data, family, 5, column).sample(**SAMPLING)
    tree = post.predictive(draws=30, seed=4)
    assert set(post.idata.children) < set(tree.children)
    again = tree["posterior_predictive"]["y"].to_numpy()
    prior = tree["prior_predictive"]["y"].to_numpy()
    assert (again.shape, prior.shape) == ((2, 15, 120), (1, 30, 120))
    observed = tree["observed_data"]["y"].to_numpy()
    allowed = {"bernoulli": {0.0, 1.0}, "ordinal": {0.0, 1.0, 2.0, 3.0}}.get(family)
    for found in (again, prior):
        assert np.isfinite(found).all()
        if allowed is not None:
            assert set(np.unique(found)) <= allowed
        if family == "censored":
            assert found.min() >= 0.0 and found.max() <= 2.0
    # Patients are those of the data, row by row.
    assert np.corrcoef(again.mean(axis=(0, 1)), observed)[0, 1] > 0.4
    assert again.mean() == pytest.approx(observed.mean(), rel=0.15)
    assert abs(np.corrcoef(prior.mean(axis=(0, 1)), observed)[0, 1]) < 0.4
    same = post.predictive(draws=30, seed=4)["prior_predictive"]["y"].to_numpy()
    np.testing.assert_array_equal(same, prior)


GIVEN = {
    "Intercept": pr.Normal(3.0, 2.0), "t": pr.Normal(0.0, 1.0), "sigma": pr.Exponential(0.5),
    "sd(Intercept|id)": pr.HalfNormal(1.5),
}  # fmt: skip


@pytest.mark.parametrize("model", ["lmm", "glmm"])
def test_what_priors_predict_has_their_moments(rows, model):
    formula = "y ~ t + (1 | id)"
    spec = LMM(formula, rows) if model == "lmm" else GLMM(formula, rows, "censored", 3, "kind")
    post = spec.sample(draws=4, tune=100, chains=1, priors=GIVEN)
    y = post.predictive(draws=6000, seed=2)["prior_predictive"]["y"].to_numpy()[0]
    t, group = rows["t"].to_numpy(), rows["id"].to_numpy()
    variance = 4.0 + t**2 + 2.0 * 0.5**2 + 1.5**2
    np.testing.assert_allclose(y.mean(axis=0), 3.0, atol=4.8 * np.sqrt(variance.max() / 6000))
    np.testing.assert_allclose(y.var(axis=0), variance, rtol=0.12)
    first = np.flatnonzero(group == group[0])[:2]
    other = np.flatnonzero(group != group[0])[0]
    i, j = first
    own = np.cov(y[:, [i, j, other]].T)
    assert own[0, 1] == pytest.approx(4.0 + t[i] * t[j] + 1.5**2, abs=0.7)
    assert own[0, 2] == pytest.approx(4.0 + t[i] * t[other], abs=0.7)


def test_draws_of_a_stack_have_its_priors(rows):
    data = rows.assign(arm=np.array(["a", "b", "c"])[rows["id"] % 3])
    spec = GLMM("y ~ t * arm + (t | id)", data, "censored", 3, "kind")
    given = {"sigma": pr.Mixture([pr.Gamma(2.0, 3.0), pr.InverseGamma(3.0, 1.0)], [0.3, 0.7])}
    stack = spec.prior_stack(given, eta=1.5)
    thetas = stack.drawn(4000, np.random.default_rng(3))
    values = stack.coordinates(thetas)
    for j, prior in enumerate(stack.priors):
        if prior.positive:
            mean, sd = prior.moments()
            assert values[:, j].mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(4000))
        else:
            assert stats.kstest(values[:, j], prior.distribution).pvalue > 1e-3
    r = 0.5 * (np.tanh(thetas[:, -1]) + 1.0)
    assert stats.kstest(r, stats.beta(1.5, 1.5).cdf).pvalue > 1e-3
    assert thetas.shape[1] == len(stack.priors) + 1


def test_crossed_and_correlated_models_predict_from_their_priors(rows):
    data = rows.assign(site=rows["id"] % 5, visit=rows["t"])
    crossed = LMM("y ~ t + (1 | id) + (1 | site)", data).sample(draws=10, tune=100, chains=1)
    residual = LMM("y ~ t", data, Residual("ar1", "visit", "id")).sample(
        draws=10, tune=100, chains=1
    )
    for post in (crossed, residual):
        tree = post.predictive(draws=200)
        y = tree["prior_predictive"]["y"].to_numpy()
        assert y.shape == (1, 200, 120) and np.isfinite(y).all()
        assert tree["posterior_predictive"]["y"].shape == (1, 10, 120)
        assert y.std() > 1.5 * data["y"].std()


def test_wrong_arguments_and_limits_that_differ(rows):
    data = rows.assign(kind=np.where(rows["t"] == 3.0, "left", "none"))
    post = GLMM("y ~ t + (1 | id)", data, "censored", 3, "kind").sample(draws=4, tune=100, chains=1)
    with pytest.raises(LongsurvError, match="more than one limit on a side"):
        post.predictive()
    with pytest.raises(LongsurvError, match="draws is a whole number, 1 or more"):
        post.predictive(draws=0)
