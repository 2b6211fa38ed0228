"""Generated follow-up with late entries and empty risk sets: a number that is right, or a reason.

What is known is found by counting, day by day, and the numbers by products over days.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from longsurv.errors import LongsurvError
from longsurv.estimands.competing import incidence_difference, incidence_table
from longsurv.estimands.exact_hazard import exact_hazard_ratio
from longsurv.estimands.gray import gray_test
from longsurv.estimands.incidence_posterior import incidence_posterior
from longsurv.estimands.kaplan_meier import survival_table
from longsurv.estimands.log_rank import log_rank_table
from longsurv.estimands.restricted_mean import restricted_mean_table

HORIZON = 8
patients = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 8), st.integers(0, 2), st.booleans()),
    min_size=2,
    max_size=16,
)


def table_of(rows) -> pd.DataFrame:
    entry, length, status, arm = (np.array(column) for column in zip(*rows, strict=True))
    data = pd.DataFrame({"entry": entry, "exit": entry + length, "status": status})
    return data.assign(event=(status == 1).astype(int), arm=np.where(arm, "b", "a"))


def curve(data: pd.DataFrame, start: int, t: int, single: bool) -> tuple[float, float] | None:
    """Risk of the event and survival from all causes between two days; None if not known."""
    free, risk = 1.0, 0.0
    for day in range(start + 1, t + 1):
        there = data[(data["entry"] < day) & (data["exit"] >= day)]
        if free == 0 and not (data["exit"] > day - 1).any():
            continue  # all have had an event, and nobody enters any more
        if not len(there) or free == 0:
            return None
        dead = ((there["exit"] == day) & (there["status"] == 1)).sum() / len(there)
        gone = ((there["exit"] == day) & (there["status"] == 2)).sum() / len(there)
        risk += free * dead
        free = 0.0 if dead + (0 if single else gone) > 1 - 1e-12 else (
            free * (1 - dead - (0 if single else gone))
        )  # fmt: skip
    later = bool((data["exit"] > t).any())
    return None if free == 0 and later else (risk, free)


@given(patients, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_curves_are_known_where_counting_says(rows, t):
    data = table_of(rows).assign(arm="a")
    first = int(data["entry"].min())
    assume(t >= first)
    (row,) = incidence_table(data, "arm", [t], causes=[1]).to_dict("records")
    expected = curve(data, first, t, single=False)
    assert np.isnan(row["estimate"]) == (expected is None)
    if expected is None:
        assert np.isnan([row["std_error"], row["conf_low"], row["conf_high"]]).all()
        assert row["note"]
    else:
        assert row["estimate"] == pytest.approx(expected[0], abs=1e-12)
        assert 0 <= row["conf_low"] <= row["estimate"] <= row["conf_high"] <= 1
        assert row["conf_low"] < row["conf_high"]
    (row,) = survival_table(data, "arm", [t]).to_dict("records")
    expected = curve(data, first, t, single=True)
    assert np.isnan(row["survival"]) == (expected is None)
    if expected is None:
        assert row["note"]
    else:
        assert row["survival"] == pytest.approx(expected[1], abs=1e-12)


def asked(make: Callable[[pd.DataFrame], pd.DataFrame], data: pd.DataFrame):
    try:
        return make(data)
    except LongsurvError as error:
        assert len(str(error)) > 20
        return None


def swapped(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(arm=pd.Categorical(data["arm"], ["b", "a", "nobody"]))


@given(patients)
@settings(max_examples=60, deadline=None)
def test_comparisons_have_a_number_in_range_or_a_reason_and_swap(rows):
    data = table_of(rows)
    assume(data["arm"].nunique() == 2)
    one = asked(lambda d: incidence_difference(d, "arm", HORIZON), data)
    other = asked(lambda d: incidence_difference(d, "arm", HORIZON), swapped(data))
    start = int(data.groupby("arm")["entry"].min().max())
    known = [curve(side[side["exit"] > start], start, HORIZON, single=False)
             for _, side in data.groupby("arm")]  # fmt: skip
    assert (one is None) == (None in known)
    assert (one is None) == (other is None)
    if one is not None:
        a, b = (t.set_index("quantity").loc["risk difference"] for t in (one, other))
        assert a["estimate"] == pytest.approx(known[1][0] - known[0][0], abs=1e-12)
        assert -1 <= a["conf_low"] < a["conf_high"] <= 1
        assert (a["conf_low"], a["conf_high"]) == pytest.approx((-b["conf_high"], -b["conf_low"]))
    means = asked(lambda d: restricted_mean_table(d, "arm", HORIZON), data)
    if means is not None:
        longest, table = HORIZON - start, means.set_index("quantity")
        for arm in "ab":
            row = table.loc[f"mean of {arm}"]
            assert 0 < row["estimate"] <= longest
            assert not row["conf_low"] < 0
            assert not row["conf_high"] > longest
        row = table.loc["difference"]
        assert np.isnan(row["conf_low"]) == bool(row["note"]) == np.isnan(row["p_value"])
        assert not abs(row["conf_low"]) > longest
        assert not abs(row["conf_high"]) > longest
        assert not row["conf_low"] >= row["conf_high"]


@given(patients)
@settings(max_examples=40, deadline=None)
def test_tests_compare_only_what_was_at_risk_together(rows):
    data = table_of(rows)
    assume(data["arm"].nunique() == 2)
    together = False
    for day in data.loc[data["status"] == 1, "exit"].unique():
        there = data[(data["entry"] < day) & (data["exit"] >= day)]
        dead = (there["exit"] == day) & (there["status"] == 1)
        together |= there["arm"].nunique() == 2 and not dead.all()
    exact = asked(lambda d: exact_hazard_ratio(d, "arm"), data)
    ranks = asked(lambda d: log_rank_table(d, "arm", draws=50), data)
    assert (exact is not None) == (ranks is not None) == together
    if exact is not None:
        assert exact[["estimate", "p_value"]].notna().all(axis=None)
        assert ranks["statistic"].notna().all()
    asked(lambda d: gray_test(d, "arm"), data)


@given(patients)
@settings(max_examples=15, deadline=None)
def test_a_posterior_has_the_reasons_of_a_curve_but_for_an_emptied_risk_set(rows):
    data = table_of(rows)
    assume(data["arm"].nunique() == 2)
    drawn = asked(lambda d: incidence_posterior(d, "arm", HORIZON, draws=50), data)
    curves = asked(lambda d: incidence_difference(d, "arm", HORIZON), data)
    assert drawn is not None or curves is None
    if drawn is not None:
        risks = drawn[drawn["quantity"].str.startswith("risk of")]
        assert risks[["conf_low", "conf_high"]].stack().between(0, 1).all()
