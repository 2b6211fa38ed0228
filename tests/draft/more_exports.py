"""Further exports, of kinds that the forty lack: what wards, registries and Excel users send.

As in `exports`, each is written from one simulated truth, whose answer is never read off the file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from exports import (
    CONTROL,
    DE,
    EN,
    FR,
    FRENCH,
    GERMAN,
    JAPANESE,
    Answer,
    Export,
    Truth,
    _cells,
    _joined,
    answer,
    csv,
    dated,
    dated_visits,
    excel,
    long_frame,
    of_patient,
    patients_frame,
    simulate,
    visits_frame,
    wide_frame,
)

DAY = dt.timedelta(days=1)
MORE: dict[str, Callable[[Path, int], Export]] = {}


def more(function: Callable[[Path, int], Export]) -> Callable[[Path, int], Export]:
    """Register a way of writing a cohort down."""
    MORE[function.__name__] = function
    return function


def two(
    folder: Path,
    patients: pd.DataFrame,
    visits: pd.DataFrame,
    right: Answer,
    sep: str = ",",
    encoding: str = "utf-8",
) -> Export:
    files = (
        csv(patients, folder / "patients.csv", sep, encoding),
        csv(visits, folder / "labs.csv", sep, encoding),
    )
    return Export("two", files, right)


def one_sheet(folder: Path, rows: list[list[object]], right: Answer) -> Export:
    return Export("sheet", (excel(folder / "export.xlsx", {"Sheet1": rows}),), right)


def joined(t: Truth, day: str = "day") -> pd.DataFrame:
    return _joined(patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", day), "patient_id")


# Spreadsheets that somebody has worked in


@more
def units_row_and_a_merged_heading(folder: Path, seed: int) -> Export:
    """A heading over the laboratory's columns, names below, units below those."""
    t = simulate(seed)
    f = joined(t)
    rows = _cells(f)
    known = len(f.columns) - len(t.labs)
    units = {lab.name: lab.unit for lab in t.labs}
    heading: list[object] = [None] * known + ["Laboratory"] + [None] * (len(t.labs) - 1)
    rows = [heading, rows[0], [units.get(str(n)) for n in rows[0]], *rows[1:]]
    return one_sheet(folder, rows, answer(t, CONTROL, units=True))


@more
def totals_and_a_signature_below(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL)
    rows = _cells(wide_frame(t, "{marker} d{time}", p))
    width = len(rows[0])
    rows += [[None] * width, ["n", len(t.ids)], ["Mean", None, float(t.age.mean())],
             ["SD", None, float(t.age.std())], ["Checked by Dr. M., 3 March"]]  # fmt: skip
    return one_sheet(folder, rows, answer(t, CONTROL))


@more
def a_second_small_table_below(folder: Path, seed: int) -> Export:
    """A legend of the arms, two rows below the data."""
    t = simulate(seed)
    rows = _cells(wide_frame(t, "{marker}_d{time}", patients_frame(t, EN, CONTROL)))
    rows += [[], [], ["Code", "Meaning"], ["control", "standard care"], ["IVIG", "5 g for 3 days"]]
    return one_sheet(folder, rows, answer(t, CONTROL))


