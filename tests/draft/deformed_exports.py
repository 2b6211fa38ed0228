"""Exports deformed on their way: by Excel, by mail, by hand; written down as in `exports`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from exports import (
    CONTROL,
    DE,
    EN,
    GERMAN,
    Export,
    Lab,
    _cells,
    answer,
    csv,
    dated,
    dated_visits,
    dates,
    excel,
    of_patient,
    patients_frame,
    simulate,
    visit_dates,
    visits_frame,
    wide_frame,
)
from more_exports import joined, two

DEFORMED: dict[str, Callable[[Path, int], Export]] = {}


def deformed(function: Callable[[Path, int], Export]) -> Callable[[Path, int], Export]:
    """Register a way of deforming an export."""
    DEFORMED[function.__name__] = function
    return function


def _one(folder: Path, text: str, right, encoding: str = "utf-8") -> Export:  # type: ignore[no-untyped-def]
    path = folder / "export.csv"
    path.write_bytes(text.encode(encoding))
    return Export("export", (path,), right)


def _text(frame: pd.DataFrame, sep: str = ",") -> str:
    return frame.to_csv(index=False, sep=sep, lineterminator="\n")


@deformed
def a_line_that_names_the_separator(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    return _one(folder, "sep=;\n" + _text(joined(t), ";"), answer(t, CONTROL))


@deformed
def remarks_above_the_names(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    head = "# exported 2024-03-01 by ward 7\n# all times in days\n"
    return _one(folder, head + _text(joined(t)), answer(t, CONTROL))


@deformed
def a_separator_at_the_end_of_each_line(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    return _one(folder, _text(joined(t), ";").replace("\n", ";\n"), answer(t, CONTROL))


@deformed
def a_separator_at_the_end_of_each_row_but_the_names(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    head, _, rows = _text(joined(t)).partition("\n")
    return _one(folder, f"{head}\n{rows}".replace("\n", ",\n").replace(",\n", "\n", 1),
                answer(t, CONTROL))  # fmt: skip


@deformed
def remarks_of_several_lines(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = joined(t)
    f["remark"] = ['seen by Dr. A\nsays: "better"; go on' if k % 7 == 0 else "" for k in f.index]
    return _one(folder, _text(f), answer(t, CONTROL))


@deformed
def identifiers_with_blanks_in_one_table(folder: Path, seed: int) -> Export:
    t = simulate(seed, ids="code")
    v = visits_frame(t, "patient_id", "day")
    v["patient_id"] = [f"{i} " if k % 3 else f" {i}" for k, i in enumerate(v["patient_id"])]
    return two(folder, patients_frame(t, EN, CONTROL), v, answer(t, CONTROL))


@deformed
def points_between_thousands_commas_before_decimals(folder: Path, seed: int) -> Export:
    labs = (Lab("Ferritin", "µg/l", 1800.0, 0.7, 1), *GERMAN[1:])
    t = simulate(seed, labs)
    v = visits_frame(t, "PatientenNr", "Tag", comma=True)
    v["Ferritin"] = [
        "" if pd.isna(x) else f"{x:,.1f}".translate(str.maketrans(",.", ".,"))
        for x in t.rows["Ferritin"]
    ]
    arms = ("Kontrolle", "Verum")
    return two(folder, patients_frame(t, DE, arms, ("nein", "ja"), ("w", "m")), v, answer(t, arms),
               ";", "cp1252")  # fmt: skip


@deformed
def decimal_commas_with_three_figures_each(folder: Path, seed: int) -> Export:
    """1,234 in the only column of decimals: a thousand or one; nobody can know of these alone."""
    t = simulate(seed, (Lab("Index", "", 3.2, 0.2, 3),))
    rows = t.rows.assign(Index=t.rows["Index"].clip(1.001, 9.999).round(3))
    rows.loc[np.isclose(rows["Index"] * 1000 % 10, 0), "Index"] += 0.001
    t = replace(t, rows=rows)
    return two(folder, patients_frame(t, EN, CONTROL),
               visits_frame(t, "patient_id", "day", comma=True), answer(t, CONTROL, sure=False),
               ";")  # fmt: skip


@deformed
def decimal_commas_in_quotes(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    return two(folder, patients_frame(t, EN, CONTROL),
               visits_frame(t, "patient_id", "day", comma=True), answer(t, CONTROL))  # fmt: skip


@deformed
def numbers_in_scientific_notation(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    v = visits_frame(t, "patient_id", "day")
    v["CRP"] = ["" if pd.isna(x) else f"{x:.6E}" for x in t.rows["CRP"]]
    return two(folder, patients_frame(t, EN, CONTROL), v, answer(t, CONTROL))


NAMES = ("Pat_ID", "arm", "date_of_admission", "date_of_death", "last_contact")


def _early(seed: int):  # type: ignore[no-untyped-def]
    """A cohort all of whose dates can be read with day or month first."""
    t = simulate(seed, n=40, days=(0, 1, 2))
    start = [dt.datetime(2023, 1 + k % 12, 1 + k % 3) for k in range(40)]
    leave = np.where(t.died, 3.0 + np.arange(40) % 6, 8.0)
    return replace(t, start=start, exit=leave)


@deformed
def dates_with_day_or_month_first(folder: Path, seed: int) -> Export:
    """03/04/2023 throughout."""
    t = _early(seed)
    return two(folder, dated(t, "%m/%d/%Y", NAMES, CONTROL),
               dated_visits(t, "Pat_ID", "sampled", "%m/%d/%Y"),
               answer(t, CONTROL, sure=False))  # fmt: skip


@deformed
def dates_of_two_figures_a_year(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    return two(folder, dated(t, "%d.%m.%y", NAMES, CONTROL),
               dated_visits(t, "Pat_ID", "sampled", "%d.%m.%y"), answer(t, CONTROL))  # fmt: skip


@deformed
def a_date_at_the_end_of_time(folder: Path, seed: int) -> Export:
    """9999-12-31 for those who did not die."""
    t = simulate(seed)
    p = dated(t, "%Y-%m-%d", NAMES, CONTROL)
    p["date_of_death"] = [d or "9999-12-31" for d in p["date_of_death"]]
    return two(folder, p, dated_visits(t, "Pat_ID", "sampled", "%Y-%m-%d"), answer(t, CONTROL))


@deformed
def the_hour_in_a_column_of_its_own(folder: Path, seed: int) -> Export:
    t = simulate(seed, clock=True)
    p = pd.DataFrame({
        "patient_id": t.ids, "arm": [CONTROL[g] for g in t.group],
        "admitted": [s.strftime("%Y-%m-%d %H:%M") for s in t.start],
        "followup_days": t.exit.astype(int), "died": t.died.astype(int),
    })  # fmt: skip
    v = pd.DataFrame({
        "patient_id": of_patient(t, t.ids), "sample_date": visit_dates(t, "%Y-%m-%d"),
        "sample_time": visit_dates(t, "%H:%M"),
    })  # fmt: skip
    for lab in t.labs:
        v[lab.name] = ["" if pd.isna(x) else f"{x:.{lab.digits}f}" for x in t.rows[lab.name]]
    return two(folder, p, v, answer(t, CONTROL))


@deformed
def codes_with_their_meaning(folder: Path, seed: int) -> Export:
    """As a registry's labels: 0 - alive, 1 - dead."""
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL, ("0 - alive", "1 - dead"))
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL))


