from __future__ import annotations

import math
from dataclasses import replace

import pytest

from longsurv.report import sentences, sentences_answer
from longsurv.report.sections.answer import short_answer
from longsurv.report.sections.common import of_comparisons
from longsurv.report.sections.simple import one_sided
from longsurv.report.sentences import Answer
from longsurv.report.sentences_answer import Risks


def flipped(answer: Answer) -> Answer:
    """The same result with the two groups exchanged."""
    if answer.ratio:
        return Answer(1 / answer.estimate, 1 / answer.high, 1 / answer.low, True,
                      answer.p_value, 1 - answer.prob_positive)  # fmt: skip
    return Answer(-answer.estimate, -answer.high, -answer.low, False,
                  answer.p_value, 1 - answer.prob_positive)  # fmt: skip


ML = Answer(0.25, 0.03, 2.2, True, p_value=0.21)
BAYES = Answer(0.5, 0.13, 1.8, True, prob_positive=0.14)


def test_the_probability_is_that_of_the_direction_named() -> None:
    text = sentences.hazard("drug", "placebo", ML, BAYES, "death")
    assert "estimated lower in drug than in placebo" in text
    assert "the probability that the hazard is lower in drug is 0.86" in text
    assert "Both intervals include 1" in text
    text = sentences.hazard("drug", "placebo", flipped(ML), flipped(BAYES), "death")
    assert "estimated higher in drug than in placebo" in text
    assert "the probability that the hazard is higher in drug is 0.86" in text


@pytest.mark.parametrize(("low", "high"), [(1.1, 2.0), (0.2, 0.9)])
def test_an_interval_clear_of_one_is_not_called_compatible_with_both(
    low: float, high: float
) -> None:
    clear = Answer((low * high) ** 0.5, low, high, True, 0.01, 0.99)
    assert "compatible" not in sentences.hazard("drug", "placebo", clear, clear, "death")
    wide = Answer(clear.estimate, 0.1, 10, True, 0.4, 0.7)
    assert "One interval includes 1" in sentences.hazard("drug", "placebo", clear, wide, "death")


def test_a_missing_engine_is_left_out_and_both_missing_are_said() -> None:
    assert "Bayes" not in sentences.hazard("drug", "placebo", ML, None, "death")
    assert "The interval includes 1" in sentences.hazard("drug", "placebo", ML, None, "death")
    assert "could not be estimated" in sentences.hazard("drug", "placebo", None, None, "death")


def test_a_group_without_events_has_no_finite_ratio() -> None:
    endless = Answer(1e-9, 0.0, math.inf, True, 0.99)
    text = sentences.hazard("drug", "placebo", endless, BAYES, "death")
    assert "no finite hazard ratio of drug against placebo" in text
    assert "The interval includes 1" in text
    assert "∞" not in text
    assert "no finite" in sentences.hazard("drug", "placebo", endless, None, "death")


def test_what_an_answer_is_adjusted_for_is_said_with_it() -> None:
    bare = sentences.hazard("drug", "placebo", ML, BAYES, "relapse")
    assert "adjusted" not in bare
    text = sentences.hazard("drug", "placebo", ML, BAYES, "relapse", ("age", "sex"))
    assert "the hazard of relapse, adjusted for age and sex, is estimated lower" in text
    assert "the hazard ratio, adjusted for age and sex, is 0.500 (posterior median" in text
    none = sentences.hazard("drug", "placebo", None, None, "relapse", ("age",))
    assert "The hazard ratio, adjusted for age, of drug" in none


def test_no_difference_at_all_is_not_called_a_direction() -> None:
    none = Answer(1.0, 0.5, 2.0, True, 1.0)
    assert "estimated no higher in drug" in sentences.hazard("drug", "placebo", none, None, "death")


def test_changes_are_counted_by_engine_and_direction() -> None:
    lower, higher = Answer(0.5, 0.3, 0.8, True, 0.01, 0.01), Answer(2, 1, 3, False, 0.02, 0.99)
    unsure = Answer(1, -1, 3, False, 0.4, 0.8)
    ml, bayes, correction = sentences.changes_summary(
        ["CRP", "platelets", "WBC"], [lower, higher, unsure], [lower, unsure, None],
        [0.03, 0.04, 0.4], [0.03, 0.06, 0.4], "drug",
    )  # fmt: skip
    assert "2 of 3 differences in change have" in ml
    assert "(lower in drug: CRP; higher in drug: platelets)" in ml
    assert "1 of 2 differences in change has" in bayes
    assert "correction for 3 comparisons 2 keep" in correction
    assert "and 1 by the false discovery rate" in correction


