"""Cumulative incidence against R, proportions, and a two-cause delta method by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.competing import incidence_difference, incidence_table
from longsurv.estimands.kaplan_meier import survival_table


@pytest.fixture
def mgus(data):
    return data("competing").rename(columns={"etime": "exit"})


@pytest.fixture
def tied(data, reference):
    table = data("tied")
    status = [reference("cox_small", "tied_competing", "status", str(k)) for k in table["id"]]
    return table.drop(columns="entry").assign(status=np.array(status, dtype=int))


def check(table, group, model, reference, rel):
    compared = 0
    for row in table.to_dict("records"):
        term = f"{row[group]} {row['cause']} t {row['time']:g}"
        assert row["estimate"] == pytest.approx(
            reference("cox_small", model, "cuminc", term), rel=rel
        )
        expected = reference("cox_small", model, "aalen_johansen_se", f"group={term}")
        assert row["std_error"] == pytest.approx(expected, rel=rel, abs=1e-12)
        compared += row["std_error"] > 0
    assert compared > 5


def test_agrees_with_r(mgus, reference):
    table = incidence_table(mgus, "sex", [60, 120, 240])
    check(table, "sex", "competing", reference, 1e-9)


def test_tied_times_agree_with_r(tied, reference):
    table = incidence_table(tied, "site", [3, 5, 7, 9])
    check(table, "site", "tied_competing", reference, 1e-9)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=20),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_without_censoring_it_is_a_proportion_with_its_binomial_error(rows, t):
    data = pd.DataFrame(rows, columns=["exit", "status"]).assign(arm="a")
    data["event"] = data["status"] == 1  # says that nobody without a 0 is none of R's codes
    (row,) = incidence_table(data, "arm", [t], causes=[1]).to_dict("records")
    events, n = int(((data["exit"] <= t) & (data["status"] == 1)).sum()), len(data)
    p = events / n
    assert row["estimate"] == pytest.approx(p, abs=1e-12)
    assert row["std_error"] == pytest.approx(np.sqrt(p * (1 - p) / n), abs=1e-7)
    if events in (0, n):
        exact = stats.binomtest(events, n).proportion_ci(method="exact")
        assert (row["conf_low"], row["conf_high"]) == pytest.approx((exact.low, exact.high))


times = st.tuples(st.integers(0, 3), st.integers(1, 8), st.integers(0, 2))


@given(st.lists(times, min_size=2, max_size=20), st.integers(4, 12))
@example([(0, 1, 1), (1, 1, 0), (1, 1, 1)], 4)  # all at risk die before the others enter
@settings(max_examples=60, deadline=None)
def test_the_incidences_and_survival_add_up_to_one(rows, t):
    entry, length, status = (np.array(column) for column in zip(*rows, strict=True))
    data = pd.DataFrame({"entry": entry, "exit": entry + length, "status": status, "arm": "a"})
    data["event"] = data["status"] == 1
    table = incidence_table(data, "arm", [t], causes=[1, 2])
    any_event = data.drop(columns="event").assign(status=(status > 0) * 1)
    survival = survival_table(any_event, "arm", [t])["survival"][0]
    total = table["estimate"].sum(skipna=False) + survival
    assert np.isnan(total) == np.isnan(survival)
    assert np.isnan(total) or total == pytest.approx(1)
    naive = table["one_minus_km"].fillna(1)
    assert (naive >= table["estimate"].fillna(0) - 1e-12).all()


def test_without_competing_events_it_is_one_minus_kaplan_meier(data):
    icu = data("icu")
    incidence = incidence_table(icu, "group", [14, 21, 28])
    survival = survival_table(icu, "group", [14, 21, 28])
    assert incidence["estimate"].tolist() == pytest.approx((1 - survival["survival"]).tolist())
    assert incidence["std_error"].tolist() == pytest.approx(survival["std_error"].tolist())
    assert incidence["one_minus_km"].tolist() == pytest.approx(incidence["estimate"].tolist())


@pytest.mark.slow
def test_difference_covers_with_few_events():
    rng = np.random.default_rng(11)
    runs, covered = 400, {"mover": 0, "fisher-z": 0}

    def group(name, n, rate):
        death, home = rng.exponential(1 / rate, n), rng.exponential(30, n)
        censored = rng.uniform(10, 60, n)
        exit = np.minimum(np.minimum(death, home), censored)
        status = np.where(exit == death, 1, np.where(exit == home, 2, 0))
        return pd.DataFrame({"exit": exit, "status": status, "arm": name})

    def risk(rate, t=20):
        total = rate + 1 / 30
        return rate / total * (1 - np.exp(-total * t))

    truth = risk(0.006) - risk(0.012)
    for _ in range(runs):
        data = pd.concat([group("a", 22, 0.012), group("b", 19, 0.006)])
        data["event"] = data["status"] == 1
        for kind in covered:
            row = incidence_difference(data, "arm", 20, interval=kind).iloc[2]
            covered[kind] += row["conf_low"] <= truth <= row["conf_high"]
    assert covered["mover"] / runs > 0.93


def test_swapping_the_groups_changes_the_sign(mgus):
    there, back = (
        incidence_difference(
            mgus.assign(sex=pd.Categorical(mgus["sex"], order)), "sex", 120
        ).set_index("quantity")
        for order in (["F", "M"], ["M", "F"])
    )
    a, b = there.loc["risk difference"], back.loc["risk difference"]
    assert a["estimate"] == pytest.approx(-b["estimate"])
    assert (a["conf_low"], a["conf_high"]) == pytest.approx((-b["conf_high"], -b["conf_low"]))
    ratio = there.loc["risk ratio", "estimate"]
    assert ratio == pytest.approx(1 / back.loc["risk ratio", "estimate"])
    normal = incidence_difference(mgus, "sex", 120, interval="fisher-z").set_index("quantity")
    row = normal.loc["risk difference"]
    half = 1.959964 * row["std_error"] / (1 - row["estimate"] ** 2)
    z = np.arctanh(row[["conf_low", "conf_high"]].to_numpy(dtype=float))
    assert z == pytest.approx(np.arctanh(row["estimate"]) + half * np.array([-1, 1]), rel=1e-6)


def test_a_group_without_events_still_gets_an_interval():
    data = pd.DataFrame(
        {
            "exit": [28.0] * 19 + [10.0, 12.0, 20.0, 27.0] + [28.0] * 18,
            "status": [0] * 19 + [1] * 4 + [0] * 18,
            "arm": pd.Categorical(["b"] * 19 + ["a"] * 22, ["a", "b"]),
        }
    )
    table = incidence_difference(data, "arm", 28).set_index("quantity")
    risk = table.loc["risk of b"]
    exact = stats.binomtest(0, 19).proportion_ci(method="exact")
    assert risk["conf_high"] == pytest.approx(exact.high)
    assert "no events of this cause" in risk["note"]
    difference = table.loc["risk difference"]
    assert difference["estimate"] == pytest.approx(-4 / 22)
    assert difference["conf_low"] < -0.35
    assert difference["conf_high"] > 0
    assert np.isnan(table.loc["risk ratio", "conf_low"])


def test_what_is_not_known_is_not_made_up(mgus):
    with pytest.raises(DataError, match="the risk by 1000 is not known"):
        incidence_difference(mgus, "sex", 1000)
    late = incidence_table(mgus, "sex", [1000])
    assert late["estimate"].isna().all()
    assert late["note"].str.contains("follow-up ends").all()
    with pytest.raises(LongsurvError, match="interval is one of"):
        incidence_difference(mgus, "sex", 60, interval="score")
    with pytest.raises(LongsurvError, match="level"):
        incidence_table(mgus, "sex", [60], level=2)


@pytest.mark.parametrize("column", ["estimate", "time", "note"])
def test_a_group_called_as_a_column_of_the_tables_loses_neither(column: str) -> None:
    """Written over, every row would be of a group that is a number."""
    arms = list("abab")
    follow_up = pd.DataFrame({"exit": [3.0, 5.0, 7.0, 9.0], "status": [1, 2, 1, 0], "arm": arms})
    renamed = follow_up.rename(columns={"arm": column})
    plain = incidence_table(follow_up, "arm", [8.0])
    found = incidence_table(renamed, column, [8.0])
    assert found.columns[0] == f"{column}_variable"
    assert found.iloc[:, 0].tolist() == plain["arm"].tolist()
    pd.testing.assert_frame_equal(found.iloc[:, 1:], plain.iloc[:, 1:])
    curves = survival_table(renamed, column, [4.0])
    assert sorted(set(curves.iloc[:, 0])) == ["a", "b"]
