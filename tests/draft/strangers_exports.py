"""Exports in which the numbers of patients are not theirs alone, or values are unlike most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from exports import (
    CONTROL,
    EN,
    Export,
    Truth,
    _joined,
    answer,
    csv,
    patients_frame,
    simulate,
    visits_frame,
)
from more_exports import two

STRANGERS: dict[str, Callable[[Path, int], Export]] = {}


def strange(function: Callable[[Path, int], Export]) -> Callable[[Path, int], Export]:
    """Register a way of writing a cohort down."""
    STRANGERS[function.__name__] = function
    return function


def in_hospitals(truth: Truth, names: tuple[str, ...]) -> tuple[list[str], list[str], Truth]:
    """Hospital and number of each patient, numbered anew in each; and the truth that tells them."""
    size = len(names)
    hospital = [names[k % size] for k in range(len(truth.ids))]
    numbers = [str(k // size + 1) for k in range(len(truth.ids))]
    ids = [f"{a}-{b}" for a, b in zip(hospital, numbers, strict=True)]
    return hospital, numbers, replace(truth, ids=ids)


def tables(truth: Truth, site: str, names: tuple[str, ...]) -> tuple[pd.DataFrame, ...]:
    """Patients and visits that say the hospital and a number in it; and the right answer's."""
    hospital, numbers, known = in_hospitals(truth, names)
    p = patients_frame(truth, EN, CONTROL)
    v = visits_frame(known, "patient_id", "day")
    v.insert(0, site, v["patient_id"].str.rsplit("-", n=1).str[0])
    v["patient_id"] = v["patient_id"].str.rsplit("-", n=1).str[1]
    p.insert(0, site, hospital)
    p["patient_id"] = numbers
    return p, v


def together(p: pd.DataFrame, v: pd.DataFrame, site: str) -> pd.DataFrame:
    keys = [site, "patient_id"]
    return v.merge(p, on=keys, validate="many_to_one")


def right(truth: Truth, names: tuple[str, ...], *, sure: bool = True):  # type: ignore[no-untyped-def]
    return answer(in_hospitals(truth, names)[2], CONTROL, sure=sure)


@strange
def numbers_that_begin_anew_in_each_hospital(folder: Path, seed: int) -> Export:
    t = simulate(seed)
    p, v = tables(t, "hospital", ("North", "South"))
    path = csv(together(p, v, "hospital"), folder / "visits.csv")
    return Export("anew", (path,), right(t, ("North", "South"), sure=False))


@strange
def numbers_that_begin_anew_in_each_centre_two_files(folder: Path, seed: int) -> Export:
    """German names, centres by number; the laboratory's file knows no sex."""
    t = simulate(seed)
    p, v = tables(t, "Zentrum", ("1", "2", "3"))
    return two(folder, p, v, right(t, ("1", "2", "3"), sure=False), sep=";")


@strange
def numbers_that_begin_anew_and_nothing_of_persons(folder: Path, seed: int) -> Export:
    """Numbers 1, 2, ... in each site, without sex: an easy guess, and not more."""
    t = simulate(seed)
    p, v = tables(t, "site", ("A", "B"))
    path = csv(together(p.drop(columns=["sex", "age"]), v, "site"), folder / "visits.csv")
    return Export("anew", (path,), right(t, ("A", "B"), sure=False))


@strange
def numbers_of_families(folder: Path, seed: int) -> Export:
    """Two persons have one number, and nothing tells which row is whose."""
    t = simulate(seed)
    f = _joined(patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", "day"), "patient_id")
    f["patient_id"] = (f["patient_id"].astype(int) + 1) // 2
    return Export("families", (csv(f, folder / "f.csv"),), answer(t, CONTROL, sure=False))


@strange
def wards_that_patients_move_between(folder: Path, seed: int) -> Export:
    """A ward of each sample is no reason to doubt whose it is."""
    t = simulate(seed)
    p, v = patients_frame(t, EN, CONTROL), visits_frame(t, "patient_id", "day")
    v["ward"] = np.where(np.arange(len(v)) % 3, "ICU", "ward 4")
    return two(folder, p, v, answer(t, CONTROL))


@strange
def a_value_that_looks_like_a_code(folder: Path, seed: int) -> Export:
    """Cholesterol of 999 among patients of 1200 and more is a value, though 999 is a usual code."""
    t = simulate(seed)
    lab = replace(t.labs[2], name="Cholesterol (mg/dL)", unit="mg/dL")
    rows = t.rows.rename(columns={t.labs[2].name: lab.name})
    rows.loc[rows.index[[3, 7, 11]], lab.name] = [999.0, 1200.0, 1775.0]
    known = replace(t, labs=(*t.labs[:2], lab), rows=rows)
    right = answer(known, CONTROL)
    plain = right.measurements["marker"].str.removesuffix(" (mg/dL)")
    right = replace(right, measurements=right.measurements.assign(marker=plain))
    p, v = patients_frame(t, EN, CONTROL), visits_frame(known, "patient_id", "day")
    return two(folder, p, v, right)
