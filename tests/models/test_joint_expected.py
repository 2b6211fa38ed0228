"""Coordinates in which a hazard's level is the log of the events that it expects."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.models.joint_expected import ExpectedEvents, HazardColumns

START = 2


@pytest.fixture
def hazards():
    rng = np.random.default_rng(4)
    first = HazardColumns(
        rng.normal(size=(30, 4)), rng.uniform(0.1, 2.0, 30), np.array([1.0, 1, 0, 0]), 2
    )
    columns = np.column_stack([np.ones(9), rng.normal(size=9)])
    second = HazardColumns(columns, rng.uniform(0.1, 2.0, 9), np.array([1.0, 0.0]), START + 4)
    first.columns[:, 1] = 1.0 - first.columns[:, 0]  # a basis, which sums to 1
    return first, second


def density(theta):
    """Any density: a quartic with a gradient of its own in every direction."""
    slope = np.arange(1.0, len(theta) + 1) / 10
    return float(slope @ theta - 0.01 * (theta**4).sum()), slope - 0.04 * theta**3


def test_they_are_undone(hazards):
    of = ExpectedEvents(hazards)
    theta = np.random.default_rng(1).normal(size=(3, 8))
    there = np.array([of.inward(row) for row in theta])
    np.testing.assert_allclose(of.outward(there[None])[0], theta, rtol=1e-12)
    assert (there[:, :2] == theta[:, :2]).all()


def test_the_level_is_the_log_of_the_expected_events(hazards):
    theta = np.random.default_rng(2).normal(size=8)
    x = ExpectedEvents(hazards).inward(theta)
    for one in hazards:
        own = theta[one.start : one.start + len(one.level)]
        expected = one.weight @ np.exp(one.columns @ own)
        at = x[one.start : one.start + len(one.level)]
        np.testing.assert_allclose(one.gauge @ at, np.log(expected), rtol=1e-12)


def test_the_density_is_the_same_and_its_gradient_right(hazards):
    of = ExpectedEvents(hazards)
    x, step = np.random.default_rng(3).normal(size=8), 1e-5
    moved = of.density(density)
    value, gradient = moved(x)
    np.testing.assert_allclose(value, density(of.outward(x))[0], rtol=1e-12)
    ends = [(x + step * one, x - step * one) for one in np.eye(8)]
    differences = [(moved(up)[0] - moved(down)[0]) / (2 * step) for up, down in ends]
    np.testing.assert_allclose(gradient, differences, atol=1e-8)
    jacobian = np.array([(of.outward(up) - of.outward(down)) / (2 * step) for up, down in ends])
    np.testing.assert_allclose(np.linalg.det(jacobian), 1.0, rtol=1e-8)  # so no volume is gained
