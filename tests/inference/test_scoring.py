"""Ascent by an information that may leave out part of the curvature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from longsurv.inference.scoring import ascend, newton_step


def half_known(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Curvature 2 cosh x + 5 / 2 in each direction, of which the information has only 2 / 5."""
    value = -2.0 * np.cosh(x).sum() - 1.25 * ((x - 1.0) ** 2).sum() - 0.5 * x.prod()
    gradient = -2.0 * np.sinh(x) - 2.5 * (x - 1.0) - 0.5 * x[::-1]
    return value, gradient, 0.4 * np.diag(2.0 * np.cosh(x) + 2.5)


def logistic(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Two successes in three, exactly known."""
    p = 1.0 / (1.0 + np.exp(-x[0]))
    return (
        float(2 * np.log(p) + np.log1p(-p)),
        np.array([2 - 3 * p]),
        np.array([[3 * p * (1 - p)]]),
    )


def test_exact_information_is_newton():
    top = ascend(logistic, np.zeros(1), exact=True)
    assert top.converged and top.x[0] == pytest.approx(np.log(2.0), abs=1e-8)
    assert top.evaluations <= 6
    np.testing.assert_allclose(-top.hessian, logistic(top.x)[2])


def test_what_the_information_lacks_is_learnt():
    """Steps 2.5 times too long swing to and fro for ever; with the correction they settle fast."""
    top = ascend(half_known, np.array([2.0, -1.0]), names=["a", "b"])
    found = minimize(lambda x: -half_known(x)[0], np.zeros(2), options={"gtol": 1e-10})
    assert top.converged and top.gradient_norm < 1e-7 and top.evaluations < 25
    np.testing.assert_allclose(top.x, found.x, atol=1e-6)


def test_failures_are_told():
    def nowhere(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return -np.inf, np.full(1, np.nan), np.full((1, 1), np.nan)

    def flat(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return -(x[0] ** 2), np.array([-2 * x[0], 0.0]), np.diag([2.0, 0.0])

    top = ascend(nowhere, np.zeros(1))
    assert not top.converged and "not finite at the starting point" in top.status
    top = ascend(flat, np.ones(2), exact=True)
    assert not top.converged and "not identified" in top.status


def test_no_parameters():
    def constant(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return -3.0, np.zeros(0), np.zeros((0, 0))

    top = ascend(constant, np.zeros(0))
    assert top.converged and top.value == -3.0


def test_a_step_without_a_positive_correction_is_the_information_s():
    information, right = np.diag([4.0, 2.0]), np.array([8.0, 2.0])
    np.testing.assert_allclose(newton_step(information, np.zeros((2, 2)), right), [2.0, 1.0])
    np.testing.assert_allclose(newton_step(information, np.diag([0.0, 2.0]), right), [2.0, 0.5])
    np.testing.assert_allclose(newton_step(information, -10 * np.eye(2), right), [2.0, 1.0])


def test_the_condition_number_does_not_depend_on_units():
    correlation = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, 0.9], [0.2, 0.9, 1.0]])
    for unit in (1e-5, 1.0, 1e5):
        information = correlation * np.outer([unit, 1.0, 2.0], [unit, 1.0, 2.0])

        def density(
            x: np.ndarray, information: np.ndarray = information
        ) -> tuple[float, np.ndarray, np.ndarray]:
            return -0.5 * float(x @ information @ x), -information @ x, information

        top = ascend(density, np.ones(3), exact=True)
        assert top.converged
        assert top.condition_number == pytest.approx(np.linalg.cond(correlation), rel=1e-9)
