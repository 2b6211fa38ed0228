from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.said_once import said_twice

from longsurv.compare import SHIFT_LIMIT, WIDTH_LIMIT
from longsurv.figures.agreement import VERDICTS, agreement
from longsurv.report.content import content
from longsurv.report.guidelines import BARG, CONSORT, STROBE, UNDER
from longsurv.report.sections import checks, comparison, priors
from longsurv.report.sections.answer import short_answer
from longsurv.report.sections.checks import LIGHTS, SIGNS, lights
from longsurv.report.sections.common import footnoted
from longsurv.report.sections.methods import further, missing, references
from longsurv.report.word import write_word
from longsurv.study import StudyResults
from longsurv.study.truncated_stage import TRUNCATED, TruncatedPart
from longsurv.tables.display import DisplayTable

from .conftest import make_cohort


def test_a_light_says_what_its_checks_say(results: StudyResults) -> None:
    found = {(light.label, light.engine): light for light in lights(results)}
    assert len(found) == 2 * len(results.all_models) >= 2 * len(results.models)
    for label, model in results.all_models:
        for engine, shown in (("ml", "Maximum likelihood"), ("bayes", "Bayes")):
            light = found[label, shown]
            answer = model.answers.get(engine)
            if answer is None:
                assert (light.colour, light.evidence.rows) == ("red", ())
                assert model.reasons[engine] in light.words
                continue
            verdict = answer.diagnose()
            assert len(light.evidence.rows) == len(verdict.checks)
            expected = "red" if not verdict.ok else "amber" if answer.flags else "green"
            assert light.colour == expected


def test_a_light_is_never_colour_alone() -> None:
    assert len(set(SIGNS.values())) == len(set(LIGHTS.values())) == 3


