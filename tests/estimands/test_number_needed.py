"""The number needed to treat: Altman's example, and an interval that goes through infinity."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longsurv.errors import LongsurvError
from longsurv.estimands.number_needed import number_needed_to_treat


def test_altmans_example():
    """A reduction of 10 % with limits of -5 % and 25 %."""
    found = number_needed_to_treat(-0.10, -0.25, 0.05)
    assert str(found) == "NNTB 10 (NNTB 4.0 to \N{INFINITY} to NNTH 20)"
    assert found.benefit == (4.0, math.inf) and found.harm == (20.0, math.inf)
    assert found.through_infinity


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((-0.2, -0.5, -0.1), "NNTB 5.0 (NNTB 2.0 to NNTB 10)"),
        ((0.2, 0.1, 0.5), "NNTH 5.0 (NNTH 2.0 to NNTH 10)"),
        ((0.1, -0.05, 0.25), "NNTH 10 (NNTH 4.0 to \N{INFINITY} to NNTB 20)"),
        ((-0.2, -0.5, 0.0), "NNTB 5.0 (NNTB 2.0 to \N{INFINITY})"),
        ((0.0, -0.5, 0.5), "\N{INFINITY} (NNTB 2.0 to \N{INFINITY} to NNTH 2.0)"),
        ((-0.001,), "NNTB 1,000"),
    ],
)
def test_in_words(values, text):
    assert str(number_needed_to_treat(*values)) == text


def test_the_interval_holds_the_inverse_of_what_the_interval_of_the_difference_holds():
    rng = np.random.default_rng(1)
    for _ in range(300):
        low, value, high = np.sort(rng.uniform(-1, 1, 3))
        found = number_needed_to_treat(value, low, high)
        for inside in rng.uniform(-1, 1, 20):
            side = found.benefit if inside < 0 else found.harm
            held = side is not None and side[0] <= 1 / abs(inside) <= side[1]
            assert held == (low <= inside <= high)


@pytest.mark.parametrize("values", [(-13.0,), (0.1, 0.2, 0.3), (0.1, -2.0, 0.3)])
def test_what_is_no_difference_of_risks_is_refused(values):
    with pytest.raises(LongsurvError, match="between"):
        number_needed_to_treat(*values)
