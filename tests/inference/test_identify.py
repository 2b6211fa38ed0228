"""What an information matrix determines."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.inference import Flat, identify


def information(X: np.ndarray) -> np.ndarray:
    return X.T @ X


@pytest.fixture
def X() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(40, 4))


@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e9])
def test_a_whole_information_is_inverted_in_any_unit(X, unit):
    scale = np.array([1.0, unit, 1.0, 1.0 / unit])
    found = identify(information(X * scale))
    assert not found.flat
    assert found.flat.determined.all()
    np.testing.assert_allclose(
        found.cov * np.outer(scale, scale), np.linalg.inv(information(X)), rtol=1e-9
    )


@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e9])
def test_a_flat_direction_takes_those_that_load_on_it_and_leaves_what_is_estimable(X, unit):
    X = X.copy()
    X[:, 2] = X[:, 0] + X[:, 1]
    scale = np.array([1.0, unit, unit, 1.0])
    found = identify(information(X * scale))
    assert found.flat.determined.tolist() == [False, False, False, True]
    # beta_0 + beta_2 and beta_1 + beta_2 do not move along (1, 1, -1)
    L = np.array([[1.0, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0], [1, 0, -1, 0]]) * scale
    assert found.flat.estimable(L).tolist() == [True, True, False, False]
    basis = X[:, [0, 1, 3]]
    expected = np.linalg.inv(information(basis))[0, 0]
    assert L[0] @ found.cov @ L[0] == pytest.approx(expected, rel=1e-7)


def test_no_information_at_all_is_a_flat_direction_and_so_is_rounding(X):
    known = information(X)
    known[1] = known[:, 1] = 0.0
    assert identify(known).flat.determined.tolist() == [True, False, True, True]
    known[1, 1] = 1e-17
    assert identify(known).flat.determined.all()
    rounding = 1e-14 * np.diag(information(X))
    found = identify(known, rounding=rounding)
    assert found.flat.determined.tolist() == [True, False, True, True]


def test_a_saddle_is_not_a_maximum(X):
    known = information(X)
    known[0, 0] -= 1.5 * known[0, 0]
    known[1, 2] = known[2, 1] = 2.0 * np.sqrt(known[1, 1] * known[2, 2])
    assert identify(known).indefinite
    assert not identify(information(X)).indefinite


def test_directions_are_seen_through_a_map():
    flat = Flat(np.array([[1.0], [-1.0]]), np.ones(2))
    assert flat.mapped(np.array([[1.0, 1.0], [1.0, -1.0]])).determined.tolist() == [True, False]
    assert Flat.none(3).determined.all()
