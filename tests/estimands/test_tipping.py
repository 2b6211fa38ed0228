"""Tipping points against counting by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from two_groups import swapped

from longsurv.errors import LongsurvError
from longsurv.estimands.binomial import probability_lower
from longsurv.estimands.counts import Counts
from longsurv.estimands.tipping import Unseen, tipping_grid, tipping_points

STUDY = Counts(1, 19, 4, 22)


def test_grid_of_the_study():
    grid = tipping_grid(STUDY, 5, 2, threshold=0.8)
    assert len(grid) == 6 * 3
    cell = grid.set_index(["extra", "extra_reference"])
    seen = cell.loc[(0, 0)]
    assert seen["risk_difference"] == pytest.approx(-0.1292, abs=5e-5)
    assert seen["prob_benefit"] == pytest.approx(0.898, abs=5e-4)
    assert not seen["reverses"] and not seen["unconvincing"]
    # (1 + 3) / 22 and 4 / 22 are equal: the sign is gone with three unseen deaths.
    assert not cell.loc[(2, 0), "reverses"]
    assert cell.loc[(3, 0), "reverses"]
    assert cell.loc[(3, 0), "risk_difference"] == 0
    added = cell.loc[(2, 1)]
    assert (added["events"], added["n"]) == (3, 21)
    assert (added["reference_events"], added["reference_n"]) == (5, 23)
    expected = probability_lower(Counts(3, 21, 5, 23))
    assert added["prob_benefit"] == pytest.approx(expected)


def test_points_are_the_first_cells_of_the_grid():
    points = tipping_points(STUDY, 3, threshold=0.8)
    assert (points["better_arm"] == "group").all()
    grid = tipping_grid(STUDY, 12, 3, threshold=0.8)
    for row in points.to_dict("records"):
        column = grid[grid["extra_reference"] == row["extra_in_worse"]]
        assert row["to_reverse"] == column.loc[column["reverses"], "extra"].min()
        assert row["to_unconvince"] == column.loc[column["unconvincing"], "extra"].min()
    assert points.loc[0, "to_reverse"] == 3


counts = st.tuples(st.integers(0, 6), st.integers(7, 15), st.integers(0, 6), st.integers(7, 15))


@given(counts)
@settings(max_examples=15, deadline=None)
def test_swapping_the_arms_mirrors_the_grid(numbers):
    there = tipping_grid(Counts(*numbers), 2).set_index(["extra", "extra_reference"])
    back = tipping_grid(swapped(Counts(*numbers)), 2).set_index(["extra", "extra_reference"])
    for (a, b), row in there.iterrows():
        mirrored = back.loc[(b, a)]
        assert row["risk_difference"] == pytest.approx(-mirrored["risk_difference"])
        assert row["prob_benefit"] == pytest.approx(1 - mirrored["prob_benefit"], abs=1e-9)
        assert row["reverses"] == mirrored["reverses"]


@given(counts)
@settings(max_examples=15, deadline=None)
def test_deaths_in_the_group_only_ever_lower_the_probability_of_benefit(numbers):
    grid = tipping_grid(Counts(*numbers), 4, 0)
    assert grid["prob_benefit"].is_monotonic_decreasing


def test_harm_is_tipped_by_deaths_in_the_reference():
    points = tipping_points(swapped(STUDY), 1)
    assert (points["better_arm"] == "reference").all()
    assert points.loc[0, "to_reverse"] == 3


def test_unseen_survivors_and_another_prior():
    unseen = Unseen(survivors=10, reference_survivors=0, prior=(1, 1))
    cell = tipping_grid(STUDY, 0, unseen=unseen).iloc[0]
    assert (cell["n"], cell["reference_n"]) == (29, 22)
    assert cell["prob_benefit"] == pytest.approx(probability_lower(Counts(1, 29, 4, 22), (1, 1)))


@given(st.integers(1, 30), st.integers(0, 40), st.integers(1, 40), st.booleans())
@settings(max_examples=8, deadline=None)
def test_where_all_of_an_arm_died_no_number_reverses_that(n, events, survivors, group):
    counts = Counts(n, n, events, events + survivors)
    counts = counts if group else swapped(counts)
    points = tipping_points(counts, 1)
    assert (points["to_reverse"] == math.inf).all()
    assert (points["better_arm"] == ("reference" if group else "group")).all()
    for row in points.to_dict("records"):
        worse, most = row["extra_in_worse"], int(row["to_unconvince"])

        def cell(extra: int, worse: int = worse) -> pd.Series:
            at = (worse, extra) if group else (extra, worse)
            added = Counts(counts.events + at[0], counts.n + at[0], counts.reference_events + at[1],
                           counts.reference_n + at[1])  # fmt: skip
            return tipping_grid(added, 0).iloc[0]

        convinced = [
            (1 - p if group else p) >= 0.8
            for p in (cell(k)["prob_benefit"] for k in (most - 1, most) if k >= 0)
        ]
        assert convinced == [True, False][-len(convinced) :]


@given(st.integers(1, 50), st.integers(2, 3000), st.integers(1, 50), st.integers(2, 3000))
@settings(max_examples=10, deadline=None)
def test_the_fewest_that_reverse_are_those_of_arithmetic(events, survivors, others, alive):
    """(d + k) / (n + k) reaches the other arm's risk r at k = (r n - d) / (1 - r)."""
    counts = Counts(events, events + survivors, others, others + alive)
    assume(counts.risk != counts.reference_risk)
    good, bad = (events, survivors), (others, alive)
    if counts.risk > counts.reference_risk:
        good, bad = bad, good
    needed = Fraction(good[1] * bad[0], bad[1]) - good[0]
    assert tipping_points(counts, 0)["to_reverse"].tolist() == [math.ceil(needed)]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(LongsurvError, match="equal"):
        tipping_points(Counts(1, 10, 2, 20))
    with pytest.raises(LongsurvError, match="negative"):
        tipping_grid(STUDY, -1)
    with pytest.raises(LongsurvError, match="negative"):
        Unseen(survivors=-1)
    with pytest.raises(LongsurvError, match="probability"):
        tipping_grid(STUDY, threshold=80)
