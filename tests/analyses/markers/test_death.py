"""Markers that deaths cut short: each estimand against what it is made of, and what is refused."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from support.truncated import CHANGE, LAST, truncated_cohort, truncated_tables

from longsurv.analyses import BaselineAdjustment, DeathInMarkers
from longsurv.analyses.markers.death_answers import DeathAnswers
from longsurv.errors import LongsurvError
from longsurv.estimands.proportional_odds import proportional_odds
from longsurv.estimands.worst_rank import rank_comparison, worst_ranks

ROWS = [
    ("alive", "ratio"), ("worst", "probability index"), ("worst", "odds ratio"),
    ("joint", "ratio"), ("survivors", "lower bound"), ("survivors", "upper bound"),
]  # fmt: skip


@pytest.fixture(scope="module")
def spec() -> DeathInMarkers:
    return DeathInMarkers(truncated_cohort(), "m", CHANGE)


@pytest.fixture(scope="module")
def fit(spec: DeathInMarkers) -> DeathAnswers:
    return spec.fit()


@pytest.fixture(scope="module")
def post(spec: DeathInMarkers) -> DeathAnswers:
    return spec.sample(draws=500, chains=2)


def row(answers: DeathAnswers, estimand: str, quantity: str) -> pd.Series:
    table = answers.table
    return table[(table["estimand"] == estimand) & (table["quantity"] == quantity)].iloc[0]


def test_one_row_an_estimand_and_quantity(fit: DeathAnswers, post: DeathAnswers) -> None:
    for answers in (fit, post):
        assert list(zip(answers.tidy()["estimand"], answers.tidy()["quantity"],
                        strict=True)) == ROWS  # fmt: skip
        said = answers.table
        assert said["question"].str.endswith("?").all() and said["assumes"].ne("").all()
        assert not said["question"].str.contains("{", regex=False).any()
        answered = said["reason"] == ""
        assert said.loc[answered, ["estimate", "conf_low", "conf_high"]].notna().all(axis=None)
        assert said.loc[~answered, "estimand"].tolist() == ["joint"]
    both = fit.and_also(post).tidy()
    assert both["engine"].tolist() == ["ml", "bayes"] * len(ROWS)


def test_while_alive_is_the_study_own_analysis(fit: DeathAnswers) -> None:
    own = BaselineAdjustment(truncated_cohort(), "m", CHANGE, adjustments=("unadjusted",)).fit()
    for name in ("estimate", "conf_low", "conf_high", "p_value"):
        assert row(fit, "alive", "ratio")[name] == own.table[name].iloc[0]


def by_hand(people: pd.DataFrame, visits: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The outcomes of the patients from the two tables, without a cohort."""
    visits = visits.assign(y=np.log(visits["value"]), later=visits["day"] > 1)
    means = visits.groupby(["id", "later"])["y"].mean().unstack().reindex(people["id"])
    change = (means[True] - means[False]).to_numpy()
    died = np.where((people["status"] == "dead") & (people["exit"] <= 7), people["exit"], np.nan)
    used = np.isfinite(died) | np.isfinite(change)
    active = (people["arm"] == "active").to_numpy()
    return worst_ranks(change[used], died[used], "lower"), active[used]


def test_death_as_the_worst(fit: DeathAnswers, post: DeathAnswers) -> None:
    outcome, active = by_hand(*truncated_tables())
    expected = rank_comparison(outcome, active)
    found = row(fit, "worst", "probability index")
    assert found["estimate"] == expected.probability > 0.5
    assert (found["conf_low"], found["p_value"]) == (expected.conf_low, expected.p_value)
    assert found["n"] == len(outcome) and found["deaths"] > 3
    odds = row(fit, "worst", "odds ratio")
    assert odds["estimate"] == proportional_odds(outcome, active).estimate
    drawn = row(post, "worst", "probability index")
    assert drawn["estimate"] == pytest.approx(found["estimate"], abs=0.02)
    assert 0.9 < drawn["prob_benefit"] < 1.0
    assert row(post, "worst", "odds ratio")["prob_benefit"] == pytest.approx(
        drawn["prob_benefit"], abs=0.03
    )


def test_the_other_group_as_reference(fit: DeathAnswers) -> None:
    from dataclasses import replace

    swapped = replace(CHANGE, level="control", reference="active")
    other = DeathInMarkers(truncated_cohort(), "m", swapped).fit()
    for quantity, back in (("probability index", lambda v: 1 - v), ("odds ratio", lambda v: 1 / v)):
        mine, theirs = (row(one, "worst", quantity) for one in (fit, other))
        assert mine["estimate"] == pytest.approx(back(theirs["estimate"]), rel=1e-6)
        assert mine["conf_low"] == pytest.approx(back(theirs["conf_high"]), rel=1e-5)
        assert mine["p_value"] == pytest.approx(theirs["p_value"], rel=1e-8)
    mine, theirs = row(fit, "survivors", "lower bound"), row(other, "survivors", "upper bound")
    assert mine["estimate"] == pytest.approx(1 / theirs["estimate"], rel=1e-9)
    assert "died in active" in mine["assumes"] and "died in active" in theirs["assumes"]


@pytest.mark.parametrize("change", [lambda v: 88.4 * v, lambda v: v**2, np.sqrt])
def test_of_the_value_no_change_that_keeps_the_order_moves_it(change) -> None:
    people, visits = truncated_tables()
    # One value a patient in the phase: the mean of two is not kept by such a change.
    visits = visits[visits["day"] != 7]
    ask = partial(DeathInMarkers, marker="m", change=CHANGE, outcome="value")
    before = ask(truncated_cohort((people, visits))).composite.ranks("lower")
    moved = visits.assign(value=change(visits["value"]))
    for transform in ("log", "identity"):
        cohort = truncated_cohort((people, moved), transform=transform)
        assert (ask(cohort).composite.ranks("lower") == before).all()


