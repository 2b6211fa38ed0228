"""The stages after the markers: they take what is there, keep what is slow, and say why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.analyses import Panel
from longsurv.analyses.markers.responses import CENSORED
from longsurv.cohort import Marker, Phase, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.errors import DataError
from longsurv.estimands.changes import Change
from longsurv.report.sections.scores import build
from longsurv.report.terminal import checked
from longsurv.study import STAGES, Study, StudyResults
from longsurv.study.formulas import formula_problems
from longsurv.study.marker_stages import ADJUSTMENTS, AdjustedPart
from longsurv.study.missing import missing
from longsurv.study.scored import reaches
from longsurv.study.sites import site_words
from longsurv.study.store import FitStore


def test_what_is_missing_is_named_as_what_it_is() -> None:
    """By its adjustment and its comparison, once for both engines, and every reason by itself."""
    arms = [Change("phase", "first", "second", "arm", level, "a") for level in "bc"]
    table = pd.DataFrame({
        "marker": "x", "adjustment_label": ["Unadjusted", "Overlap-weighted", "Overlap-weighted"],
        "engine": ["ml", "ml", "bayes"], "estimate": [1.0, np.nan, np.nan],
        "reason": ["", "too few patients", "too few patients"],
    })  # fmt: skip
    study = make_study([Marker("x", "X")])
    changes = pd.DataFrame({
        "label": "X", "engine": "ml", "level": ["b", "c"], "reason": ["nobody has two values", ""],
    })  # fmt: skip
    parts = {ADJUSTMENTS: AdjustedPart(tuple((arm, table) for arm in arms))}
    found = missing(study.cohort, (), changes, parts, {})
    assert found == {
        "X, maximum likelihood, b": "nobody has two values",
        "X, overlap-weighted, b against a": "too few patients",
        "X, overlap-weighted, c against a": "too few patients",
    }
    everywhere = changes.assign(reason="nobody has two values")
    assert "X, maximum likelihood" in missing(study.cohort, (), everywhere, {}, {})


KEYS = ("markers", "adjustments", "panel", "scores", "mortality")
ASKED = tuple(stage for stage in STAGES if stage.key in KEYS)


def make_study(markers: list[Marker], *, seed: int = 4) -> Study:
    """Thirty-six patients in two phases, every marker falling further in groups b and c."""
    rng, n = np.random.default_rng(seed), 36
    patients = pd.DataFrame({
        "id": np.arange(n), "arm": np.array(["a", "b", "c"])[np.arange(n) % 3],
        "age": rng.normal(60, 9, n), "days": 28.0, "dead": np.arange(n) % 7 == 0,
    })  # fmt: skip
    rows = []
    for marker in markers:
        level = rng.normal(4, 1.2, n)
        for k in range(n):
            for day in (1, 4):
                fall = 0.3 * (day > 1) * (1 + 2 * (k % 3))
                value = level[k] - fall + rng.normal(0, 0.8)
                rows.append((k, day, marker.name, np.clip(round(value), 0, 8)))
    measured = pd.DataFrame(rows, columns=["id", "time", "marker", "value"])
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="dead", event=True,
        censored=False, covariates=("age",),
        phases=(Phase("first", 1, 1), Phase("second", 4, 4)), levels=("a", "b", "c"),
    )  # fmt: skip
    cohort = ls.Cohort(patients, measured, schema, markers)
    models = ModelSettings("phase * arm + (1 | id)", "arm")
    return Study(cohort, models, SamplingSettings(draws=100, chains=2, seed=1))


SCORE = Marker("dic", "DIC", direction="lower", positive=4)


@pytest.fixture(scope="module")
def study() -> Study:
    family = [Marker(name, direction="lower", family="f") for name in ("x", "y")]
    return make_study([*family, SCORE])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FitStore:
    return FitStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def results(study: Study, store: FitStore) -> StudyResults:
    return study.run(progress=False, store=store, stages=ASKED)


def test_each_group_is_compared_with_the_reference(results: StudyResults) -> None:
    changes = [change for change, _ in results.parts["adjustments"].tables]
    assert [change.level for change in changes] == ["b", "c"]
    table = results.tables["adjustments"]
    assert set(table["level"]) == {"b", "c"}
    assert set(table["adjustment"]) == {"unadjusted", "baseline", "overlap"}
    scores = results.tables["scores"].query("what == 'difference in change'")
    assert set(scores["level"]) == {"b", "c"}
    assert len(scores) == 2 * 3 * 2  # groups, quantities, engines


def test_two_markers_of_a_family_and_one_without_are_not_shrunken(results: StudyResults) -> None:
    for one in results.parts["panel"].changes:
        assert one.families.empty
        assert "fewer than 3" in one.left_out["x"]
        assert "no family" in one.left_out["dic"]
        assert one.effects["estimate_shrunken"].isna().all()
        assert one.effects["estimate_bayes"].notna().all()


def test_a_second_run_repeats_nothing(study: Study, store: FitStore, results: StudyResults) -> None:
    again = study.run(progress=False, store=FitStore(store.folder), stages=ASKED)
    assert again.computed == 0
    assert again.reused == results.computed
    for name in ("adjustments", "shrunken", "scores"):
        pd.testing.assert_frame_equal(again.tables[name], results.tables[name])


def test_one_marker_has_nothing_to_shrink_towards_and_no_score_no_shares() -> None:
    results = make_study([Marker("x")]).run(progress=False, stages=ASKED)
    assert results.failures == {}
    assert "With one marker" in results.parts["panel"].reason
    assert "No marker has a cut-off" in results.parts["scores"].reason
    assert results.parts["adjustments"].reason == ""


def test_a_cut_off_nobody_reaches_is_a_reason(study: Study) -> None:
    alone = make_study([replace(SCORE, positive=40)])
    (score,) = alone.run(progress=False, stages=ASKED).parts["scores"].scores
    assert "every value is below 40" in score.models["binary"].reasons["ml"]
    assert score.models["ordinal"].fit is not None
    assert {key[2] for key in score.means} == {"mean"}


def test_a_marker_of_many_values_gets_no_ordinal_model() -> None:
    study = make_study([SCORE])
    cohort = study.cohort
    values = cohort.measurements.drop(columns="phase")
    finer = values.assign(value=values["value"] + np.linspace(0, 0.4, len(values)))
    changed = ls.Cohort(cohort.patients, finer, cohort.schema, cohort.markers)
    (score,) = (
        replace(study, cohort=changed).run(progress=False, stages=ASKED).parts["scores"].scores
    )
    assert "different values" in score.models["ordinal"].reasons["bayes"]
    assert score.models["binary"].post is not None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"positive": "4"}, "positive must be a number"),
        ({"positive": True}, "positive must be a number"),
        ({"positive": float("nan")}, "positive must be a number"),
        ({"positive": 1.0, "lower_limit": 2.0}, "below lower_limit"),
    ],
)
def test_a_cut_off_that_makes_no_sense(given: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Marker("dic", **given)
    assert Marker("dic", positive=0).positive == 0


def test_the_cut_off_is_a_key_of_the_study_file(tmp_path) -> None:
    folder = ls.example_path("ivig_sepsis")
    assert ls.read_cohort(folder / "study.toml").markers["jaam"].positive == 4
    text = (folder / "study.toml").read_text(encoding="utf-8")
    file = tmp_path / "study.toml"
    file.write_text(text.replace("positive = 4", "positiv = 4"), encoding="utf-8")
    with pytest.raises(DataError, match='unknown key "positiv"; did you mean "positive"'):
        ls.read_cohort(file)
    file.write_text(text.replace("positive = 4", 'positive = "4"'), encoding="utf-8")
    with pytest.raises(DataError, match="positive must be a number"):
        ls.read_cohort(file)


def test_groups_may_have_a_residual_spread_each() -> None:
    """`residual_by` of the study file reaches the trajectories, the panel and the terminal."""
    plain = make_study([Marker("x", direction="lower")])
    study = replace(plain, models=replace(plain.models, residual_by="arm"))
    assert not formula_problems(study)
    wrong = replace(plain, models=replace(plain.models, residual_by="ward"))
    assert any(says.startswith("[models] residual_by") for says in formula_problems(wrong))
    data = study.marker_data("x")
    fit = study.trajectory_model(data).fit()
    names = [f"sigma({arm})" for arm in "abc"]
    assert list(fit.variance.names[:3]) == names
    change = study.contrasts[0]
    trajectory = study.models.trajectory
    alone = Panel.from_cohort(study.cohort, trajectory, change, ["x"], residual=study.residual)
    own = alone.fit().fits["x"]
    assert own.llf == pytest.approx(fit.llf, rel=1e-10)
    assert any("standard deviation by arm" in line for line in checked(study))


def with_sites(count: int) -> Study:
    """A study whose patients are of so many wards."""
    plain = make_study([Marker("x", direction="lower"), SCORE])
    own = plain.cohort
    patients = own.patients.assign(ward=[f"w{k % count}" for k in range(len(own.patients))])
    measured = own.measurements[["id", "time", "marker", "value"]]
    schema = replace(own.schema, site="ward", event="event", censored="censored")
    patients["dead"] = np.where(np.arange(len(patients)) % 7 == 0, "event", "censored")
    cohort = ls.Cohort(patients, measured, schema, list(own.markers.values()))
    return replace(plain, cohort=cohort)


def test_sites_have_a_random_effect_in_the_trajectories() -> None:
    """As the same formula written out; few sites are called few."""
    study = with_sites(6)
    assert study.trajectory_formula == "y ~ phase * arm + (1 | id) + (1 | ward)"
    own = replace(study, models=replace(study.models, trajectory="phase * arm + (1 | ward/id)"))
    assert own.trajectory_formula == "y ~ phase * arm + (1 | ward/id)"
    data = study.marker_data("x")
    fit, nested = study.trajectory_model(data).fit(), own.trajectory_model(data).fit()
    assert fit.llf == pytest.approx(nested.llf, abs=1e-6)
    assert "sd(Intercept|ward)" in fit.variance.names
    assert study.trajectory_model(data, CENSORED).design.outer[0].name == "ward"
    text = site_words(study.cohort, "arm")
    assert "models of scores" in text.partition("have a random effect")[0]
    assert "beyond a limit" not in text
    stratified = site_words(study.cohort, "arm + strata(ward)")
    assert "mortality" not in stratified and "joint models" in stratified
    assert "6 sites" in text and "6 sites are few" in text and "mortality" in text
    assert text in "\n".join(checked(study))
    assert "few" not in site_words(with_sites(12).cohort, "arm")
    assert not site_words(make_study([SCORE]).cohort, "arm")


def test_one_site_is_none() -> None:
    assert any("one value only" in says for says in formula_problems(with_sites(1)))


def test_the_site_is_a_column_of_the_patients() -> None:
    own = make_study([SCORE]).cohort
    measured = own.measurements[["id", "time", "marker", "value"]]
    with pytest.raises(DataError, match="ward"):
        ls.Cohort(
            own.patients, measured, replace(own.schema, site="ward"), list(own.markers.values())
        )


def limited(study: Study, texts: dict[int, str]) -> ls.Cohort:
    """The study's cohort with some of the score's values as text."""
    values = study.cohort.measurements.drop(columns=["phase", "censored"])
    values = values[values["marker"] == "dic"].astype({"value": object}).reset_index(drop=True)
    for row, text in texts.items():
        values.loc[row, "value"] = text
    return ls.Cohort(study.cohort.patients, values, study.cohort.schema, [SCORE])


def test_a_value_below_its_limit_does_not_reach_a_cut_off_there(study: Study) -> None:
    cohort = limited(study, {0: "<4", 1: "<2", 2: ">4", 3: ">6"})
    data = cohort.marker_data("dic")
    known = data["censored"] != "none"
    assert data.loc[known, "value"].tolist() == [4.0, 2.0, 4.0, 6.0]
    assert reaches(data, 4.0)[known].tolist() == [False, False, True, True]
    assert (reaches(data, 4.0) == (data["value"] >= 4.0))[~known].all()
    (score,) = (
        replace(study, cohort=cohort).run(progress=False, stages=ASKED).parts["scores"].scores
    )
    assert score.models["binary"].data["y"].sum() == reaches(data, 4.0).sum()
    assert "known by a limit only" in score.models["ordinal"].reasons["ml"]


@pytest.mark.parametrize("text", ["<5", ">3"])
def test_a_limit_with_the_cut_off_beyond_it_is_refused(study: Study, text: str) -> None:
    with pytest.raises(DataError, match="known by a limit only, with the cut-off of dic, 4"):
        limited(study, {0: text})


def test_rare_categories_of_a_score_are_merged_on_request_only(study: Study, results) -> None:
    (score,) = results.parts["scores"].scores
    assert score.models["ordinal"].fit.design.merged.groups == ()
    counts = score.models["ordinal"].data["value"].value_counts()
    least = int(counts.min()) + 1
    asked = replace(study, models=replace(study.models, least_category=least))
    found = asked.run(progress=False, stages=ASKED)
    (merged,) = found.parts["scores"].scores
    for answer in merged.models["ordinal"].answers.values():
        assert answer.design.merged
        assert any("Merged as asked: value = " in flag for flag in answer.flags)
    design = merged.models["ordinal"].fit.design
    rows = np.bincount(design.y.astype(int))
    assert rows.min() >= least
    assert len(design.levels) < len(counts)
    kinds = {(kind, quantity) for kind, _, quantity in merged.means}
    assert kinds == {("binary", "share"), ("ordinal", "share")}
    shown = build(found)["scores"][0]
    assert "Merged as asked" in " ".join(shown["more"])
    cells = [cell for row in shown["changes"].rows for cell in row]
    assert any("Ordinal" in cell or "ordinal" in cell for cell in cells), cells
    assert not any("ean" in cell for cell in cells)
    # A cut-off between two categories that are one leaves no share by that model.
    across = replace(asked, models=replace(study.models, least_category=17))
    (lost,) = across.run(progress=False, stages=ASKED).parts["scores"].scores
    ordinal = lost.models["ordinal"]
    assert ordinal.fit.design.merged.of("4")[0] != "4"
    assert {kind for kind, _, _ in lost.means} == {"binary"}
