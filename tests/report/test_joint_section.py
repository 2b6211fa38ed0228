from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Cohort, Marker, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.figures.prediction import prediction, time_ticks
from longsurv.numbers import MINUS
from longsurv.report import sentences_joint
from longsurv.report.sections import joint
from longsurv.report.sections.common import Picture
from longsurv.report.sentences import Answer
from longsurv.study import Study, StudyResults
from longsurv.study.joint_stage import NONE_ASKED, SHOWN, landmark_of
from longsurv.study.stages import STAGES
from longsurv.study.store import FitStore

STAGE = tuple(stage for stage in STAGES if stage.key in ("markers", "mortality", "joint"))


def make_study(joint_markers: tuple[str, ...] = ("load",)) -> Study:
    """Sixty patients whose hazard rises with a marker that is measured until they die."""
    rng = np.random.default_rng(8)
    n = 60
    arm = np.where(np.arange(n) % 2 == 0, "control", "active")
    level = rng.normal(1.0, 0.7, n)
    slope = np.where(arm == "active", -0.05, 0.0)
    died_at = rng.exponential(1.0, n) / (0.004 * np.exp(0.9 * level))
    exit_ = np.minimum(died_at, 28.0)
    patients = pd.DataFrame({
        "id": [f"P{k:02d}" for k in range(n)], "arm": arm, "days": exit_.clip(1.5),
        "status": np.where(died_at < 28, "dead", "alive"),
    })  # fmt: skip
    rows = [
        (f"P{k:02d}", day, "load", np.exp(level[k] + slope[k] * day + rng.normal(0, 0.3)))
        for k in range(n)
        for day in (1.0, 3.0, 7.0, 14.0)
        if day <= patients["days"][k]
    ]
    measurements = pd.DataFrame(rows, columns=["id", "day", "marker", "value"])
    schema = Schema(
        patient="id", treatment="arm", reference="control", exit="days", status="status",
        event="dead", censored="alive", horizon=28.0, time="day",
    )  # fmt: skip
    markers = [Marker("load", "Viral load", "copies", transform="log", direction="lower")]
    models = ModelSettings("day * arm + (1 | id)", "arm", joint_markers, "day * arm + (1 | id)")
    cohort = Cohort(patients, measurements, schema, markers)
    return Study(cohort, models, SamplingSettings(draws=300, chains=2, seed=2))


@cache
def run_study() -> StudyResults:
    return make_study().run(progress=False, stages=STAGE)


@pytest.fixture(scope="module")
def results() -> StudyResults:
    return run_study()


@pytest.fixture(scope="module")
def found(results: StudyResults) -> dict:
    return joint.build(results)


def texts(part) -> list[str]:
    return [item for item in part.items if isinstance(item, str)]


def test_the_association_is_the_posteriors(results: StudyResults, found: dict) -> None:
    result = results.parts["joint"].results["load"]
    assert result.model.reasons == {}
    mean = float(result.model.post.draw("assoc.value").mean())
    expected = f"{np.exp(mean * np.log(2)):#.3g}"
    (said,) = [text for text in texts(found["parts"][0]) if text.startswith("A doubling of")]
    assert "A doubling of Viral load goes with a hazard of death" in said
    assert f"{expected} times as high by Bayes" in said
    alone = result.association.table
    assert set(alone["method"]) >= {"last value carried forward", "two stages"}


def test_what_ignoring_death_would_have_said(results: StudyResults, found: dict) -> None:
    slopes = results.parts["joint"].results["load"].slopes
    row = slopes[(slopes["answer"] == "mixed model alone") & slopes["term"].str.contains(":")]
    said = " ".join(texts(found["parts"][0]))
    assert f"{row['estimate'].iloc[0]:.3f}".replace("-", MINUS) in said
    assert "by the mixed model alone" in said


def test_predictions_go_from_the_lowest_to_the_highest(found: dict, results: StudyResults) -> None:
    table = results.parts["joint"].results["load"].prediction.table
    last = table.sort_values("time").groupby("rank")["estimate"].last()
    assert list(last[list(SHOWN)]) == sorted(last)
    part = found["parts"][1]
    said = texts(part)
    assert [s.split()[0].lower() for s in said] == list(SHOWN)
    assert all(re.search(r"\d \(95 % credible interval ", s) for s in said)
    picture = next(item for item in part.items if isinstance(item, Picture))
    assert "<svg" in picture.wide
    assert "<svg" in picture.narrow
    assert (table["time"] >= landmark_of(0.0, 28.0)).all()


def test_patients_are_named_only_when_asked_for(found: dict, results: StudyResults) -> None:
    said = " ".join(texts(found["parts"][1]))
    prediction = results.parts["joint"].results["load"].prediction
    assert not re.search(r"\bP\d\d\b", said) and said.count("a patient of the group") == 3
    assert set(prediction.table["patient"]) == set(SHOWN) and prediction.measured.empty
    picture = next(item for item in found["parts"][1].items if isinstance(item, Picture))
    assert not re.search(r"\bP\d\d\b", picture.label + picture.caption + str(picture.wide))


