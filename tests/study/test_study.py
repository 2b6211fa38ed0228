from __future__ import annotations

import dataclasses
import html
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import longsurv as ls
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.errors import EstimationError
from longsurv.report.page import render_page
from longsurv.study import (
    MORTALITY,
    QUICK_DRAWS,
    STAGES,
    Bench,
    Progress,
    Stage,
    Study,
    StudyResults,
    model_seed,
)
from longsurv.study.progress import clock
from longsurv.study.provenance import data_hash, software_versions
from longsurv.study.store import FitStore

MARKERS = ("il6", "crp")
CORE = tuple(stage for stage in STAGES if stage.key in ("markers", MORTALITY))


def some_markers(names: tuple[str, ...]) -> Study:
    """The example study with these markers only, in this order, and few draws."""
    whole = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    cohort = whole.cohort
    values = cohort.measurements
    values = values[values["marker"].isin(names)].drop(columns="phase")
    small = ls.Cohort(
        cohort.patients, values, cohort.schema, [cohort.markers[name] for name in names],
        title=cohort.title, note=cohort.note, reconstructed=True,
    )  # fmt: skip
    models = replace(whole.models, joint=())
    return Study(small, models, SamplingSettings(draws=300, chains=2, seed=1))


@pytest.fixture(scope="module")
def study() -> Study:
    return some_markers(MARKERS)


@pytest.fixture(scope="module")
def results(study: Study) -> StudyResults:
    return study.run(progress=False)


def test_a_study_file_gives_the_whole_study() -> None:
    study = Study.from_toml(ls.example_path("pbc") / "study.toml")
    over_time = "year * drug + (year | id)"
    assert study.models == ModelSettings(over_time, "drug + age", ("bili",), over_time)
    assert study.change_variable == "year"
    assert [c.end for c in study.contrasts] == [1.0]
    assert study.with_seed(9).sampling.seed == 9
    assert study.sampling.seed == 1, "the study itself never changes"


def test_components_of_a_score_are_not_endpoints() -> None:
    study = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    assert len(study.cohort.markers) == 17
    assert len(study.cohort.endpoints) == 14
    assert not {"fdp", "pt_ratio", "sirs"} & set(study.cohort.endpoints)


def test_every_model_has_both_answers(results: StudyResults) -> None:
    assert list(results.models) == [*MARKERS, MORTALITY]
    for model in results.models.values():
        assert model.fit is not None and model.post is not None
        assert not model.reasons
        assert set(model.seconds) == {"ml", "bayes"}
    assert len(results.changes) == 2 * len(MARKERS)
    assert results.changes["reason"].eq("").all()


def test_ratios_and_standard_deviations_are_those_of_the_log_scale(results: StudyResults) -> None:
    row = results.changes.query("marker == 'il6' and engine == 'ml'").iloc[0]
    tidy = results.markers["il6"].fit.tidy().set_index("term")
    raw = tidy.loc["phase[T.after]:treatment[T.ivig]"]
    assert row["scale"] == "ratio"
    assert np.log(row["estimate"]) == pytest.approx(raw["estimate"])
    assert np.log(row["conf_low"]) == pytest.approx(raw["conf_low"])
    data = results.cohort.marker_data("il6")
    first = np.log(data.loc[data["phase"] == "baseline", "value"])
    assert row["std_estimate"] == pytest.approx(raw["estimate"] / first.std(ddof=1))


def test_corrections_are_for_the_maximum_likelihood_p_values_only(results: StudyResults) -> None:
    ml = results.changes.query("engine == 'ml'")
    assert (ml["p_holm"] >= ml["p_value"]).all()
    assert results.changes.query("engine == 'bayes'")[["p_value", "p_holm"]].isna().all(axis=None)
    assert results.changes.query("engine == 'bayes'")["prob_positive"].between(0, 1).all()


