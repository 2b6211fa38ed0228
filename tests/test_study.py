from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.report.provenance import data_hash, software_versions
from longsurv.study import MORTALITY, QUICK_DRAWS, Study, StudyResults, model_seed

MARKERS = ("il6", "crp")


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
    return Study(small, whole.models, SamplingSettings(draws=300, chains=2, seed=1))


@pytest.fixture(scope="module")
def study() -> Study:
    return some_markers(MARKERS)


@pytest.fixture(scope="module")
def results(study: Study) -> StudyResults:
    return study.run(progress=False)


def test_a_study_file_gives_the_whole_study() -> None:
    study = Study.from_toml(ls.example_path("pbc") / "study.toml")
    assert study.models == ModelSettings("year * drug + (year | id)", "drug + age")
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
    other = some_markers(MARKERS[::-1]).run(progress=False)
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
    results = only.run(progress=False, quick=True)
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


def test_nothing_is_printed_where_there_is_no_terminal(study: Study, capfd) -> None:
    replace(study, cohort=some_markers(("crp",)).cohort).run(progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "crp" not in err.lower() and "model" not in err


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
        "changes", "hazard_ratios", "comparison", "convergence", "priors", "models", "versions",
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


def test_versions_name_python_and_this_package() -> None:
    found = software_versions()
    assert found["longsurv"] == ls.__version__
    assert {"python", "numpy", "pymc", "nutpie"} <= set(found)
