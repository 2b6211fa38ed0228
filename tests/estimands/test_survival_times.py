"""Quantiles of survival and of follow-up: against R, by hand, and what they do not say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.estimands.follow_up import FollowUp, follow_up
from longsurv.estimands.survival_times import (
    follow_up_quantiles,
    reverse_kaplan_meier,
    survival_quantiles,
)

PARTS = {"estimate": "quantile", "conf_low": "lower", "conf_high": "upper"}
SHARES = (0.1, 0.25, 0.5, 0.75)


def rows(data, name):
    if name == "half":
        return pd.DataFrame({"exit": range(1, 9), "event": [1, 1, 0, 1, 1, 1, 1, 1], "g": "all"})
    if name == "even":
        return pd.DataFrame({"exit": [1, 2, 5, 9], "event": 1, "g": "all"})
    table = data(name)
    if name in ("lung", "veteran"):
        table = table.rename(columns={"time": "exit", "status": "event"})
    group = {"lung": "sex", "veteran": "trt", "icu": "group"}.get(name)
    label = "all" if group is None else group + "=" + table[group].astype(str)
    return table[[c for c in ("entry", "exit", "event") if c in table]].assign(g=label)


@pytest.mark.parametrize("kind", ["log-log", "log", "plain"])
@pytest.mark.parametrize("name", ["lung", "veteran", "icu", "tied", "half", "even"])
def test_agrees_with_r(data, reference, name, kind):
    found = survival_quantiles(rows(data, name), "g", SHARES, interval=kind)
    for row in found.to_dict("records"):
        for column, part in (
            ("estimate", "quantile"),
            ("conf_low", "lower"),
            ("conf_high", "upper"),
        ):
            term = f"{row['g']} | {100 * row['share']:g}"
            expected = reference("mortality_times", f"{name} {kind}", part, term)
            if column == "conf_high" and np.isnan(expected):
                # R has no upper limit where the curve does not come down to it: it is infinite
                assert np.isinf(row[column]) or np.isnan(row["estimate"])
            else:
                assert row[column] == pytest.approx(expected, rel=1e-9, nan_ok=True), (term, part)


@pytest.mark.parametrize(("name", "group"), [("lung", "sex"), ("veteran", "trt")])
def test_the_reverse_curve_is_prodlims(data, reference, name, group):
    whole = data(name).rename(columns={"time": "exit", "status": "event"})
    for value, part in whole.groupby(group):
        curve = reverse_kaplan_meier(follow_up(part))
        found, error = curve.at(curve.time)
        assert len(curve.time) > 3
        for t, s, e in zip(curve.time, found, error, strict=True):
            look = (f"reverse {name} {value}", f"{t:g}")
            assert s == pytest.approx(reference("mortality_times", look[0], "surv", look[1]))
            if s > 0:  # where nobody is left prodlim calls the error 0, and it is not known
                assert e == pytest.approx(reference("mortality_times", look[0], "se", look[1]))


def test_deaths_come_before_censorings_at_a_tie():
    """Of six, two die at 5 when two are censored: four were there to be, so half of them stay."""
    people = FollowUp(np.zeros(6), np.array([5.0, 5, 5, 5, 9, 9]), np.array([1, 1, 0, 0, 0, 1]))
    curve = reverse_kaplan_meier(people)
    assert curve.time.tolist() == [5, 9]
    assert curve.at_risk.tolist() == [4, 1]
    assert curve.survival.tolist() == [0.5, 0]


def test_competing_events_do_not_end_the_follow_up_of_others():
    table = pd.DataFrame({"exit": [2.0, 4, 6, 8], "status": [0, 2, 1, 0], "event": [0, 0, 1, 0]})
    found = follow_up_quantiles(table.assign(g="a"), "g", [0.2, 0.5])
    assert found["estimate"].tolist() == [2, 8]
    assert found["events"].tolist() == [2, 2]


def test_limits_are_the_times_that_the_pointwise_limits_do_not_exclude(data):
    """Brookmeyer and Crowley's definition, searched through all times."""
    from longsurv.estimands.kaplan_meier import kaplan_meier

    table = rows(data, "lung")
    found = survival_quantiles(table, "g", [0.5]).set_index("g")
    for name, part in table.groupby("g"):
        curve = kaplan_meier(follow_up(part))
        times = np.arange(1, part["exit"].max())
        low, high = curve.interval(times)
        inside = times[(low <= 0.5) & (high >= 0.5)]
        assert found.loc[name, "conf_low"] == inside.min()
        assert found.loc[name, "conf_high"] == inside.max() + 1  # where the upper limit falls


def test_what_was_not_reached_is_not_a_number():
    alive = pd.DataFrame({"exit": [3.0, 28, 28, 28], "event": [1, 0, 0, 0], "g": "a"})
    row = survival_quantiles(alive, "g", [0.5]).iloc[0]
    assert np.isnan(row["estimate"]) and np.isinf(row["conf_high"])
    assert row["note"] == "follow-up ends at 28 with 75 % free of the event"
    followed = follow_up_quantiles(alive, "g", [0.5]).iloc[0]
    assert followed["estimate"] == 28 and followed["note"] == ""


def test_a_risk_set_that_empties_before_others_enter_says_nothing_of_them():
    late = pd.DataFrame(
        {"entry": [0.0, 0, 5, 5, 5], "exit": [1.0, 2, 9, 9, 9], "event": [1, 1, 1, 0, 0], "g": "a"}
    )
    found = survival_quantiles(late, "g", [0.5, 0.9])
    assert found["estimate"].isna().tolist() == [False, True]
    assert found["estimate"].iloc[0] == 1.5
    assert "before later entries" in found["note"].iloc[1]
    assert found.loc[1, ["conf_low", "conf_high"]].isna().all()


def test_without_a_share_there_is_no_time():
    table = pd.DataFrame({"exit": [1.0, 2], "event": [1, 0], "g": "a"})
    for shares in ([], [0.0], [50]):
        with pytest.raises(LongsurvError, match="between 0 and 1, as 0"):
            survival_quantiles(table, "g", shares)
