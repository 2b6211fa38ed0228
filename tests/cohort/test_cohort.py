from __future__ import annotations

import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.errors import DataError

MARKERS = [Marker("crp", unit="mg/dL", transform="log", lower_limit=0.1), Marker("plt")]
SCHEMA = Schema(
    patient="id",
    treatment="arm",
    reference="control",
    exit="days",
    status="status",
    event="dead",
    censored="alive",
    competing={"discharged": "home"},
    entry=2,
    horizon=28,
    time="day",
    phases=(Phase("baseline", 1, 1), Phase("after", 4, 7)),
)


@pytest.fixture
def patients() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [3, 1, 2, 4],
            "arm": ["treated", "control", "control", "treated"],
            "days": [30.0, 5.0, 28.0, 12.0],
            "status": ["dead", "dead", "alive", "home"],
            "age": [60.0, 71.0, np.nan, 44.0],
        }
    )


@pytest.fixture
def visits() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [1, 1, 2, 3, 3, 3],
            "day": [1.0, 4.0, 1.0, 29.0, 1.0, 2.0],
            "crp": ["12", "<0.2", "0.05", "3", " 8.5 ", None],
            "plt": [100, 90, 200, 180, 150, 160],
        }
    )


@pytest.fixture
def cohort(patients: pd.DataFrame, visits: pd.DataFrame) -> Cohort:
    return Cohort(patients, visits, _wide(SCHEMA), MARKERS, title="<b>Trial</b>")


def _wide(schema: Schema) -> Schema:
    return replace(schema, wide=True)


def test_patients_are_sorted_and_the_reference_is_first(cohort: Cohort) -> None:
    assert list(cohort.patients["id"]) == [1, 2, 3, 4]
    assert list(cohort.patients["arm"].cat.categories) == ["control", "treated"]
    assert cohort.groups == ["control", "treated"]
    assert cohort.n_by_group == {"control": 2, "treated": 2}


def test_survival_data_is_censored_at_the_horizon(cohort: Cohort) -> None:
    data = cohort.survival_data()
    assert list(data.columns) == ["id", "entry", "exit", "event", "status", "arm", "age"]
    assert list(data["exit"]) == [5, 28, 28, 12]
    assert list(data["event"]) == [1, 0, 0, 0]  # patient 3 dies on day 30
    assert list(data["status"]) == [1, 0, 0, 2]
    assert set(data["entry"]) == {2.0}


def test_an_event_exactly_at_the_horizon_counts(
    patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    patients.loc[2, "status"] = "dead"
    data = Cohort(patients, visits, _wide(SCHEMA), MARKERS).survival_data()
    assert list(data["event"]) == [1, 1, 0, 0]


def test_limits_in_text_and_in_the_marker(cohort: Cohort) -> None:
    crp = cohort.marker_data("crp")
    assert list(crp["value"]) == [12, 0.2, 0.1, 8.5]
    assert list(crp["censored"]) == ["none", "left", "left", "none"]
    np.testing.assert_allclose(crp["y"], np.log([12, 0.2, 0.1, 8.5]), rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "value", "censored"),
    [
        ("<0.02", 0.02, "left"),
        ("< 0.02", 0.02, "left"),
        ("<=3", 3, "left"),
        ("≤3", 3, "left"),
        (">500", 500, "right"),
        ("≥ 500", 500, "right"),
        ("1.5e2", 150, "none"),
        (chr(0xFF1C) + "0.02", 0.02, "left"),  # full-width, as Japanese systems export it
        (chr(0xFF11) + chr(0xFF12), 12, "none"),
    ],
)
def test_text_values(
    patients: pd.DataFrame, visits: pd.DataFrame, text: str, value: float, censored: str
) -> None:
    visits.loc[0, "crp"] = text
    markers = [Marker("crp"), Marker("plt")]
    first = Cohort(patients, visits, _wide(SCHEMA), markers).marker_data("crp").iloc[0]
    assert (first["value"], first["censored"]) == (value, censored)


