"""Deaths and the markers in a study: the table, what leads, and when there is no question."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_studies import Folder
from support.truncated import CHANGE, truncated_cohort, truncated_tables

from longsurv.analyses import DeathInMarkers
from longsurv.cohort import read_study
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.report.folder import dictionary, folder_tables
from longsurv.report.sections import truncated
from longsurv.report.sections.headline import headline
from longsurv.report.sections.methods import further
from longsurv.study import STAGES, Study, StudyResults
from longsurv.study.formulas import formula_problems
from longsurv.study.store import FitStore
from longsurv.study.truncated_stage import NOBODY, TRUNCATED

KEYS = ("markers", "mortality", "joint", TRUNCATED)
ASKED = tuple(stage for stage in STAGES if stage.key in KEYS)
MODELS = ModelSettings("phase * arm + (1 | id)", "arm", ("m",), "day * arm + (1 | id)")


def study_of(models: ModelSettings = MODELS, **cohort: object) -> Study:
    sampling = SamplingSettings(draws=100, chains=2, seed=1)
    return Study(truncated_cohort(**cohort), models, sampling)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FitStore:
    return FitStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def results(store: FitStore) -> StudyResults:
    return study_of().run(progress=False, store=store, stages=ASKED)


@pytest.fixture(scope="module")
def worst(store: FitStore) -> StudyResults:
    models = replace(MODELS, death_in_markers="worst")
    return study_of(models).run(progress=False, store=store, stages=ASKED)


def test_the_table_has_every_estimand_by_both_engines(results: StudyResults) -> None:
    table = results.tables["truncated"]
    assert (table["reason"] == "").all()  # the joint model is there
    assert table.groupby(["estimand", "quantity"])["engine"].apply(list).map(
        lambda found: found == ["ml", "bayes"]
    ).all()  # fmt: skip
    alone = DeathInMarkers(truncated_cohort(), "m", CHANGE).fit().table
    mine = table[(table["engine"] == "ml") & (table["estimand"] == "worst")]
    theirs = alone[alone["estimand"] == "worst"]
    assert mine["estimate"].tolist() == theirs["estimate"].tolist()
    changes = results.changes[results.changes["engine"] == "ml"]
    alive = table[(table["estimand"] == "alive") & (table["engine"] == "ml")]
    assert alive["estimate"].iloc[0] == pytest.approx(changes["estimate"].iloc[0])


def test_the_folder_says_what_every_column_holds(results: StudyResults) -> None:
    words = dictionary({"truncated": folder_tables(results)["truncated"]})
    assert (words["words"] != "").all()


def test_it_is_folded_after_the_changes_unless_the_study_asks_for_the_worst(
    results: StudyResults, worst: StudyResults, tmp_path: Path
) -> None:
    people, _ = truncated_tables()
    dead = (people["status"] == "dead") & (people["exit"] <= 7)
    for found, leads in ((results, False), (worst, True)):
        built = truncated.build(found)
        assert built["leads"] is leads and len(built["table"].rows) == 6
        of = {arm: int((dead & (people["arm"] == arm)).sum()) for arm in ("active", "control")}
        assert f"by the end of later {of['active']} of 30 in active" in built["text"][0]
        assert any("fares better than one of control" in text for text in built["text"]) is leads
        first = " ".join(headline(found).markers)
        assert first.startswith("With death as the worst outcome, a patient of active") is leads
        page = found.report(tmp_path / f"{leads}.html").read_text(encoding="utf-8")
        deaths, change = page.index("Deaths and the markers</h3>"), page.index("Trajectories</h3>")
        assert (deaths < change) is leads
        folded = "<summary>Markers and death, by every estimand</summary>" in page
        assert folded is not leads
        assert "Lachin JM (1999)" in page
        assert any(text.startswith("Deaths and the markers") for text in further(found))


def test_the_sentence_is_that_of_the_table(worst: StudyResults) -> None:
    table = worst.tables["truncated"]
    row = table[(table["quantity"] == "probability index") & (table["engine"] == "ml")].iloc[0]
    text = truncated.build(worst)["text"][1]
    said = [float(number) for number in re.findall(r"\d+\.\d+", text)]
    assert said[:3] == pytest.approx(row[["estimate", "conf_low", "conf_high"]].tolist(), abs=6e-3)


def test_nobody_dead_by_then_is_no_question(tmp_path: Path) -> None:
    people, visits = truncated_tables()
    people = people.assign(exit=28.0)
    quick = tuple(stage for stage in ASKED if stage.key in ("markers", "mortality", TRUNCATED))
    found = study_of(replace(MODELS, joint=(), death_in_markers="worst"), tables=(people, visits))
    results = found.run(progress=False, stages=quick)
    assert results.parts[TRUNCATED].reason == NOBODY
    assert results.tables["truncated"].empty
    built = truncated.build(results)
    assert built["text"] == [f"Death as the worst outcome of a marker was not compared. {NOBODY}"]
    plain = replace(results, study=replace(found, models=replace(MODELS, joint=())))
    assert truncated.build(plain)["text"] == []


def test_a_marker_without_a_direction_says_why() -> None:
    two = tuple(stage for stage in ASKED if stage.key in ("markers", "mortality", TRUNCATED))
    found = study_of(replace(MODELS, joint=(), death_in_markers="worst"), direction=None)
    results = found.run(progress=False, stages=two)
    table = results.tables["truncated"]
    assert np.isnan(table.loc[table["estimand"] == "worst", "estimate"]).all()
    assert "next to death" in truncated.build(results)["text"][1]
    assert sum("next to death" in why for why in results.missing.values()) == 4


def test_the_key_of_the_study_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    text = (tmp_path / "study.toml").read_text()
    folder.write("study.toml", text + '\n[models]\ndeath_in_markers = "worst"\n')
    study = read_study(tmp_path / "study.toml")
    assert study.models.death_in_markers == "worst"
    problems = formula_problems(Study.from_toml(tmp_path / "study.toml"))
    assert any(text.startswith("[models] death_in_markers") for text in problems)
    folder.write("study.toml", text + '\n[models]\ndeath_in_markers = "dead"\n')
    assert 'death_in_markers must be "while alive" or "worst"' in folder.problems()
