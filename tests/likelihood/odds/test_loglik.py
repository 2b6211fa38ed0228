"""Proportional odds of two groups: against the model written out, and by differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit

from longsurv.likelihood.odds.loglik import (
    derivatives,
    log_likelihood,
    profile,
    starting_thresholds,
)

COUNTS = np.array([[3.0, 1.0], [2.0, 0.0], [0.0, 4.0], [5.0, 2.0], [1.0, 1.0]])
ONES = np.eye(2)[[0, 1, 0, 0, 1, 1, 0, 1]]  # eight outcomes, all different


def written_out(beta: float, c: np.ndarray, counts: np.ndarray) -> float:
    """The model's definition, patient by patient."""
    ends = np.concatenate([[-np.inf], c, [np.inf]])
    total = 0.0
    for k, row in enumerate(counts):
        for a, n in enumerate(row):
            total += (
                n * np.log(expit(ends[k + 1] - beta * a) - expit(ends[k] - beta * a)) if n else 0
            )
    return float(total)


@pytest.mark.parametrize("counts", [COUNTS, ONES, COUNTS[:2]])
@pytest.mark.parametrize("beta", [-1.3, 0.0, 0.8])
def test_the_definition(counts: np.ndarray, beta: float) -> None:
    c = np.sort(np.random.default_rng(1).normal(size=len(counts) - 1))
    assert log_likelihood(beta, c, counts) == pytest.approx(written_out(beta, c, counts), rel=1e-12)


def test_thresholds_out_of_order_have_no_likelihood() -> None:
    assert log_likelihood(0.0, np.array([0.0, -1.0, 1.0, 2.0]), COUNTS) == -np.inf


@pytest.mark.parametrize("counts", [COUNTS, ONES])
def test_derivatives_by_differences(counts: np.ndarray, numeric_gradient) -> None:
    c, beta = np.sort(np.random.default_rng(2).normal(size=len(counts) - 1)), 0.4
    gradient, slope, banded, mixed, curvature = derivatives(beta, c, counts)

    def value(theta: np.ndarray) -> float:
        return log_likelihood(theta[0], theta[1:], counts)

    theta = np.concatenate([[beta], c])
    h = 0.02 * np.diff(c).min()
    assert np.concatenate([[slope], gradient]) == pytest.approx(
        numeric_gradient(value, theta, h), rel=1e-5, abs=1e-6
    )
    K = len(c)
    H = np.zeros((K, K))
    H[range(K), range(K)] = -banded[1]
    H[range(K - 1), range(1, K)] = H[range(1, K), range(K - 1)] = -banded[0, 1:]
    for j in range(K):
        e = np.zeros(K)
        e[j] = 1e-6
        up, down = (derivatives(beta, c + s * e, counts) for s in (1, -1))
        assert (up[0] - down[0]) / 2e-6 == pytest.approx(H[:, j], rel=1e-4, abs=1e-4)
        assert (up[1] - down[1]) / 2e-6 == pytest.approx(mixed[j], rel=1e-4, abs=1e-6)
    up, down = (derivatives(beta + s * 1e-6, c, counts)[1] for s in (1, -1))
    assert (up - down) / 2e-6 == pytest.approx(curvature, rel=1e-5)


@pytest.mark.parametrize("counts", [COUNTS, ONES, COUNTS[:2]])
@pytest.mark.parametrize("beta", [-4.0, 0.0, 0.7, 12.0])
def test_the_profile_is_the_maximum_over_the_thresholds(counts: np.ndarray, beta: float) -> None:
    found = profile(beta, counts)
    c = starting_thresholds(counts)

    def minus(z: np.ndarray) -> float:
        return -written_out(beta, np.concatenate([z[:1], z[0] + np.cumsum(np.exp(z[1:]))]), counts)

    z0 = np.concatenate([c[:1], np.log(np.diff(c))])
    with np.errstate(divide="ignore", invalid="ignore"):
        best = optimize.minimize(minus, z0, method="Nelder-Mead",
                                 options={"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-9,
                                          "fatol": 1e-12, "adaptive": True})  # fmt: skip
    assert found.value >= -best.fun - 1e-9
    gradient = derivatives(beta, found.thresholds, counts)[0]
    assert np.abs(gradient).max() < 1e-7
    h = 1e-4
    values = [profile(beta + k * h, counts).value for k in (-1, 0, 1)]
    assert (values[2] - values[0]) / (2 * h) == pytest.approx(found.slope, rel=1e-5, abs=1e-7)
    slopes = [profile(beta + k * h, counts).slope for k in (-1, 1)]
    assert (slopes[1] - slopes[0]) / (2 * h) == pytest.approx(found.curvature, rel=1e-5, abs=1e-8)


def test_a_thousand_different_outcomes_are_no_harder() -> None:
    rng = np.random.default_rng(5)
    treated = rng.integers(0, 2, 1000)
    counts = np.eye(2)[treated[np.argsort(rng.logistic(0.5 * treated))]]
    found = profile(0.5, counts)
    assert np.abs(derivatives(0.5, found.thresholds, counts)[0]).max() < 1e-6
