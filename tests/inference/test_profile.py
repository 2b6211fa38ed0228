"""Profiles of log densities whose profiles are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import gammaln

from longsurv.inference.profile import Profile, _solved, lacking_curvature
from longsurv.inference.scoring import ascend

CHI = 3.841458820694124
PRECISION = np.array([[4.0, 1.5, 0.0], [1.5, 2.0, -0.5], [0.0, -0.5, 1.0]])
CENTRE = np.array([1.0, -2.0, 0.5])


def gaussian(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    pull = PRECISION @ (x - CENTRE)
    return -0.5 * float((x - CENTRE) @ pull), -pull, PRECISION


def profile_of(density, start: np.ndarray, *, exact: bool = True) -> Profile:
    top = ascend(density, start, exact=exact)
    lacking = np.zeros((len(start),) * 2) if exact else lacking_curvature(density, top)
    return Profile(density, top, lacking)


@pytest.mark.parametrize("c", [[1, 0, 0], [0, 0, 1], [1, -1, 0], [0.5, 2, 3]])
def test_of_a_normal_density_is_wald_s(c):
    c = np.array(c, dtype=float)
    profile = profile_of(gaussian, np.zeros(3))
    centre, se = c @ CENTRE, np.sqrt(c @ np.linalg.inv(PRECISION) @ c)
    for side in (-1, 1):
        wald = centre + side * np.sqrt(CHI) * se
        assert profile.limit(c, side, CHI) == pytest.approx(wald, abs=1e-9)
        assert profile._bisected(c, side, CHI / 2) == pytest.approx(wald, abs=1e-7)
    assert profile.fall(c) == pytest.approx((centre / se) ** 2, rel=1e-9)
    assert profile.fall(c, centre + se) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("n", [0.3, 2.0, 40.0])
def test_of_a_skewed_density(n, known):
    """Gamma of shape n in log scale, moved with a second coordinate that is normal around it.

    With `known` false the information is only a part of the curvature.
    """

    def density(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        u, r = x[0], x[1] - x[0]
        rate = np.exp(u)
        value = n * u - rate - gammaln(n) - 0.5 * r * r
        gradient = np.array([n - rate + r, -r])
        information = np.array([[rate + 1.0, -1.0], [-1.0, 1.0]])
        return value, gradient, information if known else np.diag([rate + 1.0, 2.0])

    profile = profile_of(density, np.zeros(2), exact=known)

    def fall(u: float) -> float:
        return 2.0 * (n * np.log(n) - n - (n * u - np.exp(u))) - CHI

    low = brentq(fall, np.log(n) - 50.0, np.log(n), xtol=1e-12)
    high = brentq(fall, np.log(n), np.log(n) + 20.0, xtol=1e-12)
    c = np.array([1.0, 0.0])
    assert profile.limit(c, -1, CHI) == pytest.approx(low, abs=1e-6 / np.sqrt(n))
    assert profile.limit(c, 1, CHI) == pytest.approx(high, abs=1e-6 / np.sqrt(n))
    assert profile.fall(c, low) == pytest.approx(CHI, rel=1e-6)


def test_limits_that_do_not_exist_are_infinite():
    """The log density falls by 1/2 at most to the left, and for ever to the right."""

    def density(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        b = x[0]
        if b >= 0:
            return -0.5 * b * b, np.array([-b]), np.array([[1.0]])
        d = 1.0 + b * b
        return -0.5 * b * b / d, np.array([-b / d**2]), np.array([[1.0 / d**2]])

    profile = profile_of(density, np.array([0.5]))
    c = np.ones(1)
    assert profile.limit(c, -1, CHI) == -np.inf
    assert profile.limit(c, 1, CHI) == pytest.approx(np.sqrt(CHI), abs=1e-8)
    assert profile.limit(c, -1, 0.5) == pytest.approx(-1.0, abs=1e-6)  # b^2 / (1 + b^2) = 1/2


def test_the_curvature_an_information_lacks():
    def half(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient, information = gaussian(x)
        return value, gradient, np.diag(np.diag(information)) + np.eye(3)

    top = ascend(half, np.zeros(3))
    found = lacking_curvature(half, top)
    np.testing.assert_allclose(found - top.hessian, PRECISION, atol=1e-8)


def test_equations_are_solved_with_what_the_information_lacks_if_that_is_positive():
    right = np.random.default_rng(1).normal(size=(2, 3))
    expected = np.linalg.solve(PRECISION + np.eye(3), right.T).T
    solution, positive = _solved(PRECISION, np.eye(3), right)
    assert positive
    np.testing.assert_allclose(solution, expected, rtol=1e-12)
    solution, positive = _solved(PRECISION, -5.0 * np.eye(3), right)
    assert positive
    np.testing.assert_allclose(solution, np.linalg.solve(PRECISION, right.T).T, rtol=1e-12)
    assert not _solved(-PRECISION, np.zeros((3, 3)), right)[1]


def test_where_the_information_is_not_positive_the_profile_is_bisected():
    """Student's t: its curvature changes sign sqrt(5) from the centre, before the limit."""

    def density(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        t, r = x[0], x[1] - x[0]
        d = 5.0 + t * t
        slope, curvature = 6.0 * t / d, 6.0 * (5.0 - t * t) / d**2
        gradient = np.array([-slope + r, -r])
        information = np.array([[curvature + 1.0, -1.0], [-1.0, 1.0]])
        return -3.0 * float(np.log1p(t * t / 5.0)) - 0.5 * r * r, gradient, information

    profile, c = profile_of(density, np.full(2, 0.1)), np.array([1.0, 0.0])
    assert profile._fast(c, 1, 0.5 * CHI * 3) is None
    limit = np.sqrt(5.0 * np.expm1(0.5 * CHI * 3 / 3.0))
    assert profile.limit(c, 1, 3 * CHI) == pytest.approx(limit, rel=1e-6)
    assert profile.limit(c, -1, 3 * CHI) == pytest.approx(-limit, rel=1e-6)
