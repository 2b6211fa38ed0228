"""Exact hazard ratios against Fisher's, Cox's and enumeration over the risk sets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.exact_hazard import event_distribution, exact_hazard_ratio
from longsurv.estimands.follow_up import two_groups
from longsurv.models import CoxPH


def one_day(events, n, reference_events, reference_n):
    """Every event on day 5, everyone else followed to day 28."""

    def side(deaths, size, arm):
        died = np.arange(size) < deaths
        exit = np.where(died, 5.0, 28.0)
        return pd.DataFrame({"exit": exit, "event": died * 1, "arm": arm})

    both = [side(reference_events, reference_n, "a"), side(events, n, "b")]
    return pd.concat(both, ignore_index=True)


def test_events_on_one_day_are_a_two_by_two_table():
    table = exact_hazard_ratio(one_day(1, 19, 4, 22), "arm").set_index("method")
    fisher = stats.contingency.odds_ratio([[1, 18], [4, 18]], kind="conditional")
    limits = fisher.confidence_interval(0.95)
    row = table.loc["exact"]
    assert row["estimate"] == pytest.approx(fisher.statistic, rel=1e-6)
    assert (row["conf_low"], row["conf_high"]) == pytest.approx(tuple(limits), rel=1e-4)
    assert row["p_value"] == pytest.approx(2 * stats.hypergeom.cdf(1, 41, 5, 19))
    assert table.loc["mid-p", "conf_high"] < row["conf_high"]


def test_without_ties_the_estimate_is_cox_s(data):
    ovarian = data("ovarian").rename(columns={"futime": "exit", "fustat": "event"})
    exact = exact_hazard_ratio(ovarian, "rx")
    cox = CoxPH("Surv(exit, event) ~ rx", data=ovarian).fit()
    assert exact.loc[0, "estimate"] == pytest.approx(math.exp(cox.params["rx"]), rel=1e-6)


def test_distribution_by_enumerating_who_dies_at_each_time(data):
    small = data("permutation").rename(columns={"time": "exit"}).iloc[:12]
    _, mine, _, reference = two_groups(small, "group")
    found = event_distribution(mine, reference)
    outcomes = []
    for t in sorted(set(small.loc[small["event"] == 1, "exit"])):
        risk = small.loc[small["exit"] >= t, "group"].to_numpy()
        d = int(((small["exit"] == t) & (small["event"] == 1)).sum())
        sets = [sum(chosen) for chosen in itertools.combinations(risk, d)]
        values, ways = np.unique(sets, return_counts=True)
        outcomes.append(list(zip(values, ways / ways.sum(), strict=True)))
    tally = np.zeros(20)
    for path in itertools.product(*outcomes):
        tally[sum(k for k, _ in path)] += math.prod(p for _, p in path)
    assert found.probability == pytest.approx(tally[found.count])
    assert found.probability.sum() == pytest.approx(1)


rows = st.lists(
    st.tuples(st.integers(1, 8), st.integers(0, 1), st.booleans()), min_size=4, max_size=20
).filter(lambda r: len({g for *_, g in r}) == 2 and any(e for _, e, _ in r))


def nothing_varies(data):
    """At each event time all at risk are of one group, or all have the event."""
    sets = [
        (data[data["exit"] >= t], data[(data["exit"] == t) & (data["event"] == 1)])
        for t in data.loc[data["event"] == 1, "exit"].unique()
    ]
    return all(there["arm"].nunique() == 1 or len(there) == len(gone) for there, gone in sets)


@given(rows)
@settings(max_examples=40, deadline=None)
def test_swapping_the_groups_inverts_the_ratio(rows):
    data = pd.DataFrame(rows, columns=["exit", "event", "arm"])
    if nothing_varies(data):
        for arm in (data["arm"], ~data["arm"]):
            with pytest.raises(EstimationError, match="no event happened while"):
                exact_hazard_ratio(data.assign(arm=arm), "arm")
        return
    there = exact_hazard_ratio(data, "arm")
    back = exact_hazard_ratio(data.assign(arm=~data["arm"]), "arm")
    assert there["p_value"].tolist() == pytest.approx(back["p_value"].tolist())
    with np.errstate(divide="ignore"):
        for column, other in (
            ("estimate", "estimate"), ("conf_low", "conf_high"), ("conf_high", "conf_low"),
        ):  # fmt: skip
            inverse = 1 / back[other].to_numpy()
            assert there[column].to_numpy() == pytest.approx(inverse, rel=1e-6, nan_ok=True)


@given(rows)
@settings(max_examples=40, deadline=None)
def test_the_interval_leaves_out_1_when_the_p_value_is_small(rows):
    data = pd.DataFrame(rows, columns=["exit", "event", "arm"])
    if nothing_varies(data):
        return
    for row in exact_hazard_ratio(data, "arm", level=0.8).to_dict("records"):
        outside = not row["conf_low"] <= 1 <= row["conf_high"]
        if abs(row["p_value"] - 0.2) > 1e-9:
            assert outside == (row["p_value"] < 0.2)


def test_no_events_in_a_group_still_gives_a_limit():
    (row, _) = exact_hazard_ratio(one_day(0, 19, 4, 22), "arm").to_dict("records")
    assert row["estimate"] == 0
    assert row["conf_low"] == 0
    assert row["conf_high"] == pytest.approx(1.6622, abs=1e-3)  # Fisher's
    assert "one side" in row["note"]


def test_nothing_to_compare_is_refused():
    with pytest.raises(EstimationError, match="no events"):
        exact_hazard_ratio(one_day(0, 5, 0, 5), "arm")
    with pytest.raises(EstimationError, match="use the Cox model"):
        exact_hazard_ratio(one_day(700, 800, 600, 800), "arm")
    with pytest.raises(LongsurvError, match="level"):
        exact_hazard_ratio(one_day(1, 5, 1, 5), "arm", level=0)
