"""Times counted from dates: which ways of writing are read, and what is said of the others."""

from __future__ import annotations

import datetime
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from small_studies import Folder, reasons, values

from longsurv.cohort import Cohort, Marker, Schema
from longsurv.cohort.dates import read_dates

PATIENTS = """id,arm,admitted_at,last_seen,died
1,a,2024-01-30,2024-02-27,0
2,b,2024-02-01,2024-02-10,1
3,a,2024-03-01,2024-03-29,0
4,b,2024-12-30,2025-01-11,1
"""
VISITS = """id,day,marker,value
1,2024-01-30,crp,12
1,2024-02-03,crp,8
2,2024-02-01,crp,30
2,2024-02-06,crp,40
3,2024-03-02,crp,5
4,2025-01-01,crp,7
"""
TIMES = [(1, 0, 12), (1, 4, 8), (2, 0, 30), (2, 5, 40), (3, 1, 5), (4, 2, 7)]
WAYS = ["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %B %Y", "%d/%m/%Y", "%m/%d/%Y",
        "%d%b%Y", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
        "%Y-%m-%dT%H:%M:%SZ"]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path).write("patients.csv", PATIENTS).write("visits.csv", VISITS)
    folder.change("study.toml", ('exit = "days"', 'exit = "last_seen"\ntime_zero = "admitted_at"'))
    return folder


def rewritten(text: str, how: str) -> str:
    cells = [line.split(",") for line in text.strip().split("\n")]
    for row in cells[1:]:
        for k, cell in enumerate(row):
            if cell.startswith("20"):
                row[k] = datetime.date.fromisoformat(cell).strftime(how)
    return "\n".join(map(",".join, cells)) + "\n"


def test_days_are_counted_from_the_column_of_time_zero(folder):
    cohort = folder.cohort()
    assert list(cohort.survival_data()["exit"]) == [28, 9, 28, 12]
    assert values(cohort) == TIMES
    assert "admitted_at" not in cohort.patients
    step = reasons(cohort)["times counted from dates"]
    assert step == (0, '"last_seen", "day" in days since "admitted_at"')


@pytest.mark.parametrize("how", WAYS)
def test_ways_of_writing(folder, how):
    folder.write("patients.csv", rewritten(PATIENTS, how))
    folder.write("visits.csv", rewritten(VISITS, how))
    assert values(folder.cohort()) == TIMES


@pytest.mark.parametrize("how", ["%y%m%d", "%Y%m%d", "%d/%m/%y"])
def test_any_format_that_is_given(folder, how):
    folder.write("patients.csv", rewritten(PATIENTS, how))
    folder.write("visits.csv", rewritten(VISITS, how))
    folder.keys("outcome", f'date_format = "{how}"')
    assert values(folder.cohort()) == TIMES


def test_day_and_month_that_could_be_exchanged(folder):
    text = VISITS
    for day in ("01-30", "02-03", "02-01", "02-06", "03-02", "01-01"):
        text = text.replace(f"-{day}", "-05-06")
    folder.write("visits.csv", rewritten(text, "%d/%m/%Y"))
    said = folder.problems()
    assert 'visits.csv, column "day": "06/05/2024" may have the day or the month first' in said
    assert 'date_format = "%d/%m/%Y"' in said


@pytest.mark.parametrize(
    ("unit", "length"), [("hours", 24), ("weeks", 1 / 7), ("years", 1 / 365.25), ("minutes", 1440)]
)
def test_units(folder, unit, length):
    cohort = folder.keys("outcome", f'time_unit = "{unit}"').cohort()
    assert [row[1] for row in values(cohort)] == pytest.approx([t * length for _, t, _ in TIMES])


def test_a_unit_that_no_date_has(folder):
    folder.keys("outcome", 'time_unit = "visits"')
    assert (
        'dates cannot be counted in "visits"; time_unit must be minutes, hours' in folder.problems()
    )


@pytest.mark.parametrize("how", ["%Q", "day", "", "%d %d", "%Y %Y", "%Y %"])
def test_a_format_that_is_none(folder, how):
    folder.keys("outcome", f'date_format = "{how}"')
    assert "date_format must be text such as" in folder.problems()


def test_a_number_among_dates_is_named(folder):
    folder.write("patients.csv", PATIENTS.replace("2024-02-27", "28"))
    said = folder.problems()
    assert 'column "last_seen": not a date in 1 row: "28" (row 2)' in said


def test_time_zero_has_to_be_named(folder):
    folder.change("study.toml", ('time_zero = "admitted_at"', 'time_zero = "ICU admission"'))
    said = folder.problems()
    assert "time_zero of [outcome] must be the column of the date" in said
    assert 'not "ICU admission"; the columns of dates are "admitted_at", "last_seen"' in said


def test_a_date_that_is_none(folder):
    folder.write("visits.csv", VISITS.replace("2024-02-06", "2024-02-31"))
    assert 'column "day": not a date in 1 row: "2024-02-31" (row 5)' in folder.problems()