def test_a_text_limit_of_its_own_is_kept(patients: pd.DataFrame, visits: pd.DataFrame) -> None:
    visits.loc[0, "crp"] = "<0.01"
    first = Cohort(patients, visits, _wide(SCHEMA), MARKERS).marker_data("crp").iloc[0]
    assert (first["value"], first["censored"]) == (0.01, "left")


def test_phases_include_both_ends(cohort: Cohort) -> None:
    plt = cohort.marker_data("plt")
    assert list(plt["day"]) == [1, 4, 1, 1, 2]
    assert list(plt["phase"].astype(object).where(plt["phase"].notna(), None)) == [
        "baseline",
        "after",
        "baseline",
        "baseline",
        None,
    ]
    assert list(plt["phase"].cat.categories) == ["baseline", "after"]


def test_marker_data_carries_the_covariates(cohort: Cohort) -> None:
    plt = cohort.marker_data("plt")
    assert list(plt.columns) == ["id", "day", "phase", "value", "y", "censored", "arm", "age"]
    assert list(plt["arm"]) == ["control", "control", "control", "treated", "treated"]
    with pytest.raises(KeyError, match="no marker"):
        cohort.marker_data("CRP")


def test_flow_accounts_for_everything(cohort: Cohort) -> None:
    flow = cohort.flow
    assert list(flow.columns) == ["step", "unit", "kept", "removed", "reason"]
    by_step = flow.set_index("step")
    assert by_step.loc["in the measurement table", "kept"] == 12
    assert by_step.loc["value recorded", "removed"] == 1
    assert by_step.loc["by the horizon", "removed"] == 2
    assert by_step.loc["counted up to the horizon", "reason"].startswith("1 patient censored at 28")
    assert "1 later event not counted" in by_step.loc["counted up to the horizon", "reason"]
    assert by_step.loc["with or without measurements", "reason"].startswith("1 patient without")
    assert flow[flow["unit"] == "measurements"]["kept"].iloc[-1] == len(cohort.measurements)
    assert flow[flow["unit"] == "patients"]["kept"].iloc[-1] == len(cohort.patients)


def test_wide_is_the_way_back(cohort: Cohort) -> None:
    wide = cohort.wide()
    assert list(wide.columns) == ["id", "day", "crp", "plt"]
    assert len(wide) == 5
    assert wide.loc[4, "plt"] == 160
    assert np.isnan(wide.loc[4, "crp"])


def test_a_cohort_makes_itself_again(cohort: Cohort) -> None:
    again = Cohort(cohort.patients, cohort.measurements, cohort.schema, cohort.markers)
    pd.testing.assert_frame_equal(again.patients, cohort.patients)
    pd.testing.assert_frame_equal(again.measurements, cohort.measurements)
    pd.testing.assert_frame_equal(again.survival_data(), cohort.survival_data())


