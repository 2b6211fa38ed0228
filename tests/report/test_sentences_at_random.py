"""Every sentence held against the numbers it was written from, for answers drawn at random.

Direction, number, unit, condition, adjustment and name: what a sentence says is read back from its
text and compared with the answers themselves.
"""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.lengths import lengths

from longsurv import numbers
from longsurv.report import (
    sentences,
    sentences_joint,
    sentences_markers,
    sentences_mortality,
    sentences_unseen,
)
from longsurv.report.sentences import Answer
from longsurv.report.sentences_mortality import Compared
from longsurv.report.sentences_unseen import Tipping

MINUS = numbers.MINUS
GROUPS = ("ivig", "control", "drug A", "arm 2", "D-penicillamine", "Über", "1", "q < r")
NAMES = st.lists(
    st.sampled_from(GROUPS), min_size=2, max_size=2, unique=True,
)  # fmt: skip
EVENTS = st.sampled_from(["death", "relapse", "transplantation", "discharge alive"])
COVARIATES = st.lists(st.sampled_from(["age", "sex", "apache2", "log dose"]), unique=True)
CHANCE = st.floats(0.0, 1.0)


@st.composite
def ratios(draw: st.DrawFn) -> Answer:
    log = draw(st.floats(-4, 4))
    down, up = draw(st.floats(0.01, 4)), draw(st.floats(0.01, 4))
    return Answer(
        math.exp(log), math.exp(log - down), math.exp(log + up), True,
        draw(CHANCE), draw(CHANCE),
    )  # fmt: skip


@st.composite
def differences(draw: st.DrawFn, size: float = 50.0) -> Answer:
    middle = draw(st.floats(-size, size))
    down, up = draw(st.floats(0.01, size)), draw(st.floats(0.01, size))
    return Answer(middle, middle - down, middle + up, False, draw(CHANCE), draw(CHANCE))


def way(answer: Answer) -> str:
    """The direction, worked out again."""
    if answer.estimate == (1.0 if answer.ratio else 0.0):
        return "no higher"
    above = answer.estimate > 1 if answer.ratio else answer.estimate > 0
    return "higher" if above else "lower"


def of_direction(answer: Answer) -> str:
    """Posterior probability of that direction, as printed."""
    p = answer.prob_positive if way(answer) == "higher" else 1 - answer.prob_positive
    return numbers.probability(p)


def clear(answer: Answer) -> bool:
    null = 1.0 if answer.ratio else 0.0
    return answer.low > null or answer.high < null


def printed_p(text: str) -> str:
    return re.search(r"p (?:= )?([<>]?[\d.]+)\)", text).group(1)


cases = lengths("examples", 500, 5000)


@cases
def test_hazard(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, ratios(), ratios(), EVENTS, COVARIATES)
    def check(names: list[str], ml: Answer, bayes: Answer, event: str, covariates: list) -> None:
        group, reference = names
        text = sentences.hazard(group, reference, ml, bayes, event, covariates)
        first, second = text.split("By Bayes ")
        assert f"is estimated {way(ml)} in {group} than in {reference}" in first
        assert f"the hazard of {event}" in first
        assert f"(hazard ratio {numbers.number(ml.estimate)}, 95 % confidence" in first
        assert printed_p(first) == numbers.p_value(ml.p_value)
        assert f"is {numbers.number(bayes.estimate)} (posterior median;" in second
        said = f"probability that the hazard is {way(bayes)} in {group} is {of_direction(bayes)}."
        assert said in second
        for part in (first, second):
            assert ("adjusted for" in part) == bool(covariates)
            assert all(name in part for name in covariates)
        assert ("both compatible" in text) == (not clear(ml) and not clear(bayes))
        assert ("One interval includes 1" in text) == (clear(ml) != clear(bayes))

    check()


@cases
def test_risk_difference(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, differences(), differences(), EVENTS)
    def check(names: list[str], ml: Answer, bayes: Answer, event: str) -> None:
        asked = Compared(*names, event, "by 28 days")
        text = sentences_mortality.risk_difference(asked, ml, bayes)
        first, second = text.split(" By Bayes ")
        assert first.startswith(f"The risk of {event} by 28 days is estimated ")
        assert f"{way(ml)} in {names[0]} than in {names[1]}" in first
        if ml.estimate != 0:
            size = re.search(r"estimated ([\d.,]+) percentage points", first).group(1)
            places = numbers.decimals_for([ml.low, ml.high])
            assert size == numbers.fixed(abs(ml.estimate), places)
        assert printed_p(first) == numbers.p_value(ml.p_value)
        assert f"is {bayes.point} percentage points" in second
        assert bayes.point.startswith(MINUS) <= (bayes.estimate < 0)
        assert f"it is {way(bayes)} in {names[0]} is {of_direction(bayes)}." in second

    check()