def test_nobody_is_left_out_without_a_word(folder):
    folder.write("patients.csv", PATIENTS.replace("3,a,2024-03-01", "3,a,"))
    said = folder.problems()
    assert 'patients.csv, column "admitted_at": no date of time zero in 1 row:' in said
    cohort = folder.keys("patients", "exclude_incomplete = true").cohort()
    found = reasons(cohort)
    assert found["treatment and outcome known"] == (1, "missing last_seen: 1")
    assert found["patient in the cohort"] == (1, "of excluded patients: 1")


def test_follow_up_that_ends_on_a_date_ends_with_the_day(folder):
    folder.write("patients.csv", PATIENTS.replace("2,b,2024-02-01", "2,b,2024-02-01 18:00"))
    text = VISITS.replace("2024-02-06", "2024-02-10 09:00")
    folder.write("visits.csv", text.replace("2,2024-02-01", "2,2024-02-01 20:00"))
    cohort = folder.cohort()
    assert list(cohort.survival_data()["exit"]) == [29, 9.25, 29, 13]
    assert values(cohort)[2:4] == [(2, pytest.approx(2 / 24), 30), (2, 8.625, 40)]
    assert '"last_seen" has no time of day: follow-up ends with the day' in str(reasons(cohort))


def test_visits_on_dates_begin_at_midnight(folder):
    folder.write("patients.csv", PATIENTS.replace("-01,2024-02-10", "-01 18:00,2024-02-10 12:00"))
    cohort = folder.cohort()
    assert values(cohort) == TIMES
    assert '"day" has no time of day: days begin at midnight' in str(reasons(cohort))


def test_outside_and_baseline_are_told_by_dates(folder):
    text = VISITS + "3,2024-02-29,crp,6\n3,2023-02-28,crp,6\n4,2025-02-01,crp,6\n"
    folder.write("visits.csv", text)
    folder.keys("measurements", 'outside = "exclude"\nbaseline_window = [-2, 0]')
    cohort = folder.cohort()
    assert values(cohort) == [*TIMES[:4], (3, 0, 6), *TIMES[4:]]


def test_entry_on_a_date(folder):
    text = PATIENTS.replace("died\n", "died,at_risk\n").replace(",0\n", ",0,2024-03-02\n")
    text = text.replace("2024-02-27,0,2024-03-02", "2024-02-27,0,2024-02-01")
    text = text.replace("10,1\n", "10,1,2024-02-01\n").replace("11,1\n", "11,1,2025-01-01\n")
    folder.write("patients.csv", text).keys("outcome", 'entry = "at_risk"')
    assert list(folder.cohort().survival_data()["entry"]) == [2, 0, 1, 2]


def test_zones_on_one_side_only(folder):
    folder.write("visits.csv", rewritten(VISITS, "%Y-%m-%dT%H:%M:%SZ"))
    assert "some have a time zone and some have none" in folder.problems()


@pytest.mark.parametrize(
    "kind", ["datetime64[s]", "datetime64[ns]", "datetime64[ns, UTC]", "object"]
)
def test_columns_of_dates(kind):
    patients, visits = pd.read_csv(StringIO(PATIENTS)), pd.read_csv(StringIO(VISITS))
    for frame in (patients, visits):
        for name in frame.columns.intersection(["admitted_at", "last_seen", "day"]):
            column = pd.to_datetime(frame[name])
            if "UTC" in kind:
                frame[name] = column.dt.tz_localize("UTC")
            else:
                frame[name] = column.dt.date if kind == "object" else column.astype(kind)
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="last_seen", status="died", time="day",
        time_zero="admitted_at",
    )  # fmt: skip
    cohort = Cohort(patients, visits, schema, [Marker("crp")])
    assert values(cohort) == TIMES
    again = Cohort(cohort.patients, cohort.measurements, cohort.schema, [Marker("crp")])
    assert values(again) == TIMES


@pytest.mark.parametrize(
    "column",
    [[1.0, 2.0], ["a", "b"], ["1", "2"], [None, None], [True, False], ["2024", "2025"],
     ["12/13", "1-2"], ["1.5.3", "x"]],
)  # fmt: skip
def test_what_is_no_date(column):
    assert read_dates(pd.Series(column, dtype=object)) is None
    assert read_dates(pd.Series(column)) is None


def test_numbers_stay_where_nothing_is_a_date(tmp_path):
    folder = Folder(tmp_path)
    plain = folder.cohort()
    named = folder.keys("outcome", 'time_zero = "days"').cohort()
    assert values(named) == values(plain)
    assert np.array_equal(named.survival_data()["exit"], plain.survival_data()["exit"])


@pytest.mark.parametrize("unit", ["s", "us"])
def test_a_date_at_the_end_of_time_is_no_date_and_not_missing(unit):
    """A database's "never", which nanoseconds do not reach, in a column of dates."""
    days = np.array(["2020-03-01", "9999-12-31", "NaT"], dtype=f"datetime64[{unit}]")
    found = read_dates(pd.Series(days))
    assert found.missing.tolist() == [False, False, True]
    assert found.bad.tolist() == [False, True, False]
    assert found.values[0] == np.datetime64("2020-03-01")
