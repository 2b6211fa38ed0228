"""Emulated trials against weights by hand, simulated truth, and data they cannot be made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.admissions import GRACE, HORIZON, admissions

import longsurv as ls
from longsurv.analyses import TargetTrial
from longsurv.analyses.mortality.target_answer import METHOD, NAIVE, VARYING, Crude
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.cloning import (
    Histories,
    beginning_model,
    cloned_curves,
    weighted_incidence,
)
from longsurv.estimands.follow_up import FollowUp

EFFECT = "risk difference"


def trial(people, rows, **more):
    options = {"markers": ["severity"], "measurements": rows, "intervals": 8} | more
    return TargetTrial(people, "begun", GRACE, HORIZON, **options)


@pytest.fixture(scope="module")
def cohort():
    return admissions(400, np.random.default_rng(5))


@pytest.fixture(scope="module")
def found(cohort):
    return trial(*cohort).estimate(resamples=100)


def by_hand(at: Histories, chance: np.ndarray, horizon: float) -> np.ndarray:
    """Risks of both arms, patient by patient and time by time."""
    patient, period, began = at.periods
    h = {(int(i), int(k)): float(c) for i, k, c in zip(patient, period, chance, strict=True)}
    K = len(at.edges) - 1
    tied = [b for b in at.begun if np.isfinite(b) and (at.begun == b).sum() > 1]
    all_of_them = [began[period == k].mean() for k in range(K)]
    usual = [all_of_them[k] / (1.0 - np.prod([1.0 - v for v in all_of_them[k:]])) for k in range(K)]

    def weight(i: int, t: float) -> tuple[float, float]:
        one = zero = 1.0
        for k in range(K):
            low, high = at.edges[k], at.edges[k + 1]
            if at.begun[i] < t and (low < at.begun[i] <= high or k == at.begun[i] == 0):
                return one * usual[k] / h[i, k], 0.0
            if t <= high:
                inside = [b for b in at.begun if low < b <= high or (k == 0 and b == 0.0)]
                f = sum(b < t if b in tied else (t - low) / (high - low) for b in inside)
                f /= len(inside)
                return one * (1 - usual[k] * f) / (1 - h[i, k] * f), zero / (1 - h[i, k] * f)
            one *= (1 - usual[k]) / (1 - h[i, k])
            zero /= 1 - h[i, k]
        return one, zero

    risk, free = np.zeros(2), np.ones(2)
    for t in np.unique(at.exit[(at.status > 0) & (at.exit <= horizon)]):
        here = [i for i in range(len(at.exit)) if at.exit[i] >= t]
        w = {i: np.array(weight(i, t)) for i in here}
        total = sum(w.values())
        dead = sum((w[i] for i in here if at.exit[i] == t and at.status[i] == 1), np.zeros(2))
        gone = sum((w[i] for i in here if at.exit[i] == t and at.status[i] > 0), np.zeros(2))
        risk += free * dead / total
        free *= 1.0 - gone / total
    return risk


def test_weights_and_curves_are_those_by_hand():
    people, _ = admissions(60, np.random.default_rng(2))
    people.loc[3, ["exit", "status"]] = [1.3, 0]  # lost within the grace period
    people.loc[3, "begun"] = np.nan
    at = Histories(
        people["begun"].fillna(np.inf).to_numpy(), people["exit"].to_numpy(),
        people["status"].to_numpy(), np.linspace(0.0, GRACE, 4),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.05, 0.6, len(at.periods[0]))
    curves, final = cloned_curves(at, chance[None, :], np.ones((1, 60)), HORIZON)
    np.testing.assert_allclose(curves.risk()[:, 0], by_hand(at, chance, HORIZON), rtol=1e-10)
    # Copies that are left have a weight, the others none; nobody is in both arms after grace.
    late = at.exit > GRACE
    assert ((final[:, 0, late] > 0.0).sum(axis=0) == 1).all()
    area = sum(
        (HORIZON - t) * step
        for t, step in zip(curves.time[1:], np.diff(curves.incidence[0, 0]), strict=True)
    )
    assert curves.mean_without(HORIZON)[0, 0] == pytest.approx(HORIZON - area)


def test_nobody_has_departed_before_the_first_who_begins():
    """In whole days all who begin in an interval may do so at its end: until then both arms are
    everybody, whatever the chance of beginning; it was taken as spread over the interval."""
    rng = np.random.default_rng(4)
    exit_ = np.ceil(rng.exponential(12.0, 80))
    begun = np.where(rng.random(80) < 0.5, np.ceil(rng.exponential(3.0, 80)), np.inf)
    at = Histories(np.where(begun <= np.minimum(exit_, 4.0), begun, np.inf), exit_,
                   np.ones(80, dtype=int), np.arange(5.0))  # fmt: skip
    chance = rng.uniform(0.05, 0.7, len(at.periods[0]))
    curves, _ = cloned_curves(at, chance[None, :], np.ones((1, 80)), 8.0)
    first = curves.time == 1.0
    assert (exit_ == 1.0).any() and (at.begun == 1.0).sum() > 5
    np.testing.assert_allclose(curves.incidence[:, 0, first], (exit_ == 1.0).mean(), rtol=1e-12)
    np.testing.assert_allclose(curves.risk()[:, 0], by_hand(at, chance, 8.0), rtol=1e-10)


def test_who_began_at_time_zero_has_departed_from_it_on():
    people, _ = admissions(60, np.random.default_rng(2))
    begun = people["begun"].fillna(np.inf).to_numpy()
    begun[np.flatnonzero(np.isfinite(begun))[:9]] = 0.0
    at = Histories(begun, people["exit"].to_numpy(), people["status"].to_numpy(),
                   np.linspace(0.0, GRACE, 4))  # fmt: skip
    chance = np.random.default_rng(1).uniform(0.05, 0.6, len(at.periods[0]))
    curves, _ = cloned_curves(at, chance[None, :], np.ones((1, 60)), HORIZON)
    np.testing.assert_allclose(curves.risk()[:, 0], by_hand(at, chance, HORIZON), rtol=1e-10)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12), st.sampled_from([0, 1, 1, 2])),
                min_size=4, max_size=14))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_curves_are_known_as_far_as_aalen_and_johansens_of_either_arm(rows):
    """With weights of one an arm is a group: its risk by the horizon is that of the group, and is
    refused where that is not known, be the last who left censored or the horizon beyond them."""
    horizon = 12.0
    first, time, status = (np.array(column) for column in zip(*rows, strict=True))
    assume(0 < first.sum() < len(first) and (status == 1).any())
    exit_ = np.minimum(time.astype(float), horizon)
    at = Histories(np.full(len(first), np.inf), exit_, status, np.array([0.0, 1.0]))
    groups = [
        cumulative_incidence(FollowUp(np.zeros(side.sum()), exit_[side], status[side]))
        for side in (first, ~first)
    ]
    expected = [group.at(horizon)[0] for group in groups]
    two = np.stack([first, ~first])[:, None, :].astype(float)
    try:
        found = weighted_incidence(at, lambda _: two, np.ones((1, len(first))), horizon).risk()
    except EstimationError:
        assert np.isnan(expected).any()
    else:
        np.testing.assert_allclose(found[:, 0], expected, atol=1e-12)


def test_patients_of_weight_two_are_two_patients(cohort):
    people, rows = cohort
    rng = np.random.default_rng(3)
    twice = rng.random(len(people)) < 0.4
    one = trial(people, rows)
    at, X = one.histories, one._covariates
    mass = (1.0 + twice)[None, :]
    risk = cloned_curves(at, beginning_model(at, X, mass), mass, HORIZON)[0].risk()
    again = people[twice].assign(patient=lambda d: d["patient"] + 1000)
    more = rows[rows["patient"].isin(people["patient"][twice])]
    double = trial(
        pd.concat([people, again], ignore_index=True),
        pd.concat([rows, more.assign(patient=lambda d: d["patient"] + 1000)], ignore_index=True),
    )
    at, X = double.histories, double._covariates
    ones = np.ones((1, len(at.exit)))
    both = cloned_curves(at, beginning_model(at, X, ones), ones, HORIZON)[0].risk()
    np.testing.assert_allclose(risk, both, atol=2e-3)  # priors weigh rows, which are more


class TestTruth:
    def test_no_effect_where_the_naive_analysis_shows_one(self):
        people, rows = admissions(20_000, np.random.default_rng(11))
        people["exit"] = np.ceil(people["exit"] * 100) / 100  # fewer distinct times
        found = trial(people, rows).estimate(resamples=20)
        truth = (people["status"] == 1).mean()
        for name in ("risk if begun", "risk if not"):
            assert found.of(METHOD, name)["estimate"] == pytest.approx(truth, abs=0.012)
        assert found.of(METHOD, EFFECT)["estimate"] == pytest.approx(0.0, abs=0.015)
        assert found.of(NAIVE, EFFECT)["estimate"] < -0.04
        assert found.of(NAIVE, EFFECT)["conf_high"] < -0.02
        time = found.of(METHOD, "difference in mean time without the event")
        assert time["estimate"] == pytest.approx(0.0, abs=0.35)

    @pytest.mark.slow
    def test_an_effect_is_that_of_the_strategies(self):
        """Both strategies simulated: beginning on the usual days, and not beginning."""
        effect = np.log(0.5)
        people, rows = admissions(30_000, np.random.default_rng(12), effect)
        people["exit"] = np.ceil(people["exit"] * 100) / 100
        found = trial(people, rows, intervals=4).estimate(resamples=10)
        at = trial(people, rows, intervals=4).histories
        _, period, began = at.periods
        h = np.array([began[period == k].mean() for k in range(4)])
        usual = [h[k] / (1.0 - np.prod(1.0 - h[k:])) for k in range(4)]
        rng = np.random.default_rng(13)
        one, _ = admissions(100_000, rng, effect, lambda k, severity: np.array(usual[k]))
        zero, _ = admissions(100_000, rng, effect, lambda k, severity: np.array(0.0))
        truth = [(side["status"] == 1).mean() for side in (one, zero)]
        assert truth[0] - truth[1] < -0.08
        assert found.of(METHOD, "risk if begun")["estimate"] == pytest.approx(truth[0], abs=0.012)
        assert found.of(METHOD, "risk if not")["estimate"] == pytest.approx(truth[1], abs=0.012)

    @pytest.mark.study
    def test_bias_and_coverage(self):
        """1,000 cohorts of 400 without effect: bias under 0.01, coverage of 93 to 97 %."""
        rows = []
        for seed in range(1000):
            one = trial(*admissions(400, np.random.default_rng(seed)))
            rows.append(one.estimate(resamples=200, seed=seed).of(METHOD, EFFECT))
        table = pd.DataFrame(rows)
        assert abs(table["estimate"].mean()) < 0.01
        covered = (table["conf_low"] < 0.0) & (table["conf_high"] > 0.0)
        assert 0.93 <= covered.mean() <= 0.97


class TestWhatDoesNotMatter:
    def estimates(self, one):
        table = one.estimate(resamples=2).table
        return table.set_index(["method", "quantity"])["estimate"]

    @pytest.fixture
    def usual(self, cohort):
        return self.estimates(trial(*cohort))

    def test_order_of_rows(self, cohort, usual):
        people, rows = cohort
        again = trial(people.sample(frac=1, random_state=1), rows.sample(frac=1, random_state=2))
        np.testing.assert_allclose(self.estimates(again), usual, rtol=1e-7)

    def test_origin_and_unit_of_a_marker(self, cohort, usual):
        people, rows = cohort
        again = trial(people, rows.assign(severity=1e4 - 37.0 * rows["severity"]))
        np.testing.assert_allclose(self.estimates(again), usual, rtol=1e-6)

    def test_unit_of_time(self, cohort, usual):
        people, rows = cohort
        hours = people.assign(exit=24 * people["exit"], begun=24 * people["begun"])
        again = TargetTrial(
            hours, "begun", 48.0, 672.0, markers=["severity"],
            measurements=rows.assign(time=24 * rows["time"]), intervals=8,
        )  # fmt: skip
        time = usual.index.get_level_values(1).str.startswith("difference in mean")
        expected = np.where(time, 24.0 * usual, usual)
        np.testing.assert_allclose(self.estimates(again), expected, rtol=1e-7)

    def test_times_that_differ_by_rounding(self):
        """Begun on the last day of grace, of an interval, of follow-up: 0.1 * 3 is not after 0.3,
        and a value of a marker then is known."""
        rng = np.random.default_rng(3)
        died, begun = np.ceil(rng.exponential([[20.0], [9.0]], (2, 120)))
        end = np.minimum(died, 30.0)
        people = pd.DataFrame({
            "patient": range(120), "exit": end, "event": (died <= 30.0).astype(int),
            "begun": np.where(begun <= end, begun, np.nan),
        })  # fmt: skip
        rows = pd.DataFrame(
            {"patient": np.repeat(np.arange(120), 6), "time": np.tile(range(6), 120)}
        )
        rows = rows.assign(crp=rng.normal(size=len(rows)))
        tenths = people.assign(exit=0.1 * people["exit"], begun=0.1 * people["begun"])
        how = {"intervals": 6, "markers": ["crp"]}
        days = TargetTrial(people, "begun", 6.0, 28.0, measurements=rows, **how)
        rows = rows.assign(time=rows["time"] / 10)
        moved = TargetTrial(tenths, "begun", 0.6, 2.8, measurements=rows, **how)
        time = self.estimates(days).index.get_level_values(1).str.startswith("difference in mean")
        expected = self.estimates(days) * np.where(time, 0.1, 1.0)
        np.testing.assert_allclose(self.estimates(moved), expected, rtol=1e-7)

    def test_names_of_columns(self, cohort, usual):
        """Columns called as those that are worked with: "began" of the data was overwritten, and
        adjusted for as who had begun."""
        people, rows = cohort
        again = TargetTrial(
            people.rename(columns={"begun": "began"}), "began", GRACE, HORIZON,
            markers=["severity"], intervals=8, time="y",
            measurements=rows.rename(columns={"time": "y"}),
        )  # fmt: skip
        np.testing.assert_allclose(self.estimates(again), usual, rtol=1e-12)
        week = np.arange(len(people)) % 7
        plain = self.estimates(trial(people.assign(week=week), rows, adjust="week"))
        again = self.estimates(trial(people.assign(began=week), rows, adjust="began"))
        np.testing.assert_allclose(again, plain, rtol=1e-12)

    def test_what_happens_after_the_horizon(self, cohort, usual):
        people, rows = cohort
        alive = people["exit"] >= HORIZON
        alive &= alive.cumsum() > 1  # one is left of whom nothing is known afterwards
        again = trial(
            people.assign(exit=people["exit"] + 5.0 * alive, status=people["status"] + alive), rows
        )
        np.testing.assert_allclose(self.estimates(again), usual, rtol=1e-7)


def test_answer_in_words(found):
    assert "immortal" in found.words and "could have had the event before" in found.words
    assert found.of(VARYING, "hazard ratio")["conf_low"] > 0.0
    assert set(found.protocol["component"]) >= {"Eligibility", "Time zero and follow-up"}
    assert list(found.curves["group"].unique()) == ["begin", "do not begin"]
    assert (found.weights["effective_n"] < found.weights["n"]).all()
    assert "immortal" in str(found) and "risk difference" in str(found.summary())
    with pytest.raises(LongsurvError, match="the table has no"):
        found.of(METHOD, "odds")


def test_the_same_seed_is_the_same_answer(cohort, found):
    again = trial(*cohort).estimate(resamples=100)
    pd.testing.assert_frame_equal(found.table, again.table)


def test_hardly_anybody_who_began_is_a_warning():
    people, rows = admissions(400, np.random.default_rng(6))
    sick = rows.groupby("patient")["severity"].first().to_numpy()
    healthy = np.flatnonzero(sick < 0.8)[2:]
    people.loc[people["patient"].isin(healthy), "begun"] = np.nan
    found = trial(people, rows).estimate(resamples=2)
    assert any("Positivity" in text for text in found.warnings)


class TestRefused:
    def test_the_sepsis_cohort(self):
        """Treatment began by day 2, risk begins at day 7: nothing to emulate."""
        people = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml").survival_data()
        people = people.assign(begun=np.where(people["treatment"] == "ivig", 1.0, np.nan))
        with pytest.raises(DataError, match=r"risk begins after time zero.*never enrolled"):
            TargetTrial(people, "begun", 2.0, 28.0).estimate()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"begun": 27.9}, "began treatment after the end of follow-up"),
            ({"begun": np.nan}, "0 began by 2 and 400 did not"),
            ({"exit": 0.0}, "exit must come after entry"),
            ({"begun": "soon"}, "begun"),
            ({"begun": True}, "times at which treatment began, not whether it did"),
            ({"patient": 3}, "399 rows of 'patient' repeat a patient .3."),
        ],
    )
    def test_data(self, cohort, change, words):
        people, rows = cohort
        with pytest.raises(DataError, match=words):
            trial(people.assign(**change), rows).estimate()

    def test_a_marker_without_a_value_at_time_zero(self, cohort):
        people, rows = cohort
        with pytest.raises(DataError, match=r"7 patients .* no value of severity at time zero"):
            trial(people, rows[~((rows["patient"] < 7) & (rows["time"] == 0.0))]).estimate()

    def test_two_values_of_a_marker_at_one_time(self, cohort):
        """The later of the rows was taken, whichever that was."""
        people, rows = cohort
        again = rows[rows["patient"].isin([3, 4]) & (rows["time"] == 0.0)]
        trial(people, pd.concat([rows, again])).estimate(resamples=0)  # one value twice is one
        twice = pd.concat([rows, again.assign(severity=9.0)])
        with pytest.raises(DataError, match=r"2 patients .3, 4. have several values of severity"):
            trial(people, twice).estimate()

    def test_patients_without_a_name(self, cohort):
        people, rows = cohort
        people = people.assign(patient=people["patient"].where(people["patient"] > 1))
        with pytest.raises(DataError, match="2 rows of 'patient' are missing"):
            trial(people, rows).estimate()

    def test_a_missing_covariate(self, cohort):
        people, rows = cohort
        people = people.assign(
            age=np.where(people["patient"] < 3, np.nan, 60.0 + people["patient"] % 7)
        )
        with pytest.raises(DataError, match="3 patients lack a covariate of 'age'"):
            trial(people, rows, adjust="age").estimate()

    def test_who_was_lost_before_the_horizon(self):
        """That all who began were lost is no answer, though no event comes later; a comparison that
        stands beside the answer may have none of its own."""
        people, rows = admissions(120, np.random.default_rng(1))
        began = people["begun"].notna()
        lost = people.assign(exit=np.where(began, np.minimum(people["exit"], 20.0), people["exit"]))
        lost = lost.assign(status=np.where(began & (lost["exit"] == 20.0), 0, lost["status"]))
        with pytest.raises(EstimationError, match=r"nobody is left at .* arm 'begin'"):
            trial(lost, rows).estimate(resamples=2)

    def test_all_who_began_had_an_event(self):
        """Then their risk stays as it was: it is known at any later time."""
        people, rows = admissions(120, np.random.default_rng(1))
        began = people["begun"].notna()
        people = people.assign(status=np.where(began & (people["status"] == 0), 1,
                                               people["status"]))  # fmt: skip
        people = people.assign(exit=np.where(began, np.minimum(people["exit"], 20.0),
                                             people["exit"]))  # fmt: skip
        found = trial(people, rows).estimate(resamples=2)
        assert found.of(METHOD, "risk if begun")["estimate"] > 0.2
        assert found.table["estimate"].notna().all()

    @pytest.mark.parametrize("arms", [[True, False], [False]], ids=["neither", "one"])
    def test_limits_of_an_arm_without_events(self, arms):
        """Resampling would say 0 to 0, and too narrow a difference."""
        people, rows = admissions(120, np.random.default_rng(1))
        spared = people["begun"].notna().isin(arms) & (people["status"] == 1)
        people = people.assign(exit=np.where(spared, HORIZON, people["exit"]),
                               status=np.where(spared, 0, people["status"]))  # fmt: skip
        people = people.assign(begun=people["begun"].where(people["begun"] < GRACE))
        found = trial(people, rows).estimate(resamples=20)
        if "no events" not in found.of(METHOD, "risk if not")["note"]:
            pytest.fail("the arm that does not begin has an event")
        for quantity in ("risk if not", "risk difference", "risk ratio"):
            row = found.of(METHOD, quantity)
            assert np.isnan(row["conf_low"]) and "'do not begin': no events" in row["note"]
        curve = found.curves[(found.curves["group"] == "do not begin") & (found.curves["time"] > 0)]
        assert curve["conf_high"].isna().all()

    def test_arms_of_the_same_patients(self):
        """All events come on the day on which treatment begins, or before: 0, from 0 to 0."""
        patient = np.arange(60)
        people = pd.DataFrame({
            "patient": patient, "exit": np.where(patient % 3 == 0, 3.0, 20.0),
            "status": (patient % 3 == 0).astype(int), "begun": np.where(patient < 30, 3.0, np.nan),
            "week": patient % 7,
        })  # fmt: skip
        for covariate in ("", "week"):
            one = TargetTrial(people, "begun", 5.0, 20.0, adjust=covariate, intervals=5)
            with pytest.raises(EstimationError, match="both arms are the same patients"):
                one.estimate(resamples=20)
        late = people["exit"].where(people["patient"] != 33, 4.0)  # after thirty had departed
        found = TargetTrial(people.assign(exit=late), "begun", 5.0, 20.0, intervals=5)
        assert found.estimate(resamples=20).of(METHOD, EFFECT)["estimate"] != 0.0

    def test_a_marker_that_is_infinite_or_undated(self, cohort):
        people, rows = cohort
        for column, value in (("severity", np.inf), ("time", np.nan)):
            spoiled = rows.assign(**{column: rows[column].where(rows.index != 4, value)})
            with pytest.raises(DataError, match="no finite number"):
                trial(people, spoiled).estimate()

    def test_a_comparison_beside_the_answer_may_have_none(self):
        at = Histories(np.array([0.5, 0.5, np.inf, np.inf]), np.array([3.0, 4.0, 5.0, 6.0]),
                       np.array([1, 0, 1, 1]), np.array([0.0, 1.0]))  # fmt: skip
        two = np.stack([at.begun < 1, at.begun > 1])[:, None, :].astype(float)
        beside = Crude()
        for _ in range(2):
            beside.add(at, two, np.ones((1, 4)), 6.0, 0.0)
        (row,) = beside.rows("beside", 6.0, 0.95, "note")
        assert np.isnan(row["estimate"]) and "no usable answer: nobody is left at 5" in row["note"]
        assert Crude().rows("beside", 6.0, 0.95, "note") == []

    def test_nobody_left(self):
        people, rows = admissions(60, np.random.default_rng(1))
        people["begun"] = np.where(people["exit"] > 1.9, 1.0 + people["patient"] / 100, np.nan)
        with pytest.raises(EstimationError, match=r"nobody is left at .* who did what the arm"):
            trial(people, rows).estimate(resamples=2)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"grace": 30.0}, "grace .30. is a time after 0 and before the horizon"),
            ({"horizon": None}, "name horizon="),
            ({"intervals": 0}, "intervals is a number from 1 to 200"),
            ({"measurements": None}, "are columns of measurements="),
            ({"begun": "start"}, "no column 'start'"),
        ],
    )
    def test_arguments(self, cohort, more, words):
        people, rows = cohort
        options = {"begun": "begun", "grace": GRACE, "horizon": HORIZON, "markers": ["severity"],
                   "measurements": rows}  # fmt: skip
        with pytest.raises(LongsurvError, match=words):
            TargetTrial(people, **{**options, **more}).estimate()

    def test_who_is_not_eligible_is_counted(self, cohort):
        people, rows = cohort
        people = people.assign(adult=people["patient"] >= 20)
        people.loc[30, "begun"] = -1.0
        flow = trial(people, rows, eligible="adult").flow.set_index("reason")["n"]
        assert flow["not eligible"] == 20 and flow["had begun before time zero"] == 1

    def test_eligibility_is_no_text(self, cohort):
        """Of "no" nothing says that it is not true."""
        people, rows = cohort
        people = people.assign(adult=np.where(people["patient"] >= 20, "yes", "no"))
        with pytest.raises(
            DataError, match="'adult' says whether a patient is eligible, and is true"
        ):
            trial(people, rows, eligible="adult").estimate()
        known = people.assign(adult=pd.array([None, *[True] * (len(people) - 1)], "boolean"))
        flow = trial(known, rows, eligible="adult").flow
        assert flow.to_numpy().tolist() == [["not known whether eligible", 1]]

    def test_columns_of_other_dtypes(self, cohort):
        people, rows = cohort
        whole = people.assign(begun=np.ceil(people["begun"]), exit=np.ceil(people["exit"]))
        expected = trial(whole, rows).histories.begun
        for dtype in ("Int64", "category", object):
            found = trial(whole.astype({"begun": dtype}), rows).histories.begun
            np.testing.assert_array_equal(found, expected)
