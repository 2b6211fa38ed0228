"""The warp of standard deviations near zero: a change of coordinates and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_ndtr

from longsurv import priors as pr
from longsurv.inference import sample_posterior
from longsurv.inference.density import guarded
from longsurv.inference.warp import Warp, _log_upper_tail

WARP = Warp(np.array([1, 2]), np.log([2.0, 0.5]))


def exponentials(theta: np.ndarray) -> tuple[float, np.ndarray]:
    """A standard normal and two exponentials with the warp's means, on the log scale."""
    stack = pr.PriorStack(("x", "a", "b"), (pr.Normal(), pr.Exponential(2.0), pr.Exponential(0.5)))
    return stack.value_and_gradient(theta)


def test_there_and_back() -> None:
    x = np.random.default_rng(1).normal(scale=3.0, size=(20, 3))
    np.testing.assert_allclose(WARP.inward(WARP.outward(x)), x, rtol=1e-12, atol=1e-12)


def test_an_exponential_prior_is_a_standard_normal() -> None:
    warped = WARP.density(exponentials)
    for x in np.random.default_rng(2).normal(scale=3.0, size=(10, 3)):
        value, gradient = warped(x)
        assert value == pytest.approx(-0.5 * x @ x - 1.5 * np.log(2 * np.pi), rel=1e-10)
        np.testing.assert_allclose(gradient, -x, rtol=1e-8, atol=1e-8)


def test_gradient_and_jacobian(numeric_gradient) -> None:
    def density(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return float(-((theta - 0.3) ** 4).sum()), -4 * (theta - 0.3) ** 3

    warped = WARP.density(density)
    for x in np.random.default_rng(3).normal(size=(10, 3)):
        value, gradient = warped(x)
        np.testing.assert_allclose(
            gradient, numeric_gradient(lambda z: warped(z)[0], x), rtol=1e-6, atol=1e-6
        )
        assert value == pytest.approx(density(WARP.outward(x))[0] + WARP.log_jacobian(x))


def test_the_tail_of_the_normal_distribution() -> None:
    """Against SciPy, across the points where the formula changes."""
    x = np.concatenate([np.linspace(-37.0, 120.0, 315), [-1e-9, 0.0, 34.999999, 35.0]])
    found = [_log_upper_tail(v) for v in x]
    np.testing.assert_allclose(found, log_ndtr(-x), rtol=1e-12)


def test_far_out_it_is_guarded_without_a_warning() -> None:
    warped = guarded(WARP.density(exponentials))
    value, gradient = warped(np.array([0.0, -60.0, 0.0]))
    assert value == -np.inf
    assert not gradient.any()


def test_draws_come_back_in_the_density_s_own_coordinates() -> None:
    mode, drawn = sample_posterior(
        exponentials, np.zeros(3), deviations={1: 2.0, 2: 0.5}, draws=2000, seed=4, chains=2
    )
    assert drawn is not None
    # In the warp's coordinates the mode is the origin, where tau is its prior's median.
    expected = [0.0, np.log(2.0 * np.log(2.0)), np.log(0.5 * np.log(2.0))]
    np.testing.assert_allclose(mode.x, expected, atol=1e-6)
    tau = np.exp(drawn.theta[..., 1:]).reshape(-1, 2)
    np.testing.assert_allclose(tau.mean(axis=0), [2.0, 0.5], rtol=0.08)
    lp = [exponentials(theta)[0] for theta in drawn.theta[0, :5]]
    np.testing.assert_allclose(drawn.stats["lp"][0, :5], lp, rtol=1e-8)
