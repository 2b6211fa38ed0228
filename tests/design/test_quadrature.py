"""Quadrature rules against integrals known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from longsurv.design.quadrature import normal_grid, time_points


def integral(points, f, n):
    return np.bincount(points.owner, weights=points.weight * f(points.time), minlength=n)


def test_smooth_integrands_over_each_interval():
    entry, exit = np.array([0.0, 1.0, 2.5, 3.0]), np.array([2.0, 1.5, 9.0, 3.0])
    points = time_points(entry, exit)
    assert integral(points, np.exp, 4) == pytest.approx(np.exp(exit) - np.exp(entry), rel=1e-12)
    assert (np.diff(points.owner) >= 0).all()
    assert 3 not in points.owner  # an interval of no length


def test_a_jump_at_a_break_costs_nothing():
    entry, exit = np.array([0.0, 0.5, 2.0, 1.0]), np.array([3.0, 0.9, 4.0, 1.0 + 1e-9])

    def steps(t):
        return np.where(t <= 1.0, 2.0, np.where(t <= 2.5, 5.0, 1.0)) * np.exp(-0.3 * t)

    def antiderivative(t):
        def piece(low, high, c):
            top = np.clip(t, low, high)
            return c * (np.exp(-0.3 * low) - np.exp(-0.3 * top)) / 0.3

        return piece(0.0, 1.0, 2.0) + piece(1.0, 2.5, 5.0) + piece(2.5, 9.0, 1.0)

    points = time_points(entry, exit, breaks=[1.0, 2.5])
    expected = antiderivative(exit) - antiderivative(entry)
    assert integral(points, steps, 4) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [0.5, 0.8, 1.3, 2.0])
def test_weibull_hazards_down_to_time_zero(shape):
    entry, exit = np.array([0.0, 0.0, 0.7]), np.array([0.1, 8.0, 3.0])
    points = time_points(entry, exit, power=4.0)
    hazard = integral(points, lambda t: shape * t ** (shape - 1), 3)
    assert hazard == pytest.approx(exit**shape - entry**shape, rel=1e-7)


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_moments_of_a_standard_normal(nodes, q):
    grid = normal_grid(nodes, q)
    x = grid.nodes[grid.index]
    weight = np.exp(grid.log_weight) * norm.pdf(x).prod(axis=1) * (2 * np.pi) ** (q / 2)
    assert len(weight) == nodes**q
    assert weight.sum() == pytest.approx(1.0)
    for power in range(2 * nodes):
        moment = norm.moment(power) if power else 1.0
        assert (weight * x[:, 0] ** power).sum() == pytest.approx(moment, abs=1e-10)
