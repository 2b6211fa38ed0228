"""Restricted mean survival against R, a dense sum over the curve, and the jackknife."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.restricted_mean import restricted_mean, restricted_mean_table


@pytest.mark.parametrize("horizon", [365, 730])
def test_ovarian_agrees_with_r(data, horizon, reference):
    ovarian = data("ovarian").rename(columns={"futime": "exit", "fustat": "event"})
    table = restricted_mean_table(ovarian, "rx", horizon).set_index("quantity")

    def r(quantity, term):
        return reference("cox_small", "ovarian", quantity, term)

    for arm in (1, 2):
        row = table.loc[f"mean of {arm}"]
        term = f"{arm} tau {horizon}"
        assert row["estimate"] == pytest.approx(r("rmst_survfit", term), rel=1e-12)
        assert row["std_error"] == pytest.approx(r("rmst_se_survfit", term), rel=1e-9)
    columns = {"estimate": "estimate", "std_error": "se", "conf_low": "low", "conf_high": "high"}
    pair = f"2 against 1 tau {horizon}"
    for column, name in {"estimate": "estimate", "std_error": "se", "p_value": "p"}.items():
        expected = r("rmst_difference_own", f"{pair} {name}")
        assert table.loc["difference", column] == pytest.approx(expected, rel=1e-9)
    # Limits of R's means on the logit scale of their share of the time, then Zou and Donner's.
    mean = np.array([r("rmst_survfit", f"{arm} tau {horizon}") for arm in (1, 2)])
    error = np.array([r("rmst_se_survfit", f"{arm} tau {horizon}") for arm in (1, 2)])
    odds, half = mean / (horizon - mean), 1.959963985 * error * horizon / mean / (horizon - mean)
    low, high = (horizon * odds * f / (1 + odds * f) for f in (np.exp(-half), np.exp(half)))
    for k, arm in enumerate((1, 2)):
        limits = table.loc[f"mean of {arm}", ["conf_low", "conf_high"]].tolist()
        assert limits == pytest.approx([low[k], high[k]], rel=1e-8)
    below = np.hypot(mean[1] - low[1], high[0] - mean[0])
    above = np.hypot(high[1] - mean[1], mean[0] - low[0])
    limits = table.loc["difference", ["conf_low", "conf_high"]].tolist()
    assert limits == pytest.approx([mean[1] - mean[0] - below, mean[1] - mean[0] + above], rel=1e-8)
    for column, name in {**columns, "std_error": "se of log"}.items():
        expected = r("rmst_ratio_own", f"{pair} {name}")
        assert table.loc["ratio", column] == pytest.approx(expected, rel=1e-9)


patients = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 8), st.integers(0, 1)), min_size=3, max_size=14
)


@given(patients, st.integers(4, 12))
@settings(max_examples=80, deadline=None)
def test_against_a_dense_sum_with_delayed_entry(rows, horizon):
    entry, length, event = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    exit = entry + length
    start = 3.0
    days = np.arange(4, 13)
    survival, hazards = np.ones(14), {}  # of those at risk after the start, whoever died before it
    for t in days:
        n = ((entry < t) & (exit >= t)).sum()
        d = ((exit == t) & (event == 1)).sum()
        hazards[t] = (n, d)
        survival[t] = survival[t - 1] * (1 - d / n if n else 1)
    survival[13] = survival[12]
    follow_up = FollowUp(entry, exit, event.astype(int))
    try:
        found = restricted_mean(follow_up, horizon, start=start)
    except EstimationError as error:
        text = str(error)
        if "nobody is alive" in text:
            assert exit.max() <= 3
        else:
            assert "follow-up ends" in text
            assert exit.max() < horizon
        return
    relative = survival / survival[3]
    area = sum(relative[t] for t in range(3, horizon))
    assert found.estimate == pytest.approx(area, rel=1e-12)
    variance = 0.0
    for t in range(4, horizon):
        n, d = hazards[t]
        if 0 < d < n:
            variance += sum(relative[u] for u in range(t, horizon)) ** 2 * d / (n * (n - d))
    assert found.std_error == pytest.approx(np.sqrt(variance), rel=1e-9, abs=1e-12)


def test_without_censoring_it_is_a_mean_with_the_usual_standard_error():
    times = np.array([2.0, 5, 5, 9, 11, 20, 30])
    zero, one = np.zeros(7), np.ones(7, dtype=int)
    found = restricted_mean(FollowUp(zero, times, one), 12)
    shorter = np.minimum(times, 12)
    assert found.estimate == pytest.approx(shorter.mean())
    assert found.std_error == pytest.approx(shorter.std(ddof=0) / np.sqrt(7))


def test_standard_error_against_the_jackknife():
    rng = np.random.default_rng(3)
    death, censored = rng.exponential(20, 300), rng.uniform(12, 40, 300)
    exit, event = np.minimum(death, censored), (death <= censored).astype(int)
    zero = np.zeros(300)
    whole = restricted_mean(FollowUp(zero, exit, event), 12)
    left_out = [
        restricted_mean(FollowUp(zero[k], exit[k], event[k]), 12).estimate
        for k in ~np.eye(300, dtype=bool)
    ]
    jackknife = np.sqrt(299 / 300 * np.sum((left_out - np.mean(left_out)) ** 2))
    assert whole.std_error == pytest.approx(jackknife, rel=0.01)


def test_swapping_the_groups_changes_the_sign(data):
    icu = data("icu")
    one, other = (
        restricted_mean_table(
            icu.assign(group=pd.Categorical(icu["group"], order)), "group", 28
        ).set_index("quantity")
        for order in (["control", "ivig"], ["ivig", "control"])
    )
    a, b = one.loc["difference"], other.loc["difference"]
    assert a["estimate"] == pytest.approx(-b["estimate"])
    assert (a["conf_low"], a["conf_high"]) == pytest.approx((-b["conf_high"], -b["conf_low"]))
    assert one.loc["ratio", "estimate"] == pytest.approx(1 / other.loc["ratio", "estimate"])


def test_the_days_before_entry_are_not_counted(data):
    icu = data("icu")
    late = restricted_mean_table(icu, "group", 28, start=8).set_index("quantity")
    assert late.loc["mean of ivig", "conf_high"] <= 20
    with pytest.raises(EstimationError, match=r"group .*under observation between 0 and 7"):
        restricted_mean_table(icu, "group", 28, start=0)


def test_groups_without_events_and_horizons_too_late():
    data = pd.DataFrame({"exit": [28.0] * 4, "event": 0, "arm": ["a", "a", "b", "b"]})
    table = restricted_mean_table(data, "arm", 28).set_index("quantity")
    assert table.loc["difference", "estimate"] == 0
    assert np.isnan(table.loc["difference", "conf_low"])
    assert "no events in either group" in table.loc["difference", "note"]
    assert "variance is taken as 0" in table.loc["mean of a", "note"]
    with pytest.raises(EstimationError, match="use a horizon of at most 28"):
        restricted_mean_table(data, "arm", 30)
    with pytest.raises(LongsurvError, match="must come after"):
        restricted_mean_table(data, "arm", 0)
