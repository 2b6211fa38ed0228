"""The climb to a maximum, on functions whose maximum is known."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.inference import maximise


def rosenbrock(x):
    """Curved valley with its maximum, 0, at (1, 1, 1, 1)."""
    d = x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[:-1] = 400 * x[:-1] * d + 2 * (1 - x[:-1])
    gradient[1:] -= 200 * d
    return -float((100 * d**2 + (1 - x[:-1]) ** 2).sum()), gradient


def quadratic(centre, precision):
    def density(x):
        return -0.5 * float((x - centre) @ precision @ (x - centre)), -precision @ (x - centre)

    return density


def test_curved_valley():
    found = maximise(rosenbrock, np.array([-1.2, 1.0, -0.5, 2.0]))
    assert found.converged and not found.at_boundary
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-5)
    assert found.newton_decrement < 1e-10 and found.gradient_norm < 1e-4


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_do_not_matter(unit):
    """Two parameters of very different scale, correlated."""
    scale = np.array([unit, 1.0])
    precision = np.array([[2.0, 0.9], [0.9, 1.0]]) / np.outer(scale, scale)
    centre = np.array([3.0, -2.0]) * scale
    found = maximise(quadratic(centre, precision), np.zeros(2))
    assert found.converged
    # within 1e-4 of each standard error
    np.testing.assert_allclose(found.x / scale, centre / scale, atol=1e-4)
    assert found.condition_number == pytest.approx(
        np.linalg.cond([[1.0, 0.9 / np.sqrt(2)], [0.9 / np.sqrt(2), 1.0]]), rel=1e-4
    )


def test_newton_with_the_exact_hessian():
    precision = np.array([[2.0, 0.5], [0.5, 1.0]])
    density = quadratic(np.array([1.0, 2.0]), precision)
    found = maximise(density, np.zeros(2), second_order=lambda x: (*density(x), -precision))
    assert found.converged and found.evaluations <= 5
    np.testing.assert_allclose(found.x, [1.0, 2.0], rtol=1e-12)
    np.testing.assert_array_equal(found.hessian, -precision)


class TestBounds:
    lower = np.array([0.0, -np.inf])

    def test_optimum_inside(self):
        found = maximise(quadratic(np.array([2.0, 1.0]), np.eye(2)), np.ones(2), lower=self.lower)
        assert found.converged and found.at_boundary == ()
        np.testing.assert_allclose(found.x, [2.0, 1.0], rtol=1e-5)

    def test_optimum_beyond(self):
        """The other coordinate moves to its best value on the bound."""
        precision = np.array([[1.0, 0.5], [0.5, 1.0]])
        density = quadratic(np.array([-2.0, 1.0]), precision)
        found = maximise(density, np.ones(2), names=["a", "b"], lower=self.lower)
        assert found.converged and found.at_boundary == ("a",)
        assert found.x[0] == 0.0
        assert found.x[1] == pytest.approx(0.0, abs=1e-5)
        np.testing.assert_array_equal(found.free, [1])
        assert found.hessian.shape == (1, 1)

    @pytest.mark.parametrize("curvature", [0.0, 1e-3, 1.0])
    def test_even_function(self, curvature):
        """As a likelihood in a standard deviation: no slope at 0, whatever happens beyond."""

        def density(x):
            s, m = x
            value = -curvature * s**2 - s**4 - 0.5 * (m - 1) ** 2
            return value, np.array([-2 * curvature * s - 4 * s**3, -(m - 1)])

        found = maximise(density, np.array([1.5, 0.0]), names=["s", "m"], lower=self.lower)
        assert found.converged and found.at_boundary == ("s",)
        assert found.x[0] == 0.0
        assert found.x[1] == pytest.approx(1.0, abs=1e-5)

    def test_a_small_value_is_not_zero(self):
        """A maximum at 0.02 with 0 clearly worse stays where it is."""

        def density(x):
            s = x[0]
            return 1e5 * (2 * 0.02**2 * s**2 - s**4), np.array([1e5 * (4 * 0.02**2 * s - 4 * s**3)])

        found = maximise(density, np.array([1.0]), lower=np.array([0.0]))
        assert found.converged and found.at_boundary == ()
        assert found.x[0] == pytest.approx(0.02, rel=1e-4)

    def test_start_outside_is_moved(self):
        found = maximise(quadratic(np.ones(2), np.eye(2)), np.array([-5.0, 0.0]), lower=self.lower)
        np.testing.assert_allclose(found.x, 1.0, rtol=1e-5)


def test_flat_direction():
    """Only x0 + x1 matters."""

    def density(x):
        d = x[0] + x[1] - 3.0
        return -0.5 * d**2, np.array([-d, -d])

    found = maximise(density, np.zeros(2))
    assert not found.converged
    assert "not identified" in found.status
    assert found.x.sum() == pytest.approx(3.0, abs=1e-5)


def test_saddle_is_not_a_maximum():
    found = maximise(
        lambda x: (x[0] ** 2 - x[1] ** 2, np.array([2 * x[0], -2 * x[1]])), np.zeros(2)
    )
    assert not found.converged


def test_no_maximum():
    """A separated group: log(1 / (1 + e^-x)) rises for ever, and its name is told."""

    def density(x):
        p = 1 / (1 + np.exp(x[0]))
        return -np.logaddexp(0.0, -x[0]) - 0.5 * (x[1] - 2) ** 2, np.array([p, 2 - x[1]])

    def second_order(x):
        p = 1 / (1 + np.exp(x[0]))
        return *density(x), -np.diag([p * (1 - p), 1.0])

    for how in (None, second_order):
        found = maximise(density, np.zeros(2), names=["separated", "plain"], second_order=how)
        assert not found.converged
        assert "separated can grow" in found.status and "plain" not in found.status


def test_a_region_without_values():
    """NaN, infinity and failures beyond x = 2: the line search steps back."""

    def density(x):
        if x[0] > 4:
            raise np.linalg.LinAlgError
        if x[0] > 2:
            return np.nan, np.array([np.nan])
        return 3 * np.log(2.1 - x[0]) + 6 * x[0], np.array([-3 / (2.1 - x[0]) + 6])

    found = maximise(density, np.array([-3.0]))
    assert found.converged
    assert found.x[0] == pytest.approx(1.6, abs=1e-5)


def test_a_start_without_a_value():
    found = maximise(lambda x: (np.nan, np.array([np.nan])), np.zeros(1))
    assert not found.converged and found.value == -np.inf
    assert "starting point" in found.status


def test_nothing_to_climb():
    found = maximise(lambda x: (-1.5, np.empty(0)), np.empty(0))
    assert found.converged and found.value == -1.5


def test_count_of_evaluations():
    calls = []

    def density(x):
        calls.append(x)
        return rosenbrock(x)

    assert maximise(density, np.zeros(3)).evaluations == len(calls)
