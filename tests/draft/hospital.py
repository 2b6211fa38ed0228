"""Two exports of intensive care as they arrive: a database in five tables, and one wide sheet.

Each is written from a simulated truth, before anything reads it, in the ways that cost a person
most: joins over keys, timestamps, results as text, values from before admission and after
discharge, identifiers in a patient's first row only, merged cells over the names, -1 for missing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import openpyxl
import pandas as pd

End = Literal["one column", "two columns", "last seen"]


@dataclass(frozen=True)
class Stays:
    """The truth: who was admitted when, how the stay ended, and what was measured during it.

    Attributes
    ----------
    people : DataFrame
        id (text), admitted, ended (timestamps), died, arm; one row a patient.
    values : DataFrame
        id, at (timestamp), marker, value, censored ("none", "left", "right"); also of before and
        after the stay.
    """

    people: pd.DataFrame
    values: pd.DataFrame


ANALYTES = {
    "Platelet Count": (180.0, 0.4, 0, "K/uL"),
    "Creatinine": (1.3, 0.5, 1, "mg/dL"),
    "Lactate": (2.2, 0.5, 1, "mmol/L"),
    "Antithrombin": (62.0, 0.25, 0, "%"),
}


def stays(seed: int, n: int, per_day: int = 1, outside: int = 20) -> Stays:
    """Patients with stays of days to weeks; `outside`: values of each before and after."""
    rng = np.random.default_rng(seed)
    admitted = [
        dt.datetime(2021, 1, 4, 0, 0) + dt.timedelta(minutes=int(m))
        for m in rng.integers(0, 600 * 1440, n)
    ]
    days = np.round(rng.gamma(2.0, 5.0, n) + 0.8, 3)
    ended = [a + dt.timedelta(minutes=int(d * 1440)) for a, d in zip(admitted, days, strict=True)]
    died = rng.random(n) < 0.35
    died[:2] = True, False
    people = pd.DataFrame(
        {"id": [str(10_000 + 7 * k) for k in range(n)], "admitted": admitted, "ended": ended,
         "died": died, "arm": np.where(rng.permutation(np.arange(n) % 2) == 1, "albumin", "saline")}
    )  # fmt: skip
    rows = []
    for who, start, stop, dead in zip(people["id"], admitted, ended, died, strict=True):
        length = (stop - start).total_seconds() / 86400
        during = np.sort(rng.uniform(0, length, max(2, int(length * per_day))))
        before = rng.uniform(-700, -1, outside)
        after = length + rng.uniform(1, 300, 0 if dead else outside)
        for offset in (*during, *before, *after):
            at = start + dt.timedelta(minutes=int(offset * 1440))
            for name, (median, spread, digits, _) in ANALYTES.items():
                if rng.random() < 0.6:
                    value = round(float(median * np.exp(rng.normal(0, spread))), digits)
                    rows.append((who, at, name, value, "none"))
    values = pd.DataFrame(rows, columns=["id", "at", "marker", "value", "censored"])
    values = values.drop_duplicates(["id", "at", "marker"]).reset_index(drop=True)
    low = (values["marker"] == "Lactate") & (values["value"] < 1.0)
    values.loc[low, ["value", "censored"]] = [1.0, "left"]
    return Stays(people, values)


def database(folder: Path, seed: int, n: int = 60) -> tuple[list[Path], Stays]:
    """Five tables, as a data warehouse hands them over."""
    truth = stays(seed, n)
    rng = np.random.default_rng(seed + 1)
    people, stamp = truth.people, "%Y-%m-%d %H:%M:%S"
    stay_of = {who: str(300_000 + k * 13) for k, who in enumerate(people["id"])}
    items = {name: str(50_800 + 11 * k) for k, name in enumerate(ANALYTES)}
    tables = {
        "patients": pd.DataFrame(
            {"subject_id": people["id"], "gender": rng.choice(["F", "M"], n),
             "anchor_age": rng.integers(22, 90, n)}
        ),
        "admissions": pd.DataFrame(
            {"subject_id": people["id"], "hadm_id": people["id"].map(stay_of),
             "admittime": people["admitted"].dt.strftime(stamp),
             "dischtime": people["ended"].dt.strftime(stamp),
             "deathtime": people["ended"].dt.strftime(stamp).where(people["died"]),
             "hospital_expire_flag": people["died"].astype(int),
             "insurance": rng.choice(["Other", "Medicare", "Private"], n)}
        ),
        "allocation": pd.DataFrame(
            {"hadm_id": people["id"].map(stay_of), "study_arm": people["arm"]}
        ).sample(frac=1, random_state=seed),
        "d_labitems": pd.DataFrame(
            {"itemid": [*items.values(), "51999"], "label": [*items, "Specimen type"],
             "fluid": "Blood", "category": "Chemistry"}
        ),
    }  # fmt: skip
    labs = truth.values
    text = [
        f"<{v:g}" if c == "left" else f"{v:g}"
        for v, c in zip(labs["value"], labs["censored"], strict=True)
    ]
    events = pd.DataFrame(
        {"labevent_id": np.arange(1, len(labs) + 1), "subject_id": labs["id"],
         "itemid": labs["marker"].map(items), "charttime": labs["at"].dt.strftime(stamp),
         "value": text, "valueuom": labs["marker"].map({k: a[3] for k, a in ANALYTES.items()})}
    )  # fmt: skip
    lost = events.sample(30, random_state=seed).assign(
        value=rng.choice(["HEMOLYZED", "ERROR", "NOT DONE"], 30),
        charttime=lambda f: f["charttime"].str.replace(r"\d\d$", "59", regex=True),
    )
    tables["labevents"] = pd.concat([events, lost]).sample(frac=1, random_state=seed + 2)
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    return paths, truth


SHEET_LABS = (
    "Hypersensitive cardiac troponinI", "hemoglobin", "Serum chloride", "Prothrombin time",
    "procalcitonin", "eosinophils(%)", "Interleukin 2 receptor", "Alkaline phosphatase", "albumin",
    "basophil(%)", "Interleukin 10", "Total bilirubin", "Platelet count", "monocytes(%)",
    "antithrombin", "Interleukin 8", "indirect bilirubin", "Red blood cell distribution width",
    "neutrophils(%)", "total protein", "Prothrombin activity", "mean corpuscular volume",
    "hematocrit", "White blood cell count", "Tumor necrosis factor", "fibrinogen",
    "Interleukin 1b", "Urea", "lymphocyte count", "PH value", "Red blood cell count",
    "Eosinophil count", "Corrected calcium", "Serum potassium", "glucose", "neutrophils count",
    "Direct bilirubin", "Mean platelet volume", "ferritin", "RBC distribution width SD",
    "Thrombin time", "(%)lymphocyte", "HCV antibody quantification", "D-D dimer",
    "Total cholesterol", "aspartate aminotransferase", "Uric acid", "HCO3-", "calcium",
    "NT-proBNP", "Lactate dehydrogenase", "platelet large cell ratio", "Interleukin 6",
    "Fibrin degradation products", "monocytes count", "PLT distribution width", "globulin",
    "gamma-glutamyl transpeptidase", "International standard ratio", "basophil count(#)",
    "2019-nCoV nucleic acid detection", "mean corpuscular hemoglobin", "APTT", "hs-CRP",
    "HIV antibody quantification", "serum sodium", "thrombocytocrit", "ESR", "GPT", "eGFR",
    "creatinine", "HBsAg", "mean hemoglobin concentration", "Quantification of antibodies",
)  # fmt: skip


def sheet(folder: Path, seed: int, n: int = 375, end: End = "one column") -> tuple[Path, Stays]:
    """One sheet: a row a visit, the patient's cells in the first row only, names under groups."""
    rng = np.random.default_rng(seed)
    truth = stays(seed, n, outside=0)
    people = truth.people
    level = {name: np.exp(rng.normal(2, 1)) for name in SHEET_LABS}
    fixed = ["PATIENT_ID", "age", "gender", "group", "Admission time"]
    ends = {"one column": ["Discharge time", "outcome"],
            "two columns": ["Discharge time", "Death time"],
            "last seen": ["Last contact", "Death time"]}[end]  # fmt: skip
    names = [*fixed, *ends, "RE_DATE", *SHEET_LABS]
    first, visits, kept = len(fixed) + len(ends), truth.values.groupby("id", sort=False), []
    book = openpyxl.Workbook()
    page = book.active
    groups = [(1, first, "In-patient"), (first + 1, first + 1, "Sample"),
              (first + 2, first + 1 + len(SHEET_LABS), "Laboratory")]  # fmt: skip
    for left, right, text in groups:
        page.cell(1, left, text)
        if right > left:
            page.merge_cells(start_row=1, start_column=left, end_row=1, end_column=right)
    page.append(names)
    for one in people.itertuples():
        left = {"one column": [one.ended, int(one.died)],
                "two columns": [None if one.died else one.ended, one.ended if one.died else None],
                "last seen": [one.ended, one.ended if one.died else None]}[end]  # fmt: skip
        for k, at in enumerate(sorted(set(visits.get_group(one.id)["at"]))):
            who = [int(one.id), int(rng.integers(20, 90)), int(rng.integers(1, 3)), one.arm,
                   one.admitted, *left] if k == 0 else [None] * first  # fmt: skip
            cells: list[object] = []
            for name in SHEET_LABS:
                draw = rng.random()
                value = round(float(level[name] * np.exp(rng.normal(0, 0.4))), 2)
                cells.append(value if draw < 0.25 else -1 if draw < 0.3 else None)
                if draw < 0.25:
                    kept.append((one.id, at, name, value, "none"))
            page.append([*who, at, *cells])
    path = folder / "inpatients.xlsx"
    book.save(path)
    values = pd.DataFrame(kept, columns=["id", "at", "marker", "value", "censored"])
    return path, Stays(people, values)
