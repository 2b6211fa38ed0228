"""A database of five tables and a sheet of in-patients: drafted without an edit, and checked."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hospital import SHEET_LABS, End, Stays, database, sheet

from longsurv import Cohort, read_cohort
from longsurv.draft import Draft, draft_files

DAY = np.timedelta64(1, "D")


def sureness(draft: Draft, about: str) -> str:
    return next(g.sureness for g in draft.guesses if g.about == about)


def held_to(cohort: Cohort, truth: Stays, names: dict[str, str]) -> None:
    """Compare with the truth; `names`: what the export calls a marker, to what the study does."""
    people = truth.people.set_index("id")
    found = cohort.survival_data()
    ids = found[cohort.schema.patient].astype(str)
    assert sorted(ids) == sorted(people.index)
    people = people.loc[ids]
    length = ((people["ended"] - people["admitted"]) / DAY).to_numpy()
    np.testing.assert_allclose(found["exit"], length, atol=2e-6)
    np.testing.assert_array_equal(found["event"].astype(bool), people["died"])
    arms = cohort.patients.set_index(ids)[cohort.schema.treatment]
    assert list(arms) == list(people["arm"])
    values = truth.values[truth.values["marker"].isin(names)]
    at = (values["at"] - values["id"].map(people["admitted"])) / DAY
    last = values["id"].map((people["ended"] - people["admitted"]) / DAY)
    values = values.assign(time=at, marker=values["marker"].map(names))[(at >= 0) & (at <= last)]
    made = cohort.measurements[cohort.measurements["marker"].isin(names.values())]
    made = made.assign(id=made[cohort.schema.patient].astype(str), time=made[cohort.schema.time])
    order, keep = ["id", "marker", "time"], ["id", "marker", "time", "value", "censored"]
    made = made.sort_values(order)[keep].reset_index(drop=True)
    values = values.sort_values(order)[keep].reset_index(drop=True)
    made["marker"] = made["marker"].astype(str)
    assert len(made) == len(values)
    pd.testing.assert_frame_equal(made, values, check_dtype=False, atol=2e-6, rtol=0)


def test_a_hospital_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, truth = database(tmp_path, seed=1)
    draft = draft_files(files)
    assert draft.complete, draft.open
    # Who leaves the hospital may die at home: that is no sure end of follow-up.
    assert sureness(draft, "time") == "likely"
    written = draft.write(tmp_path / "study.toml")
    cohort = read_cohort(written[0])
    held_to(cohort, truth, {name: name for name in truth.values["marker"].unique()})
    flow = cohort.flow.set_index("step")
    outside = ["from time zero on", "during follow-up"]
    assert flow.loc[outside, "removed"].sum() == len(truth.values) - len(cohort.measurements) > 4000
    again = tmp_path / "again"
    again.mkdir()
    for path in (*files, tmp_path / "study_tidy.py"):
        shutil.copy(path, again)
    monkeypatch.chdir(again)
    runpy.run_path("study_tidy.py")
    for path in written[1:-1]:
        assert (again / path.name).read_text() == path.read_text()


@pytest.mark.parametrize(
    "end, how", [("one column", "likely"), ("two columns", "likely"), ("last seen", "sure")]
)
def test_a_sheet_of_in_patients(tmp_path: Path, end: End, how: str) -> None:
    file, truth = sheet(tmp_path, seed=2, n=40, end=end)
    draft = draft_files([file])
    assert draft.complete, draft.open
    assert sureness(draft, "time") == how
    assert any("values of 74 markers taken for missing: -1" in text for text in draft.warnings)
    cohort = draft.cohort()
    assert len(cohort.markers) == len(SHEET_LABS)
    bare = {name.replace("(%)", "").replace("(#)", "").strip(): name for name in SHEET_LABS}
    names = {bare.get(name, name): name for name in cohort.markers}
    alone = {name: marker for name, marker in names.items() if name in SHEET_LABS}
    assert len(alone) > 66
    held_to(cohort, truth, alone)


def test_several_stays_of_a_patient_are_named(tmp_path: Path) -> None:
    files, _ = database(tmp_path, seed=5)
    stays = pd.read_csv(tmp_path / "admissions.csv", dtype=str)
    later = stays.head(9).assign(
        hadm_id=[str(900_000 + k) for k in range(9)], admittime="2024-01-02",
        dischtime="2024-01-09", deathtime=None, hospital_expire_flag="0",
    )  # fmt: skip
    pd.concat([stays, later]).to_csv(tmp_path / "admissions.csv", index=False)
    draft = draft_files(files)
    assert not draft.complete
    time = next(g for g in draft.guesses if g.about == "time")
    assert time.sureness == "doubtful" and '"admittime", "dischtime"' in time.reason
    assert "such as the first stay" in time.reason
