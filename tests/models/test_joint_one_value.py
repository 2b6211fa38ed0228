"""A variable has one value a patient, in whatever table and row it stands."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError
from longsurv.models import LMM, CoxPH, JointModel

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from joint_cohorts import simulated


@cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, patients = simulated(np.random.default_rng(3), 40)
    rows = rows.drop(columns="treated", errors="ignore").merge(patients[["id", "treated"]], on="id")
    return rows, patients


def model(rows: pd.DataFrame, patients: pd.DataFrame) -> JointModel:
    marker = LMM("y ~ t + t:treated + (1 | id)", rows)
    event = CoxPH("Surv(stop, event) ~ treated", patients)
    return JointModel(marker, event, time="t", baseline="exponential")


def other_type(kind: str, column: pd.Series) -> pd.Series:
    if kind == "text":
        return column.map({0: "control", 1: "drug"})
    return column.astype(kind)


@pytest.mark.parametrize("kind", [float, bool, "Int8", "category", "text", "int64[pyarrow]"])
def test_two_tables_that_contradict_each_other(kind):
    """Its curve was that of one group, and its hazard that of the other."""
    rows, patients = tables()
    rows = rows.assign(treated=other_type(kind, rows["treated"]))
    patients = patients.assign(treated=other_type(kind, patients["treated"]))
    assert model(rows, patients).design.labels.size == 40
    swapped = patients["treated"].where(patients["id"] != 105, patients["treated"].iloc[0])
    assert swapped.iloc[5] != patients["treated"].iloc[5]
    with pytest.raises(DataError, match=r"'treated' of id 105 is another in the measurements"):
        model(rows, patients.assign(treated=swapped)).design  # noqa: B018


def test_what_no_formula_has_may_differ():
    rows, patients = tables()
    assert model(rows.assign(day=1.0), patients.assign(day=2.0)).design.labels.size == 40
    # A marker's own table says it within rounding, or not at all of who was not measured.
    rounded = patients.assign(treated=patients["treated"] * (1.0 + 1e-12))
    assert model(rows[rows["id"] != 103], rounded).design.labels.size == 40


def test_new_patients_of_two_groups():
    rows, patients = tables()
    fit = model(rows, patients).fit()
    new = rows[rows["id"].isin([101, 103])]
    asked = {"at": 1.0, "times": [2.0], "draws": 3}
    asks = (fit.predict_survival, fit.predict_incidence, fit.predict_marker)
    first = new.index[1]
    for ask in asks:
        plain = ask(new, **asked)
        more = new.assign(note=np.arange(len(new)))  # of no formula
        pd.testing.assert_frame_equal(ask(more.sample(frac=1.0, random_state=1), **asked), plain)
        changed = new.assign(treated=new["treated"].where(new.index != first, 0))
        with pytest.raises(DataError, match=r"'treated' of id 101 changes in the new data"):
            ask(changed, **asked)
