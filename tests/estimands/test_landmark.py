"""Landmark data sets against patients followed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.cohort import Cohort, Marker, Schema
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.landmark import landmark
from longsurv.models import CoxPH


def make_cohort(visits, days=(3.0, 28.0, 5.0, 28.0, 12.0, 20.0), entry=None):
    patients = pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5, 6],
            "arm": ["a", "a", "a", "b", "b", "b"],
            "days": days,
            "status": ["dead", "alive", "home", "alive", "dead", "dead"],
            "age": [60, 65, 70, 61, 66, 71],
            "late": entry or [0.0] * 6,
        }
    )
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="status",
        event="dead", censored="alive", competing={"discharge": "home"},
        time="day", horizon=28.0, entry="late",
    )  # fmt: skip
    long = pd.DataFrame(visits, columns=["id", "day", "value"]).assign(marker="crp")
    return Cohort(patients, long, schema, [Marker("crp", transform="log")])


VISITS = [
    (1, 1, "9"), (2, 1, "8"), (2, 4, "4"), (2, 9, "2"), (4, 7, "<0.5"), (5, 8, "6"), (6, 2, "5"),
]  # fmt: skip


def test_who_is_at_risk_and_what_was_known():
    found = landmark(make_cohort(VISITS), 7)
    data = found.data.set_index("id")
    assert list(data.index) == [2, 4, 5, 6]
    assert data.loc[2, ["crp", "crp_time"]].tolist() == [4, 4]
    assert data.loc[4, ["crp", "crp_time", "crp_censored"]].tolist() == [0.5, 7, "left"]
    assert np.isnan(data.loc[5, "crp"])
    assert (data["entry"] == 7).all()
    assert data.loc[5, ["exit", "event", "age"]].tolist() == [12, 1, 66]
    assert [tuple(row) for row in found.left_out.to_numpy()] == [
        ("a", "discharge by 7", 1),
        ("a", "event by 7", 1),
        ("b", "no crp by 7", 1),
    ]


def test_old_measurements_and_late_entries_can_be_left_out():
    found = landmark(make_cohort(VISITS, entry=[0, 0, 0, 0, 0, 9.0]), 7, since=3)
    assert list(found.data["id"]) == [2, 4, 5]
    reasons = found.left_out.set_index(["group", "reason"])["n"]
    assert reasons["b", "under observation only after 7"] == 1
    assert np.isnan(landmark(make_cohort(VISITS), 7, since=5).data.set_index("id").loc[2, "crp"])


def test_the_data_fit_a_model():
    visits = [(k, 1, str(v)) for k, v in zip(range(1, 7), (9, 8, 7, 6, 5, 4), strict=True)]
    found = landmark(make_cohort(visits, days=(9.0, 28, 5, 28, 12, 20)), 2)
    fit = CoxPH("Surv(entry, exit, event) ~ log(crp)", data=found.data).fit()
    assert np.isfinite(fit.params).all()


@given(
    st.floats(0, 27),
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(1, 50)),
        unique_by=lambda v: v[:2],
        max_size=20,
    ),
)
@settings(max_examples=40, deadline=None)
def test_every_patient_is_kept_or_counted_and_no_value_comes_from_the_future(day, visits):
    cohort = make_cohort([(k, d, str(v)) for k, d, v in visits] or [(1, 1, "3")])
    found = landmark(cohort, day)
    gone = found.left_out[~found.left_out["reason"].str.startswith("no crp")]
    assert len(found.data) + gone["n"].sum() == 6
    assert (found.data["exit"] > day).all()
    seen = cohort.marker_data("crp")
    for row in found.data.to_dict("records"):
        past = seen[(seen["id"] == row["id"]) & (seen["day"] <= day)]
        if past.empty:
            assert np.isnan(row["crp"])
        else:
            assert row["crp_time"] == past["day"].max()
            assert row["crp"] == past.loc[past["day"].idxmax(), "value"]


def test_what_makes_no_sense_is_refused():
    cohort = make_cohort(VISITS)
    with pytest.raises(LongsurvError, match="before the horizon"):
        landmark(cohort, 28)
    with pytest.raises(LongsurvError, match="no marker pct; the markers are crp"):
        landmark(cohort, 7, markers=["pct"])
    with pytest.raises(LongsurvError, match="since"):
        landmark(cohort, 7, since=8)
    everyone = make_cohort([(1, 1, "9")], days=(3.0, 6, 5, 6, 6, 6))
    with pytest.raises(DataError, match="no patient is at risk at days 7"):
        landmark(everyone, 7)
    assert landmark(cohort, 7, markers=[]).data.columns.tolist() == [
        "id", "entry", "exit", "event", "status", *cohort.covariates,
    ]  # fmt: skip