def plain(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def guideline_tables(results: StudyResults) -> list[DisplayTable]:
    tables = [item for item in content(results) if isinstance(item, DisplayTable)]
    return [table for table in tables if "where each item" in table.caption]


def named(table: DisplayTable) -> set[str]:
    """Headings and captions a guideline's table points to."""
    return {place for row in table.rows for place in row[2].split("; ")}


def test_every_place_a_guideline_names_is_on_the_page(results: StudyResults, page: str) -> None:
    text = plain(page)
    tables = guideline_tables(results)
    assert [table.caption.split()[0] for table in tables] == ["BARG", "STROBE"]
    for table in tables:
        assert table.caption in text
        assert len(named(table)) > 5
        for place in named(table):
            heading, _, caption = place.partition(UNDER)
            assert place in text or (heading in text and caption in text), place


def test_and_in_the_word_file(results: StudyResults, tmp_path: Path) -> None:
    from docx import Document

    written = Document(str(write_word(results, tmp_path / "report.docx")))
    lines = {re.sub(r"^Table \d+\. ", "", line.text) for line in written.paragraphs}
    tables = [table for table in written.tables if table.cell(0, 2).text == "Where"]
    assert len(tables) == 2
    for table in tables:
        cells = {row.cells[2].text for row in table.rows[1:]}
        for place in {place for cell in cells for place in cell.split("; ")}:
            heading, _, caption = place.partition(UNDER)
            assert place in lines or {heading, caption} <= lines, place
        # Only the page has it.
        assert not any("Another prior" in cell for cell in cells)


def test_what_is_not_there_is_left_to_the_authors_by_number(results: StudyResults) -> None:
    _, strobe = guideline_tables(results)
    told = {row[0] for row in strobe.rows}
    left = {item.number for item in STROBE} - told
    assert {item.number for item in STROBE if not item.evidence} <= left
    assert all(f"{number} (" in strobe.note for number in left)
    assert not any(f" {number} (" in strobe.note for number in told)


def test_a_part_that_is_a_table_of_reasons_has_its_sentence(results: StudyResults) -> None:
    parts = {**results.parts, "adjustments": pd.DataFrame({"reason": ["", "another definition"]})}
    assert further(replace(results, parts=parts)) == further(results)
    assert any("propensity model" in sentence for sentence in further(results))


def test_what_is_not_made_is_named_by_no_guideline(results: StudyResults) -> None:
    """A stage that failed takes its tables with it."""
    whole = {place for table in guideline_tables(results) for place in named(table)}
    without = replace(results, parts={k: v for k, v in results.parts.items() if k != "priors"})
    rest = {place for table in guideline_tables(without) for place in named(table)}
    assert {place.split(UNDER)[-1] for place in whole - rest} == {
        "After the data, under each prior", "Before the data: what each prior says",
    }  # fmt: skip
    trial = replace(results, study=replace(results.study, cohort=make_cohort(randomised=True)))
    captions = [table.caption for table in guideline_tables(trial)]
    assert [caption.split()[0] for caption in captions] == ["BARG", "CONSORT"]


def test_items_are_named_once() -> None:
    for items in (BARG, STROBE, CONSORT):
        numbers = [item.number for item in items]
        assert len(set(numbers)) == len(numbers)
    # What a report cannot know is left to the authors; of a Bayesian analysis, a half of an item.
    for items in (STROBE, CONSORT):
        assert any(not item.evidence for item in items)
    assert "yours to write" in BARG[0].evidence[0].what


def test_priors_in_the_markers_units_are_those_of_the_models(results: StudyResults) -> None:
    first, own, *_ = priors.build(results)
    cells = {row[0].removesuffix("\N{DAGGER}"): row[1:] for row in first.rows}
    assert cells["sigma"] == ("Exponential", "1.00", "1.00")
    assert cells["Intercept, less the marker's mean"] == ("Normal", "0.00", "2.50")
    shown = {label: float(sd.replace(",", "")) for label, _, sd in own.rows}
    assert len(shown) > 1
    for name, model in results.markers.items():
        if model.post is not None:
            stack = model.post.stack  # sigma has the marker's own SD for its scale
            scale = dict(zip(stack.names, stack.priors, strict=True))["sigma"].scale
            assert shown[results.cohort.markers[name].label] == pytest.approx(scale, rel=0.006)
    said = {row[0] for table in priors.build(results) for row in table.rows}
    assert any("sd(Intercept|id)" in name for name in said)


def test_missing_values_are_counted(results: StudyResults) -> None:
    """Against a count of the models' rows that goes another way."""
    wanted = 0
    present = set()
    patients = results.cohort.patients["id"]
    for name, model in results.markers.items():
        wanted += 2 * len(patients)
        rows = zip(model.data["id"], model.data["phase"], strict=True)
        present |= {(name, *row) for row in rows}
    said = missing(results)
    assert f"Of {wanted:,} values wanted (40 patients, 2 phases," in said
    assert f"{wanted - len(present):,} are missing" in said
    assert "course while patients were alive" in said


def test_references_follow_what_was_fitted(results: StudyResults) -> None:
    found = " ".join(references(results))
    assert "Cox DR (1972)" in found
    assert "Kenward" in found
    models = results.tables["models"]
    no_kr = results.tables | {"models": models.assign(ml="maximum likelihood")}
    bare = replace(results)
    bare.__dict__["tables"] = no_kr
    assert "Kenward" not in " ".join(references(bare))
    assert "Firth D (1993)" in found  # a row of every method
    parts = {**results.parts, TRUNCATED: TruncatedPart(reason="Nobody died.")}
    assert "Lachin" not in " ".join(references(replace(results, parts=parts)))


def test_agreement_draws_every_verdict_where_it_belongs() -> None:
    table = pd.DataFrame({
        "label": ["a", "b", "c", "d", "lost"],
        "shift": [0.1, -1.0, 0.5, 0.0, 0.0],
        "width_ratio": [1.1, 0.5, 1.0, 2.0, np.nan],
        "verdict": ["agree", "prior pulls", "asymptotics", "boundary", "boundary"],
    })  # fmt: skip
    for width in (860.0, 358.0):
        ax = agreement(table, shift_limit=SHIFT_LIMIT, width_limit=WIDTH_LIMIT, width=width)
        drawn = {c.get_label(): np.asarray(c.get_offsets()) for c in ax.collections}
        assert set(drawn) == set(VERDICTS)
        np.testing.assert_allclose(drawn["prior pulls"], [[0.5, -1.0]])
        assert len(drawn["boundary"]) == 1
        low, high = ax.get_xlim()
        assert low < 0.5
        assert high > 2.0
        named = {text.get_text() for text in ax.texts}
        assert named == {"b", "c", "d"}


def test_agreement_of_nothing() -> None:
    table = pd.DataFrame(columns=["label", "shift", "width_ratio", "verdict"])
    table = table.astype({"shift": float, "width_ratio": float})
    assert agreement(table, shift_limit=SHIFT_LIMIT, width_limit=WIDTH_LIMIT).get_legend() is None


def test_a_coefficient_is_marked_where_the_engines_differ(results: StudyResults) -> None:
    table = results.tables["comparison"]
    built = comparison.build(results)
    main, marks = built["main"], {mark for mark, _ in comparison.VERDICTS.values()}
    cells = [cell for t in built["all"] for row in t.rows for cell in row[1:]]
    marked = sum(cell[-1:] in marks for cell in cells)
    assert marked + len(main.rows) == (table["verdict"] != "agree").sum() > 0
    for verdict, (mark, meaning) in comparison.VERDICTS.items():
        told = any(cell.endswith(mark) for cell in cells)
        assert (f"{mark} {verdict}: {meaning}" in built["all"][0].note) == told
    assert "comparison.csv" in built["all"][0].note


def test_a_remark_of_both_engines_is_made_once(results: StudyResults) -> None:
    for one in checks.remarks(results):
        said = one.value.split(". ")
        assert len(set(said)) == len(said), one
    verdicts = dict(results.verdicts)
    both, own = "Few events.", "Sampled again."
    for engine in ("ml", "bayes"):
        verdict = verdicts["mortality", engine]
        more = (both, own) if engine == "bayes" else (both,)
        verdicts["mortality", engine] = replace(verdict, remarks=more)
    table = results.tables["convergence"]
    told = table.assign(ok=True, remarked=table["model"] == "mortality")
    other = replace(results)
    other.__dict__.update(verdicts=verdicts, tables=results.tables | {"convergence": told})
    (found,) = checks.remarks(other)
    assert (found.name, found.value) == ("Mortality", "Few events. Bayes: Sampled again.")


def test_footnotes_say_each_remark_once() -> None:
    marks, note = footnoted(["few", "", "from limits.", "few"])
    assert marks == ["\N{SUPERSCRIPT ONE}", "", "\N{SUPERSCRIPT TWO}", "\N{SUPERSCRIPT ONE}"]
    assert note == "\N{SUPERSCRIPT ONE} few. \N{SUPERSCRIPT TWO} from limits."
    assert footnoted(["", ""]) == (["", ""], "")


def test_the_methods_tell_only_what_was_done(results: StudyResults) -> None:
    said = " ".join(further(results))
    assert "analysis of covariance" in said
    assert "Deaths and the markers" in said
    fewer = {key: part for key, part in results.parts.items() if key != TRUNCATED}
    assert "Deaths and the markers" not in " ".join(further(replace(results, parts=fewer)))
    nothing = replace(results, parts={k: results.parts[k] for k in ("markers", "mortality")})
    assert further(nothing) == []


def test_a_report_says_a_thing_once(results: StudyResults) -> None:
    assert said_twice(content(results), [short_answer(results).paragraph]) == []
