"""Bases of the log baseline hazard."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from longsurv.design.baseline import baseline
from longsurv.errors import LongsurvError

RNG = np.random.default_rng(3)
EXIT = RNG.exponential(4.0, 80) + 0.05
EVENT = (RNG.random(80) < 0.6).astype(int)


def test_splines_are_de_boor_s_with_knots_at_event_quantiles():
    shape = baseline("spline", EXIT, EVENT)
    inner = np.quantile(EXIT[EVENT == 1], np.arange(1, 6) / 6)
    assert shape.knots == pytest.approx(inner)
    gamma = RNG.normal(size=len(shape.names))
    curve = BSpline(np.r_[[0] * 4, inner, [EXIT.max()] * 4], gamma, 3)
    t = RNG.uniform(0, EXIT.max(), 50)
    assert shape.log_hazard(t, gamma) == pytest.approx(curve(t), abs=1e-12)
    assert shape.basis(t).sum(axis=1) == pytest.approx(1.0)
    # After the last exit the hazard stays as it was there.
    last = shape.log_hazard(np.array([EXIT.max()]), gamma)
    assert shape.log_hazard(np.array([EXIT.max() * 2]), gamma) == pytest.approx(last)


def test_weibull_shape_and_scale():
    shape = baseline("weibull", EXIT, EVENT)
    k, at = 1.4, shape.unit
    t = np.array([0.2, 1.0, 7.0])
    hazard = np.exp(shape.log_hazard(t, np.array([np.log(k / at), k - 1.0])))
    assert hazard == pytest.approx(k / at * (t / at) ** (k - 1))


def test_pieces_are_open_at_their_start():
    shape = baseline("piecewise", EXIT, EVENT, knots=[1.0, 2.0])
    rows = shape.basis(np.array([0.5, 1.0, 1.0001, 2.0, 50.0]))
    assert rows.argmax(axis=1).tolist() == [0, 0, 1, 1, 2]
    assert len(shape.names) == 3 and shape.breaks == (1.0, 2.0)


def test_few_events_get_few_knots():
    event = np.zeros(80, dtype=int)
    event[:7] = 1
    assert len(baseline("piecewise", EXIT, event).knots) == 1
    event[4:] = 0
    assert baseline("spline", EXIT, event).knots == ()
    assert len(baseline("spline", EXIT, event).names) == 2
    assert len(baseline("spline", EXIT, event, n_knots=3).knots) == 3


@pytest.mark.parametrize(("events", "degree"), [(0, 1), (5, 1), (6, 2), (8, 2), (9, 3), (40, 3)])
def test_few_events_get_a_plain_curve(events, degree):
    """Its values are a polynomial of that degree where there is no knot, and sum to one."""
    event = np.zeros(80, dtype=int)
    event[: max(events, 1)] = 1
    shape = baseline("spline", EXIT, event)
    assert len(shape.names) == len(shape.knots) + degree + 1
    t = np.linspace(0, min([*shape.knots, EXIT.max()]), 40)
    curve = shape.log_hazard(t, RNG.normal(size=len(shape.names)))
    bent = np.polynomial.Polynomial.fit(t, curve, degree)
    assert bent(t) == pytest.approx(curve, abs=1e-9)
    assert shape.basis(t).sum(axis=1) == pytest.approx(1.0)
    assert shape.smoothed == (degree > 1)


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("gompertz", {}, "baseline is one of"),
        ("weibull", {"n_knots": 3}, "no knots"),
        ("spline", {"knots": [1.0], "n_knots": 3}, "not both"),
        ("piecewise", {"knots": [1e6]}, "between 0 and the last exit"),
        ("spline", {"n_knots": -1}, "at least 0"),
    ],
)
def test_what_cannot_be(kind, more, words):
    with pytest.raises(LongsurvError, match=words):
        baseline(kind, EXIT, EVENT, **more)