@deformed
def utf_16_with_tabs(folder: Path, seed: int) -> Export:
    """What Excel calls Unicode text."""
    t = simulate(seed, GERMAN)
    arms = ("Kontrolle", "Verum")
    return two(folder, patients_frame(t, DE, arms, ("nein", "ja"), ("w", "m")),
               visits_frame(t, "PatientenNr", "Tag", comma=True), answer(t, arms), "\t",
               "utf-16")  # fmt: skip


@deformed
def names_with_blanks_and_breaks(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = joined(t)
    f.columns = [f" {c}\u00a0" if k % 2 else f"{c} " for k, c in enumerate(f.columns)]
    rows = _cells(f)
    return Export("blanks", (excel(folder / "b.xlsx", {"Sheet1": rows}),), answer(t, CONTROL))


@deformed
def a_count_of_rows_below(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    f = joined(t)
    return _one(folder, f"{_text(f)}\n({len(f)} rows affected)\n", answer(t, CONTROL))


@deformed
def old_ends_of_lines(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = csv(patients_frame(t, EN, CONTROL), folder / "p.csv")
    v = csv(visits_frame(t, "patient_id", "day"), folder / "v.csv")
    p.write_bytes(p.read_bytes().replace(b"\n", b"\r\n"))
    v.write_bytes(v.read_bytes().replace(b"\n", b"\r"))
    return Export("ends", (p, v), answer(t, CONTROL))


@deformed
def a_sheet_of_explanations_first(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    sheets = {
        "README": [["Cohort of ward 7"], ["Exported", "2024-03-01"], [], ["Ask Dr. M. for codes"]],
        "data": _cells(wide_frame(t, "{marker}_d{time}", patients_frame(t, EN, CONTROL))),
    }
    return Export("readme", (excel(folder / "r.xlsx", sheets),), answer(t, CONTROL))


@deformed
def other_times_beside_that_of_follow_up(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL)
    p.insert(1, "years_smoking", np.arange(len(p)) % 40)
    p.insert(2, "wait_time", np.arange(len(p)) % 11)
    p.insert(3, "operation_time_min", 60 + np.arange(len(p)) % 90)
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL))


@deformed
def an_end_called_by_three_letters(folder: Path, seed: int) -> Export:
    """rfstime, as data of trials call it, beside another time."""
    t = simulate(seed)
    names = ("patient_id", "treatment", "age", "sex", "rfstime", "status")
    p = patients_frame(t, names, CONTROL)
    p.insert(1, "diagtime", np.arange(len(p)) % 40)
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL))


@deformed
def a_mark_of_death_on_the_day(folder: Path, seed: int) -> Export:
    """28+ for who was alive, and no other status: a study cannot read that."""
    t = simulate(seed)
    p = patients_frame(t, EN, CONTROL).drop(columns="died")
    p["followup_days"] = [
        f"{d:.0f}{'' if dead else '+'}" for d, dead in zip(t.exit, t.died, strict=True)
    ]
    return two(folder, p, visits_frame(t, "patient_id", "day"), answer(t, CONTROL, sure=False))


@deformed
def death_and_last_contact_in_one_column(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p = pd.DataFrame({
        "patient_id": t.ids, "arm": [CONTROL[g] for g in t.group],
        "admission_date": dates(t, np.zeros(len(t.ids)), "%d.%m.%Y"),
        "date of death or last contact": dates(t, t.exit, "%d.%m.%Y"),
        "vital status": ["dead" if d else "alive" for d in t.died],
    })  # fmt: skip
    return two(folder, p, dated_visits(t, "patient_id", "sampled", "%d.%m.%Y"),
               answer(t, CONTROL))  # fmt: skip