def test_answers_do_not_depend_on_the_order_of_the_markers(results: StudyResults) -> None:
    other = some_markers(MARKERS[::-1]).run(progress=False, stages=CORE)
    columns = ["estimate", "conf_low", "conf_high"]
    keys = ["marker", "engine"]
    one, two = (r.changes.set_index(keys)[columns].sort_index() for r in (results, other))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_seeds_differ_between_models_and_follow_the_study_seed() -> None:
    seeds = {model_seed(s, name) for s in (1, 2) for name in ("il6", "crp", MORTALITY)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert model_seed(1, "il6") == model_seed(1, "il6")


def test_quick_means_fewer_draws(study: Study) -> None:
    many = replace(study, sampling=SamplingSettings(draws=5000, chains=1, seed=1))
    only = replace(many, cohort=some_markers(("crp",)).cohort)
    results = only.run(progress=False, quick=True, stages=CORE)
    assert results.quick
    assert results.study.sampling.draws == QUICK_DRAWS
    assert results.markers["crp"].post.draws.theta.shape[1] == QUICK_DRAWS
    assert only.sampling.draws == 5000


def test_a_model_that_cannot_be_read_is_a_reason_and_not_a_crash(study: Study) -> None:
    bad = replace(study, models=ModelSettings("phase * nobody + (1 | patient)", "treatment"))
    results = bad.run(progress=False)
    assert results.mortality.fit is not None
    assert results.changes["estimate"].isna().all()
    assert results.changes["reason"].str.contains("'nobody'").all()
    assert set(results.markers["crp"].reasons) == {"ml", "bayes"}


def test_progress_is_plain_lines_where_there_is_no_terminal(study: Study, capfd) -> None:
    one = replace(study, cohort=some_markers(("crp",)).cohort)
    one.run(progress=True, stages=CORE)
    out, err = capfd.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert re.fullmatch(
        r"\[1/2\] Trajectories of the markers: \d+:\d\d, about \d+:\d\d left", first
    )
    assert re.fullmatch(r"\[2/2\] Mortality: \d+:\d\d", second)
    one.run(progress=False, stages=CORE)
    assert capfd.readouterr() == ("", "")


def test_a_second_run_fits_nothing_and_finds_the_same(study: Study, tmp_path) -> None:
    first = study.run(progress=False, store=FitStore(tmp_path), stages=CORE)
    again = study.run(progress=False, store=FitStore(tmp_path), stages=CORE)
    assert (first.computed, first.reused) == (6, 0)
    assert (again.computed, again.reused) == (0, 6)
    pd.testing.assert_frame_equal(first.changes, again.changes, check_exact=True)
    same_time = replace(again, seconds=first.seconds, computed=6, reused=0)
    assert render_page(same_time) == render_page(first)


def test_what_changes_the_answer_is_fitted_again(study: Study, tmp_path) -> None:
    study.run(progress=False, store=FitStore(tmp_path), stages=CORE)
    more = study.with_seed(2).run(progress=False, store=FitStore(tmp_path), stages=CORE)
    assert (more.computed, more.reused) == (3, 3), "the seed is only of the draws"
    other = replace(study, models=ModelSettings(study.models.trajectory, "treatment + age"))
    assert other.run(progress=False, store=FitStore(tmp_path), stages=CORE).computed == 2


def test_a_stage_gets_what_came_before_and_is_kept(study: Study, tmp_path) -> None:
    calls = []

    def count(bench: Bench) -> dict[str, int]:
        def compute() -> dict[str, int]:
            calls.append(bench.quick)
            return {"rows": len(bench.parts["markers"]["crp"].data)}

        return bench.keep("rows", bench.study.marker_data("crp"), compute)

    stages = (*CORE, Stage("rows", "Rows", count, seconds=lambda _: 1.0, quick=False))
    for _ in range(2):
        results = study.run(progress=False, store=FitStore(tmp_path), stages=stages)
        assert results.parts["rows"] == {"rows": len(study.marker_data("crp"))}
    assert calls == [False]
    assert "rows" not in study.run(progress=False, quick=True, stages=stages).parts


def test_a_stage_that_fails_is_a_reason_and_the_next_goes_on(study: Study) -> None:
    def fail(bench: Bench) -> None:
        raise EstimationError("the link is not identified")

    def after(bench: Bench) -> list[str]:
        return list(bench.parts)

    stages = (
        *CORE,
        Stage("joint", "Joint", fail, seconds=lambda _: 1.0),
        Stage("after", "After", after, seconds=lambda _: 1.0),
    )
    results = study.run(progress=False, stages=stages)
    assert results.failures == {"joint": "the link is not identified"}
    assert results.missing == results.failures
    assert results.parts["after"] == ["markers", MORTALITY]


def test_what_could_not_be_estimated_is_named(study: Study) -> None:
    whole = study.cohort
    values = whole.measurements.drop(columns="phase")
    flat = values.assign(value=values["value"].where(values["marker"] != "crp", 5.0))
    cohort = ls.Cohort(whole.patients, flat, whole.schema, whole.markers)
    missing = replace(study, cohort=cohort).run(progress=False, stages=CORE).missing
    assert set(missing) == {
        "C-reactive protein, maximum likelihood", "C-reactive protein, Bayes",
    }  # fmt: skip
    assert all("every value is the same" in reason for reason in missing.values())


def test_time_left_follows_the_speed_of_this_computer(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("longsurv.study.progress.time.perf_counter", lambda: now[0])
    shown = Progress([("a", 10.0), ("b", 30.0)], quiet=True)
    assert shown.left == 40.0
    shown.begin()
    now[0] += 15.0
    shown.step("half of a", 0.5)
    assert shown.left == pytest.approx(35 * (15 + 2) / (5 + 2))
    now[0] += 0.1
    shown.step("the rest, from the store", 0.5, reused=True)
    assert shown.left == pytest.approx(30 * (15 + 2) / (5 + 2)), "reuse says nothing of the speed"
    shown.end()
    shown.begin()
    now[0] += 300.0
    shown.end()
    assert shown.left == 0.0


def test_a_terminal_gets_one_line_rewritten(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    shown = Progress([("Markers of a long title " * 5, 2.0)], stream=stream)
    shown.begin()
    shown.step("1 of 2: CRP", 0.5)
    shown.end()
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert all(len(part) <= 78 for part in written.split("\r")[:-1])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (7, "0:07"), (754, "12:34"), (3723, "1:02:03")]
)
def test_a_clock_reads_as_one(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_hash_is_of_the_values_not_the_order_of_columns(study: Study) -> None:
    cohort = study.cohort

    def build(patients: pd.DataFrame) -> ls.Cohort:
        values = cohort.measurements.drop(columns="phase")
        return ls.Cohort(patients, values, cohort.schema, cohort.markers)

    patients = cohort.patients
    assert data_hash(build(patients)) == data_hash(build(patients[patients.columns[::-1]]))
    shuffled = patients.sample(frac=1, random_state=1)
    assert data_hash(build(shuffled)) == data_hash(build(patients))
    older = patients.assign(age=patients["age"] + (np.arange(len(patients)) == 3))
    assert data_hash(build(older)) != data_hash(build(patients))


def test_tables_are_dataframes_by_name(results: StudyResults) -> None:
    expected = {
        "flow", "baseline", "measurements", "simple_baseline", "simple_changes", "simple_mortality",
        "changes", "adjustments", "shrunken", "scores", "hazard_ratios", "mortality_methods",
        "prior_grid", "cumulative_incidence", "tipping", "comparison", "convergence", "checks",
        "priors", "models", "not_estimated", "truncated", "imputed", "versions",
    }  # fmt: skip
    assert set(results.tables) == expected
    assert all(isinstance(table, pd.DataFrame) for table in results.tables.values())
    hazard = results.tables["hazard_ratios"].set_index("engine")
    fit = results.mortality.fit.tidy().iloc[0]
    assert hazard.loc["ml", "estimate"] == pytest.approx(np.exp(fit["estimate"]))


def test_the_report_is_written_and_a_notebook_shows_the_answer(
    results: StudyResults, tmp_path
) -> None:
    path = results.report(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    shown = results._repr_html_()
    assert "control 4 of 22" in shown and "ivig 1 of 19" in shown
    assert "2 markers and mortality" in repr(results)


def test_the_answer_is_summarised_and_drawn_as_in_the_report(results: StudyResults) -> None:
    page, shown = results._repr_html_(), results.summary()
    for sentence in shown.words[1:]:
        assert html.escape(sentence) in page
    assert "Hazard ratio of death" in str(shown) and "Hazard ratio of death" in results.to_latex()
    figure, place = plt.subplots()
    drawn = results.plot(ax=place)
    assert drawn is place and "2 markers by both engines" in drawn.get_label()
    assert results.tables["changes"]["label"].iloc[0] in {t.get_text() for t in drawn.texts} | {
        t.get_text() for t in drawn.get_yticklabels()
    }
    plt.close(figure)


def test_versions_name_python_and_this_package() -> None:
    found = software_versions()
    assert found["longsurv"] == ls.__version__
    assert {"python", "numpy", "pymc", "nutpie"} <= set(found)


def test_a_baseline_that_runs_away_takes_no_answer_with_it() -> None:
    """Nobody of the sepsis study dies before day 19: a cubic hazard of the first days has no
    maximum, the association has one, and the run is whole. As plain as five events ask for, it has
    one."""
    from longsurv.study.joint_stage import association_model
    from longsurv.study.missing import _no_answer

    study = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    plain = association_model(study, "pct")
    assert not plain.fit().undetermined
    fit = dataclasses.replace(plain, n_knots=0).fit()
    assert fit.undetermined and all(name.startswith("baseline.") for name in fit.undetermined)
    assert "NOT DETERMINED" in str(fit) and np.isfinite(fit.tidy()["std_error"]).all()
    assert _no_answer(fit) == ""
