"""Subgroups that a study file names: read, run, shown and handed on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from invariance.reading import around_the_mode

import longsurv as ls
from longsurv.errors import DataError
from longsurv.report.folder import dictionary, folder_tables
from longsurv.report.sections.mortality import STAGES as NAMED
from longsurv.report.sections.mortality_subgroups import subgroups_part
from longsurv.report.sentences_subgroups import compared
from longsurv.study import Study, StudyResults, stages

STAGES = tuple(stage for stage in stages.STAGES if stage.key == "subgroups")


@pytest.fixture(scope="module")
def pbc() -> StudyResults:
    study = Study.from_toml(ls.example_path("pbc") / "study.toml")
    with around_the_mode():
        return study.run(progress=False, stages=STAGES)


def test_the_report_says_the_test_and_folds_the_rows(pbc: StudyResults) -> None:
    part = subgroups_part(pbc)
    assert part is not None and part.title == "Subgroups" and "subgroups" in NAMED
    said = part.items[0]
    assert said.startswith("Stage: the test of one hazard ratio of death in all 4 levels has p = ")
    assert "nor that they are alike" in said and "read alone" in part.items[1]
    picture, table = part.more
    firsts = [row[0] for row in table.rows]
    assert firsts == ["All patients", *(f"Stage: {k}" for k in ("I", "II", "III", "IV"))]
    assert "in percentage points" in table.note and "adjusted for age" in table.note
    assert picture.title and "all patients" in picture.caption.lower()
    assert all(width in (860.0, 358.0) and picture.draw(width) for width in (860.0, 358.0))


def test_the_folder_has_its_tables_in_words(pbc: StudyResults) -> None:
    tables = folder_tables(pbc)
    rows = tables["subgroups"]
    drawn = rows[rows["engine"] == "bayes"]
    ratios = drawn[drawn["quantity"] == "hazard ratio"]
    assert ((ratios["prob_benefit"] > 0.5) == (ratios["estimate"] < 1.0)).all()
    assert tables["subgroup_tests"]["df"].tolist() == [3]
    whole = tables["subgroup_counts"].query("column == ''")
    assert whole["events"].sum() == pbc.cohort.survival_data()["event"].sum()
    words = dictionary(tables)
    assert (words.loc[words["table"].str.startswith("subgroup"), "words"] != "").all()


def test_a_study_that_names_none_has_no_such_part(pbc: StudyResults) -> None:
    results = replace(pbc.study, subgroups=()).run(progress=False, stages=STAGES)
    assert results.parts.get("subgroups") is None and subgroups_part(results) is None
    assert "subgroups" not in folder_tables(results)


def test_a_level_that_does_not_say_is_named_under_the_table(pbc: StudyResults) -> None:
    part = dict(pbc.parts["subgroups"])
    table = part["table"].copy()
    silent = table["level"] == "I"
    table.loc[silent, ["estimate", "conf_low", "conf_high"]] = float("nan")
    table.loc[silent, ["note", "answered"]] = [
        "no usable answer: no event in its 16 patients",
        False,
    ]
    part |= {"table": table, "trouble": {"stage": "Not to be relied on."}}
    shown = subgroups_part(replace(pbc, parts={**pbc.parts, "subgroups": part}))
    assert shown is not None
    assert "Stage I: no usable answer: no event in its 16 patients." in shown.more[1].note
    assert "Stage, shrunken: Not to be relied on." in shown.items
    assert shown.more[0].draw(860.0)


def test_sentences_of_tests() -> None:
    assert compared("death", "Sex", 2, 0.012, "").endswith("all 2 levels has p = 0.012.")
    assert "has p <0.001." in compared("death", "Sex", 2, 1e-5, "")
    assert "Reason: fewer than two." in compared("death", "Sex", 1, float("nan"), "fewer than two")


@pytest.mark.parametrize(
    ("subgroups", "words"),
    [
        ('["stages"]', 'subgroups names "stages", none of the covariates.*"stage"'),
        ('["age"]', r"\[study\], subgroups: 'age' has \d+ different numbers"),
        ('"stage"', "subgroups"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, subgroups: str, words: str) -> None:
    folder = ls.example_path("pbc")
    text = (folder / "study.toml").read_text(encoding="utf-8")
    for name in ("patients.csv", "measurements.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    text = text.replace('subgroups = ["stage"]', f"subgroups = {subgroups}")
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        Study.from_toml(tmp_path / "study.toml")


def test_subgroups_of_a_study_made_by_hand_are_checked(pbc: StudyResults) -> None:
    with pytest.raises(DataError, match="no column 'nothing'"):
        replace(pbc.study, subgroups=("nothing",))
