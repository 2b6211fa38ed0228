"""Each kind of bad input, alone and together, by what its message says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.cohort.problems import Table
from longsurv.errors import DataError
from longsurv.models import CoxPH

MARKERS = [Marker("crp", transform="log"), Marker("plt")]
SCHEMA = Schema(
    patient="id",
    treatment="arm",
    reference="control",
    exit="days",
    status="died",
    time="day",
    covariates=("age",),
)


def good() -> tuple[pd.DataFrame, pd.DataFrame]:
    patients = pd.DataFrame(
        {
            "id": [11, 12, 13, 14, 15],
            "arm": ["control", "treated", "control", "treated", "treated"],
            "days": [28, 9, 28, 28, 20],
            "died": [0, 1, 0, 0, 1],
            "age": [50, 60, 70, 80, 90],
        }
    ).astype(object)
    visits = pd.DataFrame(
        {
            "id": [11, 11, 12, 13, 14, 15],
            "day": [1, 4, 1, 1, 1, 1],
            "marker": ["crp", "crp", "plt", "crp", "plt", "crp"],
            "value": [12, 3, 150, 8, 90, 20],
        }
    ).astype(object)
    return patients, visits


def as_file(frame: pd.DataFrame, name: str) -> Table:
    return Table(frame.set_axis(range(2, len(frame) + 2)), name, "row")


def build(patients: pd.DataFrame, visits: pd.DataFrame, schema: Schema = SCHEMA) -> Cohort:
    return Cohort(as_file(patients, "patients.csv"), as_file(visits, "visits.csv"), schema, MARKERS)


def problems_of(
    patients: pd.DataFrame, visits: pd.DataFrame, schema: Schema = SCHEMA
) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        build(patients, visits, schema)
    return caught.value.problems


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a change of one cell, the row counted from 0."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        frame.loc[row, column] = value
        return frame

    return change


def test_the_good_tables_are_good() -> None:
    assert len(build(*good()).patients) == 5


# the change, then every piece its one message must contain
PATIENT_CASES = {
    "missing column": (
        lambda f: f.rename(columns={"arm": "amr"}),
        ['patients.csv: column "arm" (the treatment) is missing', 'did you mean "amr"?'],
    ),
    "missing covariate": (
        lambda f: f.rename(columns={"age": "Age (years)"}),
        ['column "age"', "the columns are"],
    ),
    "twice": (
        put(3, "id", 12),
        ['column "id"', "more than once in 2 rows", "patient 12, row 3", "patient 12, row 5"],
    ),
    "no identifier": (put(0, "id", None), ['column "id"', "no patient identifier", "(row 2)"]),
    "negative time": (put(2, "days", -1), ['column "days"', "negative", "-1 (patient 13, row 4)"]),
    "infinite time": (put(2, "days", np.inf), ['column "days"', "infinite", "patient 13, row 4"]),
    "text time": (put(2, "days", "soon"), ['column "days"', "not a number", '"soon" (patient 13']),
    "a limit as time": (put(2, "days", ">28"), ["not a number", '">28" (patient 13, row 4)']),
    "dead at entry": (put(1, "days", 0), ["death before entry", "0 <= 0 (patient 12, row 3)"]),
    "unknown level": (
        put(4, "arm", "Treated"),
        ['column "arm"', "3 treatment levels", '"Treated" (1)', '"Treated" (patient 15, row 6)'],
    ),
    "no treatment": (put(4, "arm", None), ['column "arm"', "missing in 1 row", "patient 15"]),
    "blank treatment": (put(4, "arm", "  "), ['column "arm"', "missing in 1 row", "row 6"]),
    "no outcome": (put(4, "died", None), ['column "died"', "missing", "exclude_incomplete"]),
    "no time": (put(4, "days", None), ['column "days"', "missing in 1 row", "patient 15, row 6"]),
    "unknown status": (put(4, "died", 7), ['column "died"', "unknown", "7 (patient 15, row 6)"]),
    "empty group": (
        lambda f: f.assign(arm="treated"),
        ['column "arm"', 'the reference "control" has no patients', "empty group"],
    ),
    "one group": (lambda f: f.assign(arm="control"), ["the other group is empty"]),
    "no events": (lambda f: f.assign(died=0), ['column "died"', "no events"]),
    "text among numbers": (
        put(1, "age", "sixty"),
        ['column "age"', "text in a column of numbers", '"sixty" (patient 12, row 3)'],
    ),
    "infinite covariate": (
        lambda f: put(1, "age", np.inf)(f).astype({"age": float}),
        ['column "age"', "infinite value", "patient 12, row 3"],
    ),
    "a name in use": (lambda f: f.assign(y=1), ['"y"', "rename it"]),
    "a column twice": (
        lambda f: pd.concat([f, f[["age"]]], axis=1),
        ['columns "age" appear twice'],
    ),
}


@pytest.mark.parametrize("case", PATIENT_CASES)
def test_one_problem_of_the_patients(case: str) -> None:
    change, pieces = PATIENT_CASES[case]
    patients, visits = good()
    found = problems_of(change(patients), visits)
    matching = [text for text in found if all(piece in text for piece in pieces)]
    assert matching, found
    # A repeated or absent identifier also leaves another patient's measurements without an owner.
    assert len(found) == 1 or case in (
        "twice",
        "no identifier",
        "a column twice",
        "dead at entry",
    ), found


VISIT_CASES = {
    "missing column": (
        lambda f: f.rename(columns={"value": "vlaue"}),
        ['visits.csv: column "value"', 'did you mean "vlaue"?'],
    ),
    "unknown patient": (
        put(3, "id", 99),
        ['visits.csv, column "id"', "patient not in patients.csv", "patient 99, row 5"],
    ),
    "no patient": (put(3, "id", None), ['column "id"', "no patient identifier", "(row 5)"]),
    "twice": (
        put(1, "day", 1),
        ['column "day"', "measured twice", "crp at 1 (patient 11, row 2)", "patient 11, row 3"],
    ),
    "negative time": (put(1, "day", -2), ['column "day"', "negative", "-2 (patient 11, row 3)"]),
    "infinite time": (put(1, "day", np.inf), ['column "day"', "infinite", "patient 11, row 3"]),
    "no time": (put(1, "day", None), ['column "day"', "no measurement time", "patient 11, row 3"]),
    "text time": (put(1, "day", "d4"), ['column "day"', "not a", '"d4" (patient 11, row 3)']),
    "after death": (
        put(2, "day", 9.5),
        ['column "day"', "after the event (death)", "time 9.5 > 9 (patient 12, row 4)"],
    ),
    "after follow-up": (
        put(1, "day", 30),
        ["after the end of follow-up", "time 30 > 28 (patient 11, row 3)"],
    ),
    "text value": (
        put(1, "value", "hemolysed"),
        ['column "value"', "text in a column of numbers", '"hemolysed" (patient 11, row 3)'],
    ),
    "decimal comma": (put(1, "value", "1,5"), ['"1,5" (patient 11, row 3)']),
    "infinite value": (put(1, "value", np.inf), ["infinite value", "patient 11, row 3"]),
    "zero on a log scale": (
        put(1, "value", 0),
        ['column "value"', "not above 0", "crp 0 (patient 11, row 3)", "lower_limit"],
    ),
    "unknown marker": (
        put(1, "marker", "CPR"),
        ['column "marker"', "does not name", '"CPR" (patient 11, row 3)', 'Did you mean "crp"?'],
    ),
    "no marker": (put(1, "marker", None), ["without a marker's name", "patient 11, row 3"]),
    "never measured": (
        lambda f: f[f["marker"] == "crp"],
        ['the marker "plt" has no values'],
    ),
    "unknown censoring": (
        lambda f: f.assign(censored=["none", "low", "none", "none", "none", "left"]),
        ['column "censored"', '"low" (patient 11, row 3)'],
    ),
}


@pytest.mark.parametrize("case", VISIT_CASES)
def test_one_problem_of_the_measurements(case: str) -> None:
    change, pieces = VISIT_CASES[case]
    patients, visits = good()
    found = problems_of(patients, change(visits))
    assert len(found) == 1, found
    assert all(piece in found[0] for piece in pieces), found[0]


def test_all_problems_at_once() -> None:
    patients, visits = good()
    patients = put(1, "age", "sixty")(put(2, "days", -1)(put(4, "arm", None)(patients)))
    visits = put(5, "value", "x")(put(3, "id", 99)(put(1, "day", -2)(visits)))
    found = problems_of(patients, visits)
    for piece in ("sixty", '"days"', '"arm"', '"x"', "99", "-2"):
        assert any(piece in text for text in found), (piece, found)
    with pytest.raises(DataError, match=r"6 problems in the data:\n  1\. "):
        build(patients, visits)


def test_a_missing_column_does_not_hide_other_problems() -> None:
    patients, visits = good()
    found = problems_of(
        put(2, "days", -1)(patients).drop(columns="died"), put(1, "value", "x")(visits)
    )
    assert len(found) == 3, found


def test_many_rows_are_counted_after_the_first() -> None:
    patients, visits = good()
    many = pd.concat([visits] * 5, ignore_index=True).assign(day=-1.0)
    (text, *_) = [t for t in problems_of(patients, many) if "negative" in t]
    assert "in 30 rows" in text
    assert "and 22 more" in text


def test_data_frames_are_named_by_their_index() -> None:
    patients, visits = good()
    visits = put(1, "day", -2)(visits).set_axis(list("abcdef"))
    with pytest.raises(DataError, match=r"the measurement table, .*\(patient 11, index b\)"):
        Cohort(patients, visits, SCHEMA, MARKERS)


def test_a_wide_table_names_the_marker_column_and_each_row_once() -> None:
    patients, _ = good()
    wide = pd.DataFrame(
        {
            "id": [11, 12, 99],
            "day": [1.0, -1.0, 1.0],
            "crp": ["3", "x", "5"],
            "plt": [1, 2, 3],
        }
    )
    found = problems_of(patients, wide, replace(SCHEMA, wide=True))
    assert len(found) == 3, found
    assert any('column "crp"' in text and '"x" (patient 12, row 3)' in text for text in found)
    assert sum("negative" in text and "in 1 row:" in text for text in found) == 1
    missing = problems_of(patients, wide.drop(columns="plt"), replace(SCHEMA, wide=True))
    assert any('column "plt" (a marker) is missing' in text for text in missing)


def test_listed_levels() -> None:
    patients, visits = good()
    listed = replace(SCHEMA, levels=("control", "treated"))
    found = problems_of(put(4, "arm", "other")(patients), visits, listed)
    assert len(found) == 1
    assert 'unknown treatment level in 1 row: "other" (patient 15, row 6)' in found[0]
    three = replace(SCHEMA, levels=("control", "treated", "both"))
    (text,) = problems_of(patients, visits, three)
    assert '"both" has no patients (an empty group)' in text


def test_incomplete_patients_are_counted_when_asked() -> None:
    patients, visits = good()
    patients = put(3, "days", None)(put(4, "arm", None)(patients))
    cohort = build(patients, visits, replace(SCHEMA, exclude_incomplete=True))
    assert list(cohort.patients["id"]) == [11, 12, 13]
    flow = cohort.flow.set_index("step")
    assert flow.loc["treatment and outcome known", "removed"] == 2
    assert flow.loc["treatment and outcome known", "reason"] == "missing arm: 1, days: 1"
    assert flow.loc["patient in the cohort", "removed"] == 2


def test_delayed_entry() -> None:
    patients, visits = good()
    late = replace(SCHEMA, entry=9.0)
    (text,) = problems_of(patients, visits, late)
    assert "death before entry" in text
    assert "9 <= 9 (patient 12, row 3)" in text
    cohort = build(patients, visits, replace(late, exclude_before_entry=True))
    step = cohort.flow.set_index("step").loc["at risk after entry"]
    assert (step["kept"], step["removed"]) == (4, 1)
    assert 12 not in set(cohort.measurements["id"])


def test_entry_from_a_column() -> None:
    patients, visits = good()
    patients["start"] = [0, 1, 2, 30, None]
    schema = replace(SCHEMA, entry="start")
    found = problems_of(patients, visits, schema)
    assert any('column "start": missing' in text for text in found)
    assert any("28 <= 30" in text and "patient 14, row 5" in text for text in found)
    schema = replace(schema, exclude_before_entry=True, exclude_incomplete=True)
    assert list(build(patients, visits, schema).survival_data()["entry"]) == [0, 1, 2]


def test_a_group_emptied_by_exclusions_and_events_after_the_horizon() -> None:
    patients, visits = good()
    schema = replace(SCHEMA, exclude_incomplete=True)
    gone = patients.assign(days=[28, None, 28, None, None])
    found = problems_of(gone, visits, schema)
    assert any('the group "treated" is empty once' in text for text in found), found
    (text,) = problems_of(patients, visits, replace(SCHEMA, horizon=5))
    assert "no events" in text
    assert "by 5 days (2 events after it)" in text


def test_other_markers_are_counted_when_asked() -> None:
    patients, visits = good()
    visits = put(1, "value", "haemolysed")(put(1, "marker", "potassium")(visits))
    cohort = build(patients, visits, replace(SCHEMA, exclude_other_markers=True))
    step = cohort.flow.set_index("step").loc["marker in the study"]
    assert (step["kept"], step["removed"], step["reason"]) == (5, 1, "potassium: 1")


def test_tolerance_after_follow_up() -> None:
    patients, visits = good()
    visits = put(2, "day", 9.5)(visits)
    assert len(build(patients, visits, replace(SCHEMA, tolerance=1)).measurements) == 6


def test_a_categorical_covariate_may_look_like_numbers() -> None:
    patients, visits = good()
    patients["site"] = ["1", "2", "3A", "2", "1"]
    schema = replace(SCHEMA, covariates=("age", "site"))
    assert '"3A" (patient 13, row 4)' in problems_of(patients, visits, schema)[0]
    cohort = build(patients, visits, replace(schema, categorical=("site",)))
    assert list(cohort.patients["site"]) == ["1", "2", "3A", "2", "1"]


@pytest.mark.parametrize(
    "stages",
    [
        [1, 10, 3, 2, 1],
        [1.0, 10.0, np.nan, 2.0, 1.0],
        ["1", "10", "3", "2", "1"],
        ["1 ", "10", "", "2", "1"],
        [True, False] * 2 + [True],
    ],
    ids=["whole", "with a gap", "text", "text with blanks", "yes or no"],
)
def test_a_categorical_covariate_is_labels_whatever_holds_them(stages) -> None:
    patients, visits = good()
    patients["stage"] = stages
    schema = replace(SCHEMA, covariates=("age", "stage"), categorical=("stage",))
    found = build(patients, visits, schema).patients["stage"]
    told = [None if pd.isna(s) else str(s if isinstance(s, bool | str) else int(s)) for s in stages]
    told = [one.strip() if one else None for one in told]
    assert [None if pd.isna(one) else one for one in found] == told
    known = {one for one in told if one is not None}
    key = str if known <= {"True", "False"} else int
    assert list(found.cat.categories) == sorted(known, key=key)


def test_a_formula_takes_a_categorical_covariate_as_levels() -> None:
    """Stages 1 to 4 have three coefficients, not a slope."""
    n = 40
    patients = pd.DataFrame({
        "id": range(n), "arm": ["control", "ivig"] * (n // 2), "stage": [1, 2, 3, 4] * (n // 4),
        "days": np.linspace(3.0, 28.0, n), "died": [1, 0, 0, 1, 1] * (n // 5),
    })  # fmt: skip
    schema = Schema(
        patient="id", treatment="arm", reference="control", exit="days", status="died", event=1,
        censored=0, covariates=("stage",), categorical=("stage",),
    )  # fmt: skip
    cohort = Cohort(patients, None, schema)
    names = CoxPH("Surv(days, died) ~ stage", cohort.patients).fit().names
    assert names == ("stage[T.2]", "stage[T.3]", "stage[T.4]")


def test_no_patients() -> None:
    patients, visits = good()
    assert any("there are no patients" in text for text in problems_of(patients[:0], visits))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"horizon": -1}, "horizon must be"),
        ({"horizon": 5.0, "entry": 7.0}, "before horizon"),
        ({"entry": -1.0}, "entry must be"),
        ({"tolerance": -1.0}, "tolerance must be"),
        ({"levels": ("a", "b")}, 'reference "control" is not among'),
        ({"censored": 1}, "cannot mean both"),
        ({"competing": {"discharged": 0}}, "cannot mean both censored and discharged"),
        ({"phases": (Phase("a", 1, 4), Phase("b", 4, 7))}, "overlap at time 4"),
        ({"phases": (Phase("a", 1, 1), Phase("a", 4, 7))}, "given twice"),
        ({"time": "value"}, "cannot be called"),
    ],
)
def test_a_schema_that_contradicts_itself(change: dict, match: str) -> None:
    with pytest.raises(DataError, match=match):
        replace(SCHEMA, **change)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"transform": "sqrt"}, "transform must be"),
        ({"direction": "down"}, "direction must be"),
        ({"lower_limit": "0.1"}, "lower_limit must be a number"),
        ({"lower_limit": 0.0, "transform": "log"}, "above 0"),
    ],
)
def test_a_marker_that_cannot_be(given: dict, match: str) -> None:
    with pytest.raises(DataError, match=match):
        Marker("crp", **given)


def test_markers_twice_or_named_like_a_column() -> None:
    patients, visits = good()
    with pytest.raises(DataError, match="described twice"):
        Cohort(patients, visits, SCHEMA, [*MARKERS, Marker("crp")])
    with pytest.raises(DataError, match="name of the patient or time column"):
        Cohort(patients, visits, SCHEMA, [Marker("day")])
    with pytest.raises(TypeError, match="must be a pandas DataFrame"):
        Cohort({"id": 1}, visits, SCHEMA, MARKERS)


def test_codes_of_r_are_not_taken_for_event_and_competing() -> None:
    patients, visits = good()
    coded = patients.assign(died=[1, 2, 1, 1, 2])
    for status in (coded["died"], coded["died"].astype(float), coded["died"].astype(str)):
        text, _ = problems_of(coded.assign(died=status), visits, SCHEMA)
        assert "1 = alive and 2 = dead" in text
        assert "censored = []" in text
    # who calls 2 a competing event says what the codes are
    labelled = replace(SCHEMA, competing={"discharge": 2})
    for said in (labelled, replace(labelled, censored=())):
        assert build(coded, visits, said).survival_data()["status"].tolist() == [1, 2, 1, 1, 2]
    meant = replace(SCHEMA, event=2, censored=1)
    assert build(coded, visits, meant).survival_data()["event"].tolist() == [0, 1, 0, 0, 1]
    named = replace(labelled, event="d", censored="alive", competing={"home": "h"})
    texts = coded.assign(died=coded["died"].map({1: "d", 2: "h"}))
    assert build(texts, visits, named).survival_data()["status"].tolist() == [1, 2, 1, 1, 2]
    with pytest.raises(DataError, match="event names no status"):
        replace(SCHEMA, event=())
