"""Intervals that stay in their range, against a direct transformation and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longsurv.estimands.counts import Counts
from longsurv.estimands.intervals import mover, proportion, within
from longsurv.estimands.two_by_two import newcombe

unit = st.floats(0.0, 1.0)


@given(unit, unit, unit, unit, unit, unit)
def test_limits_of_a_difference_never_leave_it(a, b, c, d, e, f):
    p_low, p, p_high = sorted((a, b, c))
    q_low, q, q_high = sorted((d, e, f))
    low, high = mover((p, p_low, p_high), (q, q_low, q_high))
    assert -1 <= p_low - q_high - 1e-12 <= low + 1e-9
    assert low <= p - q <= high
    assert high <= p_high - q_low + 1e-9
    back = mover((q, q_low, q_high), (p, p_low, p_high))
    assert back == pytest.approx((-high, -low))


@given(st.floats(-0.999, 0.999), st.floats(1e-6, 5.0), st.floats(0.5, 100.0))
def test_fisher_s_z(share, error, bound):
    low, high = within(share * bound, error * bound, 1.96, bound)
    assert -bound <= low < share * bound < high <= bound
    mirrored = within(-share * bound, error * bound, 1.96, bound)
    assert mirrored == pytest.approx((-high, -low))
    if error < 0.01:
        z = np.arctanh(share) + np.array([-1, 1]) * 1.96 * error / (1 - share**2)
        assert (low, high) == pytest.approx(tuple(bound * np.tanh(z)))


@given(st.floats(0.001, 0.999), st.floats(1e-6, 5.0))
def test_logit_of_a_proportion(value, error):
    low, high = proportion(value, error, 1.96)
    assert 0 <= low < value < high <= 1
    mirrored = proportion(1 - value, error, 1.96)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_with_wilson_s_limits_it_is_newcombe_s():
    z = 1.959963984540054

    def wilson(k, n):
        p, more = k / n, z * z / n
        half = z * math.sqrt(p * (1 - p) / n + more / (4 * n)) / (1 + more)
        middle = (p + more / 2) / (1 + more)
        return p, middle - half, middle + half

    expected = newcombe(Counts(1, 19, 4, 22))
    assert mover(wilson(1, 19), wilson(4, 22)) == pytest.approx(expected, abs=1e-10)


def test_there_is_none_at_the_edges_or_without_an_error():
    for value in (-1.0, 1.0):
        assert np.isnan(within(value, 0.1, 1.96)).all()
    for value in (0.0, 1.0):
        assert np.isnan(proportion(value, 0.1, 1.96)).all()
    assert np.isnan(within(0.2, 0.0, 1.96)).all()
    assert np.isnan(proportion(0.2, math.nan, 1.96)).all()