@more
def a_remark_column_without_a_name(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    rows = _cells(wide_frame(t, "{marker} day {time}", patients_frame(t, EN, CONTROL)))
    rows[0].append(None)
    rows[3].append("see letter of 4 May")
    rows[9].append("transferred?")
    return one_sheet(folder, rows, answer(t, CONTROL))


@more
def sheets_by_group(folder: Path, seed: int) -> Export:
    """A sheet an arm; the arm is only in the sheets' names, one of which is a control's."""
    t = simulate(seed)
    f = wide_frame(t, "{marker}_d{time}", patients_frame(t, EN, CONTROL))
    sheets = {arm: _cells(f[f["treatment"] == arm].drop(columns="treatment")) for arm in CONTROL}
    path = excel(folder / "arms.xlsx", sheets)
    return Export("arms", (path,), answer(t, CONTROL))


@more
def identifiers_as_decimals(folder: Path, seed: int) -> Export:
    """1.0, 2.0: numbers that once had gaps."""
    t = simulate(seed)
    p, v = patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", "day")
    p["patient_id"] = [f"{i}.0" for i in p["patient_id"]]
    v["patient_id"] = [f"{i}.0" for i in v["patient_id"]]
    return two(folder, p, v, answer(t, CONTROL))


@more
def empty_columns_between(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = wide_frame(t, "{marker}_d{time}", patients_frame(t, EN, CONTROL))
    f.insert(3, "reserve", "")
    f.insert(6, "Reserve 2", "")
    return Export("gaps", (csv(f, folder / "gaps.csv"),), answer(t, CONTROL))


@more
def blanks_that_do_not_break(folder: Path, seed: int) -> Export:
    """Copied from a web page: blanks of another kind in names and before values."""
    t = simulate(seed)
    f = visits_frame(t, "patient_id", "day")
    for lab in t.labs:
        f[lab.name] = [f"\u00a0{v}\u00a0" if v else "" for v in f[lab.name]]
    f = f.rename(columns={"day": "day\u00a0"})
    p = patients_frame(t, EN, ("control\u00a0", "IVIG"))
    return two(folder, p, f, answer(t, CONTROL))


@more
def each_value_with_a_column_of_its_unit(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = visits_frame(t, "patient_id", "day")
    for lab in t.labs:
        f.insert(f.columns.get_loc(lab.name) + 1, f"{lab.name} unit", lab.unit)
    return two(folder, patients_frame(t, EN, CONTROL), f, answer(t, CONTROL, units=True))


@more
def two_rows_of_names_without_merging(folder: Path, seed: int) -> Export:
    """Wide, the day over every column of it, the marker below."""
    t = simulate(seed)
    f = wide_frame(t, "{marker}|{time}", patients_frame(t, EN, CONTROL), by_day=True)
    times = sorted(t.rows["time"].unique())
    top = [None] * len(EN) + [f"Day {x:g}" for x in times for _ in t.labs]
    second = [*EN, *([lab.name for lab in t.labs] * len(times))]
    return one_sheet(folder, [top, second, *_cells(f)[1:]], answer(t, CONTROL))


@more
def a_chart_of_numbers_first(folder: Path, seed: int) -> Export:
    """The first sheet says what is where; the data are on the second and third."""
    t = simulate(seed)
    sheets = {
        "README": [["Export of 2024-02-01"], ["Sheet 2: patients"], ["Sheet 3: laboratory"]],
        "patients": _cells(patients_frame(t, EN, CONTROL)),
        "laboratory": _cells(visits_frame(t, "patient_id", "day")),
    }
    return Export("readme", (excel(folder / "book.xlsx", sheets),), answer(t, CONTROL))


# Dates and times


def _numbers(stamps: Sequence[str]) -> list[object]:
    return [int(s) if s else "" for s in stamps]


@more
def dates_as_whole_numbers(folder: Path, seed: int) -> Export:
    """20240131 in a spreadsheet's number cells."""
    t = simulate(seed)
    names = ("patient_id", "treatment", "admission_date", "death_date", "last_contact_date")
    p = dated(t, "%Y%m%d", names, CONTROL)
    v = dated_visits(t, "patient_id", "sample_date", "%Y%m%d")
    sheets = {"patients": _cells(p), "labs": _cells(v)}
    return Export("ints", (excel(folder / "ints.xlsx", sheets),), answer(t, CONTROL))


def _in_words(t: Truth, months: Sequence[str], form: str, names: Sequence[str]) -> Export | tuple:
    def said(stamp: dt.datetime) -> str:
        return form.format(d=stamp.day, m=months[stamp.month - 1], y=stamp.year)

    ident, arm, begin, death, last = names
    gone = [t.start[k] + t.exit[k] * DAY for k in range(len(t.ids))]
    p = pd.DataFrame(
        {
            ident: t.ids, arm: [CONTROL[g] for g in t.group], "age": t.age,
            begin: [said(s) for s in t.start],
            death: [said(g) if d else "" for g, d in zip(gone, t.died, strict=True)],
            last: [said(g) for g in gone],
        }
    )  # fmt: skip
    v = visits_frame(t, ident, "x")
    v["x"] = [
        said(t.start[k] + float(x) * DAY)
        for k, x in zip(t.rows["patient"], t.rows["time"], strict=True)
    ]
    return p, v


@more
def german_months_in_words(folder: Path, seed: int) -> Export:
    t = simulate(seed, GERMAN)
    months = ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
              "Oktober", "November", "Dezember")  # fmt: skip
    names = ("PatNr", "Gruppe", "Aufnahmedatum", "Todesdatum", "letzter Kontakt")
    p, v = _in_words(t, months, "{d}. {m} {y}", names)
    return two(folder, p, v.rename(columns={"x": "Abnahmedatum"}), answer(t, CONTROL), ";")


@more
def french_months_in_words(folder: Path, seed: int) -> Export:
    t = simulate(seed, FRENCH)
    months = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août",
              "septembre", "octobre", "novembre", "décembre")  # fmt: skip
    names = ("N° patient", "Traitement", "Date d'admission", "Date de décès",
             "Date de dernières nouvelles")  # fmt: skip
    p, v = _in_words(t, months, "{d} {m} {y}", names)
    return two(folder, p, v.rename(columns={"x": "Date de prélèvement"}), answer(t, CONTROL), ";")


@more
def japanese_dates_in_words(folder: Path, seed: int) -> Export:
    t = simulate(seed, JAPANESE)
    names = ("患者ID", "治療群", "入院日", "死亡日", "最終観察日")
    p, v = _in_words(t, [str(k) for k in range(1, 13)], "{y}年{m}月{d}日", names)
    return two(folder, p, v.rename(columns={"x": "採血日"}), answer(t, CONTROL))


@more
def clocks_of_twelve_hours(folder: Path, seed: int) -> Export:
    t = simulate(seed, clock=True)
    form = "%m/%d/%Y %I:%M %p"
    names = ("MRN", "arm", "Admission time", "Death time", "Last seen time")
    return two(folder, dated(t, form, names, CONTROL), dated_visits(t, "MRN", "Collected", form),
               answer(t, CONTROL))  # fmt: skip


@more
def negative_days_before_admission(folder: Path, seed: int) -> Export:
    """A sample of the day before counts as before time zero, and is left out and counted."""
    t = simulate(seed)
    early = visits_frame(t, "patient_id", "day")
    before = early[early["day"] == "0"].assign(day="-1")
    v = pd.concat([before, early], ignore_index=True)
    return two(folder, patients_frame(t, EN, CONTROL), v, answer(t, CONTROL))


@more
def days_in_words_german(folder: Path, seed: int) -> Export:
    t = simulate(seed, GERMAN)
    v = visits_frame(t, DE[0], "Zeitpunkt", comma=True)
    v["Zeitpunkt"] = [f"Tag {x}" for x in v["Zeitpunkt"]]
    p = patients_frame(t, DE, ("Kontrolle", "Verum"), ("nein", "ja"), ("w", "m"))
    return two(folder, p, v, answer(t, ("Kontrolle", "Verum")), ";")


@more
def days_in_letters_french(folder: Path, seed: int) -> Export:
    """J0, J1, J3, J7."""
    t = simulate(seed, FRENCH)
    v = visits_frame(t, FR[0], "Jour", comma=True)
    v["Jour"] = [f"J{x}" for x in v["Jour"]]
    p = patients_frame(t, FR, ("témoin", "traité"), ("non", "oui"))
    return two(folder, p, v, answer(t, ("témoin", "traité")), ";")


@more
def hours_with_their_unit(folder: Path, seed: int) -> Export:
    t = simulate(seed, days=(0, 0.5, 1, 2))
    v = visits_frame(t, "patient_id", "time", hours=True)
    v["time"] = [f"{x} h" for x in v["time"]]
    return two(folder, patients_frame(t, EN, CONTROL), v, answer(t, CONTROL))


# Values


@more
def every_spelling_of_nothing(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = visits_frame(t, "patient_id", "day")
    words = ("n/a", "N.A.", "#NV", "nicht gemessen", "--", "ND", "not done", "#N/A", "none")
    for j, lab in enumerate(t.labs):
        gone = np.flatnonzero(v[lab.name] == "")
        for i, k in enumerate(gone):
            v.loc[k, lab.name] = words[(i + j) % len(words)]
    return two(folder, patients_frame(t, EN, CONTROL), v, answer(t, CONTROL))


@more
def percent_signs(folder: Path, seed: int) -> Export:
    t = simulate(seed, (replace(JAPANESE[1], name="Antithrombin"), *simulate(seed).labs[:2]))
    v = visits_frame(t, "patient_id", "day")
    v["Antithrombin"] = [f"{x}%" if x else "" for x in v["Antithrombin"]]
    right = answer(t, CONTROL)
    return two(folder, patients_frame(t, EN, CONTROL), v,
               replace(right, units={"Antithrombin": "%"}))  # fmt: skip


@more
def alive_is_one(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = (*EN[:5], "alive")
    p = patients_frame(t, names, CONTROL, (1, 0))
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL))


@more
def survived_yes_or_no(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = (*EN[:5], "Survived")
    p = patients_frame(t, names, CONTROL, ("yes", "no"))
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL))


