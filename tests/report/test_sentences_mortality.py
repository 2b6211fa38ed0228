"""Every sentence says what its numbers say, and turns round when they do."""

from __future__ import annotations

import math

from longsurv.numbers import MINUS
from longsurv.report import sentences_answer
from longsurv.report import sentences_mortality as said
from longsurv.report import sentences_unseen as unseen
from longsurv.report.sentences import Answer
from longsurv.report.sentences_mortality import Compared
from longsurv.report.sentences_unseen import Tipping

ASKED = Compared("drug", "placebo", "death", "by 28 days")
OTHER = Compared("placebo", "drug", "death", "by 28 days")
ML = Answer(-12.9, -34.7, 9.5)
BAYES = Answer(-11.8, -32.3, 7.4, prob_positive=0.102)


def mirrored(answer: Answer) -> Answer:
    if answer.ratio:
        return Answer(1 / answer.estimate, 1 / answer.high, 1 / answer.low, True)
    return Answer(-answer.estimate, -answer.high, -answer.low, False, answer.p_value,
                  1 - answer.prob_positive)  # fmt: skip


def test_a_risk_difference_is_said_with_its_direction_and_that_directions_probability() -> None:
    text = said.risk_difference(ASKED, ML, BAYES)
    assert "12.9 percentage points lower in drug than in placebo" in text
    assert f"difference {MINUS}34.7 to 9.5)" in text
    assert "the probability that it is lower in drug is 0.90" in text
    text = said.risk_difference(ASKED, mirrored(ML), mirrored(BAYES))
    assert "12.9 percentage points higher in drug than in placebo" in text
    assert f"difference {MINUS}9.5 to 34.7)" in text
    assert "the probability that it is higher in drug is 0.90" in text


def test_engines_whose_point_estimates_differ_in_sign_each_name_their_own() -> None:
    text = said.risk_difference(ASKED, ML, Answer(1.0, -5.0, 8.0, prob_positive=0.7))
    assert "lower in drug than in placebo" in text
    assert "the probability that it is higher in drug is 0.70" in text


def test_a_missing_engine_is_left_out_and_no_difference_is_no_direction() -> None:
    assert "By Bayes" not in said.risk_difference(ASKED, ML, None)
    assert said.risk_difference(ASKED, None, BAYES).startswith("By Bayes the risk of death")
    empty = Answer(math.nan, math.nan, math.nan)
    assert "could not be estimated" in said.risk_difference(ASKED, empty, None)
    assert "estimated no higher in drug" in said.risk_difference(ASKED, Answer(0.0, -9, 9), None)


def test_the_range_counts_directions_and_intervals() -> None:
    answers = [
        Answer(0.2, 0.05, 0.8, True), Answer(0.5, 0.2, 1.2, True), Answer(1.25, 0.6, 2.5, True),
    ]  # fmt: skip
    text = said.methods_range("hazard ratio", answers, 1, ASKED)
    assert "hazard ratios from 0.200 to 1.25 for drug against placebo" in text
    assert "the hazard in drug is lower by 2 methods and higher by 1." in text
    assert "1 of 3 intervals excludes 1 (1 with a lower hazard in drug)" in text
    assert text.endswith("1 method had no usable answer.")
    text = said.methods_range("hazard ratio", [mirrored(a) for a in answers], 0, ASKED)
    assert "hazard ratios from 0.800 to 5.00" in text
    assert "the hazard in drug is higher by 2 methods and lower by 1." in text
    assert "(1 with a higher hazard in drug)" in text
    assert "usable" not in text


def test_the_range_of_differences_has_its_unit_and_its_null() -> None:
    text = said.methods_range("risk difference", [ML, BAYES], 0, ASKED)
    assert f"risk differences from {MINUS}12.9 to {MINUS}11.8 percentage points" in text
    assert "None of 2 intervals excludes 0." in text
    both = [Answer(-3, -5, -1), Answer(4, 2, 6), Answer(5, 3, 7)]
    text = said.methods_range("risk difference", both, 0, ASKED)
    assert "3 of 3 intervals exclude 0" in text
    assert "(2 with a higher and 1 with a lower risk in drug)" in text
    assert "No method had a usable answer" in said.methods_range("hazard ratio", [], 4, ASKED)


def test_priors_are_named_at_the_ends_and_the_direction_follows_the_flattest() -> None:
    below = {"flat": 0.94, "sceptical": 0.70, "pessimistic": 0.35}
    text = said.prior_range(below, "flat", ASKED)
    assert "is lower in drug than in placebo runs from 0.35 (pessimistic prior) to 0.94" in text
    assert "Under the pessimistic prior it is not the more probable direction" in text
    text = said.prior_range({k: 1 - v for k, v in below.items()}, "flat", ASKED)
    assert "is higher in drug than in placebo runs from 0.35 (pessimistic prior) to 0.94" in text
    agreed = said.prior_range({"flat": 0.94, "sceptical": 0.70}, "flat", ASKED)
    assert "Under every prior here that is the more probable direction" in agreed


def test_a_posterior_that_is_mostly_prior_is_called_so() -> None:
    text = said.prior_shares({"flat": 0.07, "weak": 0.51, "sceptical": 0.83}, 5)
    assert "With 5 events" in text
    assert "still 51 to 83 % of the prior's under the weak and sceptical priors" in text
    assert "mostly the prior's" in text
    assert "outweigh every prior" in said.prior_shares({"flat": 0.01, "weak": 0.2}, 150)


def test_tipping_names_the_better_group_and_turns_with_it() -> None:
    text = unseen.tipping(ASKED, Tipping(True, 3, 1, 0.8, (4, 7)))
    assert "lower in drug. If 3 deaths in drug had gone unseen and none in placebo" in text
    assert "1 would take the probability that it is lower there below 0.8" in text
    assert "With 4 unseen deaths in placebo it would take 7 in drug." in text
    assert unseen.tipping(OTHER, Tipping(False, 3, 1, 0.8, (4, 7))) == text
    already = unseen.tipping(ASKED, Tipping(False, 1, 0, 0.8))
    assert "lower in placebo. If 1 death in placebo" in already
    assert "below 0.8 already" in already
    assert "equal" in unseen.tipping(ASKED, None)


def test_where_everybody_died_no_number_of_unseen_deaths_would_change_that() -> None:
    text = unseen.tipping(ASKED, Tipping(True, math.inf, 3, 0.8))
    assert "everybody in placebo is counted with the event, no number of deaths" in text
    assert "unseen in drug would change that; 3 would take the probability" in text
    short = sentences_answer.reversing(math.inf, "death", "active")
    assert short == "No number of deaths unseen in active would reverse that."
    assert sentences_answer.reversing(2, "relapse", "active").startswith("Two events unseen")


def test_the_e_value_names_the_direction_it_would_explain_away() -> None:
    text = unseen.e_value(ASKED, 0.2895, 6.37, 1.0)
    assert "the lower observed risk of death by 28 days in drug (risk ratio 0.289)" in text
    assert "at least 6.37" in text
    assert "includes 1 even without one" in text
    text = unseen.e_value(ASKED, 3.45, 6.37, 1.8)
    assert "the higher observed risk" in text
    assert "to make the interval include 1, 1.80" in text
    assert unseen.e_value(ASKED, math.nan, math.nan, math.nan) == ""
    assert "no difference" in unseen.e_value(ASKED, 1.0, 1.0, 1.0)
    assert "all of the lower risk in drug" in unseen.e_value(ASKED, 0.0, math.inf, 1.0)
