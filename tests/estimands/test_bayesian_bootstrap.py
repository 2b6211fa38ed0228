"""The Bayesian bootstrap of a weighted difference, and propensity scores of many weightings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

from longsurv.errors import DataError
from longsurv.estimands.bayesian_bootstrap import bayesian_bootstrap
from longsurv.estimands.propensity import PRIOR_SD, propensity_draws
from longsurv.estimands.weighting import overlap_weights, weighted_difference


def cohort(n: int = 80, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=n)
    treated = rng.uniform(size=n) < special.expit(severity)
    y = severity - treated + rng.normal(size=n)
    arm = pd.Categorical(np.where(treated, "ivig", "none"), ["none", "ivig"])
    return pd.DataFrame({"severity": severity, "arm": arm, "y": y})


def test_scores_of_every_weighting_are_posterior_modes() -> None:
    data = cohort(30)
    X = np.column_stack([np.ones(30), data["severity"], 50 + 10 * np.cos(np.arange(30.0))])
    treated = (data["arm"] == "ivig").to_numpy()
    weights = np.random.default_rng(2).dirichlet(np.ones(30), 4) * 30
    sd = X[:, 1:].std(axis=0)
    standard = np.column_stack([X[:, 0], (X[:, 1:] - X[:, 1:].mean(axis=0)) / sd])
    found = propensity_draws(standard, treated, weights)
    for case, probability in zip(weights, found, strict=True):

        def loss(b: np.ndarray, case: np.ndarray = case) -> float:
            eta = b[0] + (X[:, 1:] - X[:, 1:].mean(axis=0)) / sd @ b[1:]
            fit = case @ (np.logaddexp(0, eta) - treated * eta)
            return float(fit + 0.5 * (b[1:] ** 2).sum() / PRIOR_SD**2)

        best = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
        eta = best[0] + (X[:, 1:] - X[:, 1:].mean(axis=0)) / sd @ best[1:]
        assert probability == pytest.approx(special.expit(eta), abs=1e-5)


def test_separated_groups_have_a_score() -> None:
    X = np.column_stack([np.ones(20), (np.arange(20.0) - 9.5) / np.arange(20.0).std()])
    treated = np.arange(20) >= 10
    weights = np.random.default_rng(3).dirichlet(np.ones(20), 50) * 20
    found = propensity_draws(X, treated, weights)
    assert ((found > 0) & (found < 1)).all()
    assert (found[:, -1] > found[:, 0]).all()


def test_the_posterior_agrees_with_the_sandwich_in_a_large_cohort() -> None:
    data = cohort(600, seed=4)
    weights = overlap_weights(data, "arm", "severity")
    drawn = bayesian_bootstrap(weights, data["y"], draws=2000, seed=5)
    row = weighted_difference(weights, data["y"]).iloc[2]
    assert drawn.mean() == pytest.approx(row["estimate"], abs=0.1 * row["std_error"])
    assert drawn.std() == pytest.approx(row["std_error"], rel=0.06)


def test_without_covariates_it_is_the_dirichlet_variance_of_two_means() -> None:
    """n patients of mass a = (n - 1) / n each: a mean of m of them has variance s^2 / (m a + 1)."""
    data = cohort(40, seed=6)
    weights = overlap_weights(data, "arm", "1")
    drawn = bayesian_bootstrap(weights, data["y"], draws=20_000, seed=7)
    a = 39 / 40
    groups = [data.loc[data["arm"] == g, "y"] for g in ("ivig", "none")]
    expected = sum(g.var(ddof=0) / (len(g) * a + 1) for g in groups)
    assert drawn.mean() == pytest.approx(groups[0].mean() - groups[1].mean(), abs=0.01)
    assert drawn.var() == pytest.approx(expected, rel=0.05)


def test_draws_are_reproducible_and_missing_outcomes_refused() -> None:
    data = cohort()
    weights = overlap_weights(data, "arm", "severity")
    a, b = (bayesian_bootstrap(weights, data["y"], draws=50, seed=9) for _ in range(2))
    assert np.array_equal(a, b)
    with pytest.raises(DataError, match="1 patient has no outcome"):
        bayesian_bootstrap(weights, data["y"].mask(data.index == 3))