@more
def thousands_with_commas(folder: Path, seed: int) -> Export:
    """Platelets per microlitre, as 182,000; small ones without a mark."""
    t = simulate(seed)
    rows = t.rows.copy()
    rows["Platelets"] = rows["Platelets"] * 1000
    t = replace(t, rows=rows)
    v = visits_frame(t, "patient_id", "day")
    v["Platelets"] = ["" if pd.isna(x) else f"{x:,.0f}" for x in rows["Platelets"]]
    v = v.rename(columns={"Platelets": "Platelets (/µL)"})
    right = answer(t, CONTROL)
    return two(folder, patients_frame(t, EN, CONTROL), v,
               replace(right, units={"Platelets": "/µL"}))  # fmt: skip


# Who is who


@more
def patients_numbered_within_centres(folder: Path, seed: int) -> Export:
    """1, 2, 3 in every centre: the number alone is no identifier."""
    t = simulate(seed)
    centre = np.where(np.arange(len(t.ids)) < len(t.ids) // 2, "A", "B")
    own = np.arange(len(t.ids)) % (len(t.ids) // 2) + 1
    p, v = patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", "day")
    p["patient_id"] = own
    p.insert(0, "centre", centre)
    v["patient_id"] = of_patient(t, list(own))
    v.insert(0, "centre", of_patient(t, list(centre)))
    return two(folder, p, v, answer(t, CONTROL, sure=False))


@more
def one_long_table_by_centre(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    centre = np.where(np.arange(len(t.ids)) < len(t.ids) // 2, "A", "B")
    own = np.arange(len(t.ids)) % (len(t.ids) // 2) + 1
    f = long_frame(t, "patient_id", "day", "test", "result")
    f = _joined(patients_frame(t, EN, CONTROL), f, "patient_id")
    who = {name: k for k, name in enumerate(t.ids)}
    f.insert(0, "site", [centre[who[i]] for i in f["patient_id"]])
    f["patient_id"] = [own[who[i]] for i in f["patient_id"]]
    return Export("centres", (csv(f, folder / "long.csv"),), answer(t, CONTROL, sure=False))


# Names that say more than a name


@more
def a_legend_in_the_name(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = (*EN[:5], "status (1 = dead, 0 = alive)")
    p = patients_frame(t, names, CONTROL)
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL))


@more
def a_legend_the_other_way_round(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    names = (*DE[:5], "Vitalstatus (0 = verstorben, 1 = lebt)")
    p = patients_frame(t, names, CONTROL, (1, 0))
    return two(folder, p, visits_frame(t, DE[0], "Tag"), answer(t, CONTROL))


@more
def survival_in_months_visits_in_days(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = patients_frame(t, (*EN[:4], "survival_months", "died"), CONTROL)
    p["survival_months"] = [f"{d / 30.4375:.6f}" for d in t.exit]
    v = visits_frame(t, "patient_id", "visit_day")
    right = answer(t, CONTROL)  # one clock: the visits are counted in months, too
    people = right.patients.assign(exit=right.patients["exit"] / 30.4375)
    rows = right.measurements.assign(time=right.measurements["time"] / 30.4375)
    return two(folder, p, v, replace(right, patients=people, measurements=rows))


@more
def baseline_and_hours_in_the_names(folder: Path, seed: int) -> Export:
    t = simulate(seed, days=(0, 1, 2, 3))
    f = wide_frame(t, "{marker}|{time}", patients_frame(t, EN, CONTROL))
    names = {"0": "baseline", "1": "24h", "2": "48h", "3": "72h"}
    f.columns = [
        f"{c.split('|')[0]}_{names[c.split('|')[1]]}" if "|" in c else c for c in f.columns
    ]
    return Export("hours", (csv(f, folder / "hours.csv"),), answer(t, CONTROL))


@more
def summaries_beside_the_days(folder: Path, seed: int) -> Export:
    """CRP_max and CRP_mean are no times."""
    t = simulate(seed)
    f = wide_frame(t, "{marker}_d{time}", patients_frame(t, EN, CONTROL))
    own = f[[c for c in f.columns if c.startswith("CRP_d")]].apply(pd.to_numeric, errors="coerce")
    f["CRP_max"], f["CRP_mean"] = own.max(axis=1), own.mean(axis=1).round(2)
    return Export("summaries", (csv(f, folder / "summaries.csv"),), answer(t, CONTROL))


@more
def names_in_two_lines(folder: Path, seed: int) -> Export:
    """Cells of the header with a line break, as a narrow column of a spreadsheet has."""
    t = simulate(seed)
    f = joined(t).rename(columns={lab.name: f"{lab.name}\n({lab.unit})" for lab in t.labs})
    f = f.rename(columns={"followup_days": "Follow-up\n(days)", "day": "Day"})
    return one_sheet(folder, _cells(f), answer(t, CONTROL, units=True))


@more
def arms_in_upper_and_lower_case(folder: Path, seed: int) -> Export:
    """Control and control: two spellings of one arm, or two arms; a person must say."""
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL)
    some = np.arange(len(p)) % 5 == 0
    p.loc[some & (p["treatment"] == "control"), "treatment"] = "Control"
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL, sure=False))


@more
def a_death_that_is_a_date_or_no(folder: Path, seed: int) -> Export:
    """Died: the date, or "no"."""
    t = simulate(seed)
    names = ("patient_id", "treatment", "admitted", "died", "last_seen")
    p = dated(t, "%Y-%m-%d", names, CONTROL)
    p["died"] = [d or "no" for d in p["died"]]
    return two(folder, p, dated_visits(t, "patient_id", "sampled", "%Y-%m-%d"), answer(t, CONTROL))
