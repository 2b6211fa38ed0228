"""Draws by quadrature, against integrals computed another way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from longsurv.inference import Affine, draw_by_quadrature
from longsurv.inference.quadrature import DROP


def normal(mean, sd):
    return lambda x: (-0.5 * ((x[0] - mean) / sd) ** 2, -(x - mean) / sd**2)


def separated(x):
    """A likelihood without a maximum, under a wide prior: one long tail and one short."""
    b = x[0]
    value = -5.0 * np.logaddexp(0.0, b) - 0.5 * (b / 5.0) ** 2
    return value, np.array([-5.0 / (1.0 + np.exp(-b)) - b / 25.0])


def student(x):
    """A long-tailed prior far from a normal likelihood: two modes."""
    b = x[0]
    value = -0.5 * ((b - 8.0) / 0.7) ** 2 - 2.0 * np.log1p(b**2 / (3.0 * 0.09))
    slope = -(b - 8.0) / 0.49 - 4.0 * b / (3.0 * 0.09 + b**2)
    return value, np.array([slope])


def shown_by_quad(density, low, high, probabilities):
    """Mean, SD and quantiles by adaptive quadrature and root finding."""
    from scipy.optimize import brentq

    top = max(density(np.array([x]))[0] for x in np.linspace(low, high, 20001))

    def mass(x):
        return np.exp(density(np.array([x]))[0] - top)

    points = np.linspace(low, high, 200)

    def integral(f, a, b):
        inside = [a, *points[(points > a) & (points < b)], b]
        return sum(integrate.quad(f, *ends, epsabs=1e-13)[0] for ends in pairwise(inside))

    total = integral(mass, low, high)
    mean = integral(lambda x: x * mass(x), low, high) / total
    sd = np.sqrt(integral(lambda x: (x - mean) ** 2 * mass(x), low, high) / total)
    at = [
        brentq(lambda q, p=p: integral(mass, low, q) / total - p, low, high, xtol=1e-9)
        for p in probabilities
    ]
    return mean, sd, np.array(at)


@pytest.mark.parametrize(
    ("density", "low", "high"),
    [(normal(3.0, 0.2), 1.0, 5.0), (separated, -45.0, 8.0), (student, -3.0, 14.0)],
)
def test_one_parameter_is_its_integral(density, low, high):
    _, drawn = draw_by_quadrature(density, np.zeros(1), draws=2000, chains=2, seed=1)
    x = drawn.theta[..., 0]
    mean, sd, quantiles = shown_by_quad(density, low, high, [0.025, 0.5, 0.975])
    assert x.mean() == pytest.approx(mean, abs=1e-3 * sd)
    assert x.std() == pytest.approx(sd, rel=2e-3)
    # Quantiles of n points are those of a probability 1 / n away at most.
    for p, q in zip([0.025, 0.5, 0.975], quantiles, strict=True):
        around = np.quantile(x, [p - 1 / x.size, p + 1 / x.size])
        assert around[0] < q < around[1]
    assert drawn.quadrature_error < 1e-6
    for value, lp in zip(x.ravel()[:5], drawn.stats["lp"].ravel()[:5], strict=True):
        assert lp == pytest.approx(density(np.array([value]))[0], abs=1e-4)


def test_two_modes_share_as_they_should():
    """A climb and whitening see one of them."""

    def density(x):
        a, b = -0.5 * ((x[0] + 3.0) / 0.5) ** 2, -0.5 * ((x[0] - 3.0) / 1.0) ** 2
        value = np.logaddexp(np.log(0.3 / 0.5) + a, np.log(0.7) + b)
        wa, wb = np.exp(np.log(0.3 / 0.5) + a - value), np.exp(np.log(0.7) + b - value)
        return value, np.array([-wa * (x[0] + 3.0) / 0.25 - wb * (x[0] - 3.0)])

    for start in (-3.0, 3.0):
        _, drawn = draw_by_quadrature(density, np.array([start]), draws=1000, chains=2)
        assert (drawn.theta < 0).mean() == pytest.approx(0.3 + 0.7 * stats.norm.cdf(-3), abs=1e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.99])
def test_two_parameters_are_their_normal(correlation):
    covariance = np.array([[4.0, correlation * 0.02], [correlation * 0.02, 1e-4]])
    precision = np.linalg.inv(covariance)
    mean = np.array([1.0, -7.0])

    def density(x):
        slope = -precision @ (x - mean)
        return 0.5 * float((x - mean) @ slope), slope

    _, drawn = draw_by_quadrature(density, np.zeros(2), draws=2000, chains=2, seed=3)
    theta = drawn.theta.reshape(-1, 2)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(theta.mean(axis=0), mean, atol=2e-3 * sd.max())
    np.testing.assert_allclose((theta.mean(axis=0) - mean) / sd, 0.0, atol=3e-3)
    np.testing.assert_allclose(np.cov(theta.T) / np.outer(sd, sd),
                               covariance / np.outer(sd, sd), atol=5e-3)  # fmt: skip
    for j in range(2):
        ends = np.quantile(theta[:, j], [0.025, 0.975])
        np.testing.assert_allclose(
            (ends - mean[j]) / sd[j], stats.norm.ppf([0.025, 0.975]), atol=0.02
        )
    assert drawn.quadrature_error < 1e-6


def test_two_skew_parameters_are_their_integral():
    """Two arms without events against one with, each under its own prior."""

    def density(x):
        a, b = x
        value = -3.0 * np.logaddexp(0.0, np.logaddexp(a, b)) + b - 0.5 * (a**2 / 9.0 + b**2)
        total = np.exp(np.logaddexp(0.0, np.logaddexp(a, b)))
        slope = np.array([-3.0 * np.exp(a) / total - a / 9.0, -3.0 * np.exp(b) / total + 1.0 - b])
        return value, slope

    _, drawn = draw_by_quadrature(density, np.zeros(2), draws=2000, chains=2)
    a, b = drawn.theta.reshape(-1, 2).T
    A, B = np.meshgrid(np.linspace(-30, 12, 2001), np.linspace(-8, 8, 1501), indexing="ij")
    weight = -3.0 * np.logaddexp(0.0, np.logaddexp(A, B)) + B - 0.5 * (A**2 / 9.0 + B**2)
    weight = np.exp(weight - weight.max())
    for x, X in ((a, A), (b, B), (a - b, A - B)):
        mean = np.average(X, weights=weight)
        sd = np.sqrt(np.average((X - mean) ** 2, weights=weight))
        assert x.mean() == pytest.approx(mean, abs=5e-3 * sd)
        assert (x < 0).mean() == pytest.approx(np.average(X < 0, weights=weight), abs=4e-3)


def test_units_change_nothing_and_the_seed_only_the_order():
    scaled = Affine(np.array([0.0]), np.array([[1e6]]))
    one = draw_by_quadrature(separated, np.zeros(1), draws=500, seed=1, chains=2)[1]
    two = draw_by_quadrature(separated, np.zeros(1), draws=500, seed=2, chains=2)[1]
    assert not np.array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(np.sort(one.theta, axis=None), np.sort(two.theta, axis=None))
    wide = draw_by_quadrature(
        lambda x: (separated(x / 1e6)[0], separated(x / 1e6)[1] / 1e6),
        np.zeros(1), coordinates=scaled, draws=500, seed=1, chains=2,
    )[1]  # fmt: skip
    np.testing.assert_allclose(wide.theta / 1e6, one.theta, rtol=1e-6, atol=1e-8)


def test_nothing_is_cut_off_that_counts():
    """As far out as a normal's exp(-DROP) the distribution function is complete."""
    _, drawn = draw_by_quadrature(normal(0.0, 1.0), np.zeros(1), draws=100_000, chains=1)
    expected = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    np.testing.assert_allclose(np.sort(drawn.theta, axis=None), expected, atol=2e-3)
    assert DROP > 30


