"""The probability between two bounds, against moments by a dense quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longsurv.likelihood.arithmetic.normal_interval import log_normal_interval

BOUNDS = [
    (-0.3, 1e-9), (-0.3, 0.01), (0.2, 0.49), (0.2, 0.9), (-0.5, 1.0), (-1.0, 4.0), (-6.0, 11.0),
    (2.0, 0.1), (2.0, 0.5), (2.0, 30.0), (30.0, 0.01), (30.0, 0.05), (30.0, 3.0), (300.0, 1e-4),
    (300.0, 1.0), (-4.0, 3.9), (-300.2, 0.2), (1e4, 5.0), (-60.0, 1000.0),
]  # fmt: skip


def by_quadrature(a: float, width: float) -> list[float]:
    """Of the cumulants of a normal between its bounds, integrated over where it has any mass."""
    sign = 1.0
    if a + width / 2 < 0.0:
        a, sign = -(a + width), -1.0
    x = max(a, -12.0)
    start = x - a
    end = min(width - start, 45.0 / x if x > 4.0 else 45.0)
    node, weight = np.polynomial.legendre.leggauss(400)
    t = 0.5 * end * (node + 1.0)
    # Z = x + t has a density as exp(-x t - t^2 / 2).
    f = 0.5 * end * weight * np.exp(-x * t - 0.5 * t**2)
    log_p = math.log(f.sum()) - 0.5 * x**2 - 0.5 * math.log(2.0 * math.pi)
    f /= f.sum()
    mean = f @ t
    v, k3, fourth = (f @ (t - mean) ** k for k in (2, 3, 4))
    mu, k4 = x + mean, fourth - 3.0 * v**2
    first, second = 2.0 * mu * (1.0 - v) - k3, 2.0 * (1.0 - v) ** 2 + 2.0 * mu * k3 + k4
    return [log_p, -sign * mu, v - 1.0, -sign * k3, mu**2 + v - 1.0, sign * first, second]


@pytest.mark.parametrize(("a", "width"), BOUNDS)
def test_probability_and_derivatives(a: float, width: float) -> None:
    got, expected = log_normal_interval(a, width), by_quadrature(a, width)
    np.testing.assert_allclose(got, expected, rtol=2e-9, atol=1e-10)


@pytest.mark.parametrize("a", [0.0, 0.7, 5.0, 40.0])
def test_both_ways_of_finding_it_agree_where_one_takes_over_from_the_other(a: float) -> None:
    # where width * (a + 3 width / 2) is 1
    width = (-a + math.sqrt(a * a + 6.0)) / 3.0
    below, above = (log_normal_interval(a, width * (1.0 + s)) for s in (-1e-9, 1e-9))
    np.testing.assert_allclose(below, above, rtol=1e-7, atol=1e-8)


def test_no_bound_is_too_far() -> None:
    for a, width in ((1e6, 1e300), (-1e9, 1e-300), (0.0, 1e300), (1e-320, 1e-320)):
        assert np.isfinite(log_normal_interval(a, width)).all()