def counted(answers: list[Answer]) -> str:
    """How many of them are clear of no difference; one alone is not counted."""
    if len(answers) == 1:
        return "the difference in change"
    return f"{sum(map(clear, answers)) or 'none'} of {len(answers)}"


@cases
def test_changes_summary(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, st.lists(st.tuples(st.one_of(ratios(), differences()), CHANCE), min_size=1,
                           max_size=9))  # fmt: skip
    def check(names: list[str], found: list[tuple[Answer, float]]) -> None:
        labels = [f"Marker{k}" for k in range(len(found))]
        answers, adjusted = [a for a, _ in found], [p for _, p in found]
        # Both engines have the same answers here, which is said once.
        ml, *rest = sentences.changes_summary(
            labels, answers, answers, adjusted, adjusted, names[0]
        )
        told = {"lower": set(), "higher": set()}
        for one, listed in re.findall(rf"(lower|higher) in {re.escape(names[0])}: ([^;)]*)", ml):
            told[one] = set(re.findall(r"Marker\d+", listed))
        for side, named in told.items():
            wanted = {
                label for label, a in zip(labels, answers, strict=True) if clear(a)
                and way(a) == side
            }  # fmt: skip
            assert named == wanted
        alike = "By maximum likelihood, and by Bayes alike, "
        assert ml.startswith(f"{alike}{counted(answers)} ")
        assert ("includes no difference" in ml) == (len(found) == 1 and not clear(answers[0]))
        if len(found) > 1:
            below = sum(p < 0.05 for p in adjusted) or "none"
            assert f"comparisons {below} keep" in rest[0]

    check()


@cases
def test_changes_summary_of_engines_that_differ(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, st.lists(st.tuples(ratios(), ratios()), min_size=1, max_size=9))
    def check(names: list[str], found: list[tuple[Answer, Answer]]) -> None:
        labels, nobody = [f"Marker{k}" for k in range(len(found))], [math.nan] * len(found)
        engines = [list(answers) for answers in zip(*found, strict=True)]
        said = sentences.changes_summary(labels, *engines, nobody, nobody, names[0])
        counts = [counted(answers) for answers in engines]
        sides = [[way(a) if clear(a) else "" for a in answers] for answers in engines]
        if sides[0] == sides[1]:
            assert len(said) == 1 and f"and by Bayes alike, {counts[0]} " in said[0]
            return
        ml, bayes = said
        assert ml.startswith(f"By maximum likelihood {counts[0]} ")
        assert bayes.startswith(f"By Bayes {counts[1]} ")
        assert "confidence interval" in ml and "credible interval" in bayes

    check()


@cases
def test_methods_and_priors(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, st.lists(ratios(), min_size=1, max_size=8), st.integers(0, 3))
    def check(names: list[str], answers: list[Answer], unanswered: int) -> None:
        asked = Compared(*names, "death", "")
        text = sentences_mortality.methods_range("hazard ratio", answers, unanswered, asked)
        ends = [numbers.number(f(a.estimate for a in answers)) for f in (min, max)]
        if len(answers) > 1:
            assert f"hazard ratios from {ends[0]} to {ends[1]} for" in text
        for side in ("lower", "higher"):
            count = sum(way(a) == side for a in answers)
            assert (f"{side} by {count}" in text) == (count > 0)
        none = sum(map(clear, answers))
        assert f"{none or 'None'} of {len(answers)} interval" in text
        assert ("no usable answer" in text) == (unanswered > 0)
        below = {f"prior{k}": 1 - a.prob_positive for k, a in enumerate(answers)}
        flattest = "prior0"
        told = sentences_mortality.prior_range(below, flattest, asked)
        side = "lower" if below[flattest] >= 0.5 else "higher"
        of = {k: p if side == "lower" else 1 - p for k, p in below.items()}
        assert f"is {side} in {names[0]} than in {names[1]} runs from" in told
        assert f"from {numbers.probability(min(of.values()))} (" in told
        assert f"to {numbers.probability(max(of.values()))} (" in told
        assert ("Under every prior here" in told) == (min(of.values()) > 0.5)

    check()