def test_a_narrow_part_beside_a_wide_one():
    """A spike that no grid over the wide part would meet has its share of the points."""
    weights = np.log([0.3, 0.7])
    spike, wide = normal(2.0, 1e-4), normal(-1.0, 8.0)
    sizes = np.log([1e-4, 8.0])

    def part(k, density):
        def evaluate(x):
            value, slope = density(x)
            return value + weights[k] - sizes[k], slope

        return evaluate

    parts = [part(0, spike), part(1, wide)]

    def both(x):
        (first, a), (second, b) = parts[0](x), parts[1](x)
        value = np.logaddexp(first, second)
        return value, np.exp(first - value) * a + np.exp(second - value) * b

    mode, drawn = draw_by_quadrature(both, np.zeros(1), parts=parts, draws=1000, chains=2)
    near = np.abs(drawn.theta - 2.0) < 5e-4
    expected = 0.3 + 0.7 * np.diff(stats.norm(-1.0, 8.0).cdf([2.0 - 5e-4, 2.0 + 5e-4]))[0]
    assert near.mean() == pytest.approx(expected, abs=1e-3)
    assert mode.x[0] == pytest.approx(2.0, abs=1e-6) and drawn.quadrature_error < 1e-6
    far = drawn.theta[~near]
    assert far.mean() == pytest.approx(-1.0, abs=0.05)
    assert far.std() == pytest.approx(8.0, rel=0.01)


def test_parts_in_the_plane_are_their_sum():
    """Moments of a mixture of two correlated normals, from its parts."""
    means = np.array([[0.0, 0.0], [6.0, -3.0]])
    S = np.array([[1.0, 0.6], [0.6, 2.0]])
    P = np.linalg.inv(S)

    def part(k, weight):
        def evaluate(x):
            off = x - means[k]
            return np.log(weight) - 0.5 * off @ P @ off, -P @ off

        return evaluate

    parts = [part(0, 0.25), part(1, 0.75)]

    def both(x):
        (first, a), (second, b) = parts[0](x), parts[1](x)
        value = np.logaddexp(first, second)
        return value, np.exp(first - value) * a + np.exp(second - value) * b

    _, drawn = draw_by_quadrature(both, np.zeros(2), parts=parts, draws=2000, chains=2)
    theta = drawn.theta.reshape(-1, 2)
    np.testing.assert_allclose(theta.mean(axis=0), 0.75 * means[1], atol=0.02)
    between = 0.25 * 0.75 * np.outer(means[1], means[1])
    np.testing.assert_allclose(np.cov(theta.T), S + between, rtol=0.02)