def test_a_sentence_of_several_comparisons_is_said_once_with_their_names() -> None:
    """And with none where it is of all of them."""
    said = [("a against c", "The same."), ("b against c", "The same."), ("a against c", "Of a.")]
    assert of_comparisons(said) == ["The same.", "a against c: of a."]
    assert of_comparisons([("a against c", "One."), ("a against c", "Two.")]) == ["One.", "Two."]
    some = [("a", "None."), ("b", "One."), ("c", "None.")]
    assert of_comparisons(some) == ["a and c: none.", "b: one."]


def test_corrected_p_values_are_of_all_comparisons_that_they_are_corrected_for() -> None:
    answer = Answer(0.5, 0.3, 0.8, True, 0.01, 0.01)
    of_three = ["CRP"], [answer], [answer], [0.03], [0.03], "drug"
    assert not any("correction" in text for text in sentences.changes_summary(*of_three))
    *_, text = sentences.changes_summary(*of_three, 3)
    assert text.startswith("After correction for 3 comparisons 1 of these keeps p < 0.05")


def test_a_risk_is_settled_by_both_engines() -> None:
    clear, unclear = Answer(40.0, 5.0, 80.0, False), Answer(30.0, -2.0, 70.0, False)
    risks = Risks("drug", "placebo", "death", "by 28 days", "", 0.5, 0.1, clear, 6)
    assert "Chance hardly explains the higher risk" in sentences_answer.conclusion(risks, True)
    both = replace(risks, posterior=clear)
    assert "Chance hardly explains the higher risk" in sentences_answer.conclusion(both, True)
    one = sentences_answer.conclusion(replace(risks, posterior=unclear), True)
    assert one.startswith("The higher risk in drug is not settled: ")


def test_markers_without_an_answer_are_named() -> None:
    found = sentences.changes_summary(
        ["CRP", "WBC"], [Answer(1, -1, 2, p_value=0.3), None], [None, None],
        [0.3, math.nan], [0.3, math.nan], "drug",
    )  # fmt: skip
    assert found[-1].startswith("Not estimated: WBC")
    assert not any("correction" in text for text in found)
    only = sentences.changes_summary(["CRP"], [None], [None], [math.nan], [math.nan], "drug")
    assert only == ["The difference in change could not be estimated for any marker."]


def test_significance_in_one_group_is_held_against_the_difference() -> None:
    text = sentences.one_sided_significance("drug", "placebo", ["A", "B"], ["C"], ["A"])
    assert "only in drug: A and B; only in placebo: C" in text
    assert "clear of no difference for all of them but B and C" in text
    none = sentences.one_sided_significance("drug", "placebo", ["A"], [], [])
    assert "it is not clear of no difference." in none
    assert "No marker" in sentences.one_sided_significance("drug", "placebo", [], [], ["A"])


def test_few_events_warn_below_ten_only() -> None:
    assert sentences.few_events(5, "death").startswith("Only 5 events (death)")
    assert sentences.few_events(1, "death").startswith("Only 1 event (death)")
    assert sentences.few_events(10, "death") == ""


def test_the_estimand_names_horizon_and_entry() -> None:
    text = sentences.estimand("death", 28.0, 7.0, "days")
    assert "death by 28 days, given still under observation at 7 days" in text
    assert (
        sentences.estimand("death", None, None, "years") == "The outcome is death during follow-up."
    )


def test_competing_events_are_mentioned_only_if_there_were_any() -> None:
    assert sentences.competing("discharge", 0, "death") == ""
    assert "1 patient had the competing event discharge" in sentences.competing(
        "discharge", 1, "death"
    )


def test_convergence_names_what_failed() -> None:
    assert sentences.convergence([], 30) == "All 30 fits passed their checks."
    assert "1 of 30 fits did not pass every check: CRP (Bayes)" in sentences.convergence(
        ["CRP (Bayes)"], 30
    )


