from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.estimands.survival_by_group import numbers_at_risk, risk_times, survival_curves
from longsurv.study.tables.survival import event_counts, median_times

DATA = pd.DataFrame({
    "arm": ["a"] * 5 + ["b"] * 3,
    "entry": [2.0, 2, 4, 6, 2, 2, 2, 2],
    "exit": [5.0, 8, 10, 10, 3, 10, 10, 10],
    "event": [1, 1, 0, 0, 0, 0, 0, 0],
    "status": [1, 1, 0, 0, 2, 0, 0, 0],
})  # fmt: skip


def test_delayed_entry_counts_only_those_who_have_entered() -> None:
    curve = survival_curves(DATA, "arm", ["a", "b"]).query("group == 'a'").set_index("time")
    # At 5: patients 1, 2 and 3 are at risk (4 enters at 6). At 8: patients 2, 3 and 4.
    assert curve.loc[2.0, "estimate"] == 1
    assert curve.loc[5.0, "estimate"] == pytest.approx(2 / 3)
    assert curve.loc[8.0, "estimate"] == pytest.approx(4 / 9)
    assert curve.loc[3.0, "censored"] == 1


def test_a_group_without_events_stays_at_one() -> None:
    curve = survival_curves(DATA, "arm", ["a", "b"]).query("group == 'b'")
    assert (curve[["estimate", "conf_low", "conf_high"]] == 1).all(axis=None)


@pytest.mark.parametrize("time", [2.0, 3.0, 5.0, 6.0, 10.0, 11.0])
def test_numbers_at_risk_are_those_entered_and_not_gone(time: float) -> None:
    found = numbers_at_risk(DATA, "arm", ["a", "b"], [time])["at_risk"].tolist()
    here = (DATA["entry"] <= time) & (DATA["exit"] >= time)
    assert found == [int((here & (DATA["arm"] == g)).sum()) for g in ("a", "b")]


def test_counts_and_time_at_risk() -> None:
    table = event_counts(DATA, "arm", ["a", "b"]).set_index("group")
    assert table.loc["a"].tolist() == [5, 2, 1, 20.0]
    assert table.loc["b", "events"] == 0


def test_median_times_are_of_the_curves_and_in_the_order_of_the_groups() -> None:
    table = median_times(DATA, "arm", ["b", "a"]).set_index("group")
    assert table.loc["a", "median"] == 8  # 2/3 from 5 on, 4/9 from 8 on
    assert table.loc["a", "follow_up"] == 10 and table.loc["b", "follow_up"] == 10
    assert np.isnan(table.loc["b", "median"])
    assert list(table.index) == ["b", "a"]


@pytest.mark.parametrize(
    ("start", "end", "unit", "times"),
    [
        (7, 28, "days", [7, 14, 21, 28]), (0, 28, "days", [0, 7, 14, 21, 28]),
        (0, 10, "years", [0, 2, 4, 6, 8, 10]), (3, 10, "days", [3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)  # fmt: skip
def test_times_of_the_axis_are_round(start: float, end: float, unit: str, times: list) -> None:
    found = risk_times(start, end, unit)
    assert found == times
    assert not any(np.signbit(found))
