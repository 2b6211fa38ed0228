"""Curves of weighted patients against definitions written out, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.kaplan_meier import kaplan_meier
from longsurv.estimands.weighted_risks import WeightedRisks


def patients(seed, n=30, late=True):
    rng = np.random.default_rng(seed)
    entry = np.round(rng.uniform(0, 3, n) * late)
    entry[:6] = 0
    exit = entry + np.ceil(rng.exponential(6, n))
    return FollowUp(entry, exit, rng.integers(0, 3, n)), rng.uniform(0.2, 3, n)


def brute_risk(f, w, t, cause=1):
    """Aalen and Johansen's sum, patient by patient."""
    free, risk = 1.0, 0.0
    for s in np.unique(f.exit[(f.status > 0) & (f.exit <= t)]):
        y = sum(w[i] for i in range(len(w)) if f.entry[i] < s <= f.exit[i])
        mine = sum(w[i] for i in range(len(w)) if f.exit[i] == s and f.status[i] == cause)
        any_ = sum(w[i] for i in range(len(w)) if f.exit[i] == s and f.status[i] > 0)
        risk += free * mine / y
        free *= 1 - any_ / y
    return risk


def brute_mean(f, w, start, horizon):
    """The area, hour by hour of a clock on which all times are whole."""
    return sum(
        1 - sum(brute_risk(f, w, t, cause) for cause in (1, 2)) for t in range(start, horizon)
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("late", [False, True])
def test_values_are_the_definitions(seed, late):
    f, w = patients(seed, late=late)
    curve = WeightedRisks(f, w)
    for t in (0, 1, 4, 9, 12):
        assert curve.risk(t)[0] == pytest.approx(brute_risk(f, w, t), abs=1e-12)
    assert curve.mean_time(0, 9)[0] == pytest.approx(brute_mean(f, w, 0, 9), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("late", [False, True])
def test_derivatives_are_those_of_the_definitions(seed, late):
    f, w = patients(seed, late=late)
    curve, h = WeightedRisks(f, w), 1e-5
    for found, brute in (
        (curve.risk(6)[1], lambda v: brute_risk(f, v, 6)),
        (curve.mean_time(0, 9)[1], lambda v: brute_mean(f, v, 0, 9)),
    ):
        for i in range(len(w)):
            up, down = w.copy(), w.copy()
            up[i] *= np.exp(h)
            down[i] *= np.exp(-h)
            assert found[i] == pytest.approx((brute(up) - brute(down)) / (2 * h), abs=1e-8)
        assert found.sum() == pytest.approx(0, abs=1e-12)  # the scale of the weights is nothing


def test_equal_weights_are_the_unweighted_curves():
    f, _ = patients(3)
    curve = WeightedRisks(f, np.full(len(f), 0.37))
    one = FollowUp(f.entry, f.exit, (f.status == 1) * 1)
    single = WeightedRisks(one, np.ones(len(f)))
    for t in (2.0, 5.0, 8.0):
        value, moves = curve.risk(t)
        expected, _ = cumulative_incidence(f).at(t)
        assert value == pytest.approx(expected)
        survival, greenwood = kaplan_meier(one).at(np.array([t]))
        value, moves = single.risk(t)
        assert 1 - value == pytest.approx(survival[0])
        # Of Kaplan and Meier's curve the infinitesimal jackknife is Greenwood's variance.
        assert np.sqrt((moves**2).sum()) == pytest.approx(greenwood[0])


def test_where_everybody_leaves_nothing_more_can_move():
    f = FollowUp(np.zeros(3), np.array([1.0, 2, 2]), np.array([0, 1, 1]))
    value, moves = WeightedRisks(f, np.array([0.1, 0.2, 0.3])).risk(5.0)
    assert value == 1 and (moves == 0).all()