def test_a_marker_whose_higher_values_are_better_is_ranked_the_other_way() -> None:
    lower = DeathInMarkers(truncated_cohort(), "m", CHANGE).composite
    with_deaths = lower.used["died"].notna().to_numpy()
    one, other = lower.ranks("lower"), lower.ranks("higher")
    assert (one[with_deaths] == other[with_deaths]).all()
    living = ~with_deaths
    assert (np.argsort(one[living]) == np.argsort(-other[living])).all()


def test_without_a_direction_there_is_no_worst_and_the_rest_stands() -> None:
    fit = DeathInMarkers(truncated_cohort(direction=None), "m", CHANGE).fit()
    table = fit.table.set_index("estimand")
    assert table.loc["worst", "estimate"].isna().all()
    assert table.loc["worst", "reason"].str.contains("next to death").all()
    assert table.loc[["alive", "survivors"], "estimate"].notna().all()


def test_the_joint_model_is_read_at_the_mean_times_of_the_phases(spec: DeathInMarkers) -> None:
    from longsurv.models import LMM, CoxPH, JointModel

    cohort = truncated_cohort()
    data = cohort.marker_data("m", followed=True)
    marker = LMM("log(value) ~ day * arm + (1 | id)", data)
    model = JointModel(marker, CoxPH("Surv(entry, exit, event) ~ arm", cohort.survival_data()),
                       time="day")  # fmt: skip
    joint = model.fit()
    found = row(spec.fit(joint=joint), "joint", "ratio")
    later = data[data["day"] > 1]["day"].mean()
    names = [n for n in joint.tidy(component="marker")["term"] if "day" in n and "arm" in n]
    expected = np.exp(joint.params[names[0]] * (later - 1.0))
    assert found["estimate"] == pytest.approx(expected, rel=1e-9)
    assert found["conf_low"] < expected < found["conf_high"]
    assert "the mean times of first and later" in found["notes"]


def test_it_is_read_as_words_and_a_table(fit: DeathAnswers) -> None:
    text = " ".join(str(fit.summary()).split())
    assert "Death as the worst outcome: Of a patient of active and one of control" in text
    assert "It assumes that" in text and "left out: alive without a change" in text
    assert "probability index" in repr(fit)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"marker": "crp"}, "no marker 'crp'"),
        ({"outcome": "slope"}, "outcome"),
        ({"deaths": ("relapse",)}, "deaths are among"),
        ({"until": 1.0}, "until="),
    ],
)
def test_what_is_not_there_is_refused(wrong: dict, says: str) -> None:
    with pytest.raises(LongsurvError, match=says):
        DeathInMarkers(**{"cohort": truncated_cohort(), "marker": "m", "change": CHANGE, **wrong})


def test_a_group_that_died_out_has_no_survivors_but_ranks() -> None:
    people, visits = truncated_tables()
    control = people["arm"] == "control"
    people = people.assign(
        status=np.where(control, "dead", people["status"]),
        exit=np.where(control, 2.0 + people["id"] % 5 / 2, people["exit"]),
    )
    visits = visits[visits["day"] <= people["exit"].to_numpy()[visits["id"]]]
    table = DeathInMarkers(truncated_cohort((people, visits)), "m", CHANGE).fit().table
    table = table.set_index(["estimand", "quantity"])
    assert table.loc[("worst", "probability index"), "estimate"] > 0.9
    for gone in (("alive", "ratio"), ("survivors", "lower bound")):
        assert np.isnan(table.loc[gone, "estimate"]) and table.loc[gone, "reason"]


def test_a_group_wholly_beyond_a_limit_at_an_end_has_no_change() -> None:
    """Limits in place of its values would tell the limits; the values themselves have places."""
    people, visits = truncated_tables()
    active = people["id"][people["arm"] == "active"]
    beyond = visits["id"].isin(active) & (visits["day"] > 1)
    hidden = visits.assign(value=visits["value"].astype(object).mask(beyond, "<5"))
    cohort = truncated_cohort((people, hidden))
    table = DeathInMarkers(cohort, "m", CHANGE).fit().table.set_index("estimand")
    for estimand in ("worst", "survivors"):
        assert table.loc[estimand, "estimate"].isna().all()
        assert table.loc[estimand, "reason"].str.contains("active at later lies beyond").all()
    values = DeathInMarkers(cohort, "m", CHANGE, outcome="value").fit().table
    assert values.set_index("estimand").loc["worst", "estimate"].notna().all()


def test_who_was_lost_counts_as_alive_and_is_told() -> None:
    people, visits = truncated_tables()
    lost = people["id"].isin([0, 1, 5]) & (people["exit"] > LAST)
    people = people.assign(
        exit=people["exit"].mask(lost, 5.0), status=people["status"].mask(lost, "alive")
    )
    visits = visits[~(visits["id"].isin(people["id"][lost]) & (visits["day"] > 5))]
    found = DeathInMarkers(truncated_cohort((people, visits)), "m", CHANGE).fit()
    told = f"{int(lost.sum())} patients were followed alive to before 7 only, and count as alive"
    assert all(told in answer.notes for answer in found.answers if answer.estimand == "survivors")
    whole = DeathInMarkers(truncated_cohort(), "m", CHANGE).composite
    assert whole.lost == 0 and not any("followed alive" in note for note in whole.notes)
