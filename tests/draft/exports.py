"""Forty synthetic exports as hospitals and laboratories write them, with the right answers.

Each is made from one simulated truth (patients with a treatment and an outcome, measurements with
times), written down in the way the recipe says. The answers are those of the truth, never of what
was written, so that a reader is held to what the writer meant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """What a reader should find.

    Attributes
    ----------
    patients : DataFrame
        id (text), group (text), exit (days), event (bool); one row a patient.
    measurements : DataFrame
        id, time (days), marker (name in the file), value, censored; empty if there are none.
    units : mapping
        Unit of each marker where the file states one.
    sure : bool
        Whether everything that a study needs can be known from the files. Where it cannot, the
        right answer is to say so.
    """

    patients: pd.DataFrame
    measurements: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    sure: bool = True


@dataclass(frozen=True)
class Export:
    """Files on disk and what they mean."""

    name: str
    files: tuple[Path, ...]
    answer: Answer


@dataclass(frozen=True)
class Lab:
    """A marker as it is called somewhere: its name, unit, typical value, spread, digits."""

    name: str
    unit: str
    median: float
    spread: float
    digits: int


ENGLISH = (Lab("PCT", "ng/mL", 8.0, 1.1, 2), Lab("CRP", "mg/L", 140.0, 0.5, 1),
           Lab("Platelets", "10^9/L", 180.0, 0.45, 0))  # fmt: skip
GERMAN = (Lab("Thrombozyten", "G/l", 180.0, 0.45, 0), Lab("Kreatinin", "mg/dl", 1.4, 0.5, 2),
          Lab("Leukozyten", "G/l", 11.0, 0.4, 1))  # fmt: skip
FRENCH = (Lab("Plaquettes", "G/L", 180.0, 0.45, 0), Lab("Créatinine", "µmol/L", 110.0, 0.5, 0),
          Lab("Lactate", "mmol/L", 2.2, 0.5, 1))  # fmt: skip
JAPANESE = (Lab("血小板", "万/μL", 18.0, 0.45, 1), Lab("アンチトロンビン", "%", 62.0, 0.3, 0),
            Lab("乳酸", "mmol/L", 2.2, 0.5, 1))  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """A small cohort, before anybody writes it down."""

    ids: list[str]
    group: np.ndarray  # 0 reference, 1 treated
    exit: np.ndarray  # days, whole
    died: np.ndarray
    age: np.ndarray
    sex: np.ndarray
    start: list[dt.datetime]
    rows: pd.DataFrame  # patient (position), time (days), one column a marker
    labs: tuple[Lab, ...]


def simulate(
    seed: int,
    labs: tuple[Lab, ...] = ENGLISH,
    *,
    n: int = 36,
    days: Sequence[float] = (0, 1, 3, 7),
    ids: str = "number",
    clock: bool = False,
) -> Truth:
    """A cohort in which the recipe has something to find; `clock`: times within the day."""
    rng = np.random.default_rng(seed)
    names = {
        "number": [str(k + 1) for k in range(n)],
        "zeros": [f"{k + 1:04d}" for k in range(n)],
        "code": [f"P-{k + 11}" for k in range(n)],
        "long": [str(104_500_000 + 37 * k) for k in range(n)],
    }[ids]
    group = rng.permutation(np.arange(n) % 2)
    died = rng.random(n) < 0.3
    died[:2] = True, False
    leave = np.where(died, rng.integers(2, 27, n), 28)
    leave[1] = 28
    start = [
        dt.datetime(2023, 3, 14) + int(rng.integers(0, 300)) * DAY
        + (dt.timedelta(minutes=int(rng.integers(0, 1440))) if clock else dt.timedelta())
        for _ in range(n)
    ]  # fmt: skip
    rows = []
    for k in range(n):
        level = rng.normal(0, 1, len(labs))
        for day in days:
            when = day + (float(rng.integers(1, 23)) / 24 if clock else 0.0)
            if when > leave[k]:
                continue
            drawn = {
                lab.name: round(
                    lab.median * float(np.exp(lab.spread * (0.8 * z + 0.4 * rng.normal()))),
                    lab.digits,
                )
                for lab, z in zip(labs, level, strict=True)
            }
            floor = {lab.name: max(drawn[lab.name], 10.0**-lab.digits) for lab in labs}
            rows.append({"patient": k, "time": when, **floor})
    frame = pd.DataFrame(rows)
    for lab in labs:  # some were not measured
        gone = rng.random(len(frame)) < 0.06
        frame.loc[gone & (frame["time"] > 0), lab.name] = np.nan
    return Truth(
        names,
        group,
        leave.astype(float),
        died,
        rng.integers(19, 90, n),
        rng.integers(0, 2, n),
        start,
        frame,
        labs,
    )


def answer(
    truth: Truth,
    arms: Sequence[str],
    *,
    units: bool = False,
    censored: pd.DataFrame | None = None,
    sure: bool = True,
) -> Answer:
    """The right answer to a truth written with these names of the arms."""
    patients = pd.DataFrame(
        {
            "id": truth.ids,
            "group": [arms[g] for g in truth.group],
            "exit": truth.exit,
            "event": truth.died,
        }
    )
    long = truth.rows.melt(["patient", "time"], var_name="marker", value_name="value")
    long["censored"] = "none"
    if censored is not None:
        flat = censored.melt(var_name="marker", value_name="censored")
        long["censored"] = flat["censored"].to_numpy()
    long = long.dropna(subset=["value"])
    long.insert(0, "id", [truth.ids[k] for k in long["patient"]])
    said = {lab.name: lab.unit for lab in truth.labs} if units else {}
    return Answer(patients, long.drop(columns="patient").reset_index(drop=True), said, sure)


def number(value: float, digits: int, comma: bool = False) -> str:
    """A value as text, empty if missing."""
    if pd.isna(value):
        return ""
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if comma else text


def shown(truth: Truth, comma: bool = False) -> pd.DataFrame:
    """The marker columns as text."""
    return pd.DataFrame(
        {lab.name: [number(v, lab.digits, comma) for v in truth.rows[lab.name]]
         for lab in truth.labs}
    )  # fmt: skip


def of_patient(truth: Truth, values: Sequence[object]) -> list[object]:
    """A patient's value in each row of the measurements."""
    return [values[k] for k in truth.rows["patient"]]


