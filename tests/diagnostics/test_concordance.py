"""Concordance against a count of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.diagnostics.concordance import concordance


def count(eta, exit, event, entry, weights, stratum) -> tuple[float, float, float]:
    """Concordant, discordant and tied pairs, one by one."""
    out = [0.0, 0.0, 0.0]
    for i in np.flatnonzero(event):
        for j in range(len(eta)):
            outlives = exit[j] > exit[i] or (exit[j] == exit[i] and not event[j])
            if i == j or stratum[i] != stratum[j] or not (entry[j] < exit[i] and outlives):
                continue
            kind = 0 if eta[i] > eta[j] else 1 if eta[i] < eta[j] else 2
            out[kind] += weights[i] * weights[j]
    return tuple(out)


def random_rows(seed: int, n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 4, n).astype(float)
    exit = entry + rng.integers(1, 6, n)
    return (
        rng.integers(0, 5, n).astype(float),
        exit,
        rng.integers(0, 2, n),
        entry,
        rng.uniform(0.5, 2.0, n),
        rng.integers(0, 2, n),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_counts(seed, n):
    eta, exit, event, entry, weights, stratum = random_rows(seed, n)
    expected = count(eta, exit, event, entry, weights, stratum)
    found = concordance(eta, exit, event, entry, weights, stratum)
    counts = (found.concordant, found.discordant, found.tied)
    np.testing.assert_allclose(counts, expected, atol=1e-9)
    if sum(expected):
        c = (expected[0] + expected[2] / 2) / sum(expected)
        assert found.c == pytest.approx(c)
        assert concordance(-eta, exit, event, entry, weights, stratum).c == pytest.approx(1 - c)
    else:
        assert np.isnan(found.c) and np.isnan(found.std_error)


def test_standard_error_is_that_of_infinitesimal_weights():
    """Half the jackknife: derivatives of c by each row's weight."""
    eta, exit, event, entry, _, stratum = random_rows(3, 40)
    ones, step = np.ones(40), 1e-5
    slopes = [
        concordance(eta, exit, event, entry, ones + step * (np.arange(40) == i), stratum).c
        - concordance(eta, exit, event, entry, ones - step * (np.arange(40) == i), stratum).c
        for i in range(40)
    ]
    slopes = np.array(slopes) / (2 * step)
    found = concordance(eta, exit, event, entry, ones, stratum)
    assert found.std_error == pytest.approx(np.sqrt(slopes @ slopes), rel=1e-6)
    cluster = np.arange(40) // 4
    sums = np.bincount(cluster, weights=slopes)
    clustered = concordance(eta, exit, event, entry, ones, stratum, cluster)
    assert clustered.std_error == pytest.approx(np.sqrt(sums @ sums), rel=1e-6)