@cases
def test_markers_together(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, differences(2.0), st.integers(3, 9))
    def check(names: list[str], mean: Answer, count: int) -> None:
        group, reference = names
        text = sentences_markers.family_mean("coagulation", count, mean, group, reference)
        ahead, behind = (group, reference) if mean.estimate >= 0 else (reference, group)
        size = numbers.fixed(abs(mean.estimate), 2)
        assert f"{ahead} moved {size} baseline SDs further than {behind} in the" in text
        chance = mean.prob_positive if mean.estimate >= 0 else 1 - mean.prob_positive
        assert text.endswith(f"moved further there is {numbers.probability(chance)}.")

    check()


@cases
def test_joint(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(ratios(), ratios(), differences(), differences(), EVENTS)
    def check(ml: Answer, bayes: Answer, alone: Answer, joint: Answer, event: str) -> None:
        text = sentences_joint.association("a doubling of PCT", event, ml, bayes)
        assert f"hazard of {event} {numbers.number(ml.estimate)} times as high by maximum" in text
        assert f"{numbers.number(bayes.estimate)} times as high by Bayes" in text
        assert ("intervals include 1" in text) == (not clear(ml) and not clear(bayes))
        told = sentences_joint.ignoring("d", alone, joint, event)
        assert told.startswith(f"d: {alone.text} by the mixed model alone, {joint.text} with")
        shift = joint.estimate - alone.estimate
        if "standard errors" in told:
            assert (", higher by" in told) == (shift > 0)
            assert (", lower by" in told) == (shift < 0)
        else:
            assert "ignoring" in told

    check()


@cases
def test_unseen_deaths_and_confounders(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(NAMES, EVENTS, st.booleans(), st.integers(1, 9), st.integers(0, 9), st.floats(0.05, 9),
           st.floats(1, 9), st.floats(1, 5))  # fmt: skip
    def check(names: list[str], event: str, better: bool, reverse: int, doubt: int, ratio: float,
              point: float, limit: float) -> None:  # fmt: skip
        assume(doubt <= reverse and ratio != 1)
        asked = Compared(*names, event, "by 28 days")
        text = sentences_unseen.tipping(asked, Tipping(better, reverse, doubt, 0.8))
        good, bad = names if better else names[::-1]
        many = "death" if event == "death" else "event"  # other names need have no plural
        assert f"by 28 days is lower in {good}. If {reverse} {many}" in text
        assert f"in {good} had gone unseen and none in {bad}" in text
        assert ("below 0.8 already" in text) == (doubt == 0)
        told = sentences_unseen.e_value(asked, ratio, point, limit)
        side = "lower" if ratio < 1 else "higher"
        assert f"explain away the {side} observed risk of {event} by 28 days in {names[0]}" in told
        assert f"(risk ratio {numbers.number(ratio)})" in told
        assert ("even without one" in told) == (limit <= 1)

    check()


@pytest.mark.parametrize("randomised", [True, False, None])
def test_what_depends_on_randomisation(randomised, request) -> None:
    """The caution, the E-value and the guideline follow `randomised` together."""
    from dataclasses import replace

    from longsurv.report.sections import answer, headline
    from longsurv.report.sections.guidelines import build
    from longsurv.report.sections.mortality_tipping import tipping_part

    from .conftest import make_cohort

    results = request.getfixturevalue("results")
    trial = replace(
        results, study=replace(results.study, cohort=make_cohort(randomised=randomised))
    )
    assert bool(answer.caution(trial)) == (not randomised)
    assert ("not said whether" in answer.caution(trial)) == (randomised is None)
    assert ("were not formed at random" in answer.caution(trial)) == (randomised is False)
    doubts = headline.doubts(trial)
    assert ("no randomisation" in doubts) == (randomised is False)
    assert ("randomisation not stated" in doubts) == (randomised is None)
    said = " ".join(item for item in tipping_part(trial).items if isinstance(item, str))
    assert ("E-value" in said) == (not randomised)
    names = [table.caption.split()[0] for table in build(trial, {})["tables"]]
    assert names == ["BARG", "CONSORT" if randomised else "STROBE"]
