"""Coordinates without units, and Hessians whose steps know none."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.inference import Affine, hessian, identify, maximise


def banana(x):
    """A maximum at (1, 1), not a parabola."""
    d = x[1] - x[0] ** 2
    value = -5.0 * d**2 - 0.5 * (x[0] - 1.0) ** 2
    return value, np.array([20.0 * x[0] * d - (x[0] - 1.0), -10.0 * d])


@pytest.fixture
def affine():
    return Affine(np.array([30.0, -2.0]), np.array([[1e-3, 0.0], [40.0, 1e5]]))


def test_there_and_back(affine):
    u = np.array([0.3, -1.2])
    np.testing.assert_allclose(affine.inward(affine.outward(u)), u, rtol=1e-9)
    rows = affine.outward(np.array([u, 2 * u]))
    np.testing.assert_allclose(rows[1], affine.centre + affine.factor @ (2 * u))


def test_the_optimum_is_the_same_whatever_the_units(affine):
    """The gradient and Hessian in theta are those of the density of theta."""
    of_theta = Affine(affine.inward(np.zeros(2)), np.linalg.inv(affine.factor)).density(banana)
    found = affine.optimum(maximise(affine.density(of_theta), np.zeros(2)))
    plain = maximise(banana, np.zeros(2))
    np.testing.assert_allclose(affine.inward(found.x), plain.x, rtol=1e-9)
    np.testing.assert_allclose(
        affine.factor.T @ found.hessian @ affine.factor, plain.hessian, rtol=1e-7
    )
    cov = affine.identify(found.hessian).cov
    wanted = affine.factor @ np.linalg.inv(-plain.hessian) @ affine.factor.T
    np.testing.assert_allclose(cov, wanted, rtol=1e-7)


def test_blocks_are_put_after_one_another():
    both = Affine.of_blocks(
        [(np.ones(1), np.array([[2.0]])), (np.empty(0), np.eye(0)), (np.zeros(2), 3.0 * np.eye(2))]
    )
    np.testing.assert_array_equal(both.centre, [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(both.factor, np.diag([2.0, 3.0, 3.0]))


@pytest.mark.parametrize("unit", [1e-8, 1e-6, 1e-4])
def test_a_step_that_is_too_long_is_taken_again(unit):
    """exp(x / unit) - x / unit at 0: second derivative 1 / unit^2."""

    def density(x):
        with np.errstate(over="ignore"):
            e = np.exp(x[0] / unit)
        return -e + x[0] / unit, np.array([(1.0 - e) / unit])

    assert hessian(density, np.zeros(1))[0, 0] * unit**2 == pytest.approx(-1.0, rel=1e-5)


def test_a_flat_direction_among_others_is_not_seen_by_them():
    """What does not load on it keeps its answer, whatever rounding leaves on it."""
    rng = np.random.default_rng(1)
    A = rng.normal(size=(20, 4))
    A[:, 3] = -2.0 * A[:, 2]
    flat = identify(A.T @ A).flat
    assert flat.determined.tolist() == [True, True, False, False]
    assert flat.of(np.array([0, 1])).determined.all()
    assert not flat.of(np.array([0, 1]))
    assert flat.mapped(np.eye(4)[:2] + 1e-9).determined.all()
    assert (
        flat.mapped(np.array([[1.0, 0, 0, 0], [0, 0, 1.0, -2.0]])).determined.tolist() == [True] * 2
    )