def test_a_study_may_name_its_patients_and_stores_none(found: dict, tmp_path) -> None:
    study = replace(make_study(), show_patients=True)
    results = study.run(progress=False, stages=STAGE, store=FitStore(tmp_path))
    part = joint.build(results)["parts"][1]
    ids = set(re.findall(r"patient (P\d\d) \((?:active|control)\)", " ".join(texts(part))))
    prediction = results.parts["joint"].results["load"].prediction
    assert len(ids) == 3 and set(prediction.measured["patient"]) == ids
    data = study.cohort.marker_data("load")
    for name, rows in prediction.measured.groupby("patient"):
        own = data[(data["id"] == name) & (data["day"] <= prediction.at)]
        np.testing.assert_array_equal(rows["value"], own["value"])
    hidden = replace(study, show_patients=False)
    again = hidden.run(progress=False, stages=STAGE, store=FitStore(tmp_path))
    assert again.computed == 0, "what is stored does not depend on who is shown"
    assert texts(joint.build(again)["parts"][1]) == texts(found["parts"][1])
    stored = [path.read_bytes() for path in tmp_path.glob("*.npz")]
    words = [re.findall(rb'"[^"\x00-\x1f]*"', content) for content in stored]
    assert words and not [w for found in words for w in found if re.search(rb'^"P\d\d"', w)]


def test_no_joint_model_was_asked_for() -> None:
    results = make_study(()).run(progress=False, stages=STAGE)
    assert joint.build(results) == {"text": [NONE_ASKED], "parts": []}


def test_a_quick_run_says_that_it_left_it_out() -> None:
    results = make_study().run(progress=False, quick=True, stages=STAGE)
    assert joint.build(results)["text"] == ["A quick run fits no joint model."]


def test_the_association_sentence_flips() -> None:
    high, low = Answer(2.0, 1.2, 3.0, ratio=True), Answer(0.5, 0.3, 0.8, ratio=True)
    one = sentences_joint.association("a doubling of x", "death", high, high)
    two = sentences_joint.association("a doubling of x", "death", low, low)
    assert "2.00 times as high" in one
    assert "0.500 times as high" in two
    assert "include" not in one + two
    wide = Answer(2.0, 0.5, 9.0, ratio=True)
    said = sentences_joint.association("one SD more", "death", wide, wide)
    assert said.endswith("The intervals include 1.")
    assert "The interval includes 1." in sentences_joint.association("x", "death", wide, None)
    assert "could not be estimated" in sentences_joint.association("x", "death", None, None)


def test_ignoring_names_the_direction() -> None:
    alone = Answer(0.0, -1.0, 1.0)
    assert "nearly the same" in sentences_joint.ignoring("d", alone, alone, "death")
    assert ", higher by" in sentences_joint.ignoring("d", alone, Answer(1.0, 0, 2), "death")
    assert ", lower by" in sentences_joint.ignoring("d", alone, Answer(-1.0, -2, 0), "death")


def test_a_fit_that_failed_is_named_before_its_numbers(results: StudyResults) -> None:
    """Whichever engine it is of; nothing is said where both can be relied on."""
    fits = results.parts["joint"].results["load"].model
    for bad in ([], ["bayes"], ["ml", "bayes"]):
        verdicts = results.verdicts | {
            (fits.name, e): replace(results.verdicts[fits.name, e], ok=e not in bad)
            for e in fits.answers
        }
        judged = replace(results)
        judged.__dict__["verdicts"] = verdicts
        first = joint.build(judged)["parts"][0].items[0]
        assert first.startswith("Not to be relied on") == bool(bad)
        assert all(joint.METHODS[engine] in first for engine in bad)


def test_a_prediction_is_not_more_exact_than_its_draws() -> None:
    said = sentences_joint.predicted("lowest", "7", "active", (1e-4, 1e-6, 0.02), "to 28 days")
    assert said.endswith(", <0.01 (95 % credible interval <0.01 to 0.02).")
    assert said.startswith("Lowest predicted survival to 28 days (highest risk): patient 7")


def test_prediction_of_nobody_is_an_empty_figure() -> None:
    table = pd.DataFrame(columns=["title", "patient", "time", "estimate", "conf_low", "conf_high"])
    measured = pd.DataFrame({"patient": [], "time": [], "value": []}, dtype=float)
    ax = prediction(
        table, measured, at=1.0, ylabel="y", xlabel="x", log=False, ticks=time_ticks(28.0)
    )
    assert ax.texts[0].get_text() == "no patient to show"


@pytest.mark.parametrize("end", [1.0, 10.0, 28.0, 365.0, 4000.0])
def test_ticks_are_few_and_inside(end: float) -> None:
    ticks = time_ticks(end)
    assert 2 <= len(ticks) <= 6
    assert ticks[-1] <= end * (1 + 1e-9)


def test_a_marker_the_cohort_does_not_have() -> None:
    results = make_study(("gone",)).run(progress=False, stages=STAGE)
    assert "no markers of the cohort; it has ['load']" in joint.build(results)["text"][0]
