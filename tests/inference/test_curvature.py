"""Hessians and whitening."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.inference import hessian, whiten
from longsurv.inference.curvature import positive_definite


def density(x):
    """exp, sine and a product, so that every second derivative is known."""
    value = np.exp(x[0]) + np.sin(x[1]) * x[2] ** 2
    return value, np.array([np.exp(x[0]), np.cos(x[1]) * x[2] ** 2, 2 * np.sin(x[1]) * x[2]])


def exact(x):
    H = np.zeros((3, 3))
    H[0, 0] = np.exp(x[0])
    H[1, 1] = -np.sin(x[1]) * x[2] ** 2
    H[1, 2] = H[2, 1] = 2 * np.cos(x[1]) * x[2]
    H[2, 2] = 2 * np.sin(x[1])
    return H


def test_hessian():
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(10, 3)) * [1.0, 1.0, 10.0]:
        np.testing.assert_allclose(hessian(density, x), exact(x), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            hessian(density, x, np.array([2, 0])),
            exact(x)[np.ix_([2, 0], [2, 0])],
            rtol=1e-6,
            atol=1e-6,
        )


def test_whitening_inverts_the_curvature():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(4, 6)) * [[1.0], [1e-4], [1e3], [1.0]]
    precision = A @ A.T
    w = whiten(np.arange(4.0), -precision)
    assert not w.regularised
    np.testing.assert_allclose(w.factor.T @ precision @ w.factor, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("bad", [-3.0, 0.0])
def test_indefinite_curvature_is_flagged(bad):
    w = whiten(np.zeros(2), -np.diag([4.0, bad]))
    assert w.regularised
    assert np.isfinite(w.factor).all() and np.linalg.matrix_rank(w.factor) == 2
    assert w.factor[0] @ w.factor[0] == pytest.approx(0.25)


def test_positive_definite_keeps_what_is():
    A = np.array([[2.0, 0.3], [0.3, 5.0]])
    values, vectors, raised = positive_definite(A)
    assert not raised
    np.testing.assert_allclose((vectors / values) @ vectors.T, np.linalg.inv(A), rtol=1e-12)
