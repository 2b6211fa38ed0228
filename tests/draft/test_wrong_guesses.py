"""Exports of kinds that were once read wrongly and called sure: what is read now, or doubted."""

from __future__ import annotations

import datetime as dt
import runpy
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from longsurv import read_cohort
from longsurv.cli import DONE, main
from longsurv.draft import Draft, draft_files
from longsurv.errors import DataError

N = 30
IDS = [f"P{k:03}" for k in range(N)]
ARMS = [("control", "ivig")[k % 2] for k in range(N)]
DIED = np.arange(N) % 3 == 0
DAYS = 10 + np.arange(N) % 17
VISITS = (0, 3, 7)


def people(**more: object) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": IDS, "treatment": ARMS, **more})


def outcome() -> dict[str, object]:
    return {"follow_up_days": DAYS, "died": np.where(DIED, "yes", "no")}


def visits(ids: list[str] = IDS) -> pd.DataFrame:
    rows = [(i, d, 20.5 + k + d, 100 + k - d) for k, i in enumerate(ids) for d in VISITS]
    return pd.DataFrame(rows, columns=["patient_id", "day", "CRP", "Platelets"])


def written(folder: Path, sep: str = ",", **frames: pd.DataFrame) -> list[Path]:
    paths = []
    for name, frame in frames.items():
        paths.append(folder / f"{name}.csv")
        frame.to_csv(paths[-1], index=False, sep=sep)
    return paths


def of(folder: Path, frame: pd.DataFrame, sep: str = ",") -> Draft:
    return draft_files(written(folder, sep, people=frame, visits=visits()))


def how(draft: Draft, about: str) -> str:
    return next(g.sureness for g in draft.guesses if g.about == about)


def why(draft: Draft, about: str) -> str:
    return next(g.sentence() for g in draft.guesses if g.about == about)


