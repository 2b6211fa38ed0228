"""The passes `cox.prepare` is made of, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.likelihood import cox
from longsurv.likelihood.cox.sorting import sound, tallies


@pytest.mark.parametrize("where", ["X", "exit", "weight", "offset"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_anything_that_is_no_number_is_noticed(where, bad):
    rows = {"X": np.ones((4, 2)), "exit": np.ones(4), "weight": np.ones(4), "offset": np.ones(4)}
    assert sound(**rows)
    rows[where].flat[3] = bad
    assert not sound(**rows)


def test_a_sum_that_overflows_is_no_fault_of_the_data():
    X = np.array([[1.7e308, 1.7e308], [0.0, 1.0], [1.0, 0.0]])
    ones = np.ones(3)
    assert not sound(X, ones, ones, 0 * ones)
    with np.errstate(over="ignore"):
        cox.prepare(X, [1, 2, 3], [1, 1, 0])


def test_events_and_their_weights_by_time():
    rng = np.random.default_rng(1)
    last, event, weight = rng.integers(1, 6, 50), rng.random(50) < 0.5, rng.uniform(size=50)
    deaths, death_weight = tallies(last, event, weight, 5)
    np.testing.assert_array_equal(deaths, np.bincount(last[event] - 1, minlength=5))
    expected = np.bincount(last[event] - 1, weights=weight[event], minlength=5)
    np.testing.assert_allclose(death_weight, expected, rtol=1e-14)


def test_columns_are_scaled_by_powers_of_two_near_their_standard_deviation():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 6)) * 10.0 ** np.arange(-3, 3)
    X[:, 5] = 7.0
    scale = cox.prepare(X, np.arange(1.0, 81.0), np.ones(80)).scale
    assert scale[5] == 1.0 and (np.frexp(scale)[0] == 0.5).all()
    ratio = scale[:5] / X[:, :5].std(axis=0)
    assert (ratio > 0.7).all() and (ratio < 1.4143).all()
