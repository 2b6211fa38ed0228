"""Times that differ by rounding are one time, in everything that is built on follow-up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv import Cohort, Schema
from longsurv.diagnostics.concordance import concordance
from longsurv.errors import EstimationError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.competing import incidence_table
from longsurv.estimands.exact_hazard import event_distribution
from longsurv.estimands.follow_up import FollowUp, two_groups
from longsurv.estimands.gray import gray_test
from longsurv.estimands.kaplan_meier import kaplan_meier, survival_table
from longsurv.estimands.log_rank import log_rank, log_rank_table
from longsurv.estimands.restricted_mean import restricted_mean, restricted_mean_table
from longsurv.estimands.standardised import risk_difference
from longsurv.models import CoxPH
from longsurv.times import clock, merged, rounding, snapped


@pytest.mark.parametrize("seed", range(6))
def test_ranks_of_nearly_tied_times(seed):
    rng = np.random.default_rng(seed)
    base = rng.integers(-3, 12, size=60) * 10.0 ** rng.integers(-4, 5)
    times = base * (1.0 + rng.choice([0.0, 1e-13], size=60))
    found = clock(times)
    distinct, expected = np.unique(base, return_inverse=True)
    np.testing.assert_array_equal(found.exit, expected)
    np.testing.assert_allclose(found.times, distinct, rtol=1e-12)
    if found.by_exit is not None:
        assert (np.diff(times[found.by_exit]) >= 0).all()


def test_whole_times_are_ranked_without_sorting_as_others_are():
    rng = np.random.default_rng(1)
    entry, exit = rng.integers(0, 5, 50), rng.integers(5, 30, 50)
    whole, halved = clock(exit, entry), clock(exit / 3, entry / 3)
    assert whole.by_exit is None and halved.by_exit is not None
    for name in ("exit", "entry"):
        a, b = whole.times[getattr(whole, name)], halved.times[getattr(halved, name)]
        np.testing.assert_allclose(a, 3 * b, rtol=1e-14)


def test_the_distance_is_relative_to_the_mean_of_the_distinct_times_since_the_first_entry():
    """As in R's aeqSurv: 1.5e-8 of the mean of 1, 2 and 3, wherever the clock begins."""
    tolerance = float(np.sqrt(np.finfo(float).eps))
    assert rounding(np.array([1.0, 2.0, 3.0])) == 2.0 * tolerance
    for gap, tied in ((0.999, True), (1.001, False)):
        times = np.array([1.0, 3.0, 2.0, 2.0 + gap * 2.0 * tolerance, 2.0])
        assert (len(np.unique(merged(times)[0])) == 3) == tied
    shifted = np.array([0.0, 1.0, 2.0, 2.5, 3.0]) + 1e6
    ends, begins = merged(shifted[1:], shifted[:1].repeat(4))
    np.testing.assert_array_equal(ends, shifted[1:])
    np.testing.assert_array_equal(begins, shifted[:1].repeat(4))


def test_missing_and_infinite_times_stay():
    ends, begins = merged([np.nan, 0.3, 0.1 + 0.2, np.inf], [0.0, np.nan, 0.0, 0.0])
    np.testing.assert_array_equal(ends, [np.nan, 0.3, 0.1 + 0.2, np.inf])
    np.testing.assert_array_equal(begins, [0.0, np.nan, 0.0, 0.0])
    np.testing.assert_array_equal(merged([np.nan, 0.3, 0.1 + 0.2])[0], [np.nan, 0.3, 0.3])


def test_a_time_from_outside_is_put_on_the_clock():
    at = snapped([0.3, 0.31, 5.0, np.nan], [0.1, 0.1 * 3, 2.0])
    np.testing.assert_array_equal(at, [0.1 * 3, 0.31, 5.0, np.nan])
    assert snapped(0.3, []) == 0.3


@pytest.fixture(scope="module")
def lung(table):
    """Weeks, tidy and messy; as in near_ties.R."""
    week = np.ceil(table("lung")["time"] / 7)
    age = table("lung")["age"]
    frame = table("lung").assign(tidy=week / 10, messy=(age + week / 10) - age)
    assert frame["messy"].nunique() > frame["tidy"].nunique()
    return frame


@pytest.mark.parametrize("name", ["tidy", "messy"])
def test_agrees_with_r(lung, r_results, name):
    data = lung.assign(exit=lung[name], event=lung["status"])[["exit", "event", "age", "sex"]]

    def expected(quantity: str, term: str = "") -> float:
        return r_results("near_ties", name, quantity)[term]

    row = log_rank_table(data, "sex", draws=10).iloc[0]
    assert row["p_value"] == pytest.approx(expected("log_rank_p"), rel=1e-9)
    assert row["statistic"] ** 2 == pytest.approx(expected("log_rank"), rel=1e-9)
    fit = CoxPH("Surv(exit, event) ~ age + sex", data).fit()
    for term in ("age", "sex"):
        assert fit.params[term] == pytest.approx(expected("coef", term), rel=1e-8)
        assert fit.bse[term] == pytest.approx(expected("se", term), rel=1e-8)
    assert fit.llf == pytest.approx(expected("loglik"), rel=1e-12)
    assert fit.concordance().c == pytest.approx(expected("concordance"), rel=1e-12)
    zph = fit.proportional_hazards().table.set_index("term")["statistic"]
    for term in ("age", "sex", "GLOBAL"):
        assert zph[term] == pytest.approx(expected("zph", term), rel=1e-7)
    curve = kaplan_meier(FollowUp(np.zeros(len(data)), data["exit"], data["event"]))
    for t in (0.3, 2.3):
        survival = curve.at(np.array([t]))[0][0]
        assert survival == pytest.approx(expected("km", f"{t}"), rel=1e-12)