def test_lists() -> None:
    assert [sentences.listed(x) for x in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip


def test_every_sentence_flips_with_the_groups(results, swapped) -> None:
    """Exchanging the names of the groups exchanges every direction and keeps every probability."""
    one, other = short_answer(results), short_answer(swapped)

    def directions(text: str) -> list[str]:
        return [w for w in text.replace(":", " ").split() if w in ("lower", "higher")]

    turned = {"lower": "higher", "higher": "lower"}
    pairs = list(zip((*one.mortality[1:2], *one.markers[:1]),
                     (*other.mortality[1:2], *other.markers[:1]), strict=True))  # fmt: skip
    for text, mirror in pairs:
        named = text.split(": a lower and a higher")[0]
        assert directions(named), text
        expected = {turned[w] for w in directions(named)}
        assert set(directions(mirror.split(": a lower and a higher")[0])) == expected
    assert "lower in active: CRP; higher in active: Platelets" in one.markers[0]
    assert "higher in active: CRP; lower in active: Platelets" in other.markers[0]
    assert "control 4 of 20" in one.mortality[0]
    assert "active 4 of 20" in other.mortality[0]
    said = "the probability that the hazard is {} in active is "
    here = float(one.mortality[1].split(said.format("lower"))[1][:4])
    there = float(other.mortality[1].split(said.format("higher"))[1][:4])
    assert here == pytest.approx(there, abs=0.08)  # two independent sets of 600 draws
    assert here > 0.5


def test_the_simple_comparison_flips_with_the_groups(results, swapped) -> None:
    assert "only in active: CRP and Platelets" in one_sided(results)[0]
    assert "only in control: CRP and Platelets" in one_sided(swapped)[0]
    assert "clear of no difference for all of them" in one_sided(results)[0]


def test_a_missing_maximum_likelihood_answer_is_left_out() -> None:
    text = sentences.hazard("drug", "placebo", None, BAYES, "death")
    assert "maximum likelihood" not in text and text.startswith("By Bayes the hazard ratio is")
    assert text.endswith("a lower and a higher hazard are both compatible with these data.")


def test_two_intervals_clear_of_one_are_not_said_to_differ() -> None:
    clear = Answer(0.4, 0.2, 0.9, True, 0.01, 0.01)
    for answers in ((clear, clear), (clear, None), (None, clear)):
        assert "include" not in sentences.hazard("drug", "placebo", *answers, "death")
    one_of_two = sentences.hazard("drug", "placebo", BAYES, clear, "death")
    assert one_of_two.endswith(
        "One interval includes 1 and the other does not: read them together."
    )


def test_without_any_finite_interval_none_is_described() -> None:
    endless = Answer(1e-9, 0.0, math.inf, True, 0.99)
    text = sentences.hazard("drug", "placebo", endless, None, "death")
    assert text.endswith("the events do not overlap between the groups.")


@pytest.mark.parametrize(("low", "separated"), [(1e-6, False), (0.9e-6, True), (0.0, True)])
def test_a_ratio_known_to_ten_powers_of_ten_is_finite(low: float, separated: bool) -> None:
    assert Answer(0.1, low, 1e4, True).separated is separated
    assert not Answer(0.1, low, 1e30, False).separated


def test_a_difference_is_no_ratio_unless_it_is_said() -> None:
    assert Answer(0.5, 0.2, 0.8).null == 0.0 and Answer(0.5, 0.2, 0.8).higher
    assert not Answer(0.5, 0.2, 0.8, ratio=True).higher


def test_p_values_are_said_to_equal_or_to_be_below() -> None:
    def said(p: float) -> str:
        clear = Answer(0.4, 0.2, 0.9, True, p)
        return sentences.hazard("drug", "placebo", clear, None, "death").split(", p ")[1]

    assert said(0.021).startswith("= 0.021)")
    assert said(1e-6).startswith("<0.001)")


def test_significance_that_the_difference_bears_out_is_all_that_is_said() -> None:
    text = sentences.one_sided_significance("drug", "placebo", ["A"], ["C"], ["A", "C"])
    assert text.endswith("(below) answers: it is clear of no difference for all of them.")
    some = sentences.one_sided_significance("drug", "placebo", ["A", "B"], ["C"], ["A", "C"])
    assert some.endswith("it is clear of no difference for all of them but B.")
    none = sentences.one_sided_significance("drug", "placebo", ["A", "B"], [], [])
    assert none.endswith("it is clear of no difference for none of them.")
    lost = sentences.one_sided_significance("drug", "placebo", ["A"], [], ["B"])
    assert lost.endswith("(below) answers: it is not clear of no difference.")


def test_a_penalised_answer_names_the_groups_without_events() -> None:
    assert "has no maximum (no death in drug): what is" in sentences.penalised(["drug"], "death")
    assert "has no maximum: what is" in sentences.penalised([], "death")


def test_nothing_fitted_and_one_fit() -> None:
    assert sentences.convergence([], 0) == "No model was fitted."
    assert sentences.convergence([], 1) == "The fit passed its checks."
    assert "1 of 1 fit did not pass every check: CRP" in sentences.convergence(["CRP"], 1)
