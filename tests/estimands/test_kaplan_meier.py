"""Survival curves against R, and the beta product interval against its defining properties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.kaplan_meier import survival_table


@pytest.fixture
def icu(data):
    table = data("icu")
    return table.assign(group=pd.Categorical(table["group"], ["control", "ivig"]))


def ovarian(data):
    return data("ovarian").rename(columns={"futime": "exit", "fustat": "event"})


@pytest.mark.parametrize("interval", ["plain", "log", "log-log"])
def test_curves_with_staggered_entry_agree_with_r(icu, interval, reference):
    table = survival_table(icu, "group", [8, 14, 21, 28], interval=interval)
    for row in table.to_dict("records"):
        term = f"group={row['group']} t {row['time']:g}"

        def r(quantity, term=term):
            return reference("cox_small", "icu", quantity, term)

        assert row["survival"] == pytest.approx(r("km"), rel=1e-12)
        assert row["std_error"] == pytest.approx(r("km_se"), rel=1e-12)
        if row["survival"] < 1:
            assert row["conf_low"] == pytest.approx(r(f"km_low_{interval}"), rel=1e-12)
            assert row["conf_high"] == pytest.approx(r(f"km_high_{interval}"), rel=1e-12)
        elif interval == "log-log":
            assert "no events yet" in row["note"]


@pytest.mark.parametrize("interval", ["plain", "log", "log-log"])
def test_ovarian_agrees_with_r(data, interval, reference):
    table = survival_table(ovarian(data), "rx", [100, 365, 600, 1000], interval=interval)
    for row in table.to_dict("records"):
        if row["survival"] < 1:
            term = f"rx={row['rx']} t {row['time']:g}"
            for column, quantity in (
                ("survival", "km"), ("std_error", "km_se"),
                ("conf_low", f"km_low_{interval}"), ("conf_high", f"km_high_{interval}"),
            ):  # fmt: skip
                expected = reference("cox_small", "ovarian", quantity, term)
                assert row[column] == pytest.approx(expected, rel=1e-10)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=25), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_without_censoring_the_beta_product_is_clopper_and_pearson(exits, t):
    data = pd.DataFrame({"exit": exits, "event": 1, "arm": "a"})
    (row,) = survival_table(data, "arm", [t], interval="beta-product").to_dict("records")
    alive = sum(x > t for x in exits)
    exact = stats.binomtest(alive, len(exits)).proportion_ci(method="exact")
    assert row["survival"] == pytest.approx(alive / len(exits))
    assert row["conf_low"] == pytest.approx(exact.low, abs=1e-10)
    assert row["conf_high"] == pytest.approx(exact.high, abs=1e-10)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1)), min_size=2, max_size=25),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_the_beta_product_encloses_the_estimate_and_censoring_only_widens_it(rows, t):
    data = pd.DataFrame(rows, columns=["exit", "event"]).assign(arm="a")
    (row,) = survival_table(data, "arm", [t], interval="beta-product").to_dict("records")
    if np.isnan(row["survival"]):
        assert row["conf_low"] == 0
        assert "follow-up ends" in row["note"]
        return
    assert row["conf_low"] - 1e-12 <= row["survival"] <= row["conf_high"] + 1e-12
    # Were every patient censored before t known to have survived it, the limit would be higher.
    known = data.assign(exit=np.where(data["event"] == 0, 10, data["exit"]))
    (more,) = survival_table(known, "arm", [t], interval="beta-product").to_dict("records")
    assert row["conf_low"] <= more["conf_low"] + 1e-12


def test_the_beta_product_by_simulating_the_product():
    exits = [2, 3, 3, 4, 5, 5, 6, 7, 8, 9]
    events = [1, 0, 1, 1, 1, 1, 0, 1, 0, 0]
    data = pd.DataFrame({"exit": exits, "event": events, "arm": "a"})
    (row,) = survival_table(data, "arm", [7], interval="beta-product").to_dict("records")
    rng = np.random.default_rng(1)
    w = np.ones(400_000)
    for at_risk, d in ((10, 1), (9, 1), (7, 1), (6, 2), (3, 1)):
        w *= rng.beta(at_risk - d + 1, d, w.size)
    # The moments are matched, the quantiles nearly: Fay and others 2013.
    assert row["conf_high"] == pytest.approx(np.quantile(w, 0.975), abs=4e-3)
    assert row["conf_low"] == pytest.approx(
        np.quantile(w * rng.beta(2, 1, w.size), 0.025), abs=4e-3
    )


@pytest.mark.slow
def test_the_beta_product_covers_in_small_censored_samples():
    rng = np.random.default_rng(5)
    covered = {"beta-product": 0, "log-log": 0}
    runs = 400
    for _ in range(runs):
        death, censored = rng.exponential(20, 12), rng.uniform(5, 40, 12)
        data = pd.DataFrame(
            {"exit": np.minimum(death, censored), "event": (death <= censored) * 1, "arm": "a"}
        )
        for kind in covered:
            (row,) = survival_table(data, "arm", [10.0], interval=kind).to_dict("records")
            covered[kind] += row["conf_low"] <= np.exp(-0.5) <= row["conf_high"]
    assert covered["beta-product"] / runs > 0.94


def test_ends_of_a_curve():
    dead = pd.DataFrame({"exit": [1, 2, 3], "event": 1, "arm": "a"})
    last = survival_table(dead, "arm", [3, 9])
    assert list(last["survival"]) == [0, 0]
    assert last["conf_low"].isna().all()
    assert "survival is 0" in last["note"][0]
    exact = survival_table(dead, "arm", [3, 9], interval="beta-product")
    assert (exact["conf_low"] == 0).all()
    assert exact["conf_high"].tolist() == pytest.approx([1 - 0.025 ** (1 / 3)] * 2)
    own = survival_table(dead, "arm")
    assert own["time"].tolist() == [1, 2, 3]
    assert own["n_risk"].tolist() == [3, 2, 1]


def test_a_risk_set_that_empties_is_pointed_out():
    data = pd.DataFrame({"entry": [0, 3, 3], "exit": [2, 9, 9], "event": [1, 0, 0], "arm": "a"})
    table = survival_table(data, "arm", [5])
    assert table.loc[0, ["survival", "std_error", "conf_low", "conf_high"]].isna().all()
    assert "nobody was left at risk after 2" in table.loc[0, "note"]
    before = survival_table(data, "arm", [1.5])
    assert before.loc[0, "survival"] == 1
    gap = data.assign(event=0)  # the first is lost at 2 instead, and the others enter at 3
    table = survival_table(gap, "arm", [2, 2.5, 5])
    assert table["survival"].isna().tolist() == [False, True, True]
    assert "nobody was under observation between 2 and 3" in table.loc[2, "note"]


def test_what_cannot_be_answered_is_refused(icu):
    with pytest.raises(LongsurvError, match="one entry time"):
        survival_table(icu, "group", [14], interval="beta-product")
    with pytest.raises(DataError, match="nobody is under observation before 7"):
        survival_table(icu, "group", [5])
    with pytest.raises(LongsurvError, match="interval is one of"):
        survival_table(icu, "group", [14], interval="greenwood")
    with pytest.raises(LongsurvError, match="level"):
        survival_table(icu, "group", [14], level=95)
