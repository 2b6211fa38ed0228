"""Tables as new users bring them: totals, footnotes, merged names, names of persons."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from longsurv import LongsurvError, read_cohort
from longsurv.cli import DONE, main
from longsurv.cohort.lines import key_lines
from longsurv.draft import Draft, draft_files

PEOPLE = [f"{a} {b}" for a in ("Anna", "Jean", "Marie", "Luc") for b in ("Petit", "Roux", "Blanc")]
ROWS = [(k + 1, "ab"[k % 2], 5 + 3 * k, "no" if k % 3 else "yes") for k in range(24)]
TAILS = {
    "total": ["Total,,984,8"],
    "mean and note": ["Mean,,41,", "Note: days since admission,,,"],
    "French": ["Moyenne,,41,", "Écart-type,,21,"],
    "German": ["Summe,,984,8"],
    "none": [],
}


def drafted(folder: Path, text: str) -> Draft:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return draft_files([folder / "t.csv"])


def lines(rows: list[tuple]) -> list[str]:
    return [",".join(map(str, row)) for row in rows]


def sureness(draft: Draft, about: str) -> str:
    return next(g.sureness for g in draft.guesses if g.about == about)


@pytest.mark.parametrize("tail", TAILS)
def test_totals_and_remarks_below_the_data_are_no_patients(tail: str, tmp_path: Path) -> None:
    head = "ID,Treatment,Follow-up (days),Died"
    draft = drafted(tmp_path, "\n".join([head, *lines(ROWS), *TAILS[tail]]) + "\n")
    assert draft.patients["ID"].astype(str).tolist() == [str(r[0]) for r in ROWS]
    assert sum("left out" in text for text in draft.warnings) == bool(TAILS[tail])
    draft.write(tmp_path / "study.toml")
    assert main(["check", str(tmp_path / "study.toml")]) == DONE


def test_a_word_that_the_column_uses_is_no_total(tmp_path: Path) -> None:
    rows = [(k // 2 + 1, ("Total", "Direct")[k % 2], k + 1.5) for k in range(24)]
    draft = drafted(
        tmp_path, "bilirubin,id,value\n" + "\n".join(f"{b},{a},{c}" for a, b, c in rows)
    )
    assert not any("left out" in text for text in draft.warnings)


def test_a_merged_name_stands_before_the_days_below_it(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Patient", None, "Follow-up", None, "CRP (mg/l)", None, None])
    sheet.append(["No.", "Regimen", "Days", "Died?", "Day 0", "Day 3", "Day 7"])
    for k, (a, b, c, d) in enumerate(ROWS):
        sheet.append([a, b, c, d, 80 + k, 60 + k, 40 + k])
    sheet.append(["Total", None, 984, 8, None, None, None])
    for area in ("A1:B1", "C1:D1", "E1:G1"):
        sheet.merge_cells(area)
    book.save(tmp_path / "t.xlsx")
    draft = draft_files([tmp_path / "t.xlsx"])
    assert draft.markers == ["CRP"]
    assert draft.measurements is not None
    assert sorted(draft.measurements["measurement_time"].unique()) == [0, 3, 7]
    assert len(draft.patients) == len(ROWS)


def test_names_of_persons_are_no_sure_identifiers(tmp_path: Path) -> None:
    twice = [*PEOPLE, *PEOPLE]
    text = "\n".join(
        f"{name},{','.join(map(str, row[1:]))}" for name, row in zip(twice, ROWS, strict=True)
    )
    draft = drafted(tmp_path, "Patient,Arm,Days,Died\n" + text)
    assert sureness(draft, "patient") == "doubtful" and "patient" in draft.open


def test_an_identifier_beside_names_of_persons_is_taken(tmp_path: Path) -> None:
    text = "\n".join(
        f"{n},K{r[0]:03},{','.join(map(str, r[1:]))}"
        for n, r in zip([*PEOPLE, *PEOPLE], ROWS, strict=True)
    )
    draft = drafted(tmp_path, "Patient,Case number,Arm,Days,Died\n" + text)
    assert next(g.value for g in draft.guesses if g.about == "patient") == "Case number"


def test_columns_of_one_name_are_pointed_out(tmp_path: Path) -> None:
    text = "\n".join(f"{a},{b},{c},{d},{d},,1" for a, b, c, d in ROWS)
    draft = drafted(tmp_path, "ID,Arm,Days,Died,Died,,Arm\n" + text)
    shown = [text for text in draft.warnings if "columns are called" in text]
    assert len(shown) == 2 and '"Died (2)"' in shown[1]


@pytest.mark.parametrize(("text", "count"), [("id,arm\n", "0 rows"), ("id,arm\n1,a\n", "1 row")])
def test_a_table_without_patients_says_so(text: str, count: str, tmp_path: Path) -> None:
    with pytest.raises(LongsurvError, match=f"{count} below the column names"):
        drafted(tmp_path, text)


def test_check_names_the_line_to_choose_in(tmp_path: Path, capsys) -> None:
    (tmp_path / "t.csv").write_text(
        "ID,Given,Days,Died\n" + "\n".join(lines(ROWS)), encoding="utf-8"
    )
    study = tmp_path / "study.toml"
    assert main(["init", str(tmp_path / "t.csv"), "-o", str(study)]) == DONE
    rows = study.read_text(encoding="utf-8").splitlines()
    capsys.readouterr()
    assert main(["check", str(study)]) != DONE
    at = next(k for k, row in enumerate(rows, 1) if row.startswith("# treatment ="))
    assert f'"treatment" is missing; expected text (line {at} has it behind #)' in (
        capsys.readouterr().err
    )
    text = "\n".join(rows).replace("# treatment =", "treatmnt =")
    study.write_text(text.replace('time_unit = "days"', "time_unit = 3"), encoding="utf-8")
    assert main(["check", str(study)]) != DONE
    said = capsys.readouterr().err
    assert f'did you mean "treatment"? (line {at})' in said
    at = next(k for k, row in enumerate(rows, 1) if row.startswith("time_unit ="))
    assert f"unit must be text, not 3 (line {at})" in said


def test_lines_of_keys() -> None:
    text = '[markers."IL-6"]\nunit = "a"\n# family = "b"\n# unit = "c"\n\n'
    text += '# [markers.CRP]\n# unit = "d"'
    assert key_lines(text) == {
        "markers.IL-6": {"unit": "line 2", "family": "line 3 has it behind #"},
        "markers.CRP": {"unit": "line 7 has it behind #"},
    }


@pytest.mark.parametrize("left", ["Discharge date", "Entlassungsdatum", "Date de sortie"])
def test_the_end_of_a_stay_is_not_surely_the_end_of_follow_up(left: str, tmp_path: Path) -> None:
    rows = [
        f"{k},{'ab'[k % 2]},2024-01-{k:02d},2024-02-{k:02d},{'yes' if k % 5 == 0 else 'no'}"
        for k in range(1, 21)
    ]
    for name, sureness in ((left, "likely"), ("Last contact date", "sure")):
        draft = drafted(tmp_path, f"ID,Arm,Admission date,{name},Died\n" + "\n".join(rows))
        time = next(guess for guess in draft.guesses if guess.about == "time")
        assert time.sureness == sureness, str(time)
        assert ("after discharge" in time.reason) == (sureness == "likely")


def _serial(stamp: dt.datetime) -> str:
    return f"{(stamp - dt.datetime(1899, 12, 30)) / dt.timedelta(days=1):.6g}"


def test_dates_as_days_of_a_spreadsheet(tmp_path: Path) -> None:
    first = dt.datetime(2023, 3, 14)
    rows = [("id", "arm", "admission date", "discharge date", "death date", "crp d0", "crp d2")]
    for k in range(12):
        day = first + dt.timedelta(days=3 * k, hours=12 * (k % 2))
        left = _serial(day + dt.timedelta(days=5 + k))
        dead = left if k % 3 == 0 else ""
        rows.append((k + 1, "ab"[k % 2], _serial(day), left, dead, 90 + k, 40 + k))
    draft = drafted(tmp_path, "\n".join(lines(rows)))
    assert draft.complete, draft.open
    assert sureness(draft, "time") == "likely"
    np.testing.assert_allclose(draft.cohort().survival_data()["exit"], 5 + np.arange(12))
    (tmp_path / "study.toml").write_text(
        '[patients]\nfile = "t.csv"\npatient = "id"\ntreatment = "arm"\nreference = "a"\n'
        '[outcome]\nexit = "discharge date"\nstatus = "arm"\nevent = "a"\ncensored = "b"\n'
        'time_zero = "admission date"\n'
    )
    np.testing.assert_allclose(
        read_cohort(tmp_path / "study.toml").survival_data()["exit"], 5 + np.arange(12)
    )


@pytest.mark.parametrize("name", ["Date of death or discharge", "Todes-/Entlassungsdatum"])
def test_an_end_of_either_kind_is_no_date_of_death(name: str, tmp_path: Path) -> None:
    rows = [("id", "arm", "admission", name, "died")]
    for k in range(20):  # one is still in the ward
        end = "" if k == 7 else f"2024-03-{10 + k % 15}"
        rows.append((k + 1, "ab"[k % 2], f"2024-02-{1 + k}", end, int(k % 3 == 0)))
    draft = drafted(tmp_path, "\n".join(lines(rows)))
    status = next(g for g in draft.guesses if g.about == "status")
    assert status.value == "died"
    assert draft.cohort().survival_data()["event"].sum() == 7


def test_last_contact_goes_before_discharge(tmp_path: Path) -> None:
    rows = [("id", "arm", "admission", "discharge", "last contact", "death date")]
    for k in range(12):
        dead = f"2024-05-{10 + k}" if k % 3 == 0 else ""
        seen = "" if dead else f"2024-06-{10 + k}"
        rows.append((k + 1, "ab"[k % 2], f"2024-02-{1 + k}", f"2024-03-{1 + k}", seen, dead))
    draft = drafted(tmp_path, "\n".join(lines(rows)))
    ends = draft.cohort().survival_data()["exit"]
    assert min(ends) > 90
    assert sureness(draft, "time") == "sure"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_long_table_of_one_marker(suffix: str, tmp_path: Path) -> None:
    people = pd.DataFrame(
        {"id": range(1, 25), "arm": ["a", "b"] * 12, "days": range(5, 29), "died": [1, 0, 0] * 8}
    )
    visits = pd.DataFrame(
        {"id": np.repeat(people["id"], 2), "day": [0, 3] * 24, "marker": "crp",
         "value": np.arange(48) + 20.5}
    )  # fmt: skip
    files = [tmp_path / f"people.{suffix}", tmp_path / f"visits.{suffix}"]
    for frame, path in zip((people, visits), files, strict=True):
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    drafted = draft_files(files)
    assert drafted.complete and not drafted.reshaped
    assert list(drafted.cohort().measurements["value"]) == list(visits["value"])


def test_columns_called_as_those_of_a_tidy_copy(tmp_path: Path) -> None:
    rows = [("id", "arm", "days", "died", "date", "value", "marker")]
    for k in range(20):
        rows += [
            (k, "ab"[k % 2], 9 + k, k % 2, f"2024-01-0{v}", 20 + k + v, 5 * v + k) for v in (1, 4)
        ]
    cohort = drafted(tmp_path, "\n".join(lines(rows))).cohort()
    assert set(cohort.markers) == {"value", "marker"}
    assert len(cohort.measurements) == 80


def test_an_outcome_without_a_time_says_what_is_missing(tmp_path: Path) -> None:
    rows = [("id", "arm", "died"), *((k, "ab"[k % 2], int(k % 3 == 0)) for k in range(20))]
    draft = drafted(tmp_path, "\n".join(lines(rows)))
    time = next(g for g in draft.guesses if g.about == "time")
    assert not draft.complete and time.sureness == "doubtful"
    assert "no column says when" in time.reason and "two_by_two" in time.reason


def test_what_is_no_number_is_not_taken_for_missing_in_silence(tmp_path: Path) -> None:
    rows = [("id", "arm", "days", "died", "day", "crp")]
    for k in range(40):
        value = {3: "n.d.", 7: "see below", 11: "12..5"}.get(k, 20.5 + k)
        rows += [
            (k, "ab"[k % 2], 9 + k, k % 2, 0, value),
            (k, "ab"[k % 2], 9 + k, k % 2, 4, 30 + k),
        ]
    draft = drafted(tmp_path, "\n".join(lines(rows)))
    (said,) = [text for text in draft.warnings if "taken for missing" in text]
    assert '"see below" (1)' in said and '"12..5" (1)' in said and "n.d." not in said
    assert "taken for missing" in draft.to_toml()