def made_again(draft: Draft, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold what the script makes to the tidy copy."""
    paths = draft.write(folder / "study.toml")
    first = [pd.read_csv(path) for path in paths[1:-1]]
    monkeypatch.chdir(folder)
    runpy.run_path("study_tidy.py")
    for before, path in zip(first, paths[1:-1], strict=True):
        pd.testing.assert_frame_equal(before, pd.read_csv(path), check_dtype=False)


# Who died, and how long the others were followed -------------------------------------------------


def test_days_to_death_are_no_follow_up_of_the_living(tmp_path: Path) -> None:
    dead = np.where(DIED, DAYS, np.nan)
    draft = of(tmp_path, people(days_to_death=dead, died=DIED.astype(int)))
    assert how(draft, "time") == "doubtful" and "last contact" in why(draft, "time")
    draft = of(tmp_path, people(days_to_death=dead))
    assert how(draft, "time") == "doubtful" and how(draft, "status") == "likely"
    draft = of(tmp_path, people(days_to_death=dead, **outcome()))
    assert draft.complete and why(draft, "time").count("follow_up_days")


def test_days_to_death_and_days_to_the_last_contact_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = np.where(DIED, DAYS, np.nan), np.where(DIED, np.nan, DAYS)
    draft = of(tmp_path, people(**{"days to death": dead, "last contact (days)": alive}))
    found = draft.cohort().survival_data()
    np.testing.assert_array_equal(found["exit"], DAYS)
    np.testing.assert_array_equal(found["event"].astype(bool), DIED)
    made_again(draft, tmp_path, monkeypatch)
    # Of two units they are no one time.
    draft = of(tmp_path, people(**{"months to death": dead, "last contact (days)": alive}))
    assert not draft.complete


@pytest.mark.parametrize("mark", ["1", "x", "\u2713", "yes"])
def test_a_mark_of_those_who_died_leaves_the_others_in(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = of(tmp_path, people(futime=DAYS, death=np.where(DIED, mark, "")))
    assert how(draft, "status") == "likely"
    found = draft.cohort().survival_data()
    np.testing.assert_array_equal(found["event"].astype(bool), DIED)
    made_again(draft, tmp_path, monkeypatch)


@pytest.mark.parametrize("code", [-1, 999])
def test_a_code_among_times_is_doubted(code: int, tmp_path: Path) -> None:
    frame = people(**outcome())
    frame.loc[4, "follow_up_days"] = code
    draft = of(tmp_path, frame)
    assert how(draft, "time") == "doubtful" and f'missing = ["{code}"]' in why(draft, "time")


def test_an_outcome_that_most_have_may_be_that_of_the_living(tmp_path: Path) -> None:
    frame = people(days=DAYS, outcome=(~DIED).astype(int))
    assert how(of(tmp_path, frame), "status") == "doubtful"
    assert how(of(tmp_path, frame.assign(outcome=DIED.astype(int))), "status") == "likely"
    assert how(of(tmp_path, frame.rename(columns={"outcome": "event"})), "status") == "likely"


def test_survival_of_yes_and_no_is_no_time(tmp_path: Path) -> None:
    draft = of(tmp_path, people(time=DAYS, survival=(~DIED).astype(int)))
    found = draft.cohort().survival_data()
    np.testing.assert_array_equal(found["event"].astype(bool), DIED)
    np.testing.assert_array_equal(found["exit"], DAYS)


def dated(death: object = None, **more: object) -> pd.DataFrame:
    begin = pd.Timestamp("2023-03-14") + pd.to_timedelta(np.arange(N) * 5, unit="D")
    end = (begin + pd.to_timedelta(DAYS, unit="D")).strftime("%Y-%m-%d")
    dead = pd.Series(np.where(DIED, end, ""), dtype=object)
    admitted = begin.strftime("%Y-%m-%d")
    frame = people(admission_date=admitted, last_contact=end, death_date=dead, **more)
    if death is not None:
        frame.loc[4, "death_date"] = death
    return frame


@pytest.mark.parametrize("word", ["unknown", "31.02.2023", "05.2023", "yes"])
def test_a_date_of_death_that_is_none_is_doubted(word: str, tmp_path: Path) -> None:
    draft = of(tmp_path, dated(word))
    assert how(draft, "status") == "doubtful" and "did they die" in why(draft, "status")


@pytest.mark.parametrize("word", ["alive", "9999-12-31", "n/a", "-", "lebt"])
def test_what_says_that_nobody_died_is_not(word: str, tmp_path: Path) -> None:
    draft = of(tmp_path, dated(word))
    assert draft.complete
    assert draft.cohort().survival_data()["event"].sum() == DIED.sum()


def test_a_date_that_is_none_is_said(tmp_path: Path) -> None:
    frame = dated()
    frame.loc[5, "admission_date"] = "2023-02-30"
    draft = of(tmp_path, frame)
    assert any('"2023-02-30" (1)' in text for text in draft.warnings)
    assert how(draft, "time") == "likely"


def test_a_status_is_compared_with_dates_of_death_in_another_table(tmp_path: Path) -> None:
    frame = dated()
    stays = frame[["patient_id", "admission_date", "last_contact"]].assign(
        hospital_expire_flag=DIED.astype(int)
    )
    persons = frame[["patient_id", "treatment"]].assign(dod=frame["death_date"])
    draft = draft_files(written(tmp_path, persons=persons, stays=stays, visits=visits()))
    assert how(draft, "status") == "sure"
    stays.loc[1, "hospital_expire_flag"] = 1
    draft = draft_files(written(tmp_path, persons=persons, stays=stays, visits=visits()))
    assert how(draft, "status") == "doubtful" and "otherwise" in why(draft, "status")


def test_the_midnight_that_ends_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = pd.Timestamp("2023-03-14") + pd.to_timedelta(np.arange(N) * 5, unit="D")

    def ends(days: pd.DatetimeIndex) -> list[str]:
        return [(d - dt.timedelta(days=1)).strftime("%d.%m.%Y 24:00") for d in days]

    end = ends(begin + pd.to_timedelta(DAYS, unit="D"))
    frame = people(admission_date=ends(begin), last_contact=end)
    frame["death_date"] = np.where(DIED, end, "")
    draft = of(tmp_path, frame)
    np.testing.assert_array_equal(draft.cohort().survival_data()["exit"], DAYS)
    made_again(draft, tmp_path, monkeypatch)
    (tmp_path / "mine.toml").write_text(
        '[patients]\nfile = "people.csv"\npatient = "patient_id"\ntreatment = "treatment"\n'
        'reference = "control"\n[outcome]\nexit = "last_contact"\nstatus = "treatment"\n'
        'event = "ivig"\ncensored = "control"\ntime_zero = "admission_date"\n'
    )
    found = read_cohort(tmp_path / "mine.toml").survival_data()
    np.testing.assert_array_equal(found["exit"], DAYS)


def test_short_years_beside_long_ones_come_last(tmp_path: Path) -> None:
    begin = pd.Timestamp("2023-03-14") + pd.to_timedelta(np.arange(N) * 5, unit="D")
    end = begin + pd.to_timedelta(DAYS, unit="D")

    def mixed(days: pd.DatetimeIndex) -> list[str]:
        short = [f"{d.day}/{d.month}/{d:%y}" for d in days]
        return [f"{d:%Y-%m-%d}" if k % 2 else short[k] for k, d in enumerate(days)]

    frame = people(admission_date=mixed(begin), last_contact=mixed(end), died=outcome()["died"])
    draft = of(tmp_path, frame)
    assert draft.complete
    np.testing.assert_array_equal(draft.cohort().survival_data()["exit"], DAYS)


def test_hours_beside_a_time_of_no_unit_are_doubted(tmp_path: Path) -> None:
    v = visits().rename(columns={"day": "hours since admission"})
    frame = people(time=DAYS, status=DIED.astype(int))
    draft = draft_files(written(tmp_path, people=frame, visits=v))
    assert how(draft, "time") == "doubtful" and "nothing says its unit" in why(draft, "time")


def test_a_time_in_words_is_named(tmp_path: Path) -> None:
    frame = people(died=outcome()["died"])
    frame["follow-up"] = [f"{d} d" for d in DAYS]
    draft = of(tmp_path, frame)
    assert how(draft, "time") == "doubtful" and '"10 d"' in why(draft, "time")


# Numbers -----------------------------------------------------------------------------------------


def numbers(folder: Path, texts: list[str], sep: str) -> Draft:
    v = visits().drop(columns="CRP")
    v["PCT"] = [texts[k % len(texts)] for k in range(len(v))]
    return draft_files(written(folder, sep, people=people(**outcome()), visits=v))


def test_three_figures_behind_a_comma_are_no_thousands_where_nothing_says_so(
    tmp_path: Path,
) -> None:
    texts = ["1,234", "15,450", "2,107"]
    draft = numbers(tmp_path, texts, ";")  # which stands where the comma is taken
    assert draft.complete
    values = draft.cohort().measurements.query("marker == 'PCT'")["value"]
    assert set(values) == {1.234, 15.45, 2.107}
    draft = numbers(tmp_path, texts, ",")
    assert not draft.complete and "numbers of PCT" in draft.open
    assert "# [markers.PCT]" in draft.to_toml()
    assert numbers(tmp_path, [*texts, "850"], ",").complete  # it has no decimals


def test_thousands_of_a_file_with_semicolons_are_doubted(tmp_path: Path) -> None:
    assert "numbers of PCT" in numbers(tmp_path, ["1.234", "15.450", "2.107"], ";").open
    assert numbers(tmp_path, ["1.234", "15.45", "2.107"], ";").complete


def test_a_number_that_comes_again_far_from_all_others_is_a_code(tmp_path: Path) -> None:
    v = visits()
    v["novelmarker"] = np.arange(len(v)) % 7 + 1.5
    v.loc[[3, 9], "novelmarker"] = 9999
    draft = draft_files(written(tmp_path, people=people(**outcome()), visits=v))
    assert draft.cohort().measurements.query("marker == 'novelmarker'")["value"].max() < 10
    assert any("9999" in text for text in draft.warnings)
    v.loc[9, "novelmarker"] = 2.5
    draft = draft_files(written(tmp_path, people=people(**outcome()), visits=v))
    assert any("9999 may stand for a missing value" in text for text in draft.warnings)


def test_a_marker_in_two_spellings_is_one(tmp_path: Path) -> None:
    wide = visits().pivot(index="patient_id", columns="day", values="CRP")
    wide.columns = pd.Index(["CRP_day_0", "crp_day_3", "CRP_day_7"])
    frame = people(**outcome()).merge(wide.reset_index(), on="patient_id")
    draft = draft_files(written(tmp_path, frame=frame))
    assert len(draft.cohort().measurements) == 3 * N


def test_units_of_columns_beside_units_of_time(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    frame = people(**outcome()).merge(visits(), on="patient_id")
    units = [None, None, "days", "yes/no", "day", "mg/L", "10^9/L"]
    for row in (list(frame.columns), units, *frame.astype(object).values.tolist()):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    cohort = draft_files([tmp_path / "t.xlsx"]).cohort()
    assert {name: m.unit for name, m in cohort.markers.items()} == {
        "CRP": "mg/L", "Platelets": "10^9/L"
    }  # fmt: skip


# Groups ------------------------------------------------------------------------------------------


def test_groups_by_what_patients_are_are_no_sure_treatment(tmp_path: Path) -> None:
    frame = people(**outcome()).rename(columns={"treatment": "age group"})
    assert how(of(tmp_path, frame.replace({"control": "young", "ivig": "old"})), "treatment") == (
        "doubtful"
    )
    frame = frame.rename(columns={"age group": "ward group"})
    assert how(of(tmp_path, frame), "treatment") == "likely"
    frame["group"] = np.where(DIED, "non-survivors", "survivors")
    frame["treated"] = frame.pop("ward group").map({"control": 0, "ivig": 1})
    assert next(g.value for g in of(tmp_path, frame).guesses if g.about == "treatment") == "treated"


@pytest.mark.parametrize(
    "slip", ["imunglobulin", "immunglobullin", "immungolbulin", "immunglobumin"]
)
def test_a_slip_in_a_group_is_pointed_out(slip: str, tmp_path: Path) -> None:
    arms = ["immunglobulin" if arm == "ivig" else arm for arm in ARMS]
    frame = people(**outcome()).assign(treatment=arms)
    assert how(of(tmp_path, frame), "treatment") == "sure"
    frame.loc[3, "treatment"] = slip
    assert how(of(tmp_path, frame), "treatment") == "doubtful"


@pytest.mark.parametrize("names", [("Drug A", "Drug B"), ("low dose", "high dose")])
def test_groups_of_like_names_are_two(names: tuple[str, str], tmp_path: Path) -> None:
    frame = people(**outcome()).replace({"control": names[0], "ivig": names[1]})
    assert how(of(tmp_path, frame), "treatment") == "sure"


@pytest.mark.parametrize("reshaped", [False, True])
def test_an_unknown_group_is_no_group(
    reshaped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = dated() if reshaped else people(**outcome())
    frame.loc[[2, 5], "treatment"] = "unknown"
    draft = of(tmp_path, frame)
    assert draft.complete and any('"unknown" (2)' in text for text in draft.warnings)
    assert draft.cohort().n_by_group == {"control": 14, "ivig": 14}
    if reshaped:
        made_again(draft, tmp_path, monkeypatch)


def test_a_legend_names_the_groups_and_the_reference(tmp_path: Path) -> None:
    name = "group (1 = IVIG, 2 = control)"
    frame = people(**outcome())
    frame[name] = frame.pop("treatment").map({"control": 2, "ivig": 1})
    draft = of(tmp_path, frame)
    assert 'labels = {"2" = "control", "1" = "IVIG"}' in draft.to_toml()
    assert "\nreference = 2\n" in draft.to_toml()


@pytest.mark.parametrize("name", ["ivig_dose_g", "ivig_start_date"])
def test_what_may_tell_who_was_treated_is_named(name: str, tmp_path: Path) -> None:
    given = [("2023-04-05" if "date" in name else 30) if arm == "ivig" else None for arm in ARMS]
    frame = people(**outcome()).drop(columns="treatment").assign(**{name: given})
    draft = of(tmp_path, frame)
    assert not draft.complete and name in why(draft, "treatment")


# Several tables ----------------------------------------------------------------------------------


def test_patients_called_differently_are_doubted(tmp_path: Path, capsys) -> None:
    v = visits([i.lower() for i in IDS])
    paths = written(tmp_path, people=people(**outcome()), visits=v)
    draft = draft_files(paths)
    assert how(draft, "patient") == "doubtful" and '"p000"' in why(draft, "patient")
    (tmp_path / "mine.toml").write_text(
        '[patients]\nfile = "people.csv"\npatient = "patient_id"\ntreatment = "treatment"\n'
        'reference = "control"\n[outcome]\nexit = "follow_up_days"\nstatus = "died"\n'
        'event = "yes"\ncensored = "no"\n[measurements]\nfile = "visits.csv"\ntime = "day"\n'
        'patient = "patient_id"\nwide = true\nexclude_other_patients = true\n[markers.CRP]\n'
    )
    with pytest.raises(DataError) as refused:
        read_cohort(tmp_path / "mine.toml")
    assert "identifiers alike" in str(refused.value) and "correct its name" not in str(
        refused.value
    )


def excel(folder: Path, **sheets: pd.DataFrame) -> list[Path]:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, frame in sheets.items():
        page = book.create_sheet(name)
        for row in (list(frame.columns), *frame.astype(object).values.tolist()):
            page.append(row)
    book.save(folder / "t.xlsx")
    return [folder / "t.xlsx"]


def test_a_sheet_a_marker_with_a_column_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets = {}
    for name in ("CRP", "Platelets"):
        wide = visits().pivot(index="patient_id", columns="day", values=name)
        wide.columns = pd.Index([f"Day {d}" for d in VISITS])
        sheets[name] = wide.reset_index()
    draft = draft_files(excel(tmp_path, people=people(**outcome()), **sheets))
    assert draft.complete
    found = draft.cohort().measurements
    assert found.groupby("marker", observed=True)["value"].sum().to_dict() == {
        name: visits()[name].sum() for name in ("CRP", "Platelets")
    }
    made_again(draft, tmp_path, monkeypatch)


def test_a_sheet_a_marker_with_a_row_a_measurement(tmp_path: Path) -> None:
    sheets = {
        name: visits()[["patient_id", "day", name]].rename(columns={name: "result"})
        for name in ("CRP", "Platelets")
    }
    draft = draft_files(excel(tmp_path, people=people(**outcome()), **sheets))
    assert set(draft.cohort().markers) == {"CRP", "Platelets"}


@pytest.mark.parametrize("names", [("control", "ivig"), ("2022", "2023")])
def test_a_sheet_a_group(
    names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people(**outcome()).merge(visits(), on="patient_id")
    sheets = {
        name: frame[frame["treatment"] == arm].drop(columns="treatment")
        for name, arm in zip(names, ("control", "ivig"), strict=True)
    }
    draft = draft_files(excel(tmp_path, **sheets))
    if names[0] == "2022":
        assert how(draft, "treatment") == "doubtful"
        return
    assert how(draft, "treatment") == "likely"
    assert draft.cohort().n_by_group == {"control": 15, "ivig": 15}
    made_again(draft, tmp_path, monkeypatch)


def test_sheets_that_number_their_patients_anew_are_told_apart(tmp_path: Path) -> None:
    frame = people(**outcome()).merge(visits(), on="patient_id")
    sheets = {}
    for arm in ("control", "ivig"):
        part = frame[frame["treatment"] == arm].drop(columns="treatment")
        sheets[arm] = part.assign(patient_id=pd.factorize(part["patient_id"])[0] + 1)
    draft = draft_files(excel(tmp_path, **sheets))
    assert how(draft, "patient") == "doubtful"
    assert len(draft.patients) == N


@pytest.mark.parametrize("first", ["P", ""])
def test_a_sheet_a_patient(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"{first}{k + 101}" for k in range(N)]
    sheets = {i: rows.drop(columns="patient_id") for i, rows in visits(ids).groupby("patient_id")}
    overview = people(**outcome()).assign(patient_id=ids)
    draft = draft_files(excel(tmp_path, overview=overview, **sheets))
    assert len(draft.cohort().measurements) == 2 * N * len(VISITS)
    made_again(draft, tmp_path, monkeypatch)


CONCEPTS = {3020460: "C reactive protein [Mass/volume] in Serum or Plasma",
            3024929: "Platelets [#/volume] in Blood"}  # fmt: skip


@pytest.mark.parametrize("named", [True, False])
def test_markers_by_codes(named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = visits().melt(["patient_id", "day"], var_name="name", value_name="value_as_number")
    code = dict(zip(("CRP", "Platelets"), CONCEPTS, strict=True))
    long.insert(2, "measurement_concept_id", long["name"].map(code))
    long["unit_concept_id"] = long["name"].map({"CRP": 8751, "Platelets": 8848})
    long.insert(0, "measurement_id", np.arange(len(long)))
    frames = {"people": people(**outcome()), "measurement": long.drop(columns="name")}
    if named:
        frames["concept"] = pd.DataFrame(
            {"concept_id": list(CONCEPTS), "concept_name": list(CONCEPTS.values())}
        )
    draft = draft_files(written(tmp_path, **frames))
    assert set(draft.markers) == set(CONCEPTS.values() if named else map(str, CONCEPTS))
    assert len(draft.cohort().measurements) == 2 * len(visits())
    assert len(draft.patients) == N
    if named:
        made_again(draft, tmp_path, monkeypatch)


def test_a_column_called_marker_with_one_row_a_time_is_no_code(tmp_path: Path) -> None:
    v = visits().rename(columns={"CRP": "value", "Platelets": "marker"})
    draft = draft_files(written(tmp_path, people=people(**outcome()), visits=v))
    assert set(draft.markers) == {"value", "marker"}


def test_whole_numbers_saved_as_others_are_the_same_identifiers(tmp_path: Path) -> None:
    p = people(**outcome()).assign(patient_id=range(101, 101 + N))
    v = visits().assign(patient_id=np.repeat(np.arange(101.0, 101 + N), len(VISITS)))
    cohort = draft_files(written(tmp_path, people=p, visits=v)).cohort()
    assert len(cohort.measurements) == 2 * len(v)


# Times -------------------------------------------------------------------------------------------


def test_hours_in_some_names_of_columns_hold_for_all(tmp_path: Path) -> None:
    wide = visits().pivot(index="patient_id", columns="day", values="CRP")
    wide.columns = pd.Index(["CRP_T0", "CRP_T24h", "CRP_48"])
    frame = people(**outcome()).merge(wide.reset_index(), on="patient_id")
    draft = draft_files(written(tmp_path, frame=frame))
    assert how(draft, "measurements") == "likely"
    assert set(draft.cohort().measurements["measurement_time"]) == {0, 1, 2}


@pytest.mark.parametrize("latest", [47, 23])
def test_hours_and_minutes_since_admission(
    latest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v = visits().rename(columns={"day": "Time"})
    clock = {0: "00:07", 3: "11:30", 7: f"{latest}:15"}
    v["Time"] = v["Time"].map(clock)
    draft = draft_files(written(tmp_path, people=people(**outcome()), visits=v))
    assert how(draft, "measurement time") == ("likely" if latest > 24 else "doubtful")
    if latest > 24:
        found = set(draft.cohort().measurements["measurement_time"].round(4))
        assert found == {round(h / 24, 4) for h in (7 / 60, 11.5, 47.25)}
        made_again(draft, tmp_path, monkeypatch)


@pytest.mark.parametrize("last", ["1 week", "7"])
def test_times_in_words_with_several_units(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v = visits()
    v["day"] = v["day"].map({0: "Baseline", 3: "72 h", 7: last})
    v.loc[v["patient_id"] == IDS[0], "day"] = ["Baseline", "Day 3", last]
    draft = draft_files(written(tmp_path, people=people(**outcome()), visits=v))
    assert how(draft, "measurement time") == ("likely" if "week" in last else "doubtful")
    if "week" in last:
        assert set(draft.cohort().measurements["measurement_time"]) == {0, 3, 7}
        made_again(draft, tmp_path, monkeypatch)


@pytest.mark.parametrize("odd", [False, True])
def test_events_of_a_database_of_trials(odd: bool, tmp_path: Path) -> None:
    v = visits().rename(columns={"patient_id": "record_id"})
    event = {0: "baseline_arm_1", 3: "day_3_arm_1", 7: "surgery_arm_1" if odd else "day_7_arm_1"}
    v.insert(1, "redcap_event_name", v.pop("day").map(event))
    v.insert(2, "redcap_repeat_instance", np.arange(len(v)) % 3 + 1)
    frame = people(**outcome()).rename(columns={"patient_id": "record_id"})
    end = frame.assign(redcap_event_name="end_of_study_arm_1")
    draft = draft_files(written(tmp_path, redcap=pd.concat([v, end])))
    assert set(draft.markers) == {"CRP", "Platelets"}
    assert how(draft, "measurement time") == ("doubtful" if odd else "likely")
    if not odd:
        assert set(draft.cohort().measurements["measurement_time"]) == set(VISITS)


@pytest.mark.parametrize("name", ["CRP_E{}_C1", "CRP{}"])
def test_columns_that_may_be_one_marker_are_named(name: str, tmp_path: Path) -> None:
    frame = people(**outcome())
    for k in (1, 2, 3):
        frame[name.format(k)] = 20.5 + k + np.arange(N)
    draft = draft_files(written(tmp_path, frame=frame))
    assert how(draft, "measurements") == "doubtful"
    assert name.format(2) in why(draft, "measurements")


@pytest.mark.parametrize(("times", "found"), [((1, 2, 3), "doubtful"), ((1, 4, 7), "likely")])
def test_numbers_behind_a_marker_that_may_be_those_of_visits(
    times: tuple[int, ...], found: str, tmp_path: Path
) -> None:
    frame = people(**outcome())
    for k in times:
        frame[f"CRP_{k}"] = 20.5 + k + np.arange(N)
    assert how(draft_files(written(tmp_path, frame=frame)), "measurements") == found


def test_files_of_years_are_no_groups(tmp_path: Path) -> None:
    v = visits()
    first = v["patient_id"] < IDS[15]
    frame = people(**outcome()).rename(columns={"treatment": "arm of study"})
    draft = draft_files(written(tmp_path, p=frame, labs_2022=v[first], labs_2023=v[~first]))
    assert how(draft, "treatment") == "sure"
    assert len(draft.cohort().measurements) == 2 * len(v)


# Languages ---------------------------------------------------------------------------------------

WORDS = {
    "Spanish": ("paciente", "tratamiento", "seguimiento (días)", "estado", "fallecido", "vivo"),
    "Italian": ("paziente", "trattamento", "follow-up (giorni)", "stato", "deceduto", "vivo"),
    "Dutch": ("patiënt", "behandeling", "follow-up (dagen)", "status", "overleden", "levend"),
    "Portuguese": ("paciente", "tratamento", "seguimento (dias)", "desfecho", "óbito", "vivo"),
    "Chinese": ("病人编号", "治疗", "随访天数", "结局", "死亡", "存活"),
}


@pytest.mark.parametrize("language", WORDS)
def test_other_languages(language: str, tmp_path: Path) -> None:
    ident, arm, time, status, dead, alive = WORDS[language]
    frame = pd.DataFrame({ident: IDS, arm: ARMS, time: DAYS, status: np.where(DIED, dead, alive)})
    v = visits().rename(columns={"patient_id": ident})
    draft = draft_files(written(tmp_path, people=frame, visits=v))
    found = draft.cohort().survival_data()
    np.testing.assert_array_equal(found["event"].astype(bool), DIED)
    assert draft.cohort().schema.time_unit == "days"
    draft.write(tmp_path / "study.toml")
    assert main(["check", str(tmp_path / "study.toml")]) == DONE


# Several ends ------------------------------------------------------------------------------------


def ends() -> pd.DataFrame:
    frame = people(age=40 + np.arange(N))
    rows = [
        frame.assign(
            etype=kind, time=DAYS + 100 * kind, status=(np.arange(N) % (kind + 2) == 0) + 0
        )
        for kind in (1, 2)
    ]
    rows = [part.astype({"status": int}) for part in rows]
    return pd.concat(rows).sort_values(["patient_id", "etype"]).reset_index(drop=True)


def test_a_row_for_each_kind_of_end_leaves_a_choice_and_no_reshaping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = draft_files(written(tmp_path, ends=ends().rename_axis("rownames").reset_index()))
    assert how(draft, "time") == "doubtful" and '"time (etype 2)"' in why(draft, "time")
    made_again(draft, tmp_path, monkeypatch)
    text = (tmp_path / "study.toml").read_text()
    for key in ("exit = ", "status = "):
        text = text.replace(f"# {key}", key)
    (tmp_path / "mine.toml").write_text(text)
    found = read_cohort(tmp_path / "mine.toml").survival_data()
    np.testing.assert_array_equal(found["exit"], DAYS + 100)
    np.testing.assert_array_equal(found["event"], np.arange(N) % 3 == 0)


def test_rows_of_visits_are_no_kinds_of_end(tmp_path: Path) -> None:
    frame = ends().assign(CRP=np.arange(2 * N) + 0.5)
    assert draft_files(written(tmp_path, frame=frame)).patients.shape[0] == N
    assert "time (etype 1)" not in draft_files(written(tmp_path, frame=frame)).patients
    given = ends().drop(columns="treatment").rename(columns={"etype": "trt"})
    assert "time (trt 1)" not in draft_files(written(tmp_path, frame=given)).patients
