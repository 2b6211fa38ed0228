"""Separation: every direction found obeys the definition, and where none is found a fit exists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.likelihood import cox


def differences(rows):
    """x_event - x_j for every event and everybody else at risk, by the definition."""
    out = []
    for i in np.flatnonzero(rows["event"]):
        t = rows["exit"][i]
        at_risk = (rows["entry"] < t) & (t <= rows["exit"]) & (rows["strata"] == rows["strata"][i])
        out.append(rows["X"][i] - rows["X"][at_risk])
    return np.vstack(out)


def newton(data):
    """Steps with halving from 0; the last gradient relative to its standard errors."""
    beta = np.zeros(data.n_columns)
    for _ in range(60):
        value, gradient, information = cox.value_gradient_information(data, beta)
        step = np.linalg.solve(information, gradient)
        while not cox.loglik(data, beta + step) >= value - 1e-9:
            step = step / 2
        beta = beta + step
    return beta, gradient @ np.linalg.solve(information, gradient)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 40),
    p=st.integers(1, 4),
    entry=st.booleans(),
    strata=st.booleans(),
    binary=st.booleans(),
    rate=st.sampled_from([0.05, 0.2, 0.6]),
)
def test_found_directions_separate_and_others_have_a_maximum(
    seed, n, p, entry, strata, binary, rate
):
    rng = np.random.default_rng(seed)
    start = np.floor(rng.uniform(0, 3, n)) if entry else np.full(n, -1.0)
    rows = {
        "X": (rng.random((n, p)) < 0.4).astype(float) if binary else rng.normal(size=(n, p)),
        "exit": np.maximum(start, 0) + np.ceil(rng.exponential(5, n)),
        "event": rng.random(n) < rate,
        "entry": start,
        "strata": rng.integers(0, 2, n) if strata else np.zeros(n, int),
    }
    rows["event"][0] = True
    data = cox.prepare(**rows)
    direction = cox.separation(data)
    D = differences(rows)
    if direction is not None:
        assert (D @ direction).min() > -1e-6 * np.abs(D).max()
        assert (D @ direction).max() > 0
        assert np.abs(direction).max() == 1
    elif np.linalg.matrix_rank(D) == p:
        beta, decrement = newton(data)
        assert decrement < 1e-10
        assert np.abs(beta).max() < 1e3


def test_no_deaths_among_the_treated():
    treated = np.repeat([1.0, 0.0], 10)
    age = np.tile(np.arange(10.0) * 7 % 10, 2)
    exit = np.r_[np.full(10, 28), [3, 9, 9, 20], np.full(6, 28)]
    event = np.r_[np.zeros(10), np.ones(4), np.zeros(6)]
    np.testing.assert_array_equal(
        cox.separation(cox.prepare(np.c_[age, treated], exit, event)), [0, -1]
    )


def test_only_a_combination_separates():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 2))
    index = X @ [1, 2]
    order = np.argsort(-index)
    exit = np.empty(40)
    exit[order] = np.arange(1, 41)
    direction = cox.separation(cox.prepare(X * [1000, 1], exit, np.ones(40)))
    assert direction is not None and np.count_nonzero(direction) == 2
    assert (np.diff((X * [1000, 1] @ direction)[order]) <= 1e-9).all()


def test_a_stratum_of_its_own_is_not_separated_by_it():
    """A column constant within strata is never compared, so it cannot separate."""
    X = np.c_[np.repeat([0.0, 1.0], 4), np.tile([1.0, 2.0, 4.0, 3.0], 2)]
    event = [1, 1, 1, 0, 0, 0, 0, 0]
    exit = [2, 1, 3, 4, 1, 2, 3, 4]
    together = cox.separation(cox.prepare(X[:, :1], exit, event))
    apart = cox.separation(cox.prepare(X[:, :1], exit, event, strata=X[:, 0]))
    assert together is not None and apart is None


def test_rounding_does_not_hide_separation():
    """0.1 + 0.2 ranks above 0.3 by rounding only."""
    x = [[0.1 + 0.2], [0.3], [0.5], [0.3]]
    direction = cox.separation(cox.prepare(x, [5, 6, 1, 2], [0, 0, 1, 1]))
    np.testing.assert_array_equal(direction, [1])


def test_offsets_and_weights_do_not_matter():
    rng = np.random.default_rng(2)
    X, exit = rng.normal(size=(30, 2)), rng.exponential(size=30)
    extreme = {"offset": rng.uniform(-900, 900, 30), "weights": rng.uniform(1e-6, 1e6, 30)}
    assert cox.separation(cox.prepare(X, exit, np.ones(30), **extreme)) is None


@pytest.mark.parametrize("separated", [True, False])
def test_large_data(separated):
    """One of 50,000 subjects decides; the constraint that shows it has to be generated."""
    rng = np.random.default_rng(3)
    n = 50_000
    X = rng.normal(size=(n, 3))
    rare = np.zeros(n)
    rare[:20] = 1
    event = rng.random(n) < 0.05
    event[:20] = False
    event[0] = not separated
    exit = np.where(rare > 0, 30, np.ceil(rng.uniform(0, 28, n)))
    exit[0] = 3
    direction = cox.separation(cox.prepare(np.c_[X, rare], exit, event))
    if separated:
        np.testing.assert_array_equal(direction, [0, 0, 0, -1])
    else:
        assert direction is None
