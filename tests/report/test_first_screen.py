"""What stands first: few words, which say what the results say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.browser import Browser, find_browser
from support.demos import demo, demo_page
from support.said_once import said_twice

from longsurv.report.content import content
from longsurv.report.sections.answer import short_answer
from longsurv.study.lead import leads

DEMOS = pytest.mark.parametrize("name", ["ivig_sepsis", "pbc"])


@DEMOS
def test_at_most_ninety_words(name: str) -> None:
    text = " ".join(short_answer(demo(name)).headline.sentences)
    assert 20 < len(text.split()) <= 90, text


def test_the_sepsis_study_in_words() -> None:
    answer = short_answer(demo("ivig_sepsis"))
    risks, change, markers, conclusion, doubts = answer.headline.sentences
    assert risks == (
        "Death by 28 days, per 100 observed at 7 days: 18 in control, 5 in ivig; 13 fewer (35"
        " fewer to 10 more); five deaths."
    )
    assert change == "Three deaths unseen in ivig would reverse that."
    assert markers == (
        "Baseline-adjusted, none of 14 changes differ after correction (unadjusted 8;"
        " overlap-weighted 2)."
    )
    assert "not settled" in conclusion
    for reason in ("few events", "no randomisation", "imbalance in 15 variables", "prior"):
        assert reason in doubts
    said = " ".join(answer.leading)
    assert (
        "Procalcitonin and Interleukin-6 (which began apart) are clear of no difference only"
        in said
    )
    assert "measured with error" in said
    assert "none after correction" in answer.table.rows[2][1]


def test_the_pbc_study_says_what_its_adjustment_turns() -> None:
    answer = short_answer(demo("pbc"))
    assert "per 100: 51 in placebo, 47 in D-penicillamine; 4 fewer" in answer.headline.risks
    assert answer.headline.change == "Not adjusted for age, the difference points the other way."
    assert not answer.caution[0], "the groups were randomised"
    assert "standardised, adjusted for age" in answer.paragraph


def test_the_adjusted_difference_leads_whatever_the_data_say() -> None:
    results = demo("ivig_sepsis")
    (lead,) = leads(results)
    assert lead.kind == "baseline" and not lead.surviving("baseline")
    study = replace(results.study, cohort=_randomised(results.cohort))
    (trial,) = leads(replace(results, study=study))
    assert trial.kind == "unadjusted" and len(trial.surviving("unadjusted")) == 8


def _randomised(cohort):
    import copy

    twin = copy.copy(cohort)
    twin.__dict__["randomised"] = True
    return twin


@DEMOS
def test_the_paragraph_can_be_copied_and_is_there_without_a_script(name: str) -> None:
    page = demo_page(name)
    assert short_answer(demo(name)).paragraph.split(". ")[0][:40] in page
    assert '<button type="button" data-copies="paragraph" hidden>' in page


@pytest.mark.skipif(find_browser() is None, reason="needs Chromium (apt: chromium)")
@DEMOS
def test_the_first_screen_holds_the_answer(name: str, tmp_path) -> None:
    file = tmp_path / "report.html"
    file.write_text(demo_page(name), encoding="utf-8")
    bottom = "document.querySelector('{}').getBoundingClientRect().bottom + scrollY"
    with Browser(tmp_path / "profile") as browser:
        browser.open(file, 1200)
        assert browser.run(bottom.format("#headline")) <= 900
        assert browser.run(bottom.format("#answer .table")) <= 960
        contents = browser.run(
            "document.querySelector('nav').getBoundingClientRect().top + scrollY"
        )
        assert contents > browser.run(bottom.format("#answer .table"))
        browser.open(file, 390)
        assert browser.run(bottom.format("#headline")) <= 1.2 * 844
        assert not browser.run("document.querySelector('[data-copies]').hidden")
        assert browser.problems == []


@DEMOS
def test_a_report_says_a_thing_once(name: str) -> None:
    assert said_twice(content(demo(name)), [short_answer(demo(name)).paragraph]) == []
