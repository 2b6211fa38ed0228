"""Follow-up as arrays: risk sets by counting, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import DataError
from longsurv.estimands.follow_up import FollowUp, by_group, two_groups

patients = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=15
)


@given(patients)
@settings(max_examples=50, deadline=None)
def test_risk_sets_by_counting_each_patient(rows):
    entry, length, status = (np.array(column) for column in zip(*rows, strict=True))
    follow_up = FollowUp(entry.astype(float), (entry + length).astype(float), status)
    times = np.arange(0, 12.0)
    for t, n, d in zip(
        times, follow_up.at_risk(times), follow_up.happening(times, 1, 2), strict=True
    ):
        assert n == sum(e < t <= e + k for e, k, _ in rows)
        assert d == sum(e + k == t and s > 0 for e, k, s in rows)


def test_groups_in_the_order_of_their_categories():
    data = pd.DataFrame({"exit": [3.0, 4.0, 5.0], "event": [1, 0, 1], "arm": ["b", "a", "b"]})
    assert list(by_group(data, "arm")) == ["a", "b"]
    data["arm"] = pd.Categorical(data["arm"], ["b", "a"])
    name, treated, reference_name, reference = two_groups(data, "arm")
    assert (name, len(treated), reference_name, len(reference)) == ("a", 1, "b", 2)


def test_every_problem_is_reported_with_its_rows():
    data = pd.DataFrame(
        {"entry": [0, 5, 0, 0], "exit": [3.0, 4.0, 5.0, 6.0], "status": [1, 0, -1, 2.5]},
        index=[10, 11, 12, 13],
    )
    data["arm"] = ["a", "a", "b", "b"]
    with pytest.raises(DataError) as caught:
        by_group(data, "arm")
    after, unknown = caught.value.problems
    assert "row 11" in after
    assert "rows 12, 13" in unknown


def test_a_category_without_patients_is_no_group():
    data = pd.DataFrame({"exit": [3.0, 4.0, 5.0], "event": [1, 0, 1]})
    data["arm"] = pd.Categorical(["low", "high", "low"], ["placebo", "low", "high"])
    assert list(by_group(data, "arm")) == ["low", "high"]


def test_missing_columns_values_and_groups():
    data = pd.DataFrame({"exit": [3.0, np.nan], "event": [1, 0], "arm": ["a", None]})
    with pytest.raises(DataError) as caught:
        by_group(data, "group")
    assert caught.value.problems == ("there is no column 'group'",)
    with pytest.raises(DataError) as caught:
        by_group(data, "arm")
    assert len(caught.value.problems) == 2
    with pytest.raises(DataError, match="expected two groups"):
        two_groups(data.assign(exit=1.0, arm="a"), "arm")
    with pytest.raises(DataError, match="no patients"):
        by_group(data.iloc[:0], "arm")