grid = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(0, 2), st.booleans()),
    min_size=8,
    max_size=30,
)


@given(grid, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_rounding_of_times_changes_nothing(rows, seed):
    entry, length, status, arm = map(np.array, zip(*rows, strict=True))
    arm[:2] = [True, False]
    rng = np.random.default_rng(seed)

    def frame(noise: np.ndarray | float) -> pd.DataFrame:
        tenths = np.stack([entry, entry + length]) / 10
        times = (tenths + noise) - noise
        return pd.DataFrame(
            {"entry": times[0], "exit": times[1], "status": status, "arm": arm.astype(int)}
        )

    tidy, messy = frame(0.0), frame(rng.uniform(20.0, 90.0, (2, len(rows))))

    def answers(data: pd.DataFrame) -> list[float]:
        _, mine, _, reference = two_groups(data.drop(columns="status").assign(
            event=(data["status"] == 1) * 1), "arm")  # fmt: skip
        out = list(log_rank(mine, reference))
        try:
            exact = event_distribution(mine, reference)
            out += [exact.observed, *exact.probability]
        except EstimationError as nothing:
            out.append(float(len(str(nothing))))
        x = data["arm"] + 0.1 * np.arange(len(data))
        found = concordance(x.to_numpy(), data["exit"].to_numpy(), (data["status"] == 1).to_numpy(),
                            data["entry"].to_numpy())  # fmt: skip
        out += [found.concordant, found.discordant, found.tied]
        every = FollowUp(data["entry"], data["exit"], data["status"])
        at = np.arange(1, 15) / 10
        out += [*kaplan_meier(every).at(at)[0], *every.at_risk(at), *every.happening(at, 1, 2)]
        out += [cumulative_incidence(every).at(t)[0] for t in at]
        return out

    np.testing.assert_allclose(answers(messy), answers(tidy), rtol=1e-9, atol=1e-12)


def test_groups_made_apart_are_compared_on_one_clock():
    day = np.array([1, 3, 3, 6, 7]) / 10
    group = FollowUp(np.zeros(5), day, np.array([1, 1, 0, 1, 0]))
    messy = FollowUp(np.zeros(5), (61.3 + day) - 61.3, np.array([0, 1, 1, 0, 1]))
    tidy = FollowUp(np.zeros(5), day, messy.status)
    assert log_rank(group, messy) == pytest.approx(log_rank(group, tidy), rel=1e-12)
    found, expected = event_distribution(group, messy), event_distribution(group, tidy)
    np.testing.assert_allclose(found.probability, expected.probability, rtol=1e-12)


def test_an_event_at_the_horizon_counts_however_it_was_computed():
    people = pd.DataFrame(
        {
            "id": range(8),
            "arm": ["a", "b"] * 4,
            "exit": [0.1 * 3, 0.3, 0.1 * 3, 0.5, 0.2, 0.3, 0.4, 0.1],
            "died": [1, 1, 0, 0, 1, 0, 0, 1],
        }
    )
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="exit", status="died", time="t",
        horizon=0.3,
    )  # fmt: skip
    cohort = Cohort(people, None, schema)
    data = cohort.survival_data()
    assert data["event"].sum() == people["died"].sum()
    assert data["exit"].max() == 0.3

    messy = people.rename(columns={"died": "event"})
    tidy = messy.assign(exit=messy["exit"].round(1))
    for make in (
        lambda d: survival_table(d, "arm", [0.3]),
        lambda d: incidence_table(d.rename(columns={"event": "status"}), "arm", [0.3], causes=[1]),
        lambda d: restricted_mean_table(d, "arm", 0.3),
    ):
        pd.testing.assert_frame_equal(make(messy), make(tidy), rtol=1e-12)
    late = messy.assign(exit=[0.1 * 3, 0.3, 0.3, 0.3, 0.2, 0.3, 0.3, 0.1])
    one = FollowUp(np.zeros(8), np.full(8, 0.3), late["event"])
    assert restricted_mean(one, 0.1 * 3).estimate == pytest.approx(0.3)
    fit = CoxPH("Surv(exit, event) ~ arm", late.replace({"exit": {0.1 * 3: 0.3}})).fit()
    risk_difference(fit, "arm", 0.1 * 3)
    predicted = [fit.predict(late, times=[t])["estimate"] for t in (0.3, 0.1 * 3)]
    np.testing.assert_array_equal(*predicted)


def test_gray_test_merges_times(table):
    mgus = table("competing").rename(columns={"etime": "exit"})
    years = np.ceil(mgus["exit"] / 12)
    expected = gray_test(mgus.assign(exit=years), "sex")
    age = np.linspace(40, 90, len(mgus))
    found = gray_test(mgus.assign(exit=(age + years / 10) - age), "sex")
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
