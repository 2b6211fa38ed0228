"""Unconstrained correlations, against the definition of partial correlations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.likelihood.arithmetic.covariance import (
    correlation_cholesky,
    correlation_pullback,
    count_correlations,
    covariance,
    lower_cholesky,
    partial_correlations,
)

UNCONSTRAINED = st.integers(1, 5).flatmap(
    lambda q: st.lists(
        st.floats(-3, 3, allow_nan=False),
        min_size=count_correlations(q),
        max_size=count_correlations(q),
    ).map(lambda z: (q, np.array(z, dtype=float)))
)


def partial_by_regression(C: np.ndarray, i: int, j: int) -> float:
    """Correlation of i and j after regressing both on 0, ..., j - 1."""
    given = list(range(j))
    S = C[np.ix_([i, j], [i, j])]
    if given:
        A = C[np.ix_([i, j], given)]
        S = S - A @ np.linalg.solve(C[np.ix_(given, given)], A.T)
    return S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])


@settings(max_examples=40, deadline=None)
@given(UNCONSTRAINED)
def test_factor_of_a_correlation_matrix(drawn):
    q, z = drawn
    K = correlation_cholesky(z, q)
    C = K @ K.T
    np.testing.assert_allclose(np.diag(C), 1.0, rtol=1e-12)
    assert (np.triu(K, 1) == 0).all() and (np.diag(K) > 0).all()
    below = [(i, j) for i in range(q) for j in range(i)]
    expected = [partial_by_regression(C, i, j) for i, j in below]
    np.testing.assert_allclose(np.tanh(z), expected, atol=1e-6)
    # det C is the product of 1 - r^2 over all partial correlations
    assert np.linalg.det(C) == pytest.approx(np.prod(1 - np.tanh(z) ** 2), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(UNCONSTRAINED)
def test_round_trip(drawn):
    q, z = drawn
    K = correlation_cholesky(z, q)
    back = partial_correlations(K @ K.T)
    np.testing.assert_allclose(back, z, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_pullback_is_the_gradient(q, numeric_gradient):
    rng = np.random.default_rng(q)
    for _ in range(10):
        z, weights = rng.normal(size=count_correlations(q)), rng.normal(size=(q, q))
        weights = np.tril(weights)
        expected = numeric_gradient(lambda v, w=weights: (w * correlation_cholesky(v, q)).sum(), z)
        np.testing.assert_allclose(
            correlation_pullback(z, q, weights), expected, rtol=1e-8, atol=1e-9
        )


def test_pullback_at_a_correlation_of_one():
    """tanh(40) is 1 in floating point; no NaN may come out."""
    z = np.array([40.0, -40.0, 0.3])
    assert np.isfinite(correlation_pullback(z, 3, np.tril(np.ones((3, 3))))).all()


def test_covariance_of_two():
    np.testing.assert_allclose(
        covariance(np.array([2.0, 3.0]), np.array([np.arctanh(0.5)])), [[4.0, 3.0], [3.0, 9.0]]
    )


def test_lower_cholesky():
    A = np.array([[4.0, 2.0, 0.4], [2.0, 3.0, 0.1], [0.4, 0.1, 2.0]])
    L = np.zeros((3, 3))
    assert lower_cholesky(A, L)
    np.testing.assert_allclose(L, np.linalg.cholesky(A))
    assert not lower_cholesky(A - 5 * np.eye(3), L)
    assert not lower_cholesky(np.full((2, 2), np.nan), np.zeros((2, 2)))
