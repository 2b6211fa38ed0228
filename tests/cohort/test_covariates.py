"""Markers as baseline covariates: what is handed out, and what is refused with which advice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.cohort.covariates import late_covariates
from longsurv.errors import DataError

VISITS = [
    (1, 0, 9.0), (2, 0, 8.0), (2, 4, 4.0), (3, 0, 7.0), (3, 5, 3.5), (4, 0, 6.0), (4, 4, 2.0),
    (5, 4, 1.5), (6, 0, 5.0), (6, 6, 2.5), (7, 0, 4.5), (7, 5, 1.0),
]  # fmt: skip


def make(visits=VISITS, entry=0.0, **columns) -> Cohort:
    patients = pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5, 6, 7], "arm": list("aaabbbb"),
            "days": [9.0, 28.0, 28.0, 28.0, 9.0, 20.0, 28.0], "died": [1, 0, 0, 0, 1, 1, 0],
            "late": entry, **columns,
        }
    )  # fmt: skip
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="died", time="day",
        entry="late", phases=(Phase("baseline", 0, 1), Phase("after", 4, 7)), time_unit="day",
        exclude_before_entry=True,
    )  # fmt: skip
    long = pd.DataFrame(visits, columns=["id", "day", "value"]).assign(marker="crp")
    return Cohort(patients, long, schema, [Marker("crp", transform="log")])


def test_values_of_a_phase_and_of_a_day_are_those_measured_then():
    data = make().survival_data(markers={"crp": "baseline"}).set_index("id")
    assert data["crp"].tolist()[:4] == [9, 8, 7, 6]
    assert np.isnan(data.loc[5, "crp"])  # not measured, so missing, not refused
    assert make().survival_data(markers={"crp": 3}).set_index("id")["crp"].equals(data["crp"])
    late = make(entry=6.0).survival_data(markers={"crp": 6}).set_index("id")
    assert late["crp"].tolist() == [9, 4, 3.5, 2, 1.5, 2.5, 1]
    assert "crp" not in make().survival_data()


def test_a_value_measured_after_entry_is_refused_with_patients_days_and_advice():
    with pytest.raises(DataError) as caught:
        make(days=[3.0, 28.0, 28.0, 28.0, 9.0, 20.0, 28.0]).survival_data(markers={"crp": "after"})
    text = str(caught.value)
    assert 'marker "crp" at phase "after" is not a baseline covariate' in text
    assert "in 6 patients: patient 2 (day 4, at risk from 0), patient 3 (day 5" in text
    assert "and 1 more" in text
    assert "1 patient had died or left before anyone's was measured, so has none: 1." in text
    for advice in ("landmark(cohort, 6)", "Surv(start, stop, event)", "JointModel"):
        assert advice in text


def test_one_patient_who_entered_earlier_is_enough_to_refuse():
    entry = [7.0] * 6 + [2.0]
    with pytest.raises(DataError, match=r"in 1 patient: patient 7 \(day 5, at risk from 2\)"):
        make(entry=entry).survival_data(markers={"crp": "after"})
    assert make(entry=7.0).survival_data(markers={"crp": "after"})["crp"].notna().sum() == 6


def test_a_measurement_at_entry_itself_is_known_at_entry():
    assert make(entry=4.0).survival_data(markers={"crp": 4})["crp"].notna().all()


def test_every_problem_is_reported_at_once():
    with pytest.raises(DataError) as caught:
        make(VISITS[2:3]).survival_data(markers={"crq": "after", "crp": "aftr"})
    assert caught.value.problems == (
        'there is no marker "crq"; did you mean "crp"?',
        'marker "crp": there is no phase "aftr"; did you mean "after"?',
    )
    with pytest.raises(DataError, match="no patient has a value at phase"):
        make(VISITS[2:3]).survival_data(markers={"crp": "baseline"})
    with pytest.raises(DataError, match="has a column of that name"):
        make(crp=1.0).survival_data(markers={"crp": "baseline"})


def test_columns_of_the_patient_table_that_are_late_markers_are_found():
    after = [np.nan, 4.0, 3.5, 2.0, 1.5, 2.5, 1.0]
    cohort = make(crp_after=range(7), copied=after, age=range(60, 67), first=[9, 8, 7, 6, 0, 5, 4])
    found = late_covariates(cohort, "arm * age + first + copied + crp_after + log(crp)")
    assert len(found) == 3
    assert "all its 6 values are ones that marker had only then" in found[0]
    assert found[1].startswith('"crp" is a marker, measured repeatedly')
    assert 'survival_data(markers={"crp": "baseline"})' in found[1]
    assert 'is named as marker "crp" at phase "after"' in found[2]
    assert all("landmark" in text for text in (found[0], found[2]))
    assert late_covariates(cohort, "age + arm") == []
    assert late_covariates(cohort, "log(crp) + copied", known=["crp", "copied"]) == []
    ratio = make(**{"crp.ratio": range(7)})
    assert late_covariates(ratio, "log(`crp.ratio`)") == []  # not the marker crp
    known = make(entry=7.0, crp_after=range(7), copied=after)
    assert late_covariates(known, "crp_after + copied") == []


@given(
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 8)), min_size=1, max_size=20, unique=True),
    st.lists(st.integers(0, 8), min_size=7, max_size=7),
    st.integers(0, 8),
)
@settings(max_examples=60, deadline=None)
def test_no_value_handed_out_was_measured_after_entry(visits, entry, day):
    cohort = make(
        [(i, t, 1.0 + t) for i, t in visits], entry=[float(e) for e in entry], days=[28.0] * 7
    )
    entered = dict(zip(range(1, 8), entry, strict=True))
    last = {i: max((t for j, t in visits if j == i and t <= day), default=None) for i in entered}
    known = {i: t for i, t in last.items() if t is not None}
    if not known or any(t > entered[i] for i, t in known.items()):
        with pytest.raises(DataError):
            cohort.survival_data(markers={"crp": day})
        return
    data = cohort.survival_data(markers={"crp": day}).set_index("id")["crp"].dropna()
    assert data.to_dict() == {i: 1.0 + t for i, t in known.items()}