def csv(
    frame: pd.DataFrame, path: Path, sep: str = ",", encoding: str = "utf-8", above: str = ""
) -> Path:
    """Write text cells as they are; `above`: lines before the header."""
    text = above + frame.to_csv(index=False, sep=sep, lineterminator="\n")
    path.write_bytes(text.encode(encoding))
    return path


def excel(path: Path, sheets: Mapping[str, list[list[object]]], merged: Sequence[str] = ()) -> Path:
    """Write rows of cells, merging ranges of the first sheet."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([None if isinstance(c, float) and np.isnan(c) else c for c in row])
    for area in merged:
        book.worksheets[0].merge_cells(area)
    book.save(path)
    return path


def patients_frame(
    truth: Truth,
    names: Sequence[str],
    arms: Sequence[str],
    status: Sequence[object] = (0, 1),
    sexes: Sequence[str] = ("F", "M"),
) -> pd.DataFrame:
    """Patient table: id, arm, age, sex, follow-up, status, under the names given."""
    ident, arm, age, sex, follow, end = names
    return pd.DataFrame(
        {
            ident: truth.ids,
            arm: [arms[g] for g in truth.group],
            age: truth.age,
            sex: [sexes[s] for s in truth.sex],
            follow: truth.exit.astype(int),
            end: [status[int(d)] for d in truth.died],
        }
    )


def visits_frame(
    truth: Truth, ident: str, time: str, comma: bool = False, hours: bool = False
) -> pd.DataFrame:
    """Measurement table, one row a visit."""
    clock = truth.rows["time"] * (24 if hours else 1)
    frame = pd.DataFrame({ident: of_patient(truth, truth.ids), time: clock.map("{:g}".format)})
    return pd.concat([frame, shown(truth, comma)], axis=1)


EN = ("patient_id", "treatment", "age", "sex", "followup_days", "died")
DE = ("PatientenNr", "Gruppe", "Alter", "Geschlecht", "Beobachtungszeit_Tage", "Verstorben")
FR = ("Patient", "Traitement", "Age", "Sexe", "Suivi (jours)", "Décès")
JA = ("患者ID", "治療群", "年齢", "性別", "観察期間(日)", "死亡")
CONTROL = ("control", "IVIG")


def dates(truth: Truth, days: Sequence[float], pattern: str) -> list[str]:
    """Dates of each patient so many days after the start, empty where NaN."""
    return [
        "" if pd.isna(d) else (s + float(d) * DAY).strftime(pattern)
        for s, d in zip(truth.start, days, strict=True)
    ]


def visit_dates(truth: Truth, pattern: str) -> list[str]:
    """The date of each row of the measurements."""
    return [
        (truth.start[k] + float(t) * DAY).strftime(pattern)
        for k, t in zip(truth.rows["patient"], truth.rows["time"], strict=True)
    ]


def wide_frame(
    truth: Truth, pattern: str, frame: pd.DataFrame, comma: bool = False, *, by_day: bool = False
) -> pd.DataFrame:
    """One row a patient, a column a marker and time, named by the pattern."""
    frame = frame.copy()
    times = sorted(truth.rows["time"].unique())
    pairs = [(lab, t) for lab in truth.labs for t in times]
    if by_day:
        pairs = [(lab, t) for t in times for lab in truth.labs]
    for lab, time in pairs:
        at = truth.rows[truth.rows["time"] == time].set_index("patient")[lab.name]
        name = pattern.format(marker=lab.name, time=f"{time:g}", unit=lab.unit)
        frame[name] = [number(at.get(k, np.nan), lab.digits, comma) for k in range(len(truth.ids))]
    return frame


def long_frame(
    truth: Truth, ident: str, time: str, marker: str, value: str, comma: bool = False
) -> pd.DataFrame:
    """One row a measurement."""
    frame = visits_frame(truth, ident, time, comma)
    long = frame.melt([ident, time], var_name=marker, value_name=value)
    return long[long[value] != ""].sort_values([ident, time], kind="stable")


def below(truth: Truth, name: str, limit: float, sign: str = "<") -> tuple[Truth, pd.DataFrame]:
    """Put a marker's values beyond the limit at it; which are censored."""
    rows = truth.rows.copy()
    censored = pd.DataFrame("none", index=rows.index, columns=[lab.name for lab in truth.labs])
    beyond = rows[name] < limit if sign == "<" else rows[name] > limit
    censored.loc[beyond, name] = "left" if sign == "<" else "right"
    rows.loc[beyond, name] = limit
    return replace(truth, rows=rows), censored


