"""Bases of baseline hazards against integrals and a recursion of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from longsurv.design.hazard_baseline import hazard_baseline
from longsurv.errors import LongsurvError


def followed(kind, times=(3.0, 8.0, 12.0, 20.0, 21.0), lower=2.0, upper=28.0, **more):
    exit_ = np.r_[times, upper]
    event = np.r_[np.ones(len(times)), 0.0]
    return hazard_baseline(kind, np.full(len(exit_), lower), exit_, event, **more)


def ramsay(full, k, order, t):
    """M-spline by Ramsay's recursion (1988, equation 2)."""
    if order == 1:
        inside = full[k] <= t < full[k + 1]
        return 1.0 / (full[k + 1] - full[k]) if inside else 0.0
    width = full[k + order] - full[k]
    if width == 0:
        return 0.0
    left = (t - full[k]) * ramsay(full, k, order - 1, t)
    right = (full[k + order] - t) * ramsay(full, k + 1, order - 1, t)
    return order * (left + right) / ((order - 1) * width)


def test_msplines_are_ramsay_s():
    base = followed("mspline", knots=(5.0, 11.0))
    full = np.r_[[2.0] * 4, 5.0, 11.0, [28.0] * 4]
    for t in (2.0, 2.5, 5.0, 9.3, 11.0, 27.9):
        expected = [ramsay(full, k, 4, t) for k in range(6)]
        np.testing.assert_allclose(base.hazard(np.array([t]))[0], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", ["mspline", "piecewise", "exponential"])
def test_cumulative_is_the_integral(kind):
    knots = (5.0, 11.0) if kind != "exponential" else None
    base = followed(kind, knots=knots)
    between = base.cumulative(np.array([17.0])) - base.cumulative(np.array([3.5]))
    for k in range(base.size):
        expected = sum(
            quad(lambda t, k=k: base.hazard(np.array([t]))[0, k], a, b, epsabs=1e-13)[0]
            for a, b in ((3.5, 5.0), (5.0, 11.0), (11.0, 17.0))
        )
        assert between[0, k] == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_each_mspline_has_area_one_and_constant_weights_a_constant_hazard():
    base = followed("mspline", n_knots=3)
    np.testing.assert_allclose(base.cumulative(np.array([2.0]))[0], 0.0, atol=1e-14)
    np.testing.assert_allclose(base.cumulative(np.array([28.0]))[0], 1.0, rtol=1e-12)
    t = np.linspace(2.0, 28.0, 50)
    np.testing.assert_allclose(base.hazard(t) @ base.constant, 1.0 / 26.0, rtol=1e-12)


def test_after_the_last_exit_the_hazard_stays():
    base = followed("mspline")
    end = base.hazard(np.array([28.0]))
    np.testing.assert_allclose(base.hazard(np.array([40.0])), end)
    rise = base.cumulative(np.array([40.0])) - base.cumulative(np.array([28.0]))
    np.testing.assert_allclose(rise, 12.0 * end, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "events", "expected"),
    [("mspline", 1, 1), ("mspline", 5, 1), ("mspline", 12, 2), ("mspline", 200, 6),
     ("piecewise", 5, 0), ("piecewise", 6, 1), ("piecewise", 200, 5)],
)  # fmt: skip
def test_knots_are_as_many_as_the_events_bear(kind, events, expected):
    base = followed(kind, times=tuple(np.linspace(3.0, 25.0, events)))
    assert len(base.knots) == expected


def test_tied_events_share_a_knot():
    base = followed("mspline", times=(5.0,) * 30)
    (knot,) = base.knots
    assert knot < 5.0 and knot == pytest.approx(5.0, rel=1e-14)  # just before them
    for kind in ("mspline", "piecewise"):  # events at the end leave nothing after them
        assert followed(kind, times=(28.0,) * 30).knots == ()
        assert max(followed(kind, times=(5.0, 9.0, 12.0, *(28.0,) * 30)).knots, default=0) < 27.0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(2.1, 27.9), min_size=1, max_size=40),
    st.floats(2.0, 28.0),
    st.floats(2.0, 28.0),
)
def test_non_negative_and_monotone(times, one, other):
    base = followed("mspline", times=tuple(times))
    assert (base.hazard(np.array([one])) >= 0).all()
    a, b = base.cumulative(np.sort([one, other]))
    assert (b - a >= -1e-12).all() and (b <= 1 + 1e-12).all()


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [("gompertz", {}, "one of"), ("weibull", {"n_knots": 2}, "no knots"),
     ("mspline", {"n_knots": 2, "knots": (4.0,)}, "not both"),
     ("mspline", {"knots": (1.0,)}, "between the first entry, 2, and the last exit, 28"),
     ("piecewise", {"knots": (28.0,)}, "last exit"), ("mspline", {"n_knots": -1}, "at least 0")],
)  # fmt: skip
def test_refused(kind, more, message):
    with pytest.raises(LongsurvError, match=message):
        followed(kind, **more)
