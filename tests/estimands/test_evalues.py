"""E-values against the published examples and the bounding formula they solve."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import LongsurvError
from longsurv.estimands.evalues import e_value


def test_published_examples():
    # VanderWeele and Ding 2017: breast-feeding, RR 3.9 (1.8 to 8.7).
    found = e_value(3.9, 1.8, 8.7)
    assert (round(found.point, 1), round(found.limit, 1)) == (7.3, 3.0)
    # Leukaemia, RR 0.80 (0.71 to 0.91).
    found = e_value(0.80, 0.71, 0.91)
    assert (round(found.point, 2), round(found.limit, 2)) == (1.81, 1.43)


def test_the_study():
    found = e_value(0.2895, 0.035, 2.37)
    assert found.point == pytest.approx(6.37, abs=5e-3)
    assert found.limit == 1


@given(st.floats(0.01, 50))
@settings(max_examples=50, deadline=None)
def test_a_confounder_of_that_strength_just_explains_the_ratio_away(ratio):
    strength = e_value(ratio).point
    bound = strength * strength / (strength + strength - 1)  # Ding and VanderWeele's factor
    assert bound == pytest.approx(max(ratio, 1 / ratio), rel=1e-9)


@given(st.floats(0.01, 50), st.sampled_from(["risk ratio", "odds ratio", "hazard ratio"]))
@settings(max_examples=50, deadline=None)
def test_inverting_the_ratio_changes_nothing(ratio, measure):
    there = e_value(ratio, ratio / 3, ratio * 2, measure=measure)
    back = e_value(1 / ratio, 1 / ratio / 2, 3 / ratio, measure=measure)
    assert there.point == pytest.approx(back.point, rel=1e-9)
    assert there.limit == pytest.approx(back.limit, rel=1e-9)


def test_conversions_of_common_outcomes():
    assert e_value(4, measure="odds ratio").risk_ratio == pytest.approx(2)
    expected = (1 - 0.5 ** math.sqrt(0.56)) / (1 - 0.5 ** math.sqrt(1 / 0.56))
    assert e_value(0.56, measure="hazard ratio").risk_ratio == pytest.approx(expected)
    assert e_value(0.56, measure="hazard ratio", rare=True).risk_ratio == 0.56


def test_the_ends_of_the_scale():
    assert e_value(1).point == 1
    assert e_value(0).point == math.inf
    assert math.isnan(e_value(0.5).limit)
    assert e_value(0.0, 0.0, 0.8, measure="hazard ratio").limit > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1.0,), "negative"), ((2.0, 2.5, 3.0), "low <= estimate"), ((2.0, 1.0, 1.5), "low <=")],
)
def test_impossible_ratios_are_refused(arguments, message):
    with pytest.raises(LongsurvError, match=message):
        e_value(*arguments)
    with pytest.raises(LongsurvError, match="measure"):
        e_value(2.0, measure="rate ratio")
