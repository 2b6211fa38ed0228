"""What a draft says: guesses with reasons, choices left open, nothing overwritten."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from exports import (
    CONTROL,
    EN,
    RECIPES,
    answer,
    dated,
    dated_visits,
    long_frame,
    patients_frame,
    simulate,
    visits_frame,
)
from judge import verdict

import longsurv as ls
from longsurv.cli import main
from longsurv.draft import draft_files
from longsurv.draft.layout import find_families
from longsurv.draft.markers import find, name_and_unit, table
from longsurv.draft.units import factor, tidy_unit
from longsurv.reading.dates import read_dates


def _frames(seed: int = 3) -> dict[str, pd.DataFrame]:
    truth = simulate(seed)
    return {
        "patients": patients_frame(truth, EN, CONTROL),
        "labs": visits_frame(truth, "patient_id", "day"),
    }


# From a spreadsheet to a checked study -----------------------------------------------------------


def test_two_commands_from_files_to_a_checked_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = RECIPES["semicolon_decimal_comma_german"](tmp_path, 1)
    study = tmp_path / "study.toml"
    before = {path: path.read_bytes() for path in export.files}
    assert main(["init", *map(str, export.files), "-o", str(study)]) == 0
    said = capsys.readouterr().out
    assert "sure" in said and f"longsurv check {study}" in said
    assert main(["check", str(study)]) == 0
    assert {path: path.read_bytes() for path in export.files} == before


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = RECIPES["units_in_the_values"](tmp_path, 1)
    files = [*map(str, export.files)]
    beside = tmp_path / "study_measurements.csv"
    beside.write_text("mine")
    assert main(["init", *files, "-o", str(tmp_path / "study.toml")]) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert beside.read_text() == "mine"
    assert not (tmp_path / "study.toml").exists()
    assert not (tmp_path / "study_patients.csv").exists()
    (tmp_path / "other.toml").write_text("mine")
    assert main(["init", *files, "-o", str(tmp_path / "other.toml")]) == 1
    assert (tmp_path / "other.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "there is no such file"),
        ("empty.csv", b"", "the file is empty"),
        ("old.xls", b"x", "save it as .xlsx"),
        ("book.xlsx", b"PK\x03\x04 broken", "cannot be read"),
        ("data.dta", b"", "the file cannot be read"),
        ("data.xpt", b"x", "the file cannot be read"),
        ("data.pdf", b"x", "are not read"),
        ("numbers.csv", b"1,2\n3,4\n", "no row of column names"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    name: str,
    content: bytes | None,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["init", str(path), "-o", str(tmp_path / "study.toml")]) == 1
    said = capsys.readouterr().err
    assert words in said and name in said
    assert not (tmp_path / "study.toml").exists()


def test_what_is_doubtful_is_commented_out_and_check_asks_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = RECIPES["status_one_or_two"](tmp_path, 1)
    study = tmp_path / "study.toml"
    assert main(["init", *map(str, export.files), "-o", str(study)]) == 0
    assert "status" in capsys.readouterr().out
    assert main(["check", str(study)]) == 1
    assert "status" in capsys.readouterr().err
    lines = study.read_text(encoding="utf-8")
    for line in ('status = "status"', "event = 2", "censored = 1"):
        assert f"# {line}" in lines
        lines = lines.replace(f"# {line}", line)
    study.write_text(lines, encoding="utf-8")
    assert main(["check", str(study)]) == 0


# Frames ------------------------------------------------------------------------------------------


def test_frames_give_the_same_as_files(tmp_path: Path) -> None:
    frames = _frames()
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    drafted = ls.draft(frames)
    files = draft_files([tmp_path / "patients.csv", tmp_path / "labs.csv"])
    assert drafted.cohort().n_by_group == files.cohort().n_by_group
    pd.testing.assert_frame_equal(
        drafted.cohort().survival_data(), files.cohort().survival_data(), check_dtype=False
    )
    html = drafted._repr_html_()
    assert "<table>" in html and "patient_id" in html
    assert 'reference = "control"' in drafted.to_toml()


def test_frames_without_what_is_needed_say_what_is_open() -> None:
    frame = pd.DataFrame({"id": range(8), "age": np.arange(8) + 30, "hs": [*"ABABABAB"]})
    drafted = ls.draft(frame)
    assert not drafted.complete
    assert {"time", "status"} <= set(drafted.open)
    with pytest.raises(ls.LongsurvError, match="leaves choices open"):
        drafted.cohort()


def test_a_name_with_html_in_it_is_shown_as_text() -> None:
    frames = _frames()
    frames["patients"] = frames["patients"].rename(columns={"treatment": "treatment <b>"})
    assert "<b>" not in ls.draft(frames)._repr_html_()


# Never a wrong guess called sure -----------------------------------------------------------------

EXIT = ["followup_days", "time", "survival_days", "fu_days", "Beobachtungszeit", "suivi", "t2e"]
STATUS = ["died", "status", "event", "outcome", "dead28", "verstorben", "vital", "cens", "x1"]
ARM = ["treatment", "arm", "Gruppe", "hs", "x2", "drug", "traitement"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    exit_=st.sampled_from(EXIT),
    status=st.sampled_from(STATUS),
    arm=st.sampled_from(ARM),
    levels=st.sampled_from([(0, 1), (1, 2), ("no", "yes"), ("alive", "dead"), (2, 1), (1, 0)]),
    arms=st.sampled_from([CONTROL, ("A", "B"), ("1", "2"), ("placebo", "verum")]),
    order=st.permutations(range(6)),
    visit=st.sampled_from(["day", "obstime", "Tag", "jour", "zeit", "when"]),
    seed=st.integers(0, 50),
)
def test_never_a_wrong_guess_called_sure(
    exit_: str,
    status: str,
    arm: str,
    levels: tuple[object, object],
    arms: tuple[str, str],
    order: list[int],
    visit: str,
    seed: int,
) -> None:
    """Under names chosen blindly, columns in any order: what is called sure is right."""
    # A column called "died" that says 1 of those who lived is wrong, not unclear.
    assume(levels not in ((1, 0), (2, 1)) or status in ("cens", "x1", "status", "outcome"))
    assume(levels != (1, 0) or status in ("cens", "x1"))
    truth = simulate(seed, n=24)
    names = ("id", arm, "age", "sex", exit_, status)
    patients = patients_frame(truth, names, arms, levels)
    patients = patients[[patients.columns[k] for k in order]]
    drafted = ls.draft({"p": patients, "m": visits_frame(truth, "id", visit)})
    right = {"treatment": arm, "time": exit_, "status": status, "measurement time": visit}
    for guess in drafted.guesses:
        if guess.sureness == "sure" and guess.about in right:
            assert guess.value == right[guess.about]
    if drafted.complete:
        wrong = verdict(drafted, answer(truth, arms))
        sure = {g.about for g in drafted.guesses if g.sureness == "sure"}
        assert not wrong or not {"status", "time", "treatment"} <= sure, wrong


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(RECIPES)), seed=st.integers(1000, 2000))
def test_exports_of_any_seed(
    name: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    export = RECIPES[name](tmp_path_factory.mktemp("any"), seed)
    assert verdict(draft_files(export.files), export.answer) == []


# Its parts ---------------------------------------------------------------------------------------


def test_the_table_of_markers_says_where_its_figures_come_from() -> None:
    known = table()
    assert len(known) >= 120
    for marker in known.values():
        if np.isfinite(marker.high) or marker.conversions or marker.direction or marker.transform:
            assert marker.source, marker.key
        assert not marker.unit or tidy_unit(marker.unit) == marker.unit, marker.key
        for unit in marker.conversions:
            assert marker.factor(unit) == marker.conversions[unit], (marker.key, unit)


@pytest.mark.parametrize(
    ("name", "key"),
    [("PCT", "pct"), ("Prokalzitonin", "pct"), ("プロカルシトニン", "pct"),
     ("Thrombozyten", "platelets"),
     ("plaquettes", "platelets"), ("血小板数", "platelets"), ("Serum Creatinine", "creatinine"),
     ("D_dimer", "d_dimer"), ("D-Dimère", "d_dimer"), ("IL 6", "il6"), ("Quick", "pt_percent"),
     ("AT III", "antithrombin"), ("フィブリノゲン", "fibrinogen"), ("SOFA", "sofa")],
)  # fmt: skip
def test_names_in_four_languages(name: str, key: str) -> None:
    found = find(name)
    assert found is not None and found.key == key


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("G/l", "10^9/L"), ("x10^3/µL", "10^3/uL"), ("万/μL", "10^4/uL"), ("mg/dl", "mg/dL"),
     ("µmol/l", "umol/L"), ("IE/ml", "IU/mL"), ("sec", "s"), ("10*9/L", "10^9/L"), ("hello", "")],
)  # fmt: skip
def test_units_have_one_spelling(given: str, wanted: str) -> None:
    assert tidy_unit(given) == wanted


def test_factors_between_units() -> None:
    assert factor("mg/dL", "g/L") == pytest.approx(0.01)
    assert factor("10^3/uL", "10^9/L") == pytest.approx(1)
    assert factor("/uL", "10^9/L") == pytest.approx(0.001)
    assert factor("mg/dL", "mmol/L") is None
    creatinine = find("creatinine")
    assert creatinine is not None
    assert creatinine.factor("µmol/L") == pytest.approx(1 / 88.4, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("CRP (mg/L)", ("CRP", "mg/L")), ("CRP [mg/l]", ("CRP", "mg/l")),
     ("crp_mg_l", ("crp", "mg/l")),
     ("CRP mg/L", ("CRP", "mg/L")), ("PT (INR)", ("PT", "INR")), ("CD4", ("CD4", ""))],
)  # fmt: skip
def test_units_in_names(name: str, wanted: tuple[str, str]) -> None:
    assert name_and_unit(name) == wanted


@pytest.mark.parametrize(
    ("names", "markers", "times"),
    [
        (["PCT_d1", "PCT_d4"], {"PCT"}, {1, 4}),
        (["pct.0", "pct.7"], {"pct"}, {0, 7}),
        (["V3.GE", "V5.GE", "BL.GE"], {"GE"}, {0, 3, 5}),
        (["IL-6_d1", "IL-6_d2"], {"IL-6"}, {1, 2}),
        (["IL-6", "IL-8", "IL-10"], set(), set()),
        (["C3", "C4"], set(), set()),
        (["lactate_0h", "lactate_24h"], {"lactate"}, {0, 24}),
    ],
)
def test_markers_and_times_in_names(names: list[str], markers: set[str], times: set[int]) -> None:
    places = find_families(names)
    assert {p.marker for p in places} == markers
    assert {p.time for p in places} == times


def test_the_order_of_day_and_month_is_not_made_up() -> None:
    assert read_dates(["03/04/2023", "05/06/2023"]).sure is False
    assert read_dates(["13/04/2023", "05/06/2023"]).order == "day"
    assert read_dates(["03/14/2023", "05/06/2023"]).order == "month"
    assert read_dates(["03.04.2023"]).sure is True


def test_values_of_another_unit_are_pointed_out() -> None:
    truth = simulate(5)
    labs = visits_frame(truth, "patient_id", "day")
    labs["Platelets"] = [str(1000 * int(x)) if x else "" for x in labs["Platelets"]]
    labs = labs.rename(columns={"Platelets": "Platelets (10^9/L)"})
    drafted = ls.draft({"p": patients_frame(truth, EN, CONTROL), "m": labs})
    (said,) = [text for text in drafted.warnings if "usual range of Platelets" in text]
    assert said.endswith('they would fit "/uL"')
    assert "LOOK" in drafted.to_toml()


LATER = {
    "words in a date of death": ("Todesdatum", lambda x: x or "lebt"),
    "compact dates": ("all", lambda x: x.replace("-", "")),
    "month names": ("all", lambda x: x and pd.Timestamp(x).strftime("%d-%b-%Y")),
    "time zones": ("all", lambda x: x and f"{x}T00:00:00+02:00"),
}


@pytest.mark.parametrize("kind", LATER)
def test_dates_in_other_dress(kind: str) -> None:
    columns, dress = LATER[kind]
    truth = simulate(32)
    names = ("id", "arm", "admission_date", "Todesdatum", "last_contact_date")
    patients = dated(truth, "%Y-%m-%d", names, CONTROL)
    labs = dated_visits(truth, "id", "sample_date", "%Y-%m-%d")
    for frame in (patients, labs):
        for name in frame.columns:
            if name == columns or (columns == "all" and ("dat" in name)):
                frame[name] = frame[name].map(dress)
    assert verdict(ls.draft({"p": patients, "m": labs}), answer(truth, CONTROL)) == []


def test_a_marker_in_two_units_is_left_to_choose() -> None:
    truth = simulate(47)
    labs = visits_frame(truth, "patient_id", "day")
    labs["CRP"] = [
        f"{x} mg/L" if k % 2 else f"{float(x or 0) / 10} mg/dL" for k, x in enumerate(labs["CRP"])
    ]
    drafted = ls.draft({"p": patients_frame(truth, EN, CONTROL), "m": labs})
    assert not drafted.complete and "unit of CRP" in drafted.open
    assert "# [markers.CRP]" in drafted.to_toml()


def test_units_in_the_values_of_a_long_table() -> None:
    truth = simulate(35)
    labs = long_frame(truth, "patient_id", "day", "analyte", "result")
    units = {lab.name: lab.unit for lab in truth.labs}
    labs["result"] = [
        f"{a} {units[b]}" for a, b in zip(labs["result"], labs["analyte"], strict=True)
    ]
    drafted = ls.draft({"p": patients_frame(truth, EN, CONTROL), "m": labs})
    assert verdict(drafted, answer(truth, CONTROL, units=True)) == []


def test_thousands_with_points_beside_decimal_commas() -> None:
    truth = simulate(2)
    labs = visits_frame(truth, "patient_id", "day", comma=True)
    labs["Platelets"] = [f"{int(x)}.000" if x else "" for x in labs["Platelets"]]
    drafted = ls.draft({"p": patients_frame(truth, EN, CONTROL), "m": labs})
    assert drafted.measurements is not None
    values = drafted.cohort().marker_data("Platelets")["value"]
    right = truth.rows["Platelets"].dropna() * 1000
    assert sorted(values) == sorted(right)


@pytest.mark.study
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_million_rows_take_less_than_ten_seconds(kind: str, tmp_path: Path) -> None:
    from time import perf_counter

    n, rng = 200_000, np.random.default_rng(1)
    died = rng.random(n) < 0.2
    patients = pd.DataFrame(
        {
            "patient_id": np.arange(n),
            "treatment": np.where(rng.random(n) < 0.5, "control", "IVIG"),
            "followup_days": np.where(died, rng.integers(5, 28, n), 28),
            "died": died.astype(int),
        }
    )
    labs = pd.DataFrame({"patient_id": np.repeat(np.arange(n), 5), "day": np.tile(range(5), n)})
    for name, centre in (("PCT", 2.0), ("CRP", 4.5), ("Platelets", 5.2)):
        labs[name] = np.exp(rng.normal(centre, 0.5, 5 * n)).round(1)
    files = [tmp_path / f"patients.{kind}", tmp_path / f"labs.{kind}"]
    for frame, path in zip((patients, labs), files, strict=True):
        if kind == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
    begin = perf_counter()
    written = draft_files(files).write(tmp_path / "study.toml")
    assert perf_counter() - begin < 10
    assert len(written) == 1