def signed(frame: pd.DataFrame, censored: pd.DataFrame, texts: Mapping[str, str]) -> pd.DataFrame:
    """Write what is beyond a limit as the laboratory does."""
    frame = frame.copy()
    for kind, text in texts.items():
        for name in censored.columns:
            hit = (censored[name] == kind).to_numpy()
            frame.loc[hit, name] = text
    return frame


Recipe = Callable[[Path, int], Export]
RECIPES: dict[str, Recipe] = {}


def recipe(function: Recipe) -> Recipe:
    """Register a way of writing a cohort down."""
    RECIPES[function.__name__] = function
    return function


# Two tables, text files --------------------------------------------------------------------------


def _two(
    folder: Path,
    name: str,
    truth: Truth,
    patients: pd.DataFrame,
    visits: pd.DataFrame,
    right: Answer,
    sep: str = ",",
    encoding: str = "utf-8",
    ending: str = "csv",
) -> Export:
    files = (
        csv(patients, folder / f"{name}_patients.{ending}", sep, encoding),
        csv(visits, folder / f"{name}_labs.{ending}", sep, encoding),
    )
    return Export(name, files, right)


@recipe
def plain_two_tables(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    return _two(folder, "plain", t, patients_frame(t, EN, CONTROL),
                visits_frame(t, "patient_id", "day"), answer(t, CONTROL))  # fmt: skip


@recipe
def semicolon_decimal_comma_german(folder: Path, seed: int) -> Export:
    t = simulate(seed, GERMAN)
    arms = ("Kontrolle", "Verum")
    return _two(folder, "klinik", t, patients_frame(t, DE, arms, ("nein", "ja"), ("w", "m")),
                visits_frame(t, "PatientenNr", "Tag", comma=True), answer(t, arms),
                ";", "cp1252")  # fmt: skip


@recipe
def tab_bom(folder: Path, seed: int) -> Export:
    t = simulate(seed, ids="code")
    return _two(folder, "tabs", t, patients_frame(t, EN, CONTROL, ("no", "yes")),
                visits_frame(t, "patient_id", "day"), answer(t, CONTROL), "\t", "utf-8-sig",
                "txt")  # fmt: skip


@recipe
def french_windows_1252(folder: Path, seed: int) -> Export:
    t = simulate(seed, FRENCH)
    arms = ("Témoin", "Immunoglobulines")
    return _two(folder, "rea", t, patients_frame(t, FR, arms, ("non", "oui"), ("F", "H")),
                visits_frame(t, "Patient", "Jour", comma=True), answer(t, arms),
                ";", "cp1252")  # fmt: skip


@recipe
def japanese_utf8_bom(folder: Path, seed: int) -> Export:
    t = simulate(seed, JAPANESE)
    arms = ("対照", "投与")
    return _two(folder, "icu", t, patients_frame(t, JA, arms, ("なし", "あり"), ("女", "男")),
                visits_frame(t, "患者ID", "病日"), answer(t, arms), ",", "utf-8-sig")  # fmt: skip


@recipe
def ids_with_leading_zeros(folder: Path, seed: int) -> Export:
    t = simulate(seed, ids="zeros")
    names = ("Pat_ID", "arm", "age", "sex", "fu_days", "death")
    return _two(folder, "zeros", t, patients_frame(t, names, ("placebo", "drug"), ("N", "Y")),
                visits_frame(t, "Pat_ID", "day"), answer(t, ("placebo", "drug")))  # fmt: skip


@recipe
def hours_against_days(folder: Path, seed: int) -> Export:
    t = simulate(seed, days=(0, 0.25, 0.5, 1, 2, 3))
    return _two(folder, "hours", t, patients_frame(t, EN, CONTROL, ("alive", "dead")),
                visits_frame(t, "patient_id", "hours_since_admission", hours=True),
                answer(t, CONTROL))  # fmt: skip


@recipe
def long_laboratory_list(folder: Path, seed: int) -> Export:
    t = simulate(seed, ids="long")
    labs = long_frame(t, "case_no", "day", "test", "result")
    names = ("case_no", "group", "age", "gender", "time_to_death_or_censoring", "status")
    p = patients_frame(t, names, ("standard care", "IVIG"), ("alive", "dead"))
    return _two(folder, "lab", t, p, labs, answer(t, ("standard care", "IVIG")))


@recipe
def long_german_with_units_column(folder: Path, seed: int) -> Export:
    t = simulate(seed, GERMAN)
    labs = long_frame(t, "Fallnummer", "Tag", "Parameter", "Messwert", comma=True)
    labs["Einheit"] = labs["Parameter"].map({lab.name: lab.unit for lab in t.labs})
    names = ("Fallnummer", "Therapie", "Alter", "Geschlecht", "Beobachtungstage", "verstorben")
    arms = ("Standard", "Antithrombin")
    p = patients_frame(t, names, arms, (0, 1), ("w", "m"))
    return _two(folder, "labor", t, p, labs, answer(t, arms, units=True), ";", "cp1252")


@recipe
def below_and_above_limits(folder: Path, seed: int) -> Export:
    t, censored = below(simulate(seed), "PCT", 2.0)
    v = signed(visits_frame(t, "patient_id", "day"), censored, {"left": "<2.00"})
    return _two(folder, "limits", t, patients_frame(t, EN, CONTROL), v,
                answer(t, CONTROL, censored=censored))  # fmt: skip


@recipe
def above_a_limit_decimal_comma(folder: Path, seed: int) -> Export:
    t, censored = below(simulate(seed), "CRP", 250.0, ">")
    v = visits_frame(t, "patient_id", "day", comma=True)
    v = signed(v, censored, {"right": "> 250,0"})
    return _two(folder, "above", t, patients_frame(t, EN, CONTROL), v,
                answer(t, CONTROL, censored=censored), ";")  # fmt: skip


@recipe
def limits_in_words(folder: Path, seed: int) -> Export:
    t, censored = below(simulate(seed), "PCT", 2.0)
    v = signed(visits_frame(t, "patient_id", "day"), censored, {"left": "LESS THAN 2.0"})
    return _two(folder, "words", t, patients_frame(t, EN, CONTROL), v,
                answer(t, CONTROL, censored=censored))  # fmt: skip


@recipe
def units_in_the_header(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = visits_frame(t, "patient_id", "day")
    v = v.rename(columns={lab.name: f"{lab.name} ({lab.unit})" for lab in t.labs})
    return _two(folder, "header", t, patients_frame(t, EN, CONTROL), v,
                answer(t, CONTROL, units=True))  # fmt: skip


@recipe
def units_in_the_values(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = visits_frame(t, "patient_id", "day")
    for lab in t.labs[:2]:
        v[lab.name] = [f"{x} {lab.unit}" if x else "" for x in v[lab.name]]
    right = answer(t, CONTROL)
    units = {lab.name: lab.unit for lab in t.labs[:2]}
    return _two(folder, "inside", t, patients_frame(t, EN, CONTROL), v,
                replace(right, units=units))  # fmt: skip


def _with_codes(frame: pd.DataFrame, labs: Sequence[Lab], codes: Sequence[str]) -> pd.DataFrame:
    frame = frame.copy()
    for lab in labs:
        gaps = [k for k, x in enumerate(frame[lab.name]) if x == ""]
        for j, k in enumerate(gaps):
            frame.loc[frame.index[k], lab.name] = codes[j % len(codes)]
    return frame


@recipe
def missing_minus_99(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = _with_codes(visits_frame(t, "patient_id", "day"), t.labs, ["-99"])
    return _two(folder, "codes", t, patients_frame(t, EN, CONTROL), v,
                answer(t, CONTROL))  # fmt: skip


@recipe
def missing_in_words(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = _with_codes(visits_frame(t, "patient_id", "day"), t.labs, ["n.d.", "hemolysed"])
    return _two(folder, "said", t, patients_frame(t, EN, CONTROL, ("false", "true")), v,
                answer(t, CONTROL))  # fmt: skip


@recipe
def missing_minus_1(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = _with_codes(visits_frame(t, "patient_id", "day"), t.labs, ["-1"])
    return _two(folder, "minus", t, patients_frame(t, EN, CONTROL), v,
                answer(t, CONTROL))  # fmt: skip


# Dates -------------------------------------------------------------------------------------------


def dated(truth: Truth, pattern: str, names: Sequence[str], arms: Sequence[str]) -> pd.DataFrame:
    ident, arm, begin, death, last = names
    gone = np.where(truth.died, truth.exit, np.nan)
    return pd.DataFrame(
        {
            ident: truth.ids,
            arm: [arms[g] for g in truth.group],
            "age": truth.age,
            begin: dates(truth, [0.0] * len(truth.ids), pattern),
            death: dates(truth, gone, pattern),
            last: dates(truth, truth.exit, pattern),
        }
    )


def dated_visits(truth: Truth, ident: str, date: str, pattern: str) -> pd.DataFrame:
    frame = visits_frame(truth, ident, date)
    frame[date] = visit_dates(truth, pattern)
    return frame


@recipe
def iso_dates(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = ("patient_id", "treatment", "admitted_at", "date_of_death", "last_contact")
    return _two(folder, "iso", t, dated(t, "%Y-%m-%d", names, CONTROL),
                dated_visits(t, "patient_id", "sample_date", "%Y-%m-%d"),
                answer(t, CONTROL))  # fmt: skip


@recipe
def german_dates(folder: Path, seed: int) -> Export:
    t = simulate(seed, GERMAN)
    names = ("PatNr", "Gruppe", "Aufnahmedatum", "Todesdatum", "letzter Kontakt")
    arms = ("Kontrolle", "Behandlung")
    return _two(folder, "daten", t, dated(t, "%d.%m.%Y", names, arms),
                dated_visits(t, "PatNr", "Abnahmedatum", "%d.%m.%Y"), answer(t, arms),
                ";", "cp1252")  # fmt: skip


@recipe
def us_dates(folder: Path, seed: int) -> Export:
    t = simulate(seed, n=48)
    names = ("MRN", "arm", "Admission Date", "Death Date", "Last Seen Date")
    return _two(folder, "us", t, dated(t, "%m/%d/%Y", names, ("placebo", "active")),
                dated_visits(t, "MRN", "Collected", "%m/%d/%Y"),
                answer(t, ("placebo", "active")))  # fmt: skip


@recipe
def timestamps(folder: Path, seed: int) -> Export:
    t = simulate(seed, clock=True)
    names = ("subject_id", "treatment", "icu_admission_time", "death_time", "last_followup_time")
    right = answer(t, CONTROL)
    return _two(folder, "stamps", t, dated(t, "%Y-%m-%d %H:%M:%S", names, CONTROL),
                dated_visits(t, "subject_id", "charttime", "%Y-%m-%d %H:%M:%S"),
                right)  # fmt: skip


@recipe
def french_dates_status_in_words(folder: Path, seed: int) -> Export:
    t = simulate(seed, FRENCH)
    arms = ("témoin", "traité")
    p = pd.DataFrame(
        {
            "N° patient": t.ids,
            "groupe": [arms[g] for g in t.group],
            "date d'inclusion": dates(t, [0.0] * len(t.ids), "%d/%m/%Y"),
            "date de fin de suivi": dates(t, list(t.exit), "%d/%m/%Y"),
            "statut": ["décédé" if d else "vivant" for d in t.died],
        }
    )
    v = dated_visits(t, "N° patient", "date de prélèvement", "%d/%m/%Y")
    return _two(folder, "suivi", t, p, v, answer(t, arms), ";", "utf-8-sig")


# One row a patient -------------------------------------------------------------------------------


@recipe
def wide_underscore_d(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = wide_frame(t, "{marker}_d{time}", patients_frame(t, EN, CONTROL))
    return Export("wide_d", (csv(f, folder / "wide_d.csv"),), answer(t, CONTROL))


@recipe
def wide_day_in_words(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = wide_frame(t, "{marker} day {time}", patients_frame(t, EN, CONTROL, ("No", "Yes")))
    return Export("wide_day", (csv(f, folder / "wide_day.csv", ";"),), answer(t, CONTROL))


@recipe
def wide_dot(folder: Path, seed: int) -> Export:
    t = simulate(seed, days=(0, 7, 14), ids="code")
    f = wide_frame(t, "{marker}.{time}", patients_frame(t, EN, CONTROL))
    return Export("wide_dot", (csv(f, folder / "wide_dot.csv"),), answer(t, CONTROL))


@recipe
def wide_dot_t(folder: Path, seed: int) -> Export:
    t = simulate(seed, (Lab("Y", "", 55.0, 0.3, 0),), days=(0, 1, 2, 4, 6))
    f = wide_frame(t, "{marker}.t{time}", patients_frame(t, EN, CONTROL))
    return Export("wide_t", (csv(f, folder / "wide_t.csv"),), answer(t, CONTROL))


@recipe
def wide_german_tag_decimal_comma(folder: Path, seed: int) -> Export:
    t = simulate(seed, GERMAN)
    arms = ("Kontrolle", "IVIG")
    p = patients_frame(t, DE, arms, ("nein", "ja"), ("w", "m"))
    f = wide_frame(t, "{marker}_Tag{time}", p, comma=True)
    return Export("tage", (csv(f, folder / "tage.csv", ";", "cp1252"),), answer(t, arms))


@recipe
def wide_time_first(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = wide_frame(t, "d{time}_{marker}", patients_frame(t, EN, CONTROL), by_day=True)
    return Export("first", (csv(f, folder / "first.csv"),), answer(t, CONTROL))


@recipe
def wide_unit_in_header(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = wide_frame(t, "{marker} D{time} [{unit}]", patients_frame(t, EN, CONTROL))
    return Export("wide_u", (csv(f, folder / "wide_u.csv", "\t"),), answer(t, CONTROL, units=True))


# One table, a row a visit with the patient's columns repeated ------------------------------------


def _joined(patients: pd.DataFrame, visits: pd.DataFrame, ident: str) -> pd.DataFrame:
    return visits.merge(patients, on=ident, how="left")


@recipe
def one_table_of_visits(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = _joined(patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", "day"), "patient_id")
    return Export("visits", (csv(f, folder / "visits.csv"),), answer(t, CONTROL))


@recipe
def one_long_table(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = ("id", "arm", "age", "sex", "survival_days", "death")
    labs = long_frame(t, "id", "time", "marker", "value")
    f = _joined(patients_frame(t, names, ("placebo", "heparin")), labs, "id")
    return Export("long", (csv(f, folder / "long.csv"),), answer(t, ("placebo", "heparin")))


@recipe
def one_table_with_dates_of_death(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = ("id", "group", "admission", "death_date", "discharge_or_last_contact")
    p = dated(t, "%Y-%m-%d", names, ("control", "treated"))
    f = _joined(p, dated_visits(t, "id", "measured_on", "%Y-%m-%d"), "id")
    return Export("onedates", (csv(f, folder / "onedates.csv"),), answer(t, ("control", "treated")))


# Spreadsheets ------------------------------------------------------------------------------------


def _cells(frame: pd.DataFrame) -> list[list[object]]:
    """Header and rows, numbers as numbers."""

    def cell(x: object) -> object:
        if not isinstance(x, str):
            return x.item() if isinstance(x, np.generic) else x
        if x == "":
            return None
        try:
            return float(x) if "." in x else int(x)
        except ValueError:
            return x

    return [list(frame.columns), *([cell(x) for x in row] for row in frame.to_numpy())]


@recipe
def excel_two_sheets(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    sheets = {
        "Patients": _cells(patients_frame(t, EN, CONTROL, ("no", "yes"))),
        "Labs": _cells(visits_frame(t, "patient_id", "day")),
    }
    return Export("sheets", (excel(folder / "sheets.xlsx", sheets),), answer(t, CONTROL))


@recipe
def excel_title_rows_and_first_row_ids(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL)
    f = _joined(p, visits_frame(t, "patient_id", "day"), "patient_id")
    order = [*EN, "day", *(lab.name for lab in t.labs)]
    again = f["patient_id"].duplicated()
    f = f[order].astype(object)
    f.loc[again, list(EN)] = None
    rows = [["ICU sepsis cohort, export of 2024-02-01"], ["confidential"], [], *_cells(f)]
    return Export("title", (excel(folder / "title.xlsx", {"Sheet1": rows}),), answer(t, CONTROL))


@recipe
def excel_merged_days_over_markers(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL)
    f = wide_frame(t, "{marker}|{time}", p, by_day=True)
    body = _cells(f)[1:]
    times = sorted(t.rows["time"].unique())
    top: list[object] = [None] * len(EN)
    for time in times:
        top += [f"Day {time:g}", *([None] * (len(t.labs) - 1))]
    second = [*EN, *([lab.name for lab in t.labs] * len(times))]
    merged = []
    for j in range(len(times)):
        first = len(EN) + 1 + j * len(t.labs)
        last = first + len(t.labs) - 1
        letters = [openpyxl.utils.get_column_letter(c) for c in (first, last)]
        merged.append(f"{letters[0]}1:{letters[1]}1")
    path = excel(folder / "merged.xlsx", {"Data": [top, second, *body]}, merged)
    return Export("merged", (path,), answer(t, CONTROL))


@recipe
def excel_native_dates_repeated_header(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = ("ID", "Treatment", "Admission", "Death", "Last contact")
    p = dated(t, "%Y-%m-%d", names, CONTROL)
    f = _joined(p, dated_visits(t, "ID", "Date", "%Y-%m-%d"), "ID")
    rows = _cells(f)
    when = {k for k, name in enumerate(f.columns) if name in ("Date", *names[2:])}
    rows[1:] = [
        [dt.datetime.fromisoformat(str(c)) if k in when and c else c for k, c in enumerate(row)]
        for row in rows[1:]
    ]
    half = len(rows) // 2
    rows = [*rows[:half], rows[0], *rows[half:]]  # the header again, as on each printed page
    return Export("pages", (excel(folder / "pages.xlsx", {"Export": rows}),), answer(t, CONTROL))


@recipe
def excel_units_row_below_the_header(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = _joined(patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", "day"), "patient_id")
    rows = _cells(f)
    units = {lab.name: f"[{lab.unit}]" for lab in t.labs}
    rows.insert(1, [units.get(str(name)) for name in rows[0]])
    path = excel(folder / "unitsrow.xlsx", {"Tabelle1": rows})
    return Export("unitsrow", (path,), answer(t, CONTROL, units=True))


@recipe
def three_tables_outcome_apart(folder: Path, seed: int) -> Export:
    t = simulate(seed, ids="code")
    p = patients_frame(t, EN, CONTROL)
    files = (
        csv(p[["patient_id", "treatment", "age", "sex"]], folder / "demographics.csv"),
        csv(p[["patient_id", "followup_days", "died"]], folder / "outcome.csv"),
        csv(visits_frame(t, "patient_id", "day"), folder / "labs.csv"),
    )
    return Export("three", files, answer(t, CONTROL))


@recipe
def parquet_files(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL)
    p["patient_id"], p["died"] = p["patient_id"].astype(int), p["died"].astype(bool)
    labs = pd.concat([visits_frame(t, "patient_id", "day").iloc[:, :2].astype(float),
                      t.rows[[lab.name for lab in t.labs]]], axis=1)  # fmt: skip
    files = (folder / "patients.parquet", folder / "labs.parquet")
    p.to_parquet(files[0])
    labs.to_parquet(files[1])
    return Export("parquet", files, answer(t, CONTROL))


# What cannot be known ----------------------------------------------------------------------------


@recipe
def status_one_or_two(folder: Path, seed: int) -> Export:
    """Codes 1 and 2, and nothing says which is death."""
    t = simulate(seed)
    names = ("patient_id", "treatment", "age", "sex", "time", "status")
    p = patients_frame(t, names, CONTROL, (1, 2))
    return _two(folder, "codes12", t, p, visits_frame(t, "patient_id", "day"),
                answer(t, CONTROL, sure=False))  # fmt: skip


def exports(folder: Path, seed: int = 14) -> list[Export]:
    """Write all of them into folders of their own."""
    made = []
    for k, (name, make) in enumerate(RECIPES.items()):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        made.append(make(place, seed * 100 + k))
    return made