def test_nothing_a_caller_does_changes_it(
    cohort: Cohort, patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    before = cohort.survival_data()
    for frame in (cohort.patients, cohort.measurements, cohort.flow):
        frame.iloc[:, -1] = frame.iloc[::-1, -1].to_numpy()
        frame["added"] = 0
    patients["arm"] = "other"
    cohort.groups.append("x")
    pd.testing.assert_frame_equal(cohort.survival_data(), before)
    assert list(cohort.patients["age"].isna()) == [False, True, False, False]
    assert "added" not in cohort.measurements
    assert cohort.groups == ["control", "treated"]
    with pytest.raises(AttributeError, match="does not change"):
        cohort.title = "Other"


def test_it_can_be_sent_to_another_process(cohort: Cohort) -> None:
    twin = pickle.loads(pickle.dumps(cohort))
    pd.testing.assert_frame_equal(twin.measurements, cohort.measurements)
    assert twin.title == cohort.title


def test_its_summary_names_groups_and_is_escaped_in_html(cohort: Cohort) -> None:
    text = repr(cohort)
    assert "4 patients: 2 control (reference), 2 treated" in text
    assert "1 event, 1 discharged, 2 censored, followed to 28 from 2 days" in text
    assert "2 markers, 9 measurements, 2 of them beyond a detection limit" in text
    html = cohort._repr_html_()
    assert "&lt;b&gt;Trial&lt;/b&gt;" in html
    assert "<b>" not in html


def test_the_flow_calls_markers_as_a_reader_does(
    patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    named = [replace(marker, label=f"Marker number {k}") for k, marker in enumerate(MARKERS)]
    for schema in (_wide(SCHEMA), replace(_wide(SCHEMA), duplicates="last")):
        doubled = (
            pd.concat([visits, visits], ignore_index=True)
            if schema.duplicates == "last"
            else visits
        )
        reasons = Cohort(patients, doubled, schema, named).flow["reason"].str.cat(sep="; ")
        assert "Marker number 0" in reasons
        assert not any(re.search(rf"\b{marker.name}\b", reasons) for marker in MARKERS)


def test_reconstructed_data_say_so(patients: pd.DataFrame, visits: pd.DataFrame) -> None:
    cohort = Cohort(patients, visits, _wide(SCHEMA), MARKERS, reconstructed=True)
    assert "econstructed" in cohort.note
    assert cohort.note in repr(cohort)


def test_no_measurements_at_all(patients: pd.DataFrame) -> None:
    cohort = Cohort(patients, None, SCHEMA)
    assert cohort.measurements.empty
    assert len(cohort.survival_data()) == 4
    assert len(cohort.wide()) == 0
    with pytest.raises(DataError, match="no measurement table"):
        Cohort(patients, None, SCHEMA, MARKERS)


def test_levels_of_any_kind_and_three_if_listed(
    patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    patients["arm"] = [2, 0, 1, 0]
    schema = replace(_wide(SCHEMA), reference=1, levels=(0, 1, 2))
    cohort = Cohort(patients, visits, schema, MARKERS)
    assert cohort.groups == [1, 0, 2]
    patients["arm"] = [True, False, False, True]
    schema = replace(schema, reference=False, levels=())
    assert Cohort(patients, visits, schema, MARKERS).groups == [False, True]


def test_text_numbers_in_covariates_become_numbers(
    patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    patients["age"] = ["60", "71", None, "44"]
    cohort = Cohort(patients, visits, _wide(SCHEMA), MARKERS)
    np.testing.assert_array_equal(cohort.patients["age"], [71, np.nan, 60, 44])


def test_identifiers_keep_their_zeros_and_match_across_types(
    patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    texts = {1: "001", 2: "002", 3: "003", 4: "004"}
    cohort = Cohort(
        patients.assign(id=patients["id"].map(texts)),
        visits.assign(id=visits["id"].map(texts)),
        _wide(SCHEMA),
        MARKERS,
    )
    assert list(cohort.patients["id"]) == ["001", "002", "003", "004"]
    mixed = Cohort(patients.assign(id=["3", "1", "2", "x4"]), visits, _wide(SCHEMA), MARKERS)
    assert list(mixed.measurements["id"].unique()) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "order", [["control", "nobody", "treated"], ["nobody", "treated", "control"]]
)
def test_a_group_that_only_the_categories_name_is_no_group(
    patients: pd.DataFrame, visits: pd.DataFrame, order: list[str]
) -> None:
    named = patients.assign(arm=pd.Categorical(patients["arm"], order))
    cohort = Cohort(named, visits, _wide(SCHEMA), MARKERS)
    assert cohort.groups == ["control", "treated"]
    assert list(cohort.patients["arm"].cat.categories) == ["control", "treated"]
    assert cohort.n_by_group == {"control": 2, "treated": 2}
