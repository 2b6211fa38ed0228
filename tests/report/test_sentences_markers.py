"""Sentences about the markers together say what their numbers say, and flip with the groups."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from longsurv.cohort import Aims
from longsurv.report import sentences_markers as sentences
from longsurv.report.sections import adjustments, panel, scores
from longsurv.report.sections.headline import headline
from longsurv.report.sentences import Answer
from longsurv.study import StudyResults
from longsurv.study.tables.shrinkage import families_table, shrunken_table

LOWER, HIGHER = Answer(0.5, 0.3, 0.8, True), Answer(2.0, 1.0, 3.0)
UNSURE, OTHER_WAY = Answer(0.9, 0.6, 1.4, True), Answer(1.1, 0.7, 1.6, True)


def test_the_markers_that_began_apart_are_named_with_the_group_they_were_higher_in() -> None:
    text = sentences.regression_to_the_mean("drug", "placebo", "day 1", ["PCT", "IL-6"], ["WBC"])
    assert "PCT and IL-6 began higher in drug; WBC began higher in placebo (at day 1" in text
    turned = sentences.regression_to_the_mean("drug", "placebo", "day 1", ["WBC"], ["PCT"])
    assert "WBC began higher in drug; PCT began higher in placebo" in turned
    none = sentences.regression_to_the_mean("drug", "placebo", "day 1", [], [])
    assert "no marker began apart" in none and "began higher in" not in none
    assert all("regression to the mean" in t and "different questions" in t for t in (text, none))


def test_adjustments_are_counted_one_by_one_and_all_together() -> None:
    counts, always, turned = sentences.adjustments_summary(
        {
            "Unadjusted": {"CRP": LOWER, "Platelets": HIGHER, "WBC": UNSURE},
            "Overlap-weighted": {"CRP": LOWER, "Platelets": None, "WBC": OTHER_WAY},
        },
        "drug",
    )
    assert counts.endswith("unadjusted 2 of 3; overlap-weighted 1 of 2.")
    assert always == "Clear under every adjustment: lower in drug: CRP."
    assert turned.endswith("adjustment: WBC.")


def test_adjustments_without_agreement_or_without_answers() -> None:
    found = sentences.adjustments_summary(
        {"Unadjusted": {"CRP": LOWER}, "Overlap-weighted": {"CRP": UNSURE}}, "drug"
    )
    assert found[1:] == ["No marker is clear under every adjustment."]
    assert len(sentences.adjustments_summary({"Unadjusted": {"CRP": LOWER}}, "drug")) == 1
    none = sentences.adjustments_summary({"Unadjusted": {"CRP": None}}, "drug")
    assert none == ["No adjusted difference in change could be estimated."]


def test_a_familys_mean_favours_the_group_its_sign_says() -> None:
    mean = Answer(0.467, 0.2, 0.71, prob_positive=0.97)
    text = sentences.family_mean("coagulation", 8, mean, "drug", "placebo")
    assert "the 8 markers of coagulation, drug moved 0.47 baseline SDs further than placebo" in text
    assert "95 % credible interval 0.20 to 0.71)" in text
    assert "the probability that it moved further there is 0.97" in text
    mirror = Answer(-0.467, -0.71, -0.2, prob_positive=0.03)
    turned = sentences.family_mean("coagulation", 8, mirror, "drug", "placebo")
    swap = {"drug": "placebo", "placebo": "drug"}
    assert turned == re.sub("drug|placebo", lambda found: swap[found.group()], text)


def test_a_second_family_is_told_in_short() -> None:
    mean = Answer(-0.467, -0.71, -0.2, prob_positive=0.03)
    text = sentences.family_mean("liver", 3, mean, "drug", "placebo", again=True)
    assert text == (
        "Over the 3 markers of liver, placebo moved 0.47 further than drug (0.20 to 0.71;"
        " probability 0.97)."
    )


def test_shrinking_is_told_before_and_after() -> None:
    alone = {"A": Answer(1.0, 0.2, 1.8), "B": Answer(-0.1, -0.7, 0.5)}
    shrunken = {"A": Answer(0.8, 0.3, 1.3), "B": Answer(0.5, 0.1, 0.9)}
    text = sentences.shrinkage_summary(alone, shrunken)
    assert "1 of 2 credible intervals (95 %) is clear of no difference" in text
    assert "their family, 2. B moved most, from \N{MINUS SIGN}0.10 to 0.50 baseline SDs." in text


def test_shares_are_named_by_group_and_phase() -> None:
    shares = {"placebo": (0.56, 0.47), "drug": (0.66, 0.312)}
    text = sentences.score_shares("JAAM score", 4.0, ("day 1", "later"), shares)
    assert "JAAM score of 4 or more went from day 1 to later" in text
    assert "from 56 % to 47 % in placebo and from 66 % to 31 % in drug." in text


def written(results: StudyResults, section: Any, parts: str) -> list[str]:
    """The sentences of a part of the markers' section about its first comparison or score, those
    behind its fold last."""
    first = section.build(results)[parts][0]
    return [*first["text"], *first.get("more", [])]


def test_adjusted_sentences_flip_with_the_groups(results, swapped) -> None:
    here = written(results, adjustments, "comparisons")
    there = written(swapped, adjustments, "comparisons")
    assert here[0] == there[0]
    assert "lower in active: CRP; higher in active: Platelets" in here[1]
    assert "higher in active: CRP; lower in active: Platelets" in there[1]


def test_shrunken_sentences_flip_with_the_groups(results, swapped) -> None:
    (here,) = [t for t in written(results, panel, "comparisons") if "On average over" in t]
    (there,) = [t for t in written(swapped, panel, "comparisons") if "On average over" in t]
    ways = re.compile(r"(\w+) moved [\d.]+ baseline SDs further than (\w+) in")
    assert ways.findall(here) == [("active", "control")]
    assert ways.findall(there) == [("control", "active")]
    means = [
        families_table(one, shrunken_table(r, one))["mean"].iloc[0]
        for r in (results, swapped)
        for one in r.parts["panel"].changes
    ]
    assert means[0] == pytest.approx(-means[1], abs=0.15)  # independent draws, SD about 0.5
    assert means[0] > 0


def test_score_sentences_flip_with_the_groups(results, swapped) -> None:
    here = written(results, scores, "scores")
    there = written(swapped, scores, "scores")
    for r, sign in ((results, -1), (swapped, 1)):
        (table,) = [score["changes"] for score in scores.build(r)["scores"]]
        heads = [column.header.partition(" (")[0] for column in table.columns]
        for row in table.rows:
            cells = dict(zip(heads, row, strict=True))
            assert cells["Maximum likelihood"].startswith("\N{MINUS SIGN}") == (sign < 0)
            assert (float(cells["P(lower)"].lstrip("<>")) > 0.5) == (sign < 0)
    assert "in control and" in here[0] and "in control and" in there[0]
    ends = [re.search(r"from (\d+ % to \d+ %) in active", texts[0]) for texts in (here, there)]
    assert all(ends) and ends[0][1] != ends[1][1]
    assert f"from {ends[0][1]} in control" in there[0]


def test_a_marker_that_is_the_primary_outcome_is_told_first(results: StudyResults) -> None:
    """Its adjusted difference, from a table without Monte Carlo errors."""
    asked = replace(results, study=replace(results.study, aims=Aims("crp")))
    told = [text for text in headline(asked).markers if text.startswith("Primary outcome: CRP")]
    assert len(told) == 1
    assert "times as high in active (" in told[0]
