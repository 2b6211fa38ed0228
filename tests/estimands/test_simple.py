"""The simple comparisons against values worked out by hand, in print, or by brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.errors import LongsurvError
from longsurv.estimands.simple import (
    baseline_differences,
    miettinen_nurminen,
    mortality_table,
    within_group_changes,
)

PHASES = (Phase("before", 1, 1), Phase("after", 4, 7))


def make_cohort(
    visits, *, sizes=(3, 3), phases=PHASES, horizon=28.0, days=None, status=None, extra=()
):
    """Patients 1, 2, ...: group a (reference), then b; visits are (patient, day, crp)."""
    n = sum(sizes)
    status = status or ["dead"] + ["alive"] * (n - 2) + ["dead"]
    patients = pd.DataFrame(
        {
            "id": range(1, n + 1),
            "arm": ["a"] * sizes[0] + ["b"] * sizes[1],
            "days": days or [28.0] * n,
            "status": status,
        }
    )
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="status",
        event="dead", censored="alive", time="day", phases=phases, horizon=horizon,
        competing={"discharge": "home"} if "home" in status else {},
    )  # fmt: skip
    rows = [(*visit, "crp") for visit in visits] + list(extra)
    long = pd.DataFrame(rows, columns=["id", "day", "value", "marker"])
    markers = [Marker("crp", label="CRP", unit="mg/dL")]
    if extra:
        markers.append(Marker("pct"))
    return Cohort(patients, long, schema, markers)


def test_baseline_medians_quartiles_and_the_exact_test():
    cohort = make_cohort([(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4), (5, 1, 5), (6, 1, 9)])
    (row,) = baseline_differences(cohort).to_dict("records")
    assert (row["reference"], row["group"], row["phase"]) == ("a", "b", "before")
    assert (row["n_reference"], row["median_reference"]) == (3, 2)
    assert (row["q1_group"], row["median_group"], row["q3_group"]) == (4.5, 5, 7)
    assert row["statistic"] == 9  # every one of 3 x 3 pairs
    assert row["p_value"] == pytest.approx(2 / 20)  # the extreme of 6! / (3! 3!) orders, twice
    assert row["reason"] == ""


def test_within_group_pairs_and_the_exact_test():
    first = [(k, 1, 10.0) for k in range(1, 11)]
    later = [(k, 5, 10.0 - k) for k in range(1, 6)] + [(k, 7, 10.0 + k) for k in range(6, 9)]
    changes = within_group_changes(make_cohort(first + later, sizes=(5, 5))).set_index("group")
    a, b = changes.loc["a"], changes.loc["b"]
    assert (a["n_pairs"], b["n_pairs"]) == (5, 3)
    assert (a["median_from"], a["median_to"], a["median_change"]) == (10, 7, -3)
    assert a["p_value"] == pytest.approx(2 / 2**5)
    assert b["p_value"] == pytest.approx(2 / 2**3)
    assert (a["phase_from"], a["phase_to"]) == ("before", "after")


def test_the_first_value_of_a_phase_counts_and_values_outside_every_phase_do_not():
    days, values = (7, 1, 2, 4, 9), (99.0, 10.0, 50.0, 5.0, 77.0)
    visits = [
        (k, day, value + k * (day == 1))
        for k in range(1, 7)
        for day, value in zip(days, values, strict=True)
    ]
    changes = within_group_changes(make_cohort(visits))
    assert changes["median_to"].tolist() == [5, 5]
    assert changes["median_change"].tolist() == [-7, -10]


def test_without_phases_the_first_and_last_of_each_patient_are_compared():
    visits = [(1, 3, 8), (1, 0, 4), (1, 9, 6), (2, 5, 3), (4, 2, 7), (4, 8, 9)]
    cohort = make_cohort(visits, phases=())
    changes = within_group_changes(cohort).set_index("group")
    assert changes["n_pairs"].tolist() == [1, 1]  # patient 2 has one value, patients 3, 5, 6 none
    assert changes["median_change"].tolist() == [2, 2]
    assert changes[["phase_from", "phase_to"]].iloc[0].tolist() == ["first", "last"]
    baseline = baseline_differences(cohort).iloc[0]
    assert (baseline["n_reference"], baseline["median_reference"]) == (2, 3.5)
    assert baseline["median_group"] == 7


def test_every_later_phase_is_compared_with_the_first():
    phases = (*PHASES, Phase("late", 10, 14))
    visits = [(k, day, k + day) for k in range(1, 7) for day in (1, 4, 10)]
    changes = within_group_changes(make_cohort(visits, phases=phases))
    assert changes["phase_to"].tolist() == ["after", "late"] * 2
    assert changes["median_change"].tolist() == [3, 9, 3, 9]


def test_equal_changes_tie_although_floats_differ():
    """0.3 - 0.2, 0.4 - 0.3, ... are one tenth each, but as floats they would not share a rank."""
    before = [0.2, 0.3, 0.5, 0.7, 0.4, 0.8]
    after = [0.3, 0.4, 0.6, 0.8, 0.3, 0.7]
    visits = [(k, 1, v) for k, v in enumerate(before, 1)]
    visits += [(k, 4, v) for k, v in enumerate(after, 1)]
    visits += [(k, day, 1.0) for k in range(7, 13) for day in (1, 4)]
    row = within_group_changes(make_cohort(visits, sizes=(6, 6))).iloc[0]
    assert row["statistic"] == 2 * 3.5  # two falls, each with the mean rank of 1 to 6


def test_values_beyond_a_detection_limit_stand_at_it_and_are_counted():
    visits = [(1, 1, "<2"), (2, 1, "3"), (3, 1, "4"), (4, 1, "5"), (5, 1, "6"), (6, 1, "<7")]
    visits += [(1, 4, "<2"), (2, 4, "2"), (3, 4, "2")]
    cohort = make_cohort(visits)
    row = baseline_differences(cohort).iloc[0]
    assert (row["censored_reference"], row["censored_group"]) == (1, 1)
    assert row["median_reference"] == 3
    assert within_group_changes(cohort)["n_censored"].tolist() == [2, 0]


def test_what_cannot_be_tested_has_a_reason_and_no_p_value():
    extra = [(1, 1, 3.0, "pct"), (2, 1, 3.0, "pct"), (1, 4, 3.0, "pct")]
    visits = [(k, day, 5.0) for k in range(1, 7) for day in (1, 4)]
    cohort = make_cohort(visits, extra=extra)
    baseline = baseline_differences(cohort).set_index("marker")
    assert baseline.loc["crp", "reason"] == "all values are equal"
    assert baseline.loc["pct", "reason"] == "no values in b"
    assert np.isnan(baseline.loc["pct", "median_group"])
    changes = within_group_changes(cohort).set_index(["marker", "group"])
    assert changes.loc[("crp", "a"), "reason"] == "no patient of a changed"
    assert changes.loc[("pct", "a"), "n_pairs"] == 1
    reason = "no patient of b has values at both before and after"
    assert changes.loc[("pct", "b"), "reason"] == reason
    assert baseline["p_value"].isna().all()
    assert changes["p_value"].isna().all()


def test_a_marker_nobody_has_values_of():
    cohort = make_cohort([(1, 1, 2.0)], extra=[(1, 2, 3.0, "pct")])  # day 2 is in no phase
    reasons = baseline_differences(cohort)["reason"].tolist()
    assert reasons == ["no values in b", "no values in a and b"]
    assert within_group_changes(cohort)["n_pairs"].tolist() == [0] * 4


def mortality_cohort():
    status = ["dead"] * 4 + ["alive"] * 18 + ["dead"] + ["alive"] * 18
    return make_cohort([(1, 1, 1.0)], sizes=(22, 19), status=status)


def test_mortality_of_4_in_22_against_1_in_19():
    """Every figure was computed elsewhere."""
    reference, group = mortality_table(mortality_cohort()).to_dict("records")
    assert (reference["group"], reference["n"], reference["deaths"]) == ("a", 22, 4)
    assert (group["group"], group["n"], group["deaths"]) == ("b", 19, 1)
    assert (round(reference["percent"], 1), round(group["percent"], 1)) == (18.2, 5.3)
    limits = [reference["conf_low"], reference["conf_high"], group["conf_low"], group["conf_high"]]
    assert np.round(limits, 4).tolist() == [0.0731, 0.3852, 0.0094, 0.2464]
    assert round(group["difference"], 4) == -0.1292
    assert round(group["p_value"], 4) == 0.3499
    newcombe = [group["difference_low"], group["difference_high"]]
    assert np.round(newcombe, 4).tolist() == [-0.3371, 0.0930]
    assert np.isnan(reference["difference"])


def test_miettinen_nurminen_of_1_in_19_against_4_in_22():
    table = mortality_table(mortality_cohort(), interval="miettinen-nurminen")
    limits = table.loc[1, ["difference_low", "difference_high"]].to_numpy(dtype=float)
    assert np.round(limits, 4).tolist() == [-0.3470, 0.0950]


def test_a_lower_level_gives_a_narrower_interval_inside():
    cohort = mortality_cohort()
    wide, narrow = (mortality_table(cohort, level=level).loc[1] for level in (0.95, 0.8))
    assert wide["difference_low"] < narrow["difference_low"] < narrow["difference_high"]
    assert narrow["difference_high"] < wide["difference_high"]
    assert wide["conf_low"] < narrow["conf_low"] < narrow["conf_high"] < wide["conf_high"]


def test_only_events_by_the_horizon_count_and_early_censoring_is_told():
    cohort = make_cohort(
        [(1, 1, 1.0)],
        days=[28.0, 29.0, 10.0, 5.0, 12.0, 40.0],
        status=["dead", "dead", "alive", "dead", "home", "alive"],
    )
    table = mortality_table(cohort).set_index("group")
    assert table["deaths"].tolist() == [1, 1]  # the death on day 29 is after the horizon
    assert table.loc["a", "reason"] == "1 censored before 28 days, counted as no event"
    assert table.loc["b", "reason"] == ""  # discharge is an outcome, not loss
    endless = mortality_table(make_cohort([(1, 1, 1.0)], horizon=None))
    assert endless["reason"].str.startswith("no horizon").all()


def test_an_interval_that_does_not_exist_is_refused():
    with pytest.raises(LongsurvError, match="newcombe, miettinen-nurminen, not 'wald'"):
        mortality_table(mortality_cohort(), interval="wald")
    with pytest.raises(LongsurvError, match="between 0 and 1"):
        mortality_table(mortality_cohort(), level=95)


COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS)
def test_miettinen_nurminen_mirrors_and_holds_the_estimate(group, reference):
    low, high = miettinen_nurminen(*group, *reference)
    estimate = group[0] / group[1] - reference[0] / reference[1]
    assert -1 <= low <= estimate <= high <= 1
    assert low < high
    mirrored = miettinen_nurminen(*reference, *group)
    assert mirrored == pytest.approx((-high, -low), abs=1e-7)


@settings(max_examples=25, deadline=None)
@given(COUNTS, COUNTS)
def test_miettinen_nurminen_limits_against_a_numerical_likelihood(group, reference):
    """At a limit the score statistic is 1.96, the risks found by maximising the likelihood."""
    (x, n), (y, m) = group, reference
    for limit in miettinen_nurminen(x, n, y, m):
        assume(abs(limit) < 0.999)
        low, high = max(0.0, -limit), min(1.0, 1.0 - limit)

        def cost(base, limit=limit):
            risks = np.clip([base + limit, base], 1e-300, 1.0)
            others = np.clip([1 - base - limit, 1 - base], 1e-300, 1.0)
            return -float(np.dot([x, y], np.log(risks)) + np.dot([n - x, m - y], np.log(others)))

        found = minimize_scalar(cost, bounds=(low, high), options={"xatol": 1e-10})
        base = min([low, high, found.x], key=cost)
        variance = (base + limit) * (1 - base - limit) / n + base * (1 - base) / m
        variance *= (n + m) / (n + m - 1)
        assert (x / n - y / m - limit) ** 2 / variance == pytest.approx(3.8414588, rel=1e-3)
