"""Numbers with marks between thousands and times with units: read where one reading is possible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_studies import VISITS, Folder, values

from longsurv.cohort import Cohort, Marker, Schema
from longsurv.cohort.columns import to_readings, to_times
from longsurv.errors import DataError
from longsurv.reading.durations import in_unit, unit_of_time
from longsurv.reading.marks import find_marks


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def measured(folder: Folder, *cells: str, separator: str = ",") -> Folder:
    """The study with these values of its first patient's two visits and the others', in order."""
    rows = [line.split(",") for line in VISITS.splitlines()]
    for row, cell in zip(rows[1:], cells, strict=False):
        row[3] = f'"{cell}"' if separator in cell else cell
    return folder.write("visits.csv", "\n".join(separator.join(row) for row in rows))


def seen(folder: Folder) -> list[float]:
    return [value for _, _, value in values(folder.cohort())]


ENGLISH = ("1,234.5", "2,345", "1,234,567.25", "30", "0.5", "7")
GERMAN = ("1.234,5", "2.345", "1.234.567,25", "30", "0,5", "7")
RIGHT = [1234.5, 2345.0, 1234567.25, 30.0, 0.5, 7.0]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("cells", [ENGLISH, GERMAN])
def test_what_can_be_read_in_one_way_is_read(cells, separator, folder):
    assert seen(measured(folder, *cells, separator=separator)) == RIGHT


@pytest.mark.parametrize("gap", [" ", "'", "\u00a0", "\u202f", "\u2019"])
def test_gaps_stand_between_thousands(gap, folder):
    assert seen(measured(folder, f"1{gap}234", f"12{gap}345.5"))[:2] == [1234.0, 12345.5]


@pytest.mark.parametrize(
    ("cells", "keys", "right"),
    [
        (("1,234", "2,500"), 'thousands = ","', [1234.0, 2500.0]),
        (("1,234", "2,500"), 'decimal = ","', [1.234, 2.5]),
        (("1.234", "2.500"), 'thousands = "."', [1234.0, 2500.0]),
        (("1.234", "2.500"), "", [1.234, 2.5]),
        (("1.234 mg/L", "<2.500"), 'thousands = "."', [1234.0, 2500.0]),
        (("1.234", "0,5"), 'decimal = ","\nthousands = "."', [1234.0, 0.5]),
        (("1.234.567", "2"), "", [1234567.0, 2.0]),
        (("1,234,567", "2"), "", [1234567.0, 2.0]),
    ],
)
def test_what_is_said_of_marks_holds(cells, keys, right, folder):
    assert seen(measured(folder, *cells).keys("measurements", keys))[:2] == right


@pytest.mark.parametrize(
    ("cells", "separator", "keys", "said"),
    [
        (("1,234", "2,500"), ",", "", 'If it stands between thousands, set thousands = ","'),
        (("75,5", "2,500"), ",", "", 'If a comma is the decimal mark, set decimal = ","'),
        # Beside decimal commas a point may stand between thousands, and nothing here says so.
        (("1.234", "2.500"), ",", 'decimal = ","', '"1.234" may be 1.234 or 1234'),
        (("1,234.5", "3"), ",", 'decimal = ","', '"1,234.5"'),
        (("1.234,5", "3"), ",", 'decimal = "."', '"1.234,5"'),
        (("1.5", "3"), ",", 'thousands = "."', '"1.5" does not fit thousands = "."'),
        (("1,23", "3"), ",", 'thousands = ","', '"1,23"'),
        (("1,234.5", "1.234,5"), ",", "", '"1.234,5"'),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked_for(cells, separator, keys, said, folder):
    assert (
        said in measured(folder, *cells, separator=separator).keys("measurements", keys).problems()
    )


def test_points_beside_decimal_commas_of_another_column_are_asked_for(folder):
    """182.000 platelets beside a CRP of 75,5 were once 182."""
    folder.write("visits.csv", "id;day;crp;plt\n1;0;75,5;182.000\n2;0;30,25;95.000\n3;1;5;7.000\n")
    folder.change("study.toml", ('time = "day"', 'time = "day"\nwide = true'))
    folder.change("study.toml", ("[markers.crp]", "[markers.plt]\nunit = '/nL'\n[markers.crp]"))
    said = folder.problems()
    assert 'visits.csv, column "plt": "182.000" may be 182.000 or 182000' in said
    assert "(study.toml, line " in said and "crp" not in said
    folder.keys("measurements", 'thousands = "."')
    assert seen(folder)[:2] == [182000.0, 75.5]


def test_a_column_that_is_not_used_may_be_unclear(folder):
    folder.write("visits.csv", "id;day;marker;value;bed\n1;0;crp;75,5;1.200\n2;0;crp;3;1.300\n")
    assert seen(folder.keys("measurements", 'decimal = ","')) == [75.5, 3.0]
    folder.write("patients.csv", "id;arm;days;died;cost\n1;a;28,5;0;1.200\n2;b;9;1;1.300\n")
    folder.keys("patients", 'decimal = ","')
    assert '"1.200" may be 1.200 or 1200' in folder.problems()
    folder.keys("patients", "categorical = ['cost']")
    assert len(folder.cohort().patients) == 2


def test_a_pattern_of_columns_is_asked_for_too(folder):
    folder.write("visits.csv", "id;crp_d0;crp_d4\n1;75,5;182.000\n2;30;5\n3;1;\n")
    folder.change("study.toml", ('time = "day"\n', 'wide = "{marker}_d{time}"\n'))
    assert '"182.000" may be 182.000 or 182000' in folder.problems()


def test_data_frames_are_read_alike():
    people = pd.DataFrame(
        {"id": ["1.234", "b"], "arm": ["a", "b"], "days": ["1,234.5", "9"], "died": [0, 1]}
    )
    rows = pd.DataFrame({"id": ["1.234", "b"], "day": [0, 1], "crp": ["1.234,5", "7,5"]})
    schema = Schema(patient="id", treatment="arm", reference="a", exit="days", status="died",
                    time="day", wide=True)  # fmt: skip
    cohort = Cohort(people, rows, schema, [Marker("crp")])
    assert list(cohort.measurements["value"]) == [1234.5, 7.5]
    assert list(cohort.patients["days"]) == [1234.5, 9.0]
    assert list(cohort.patients["id"]) == ["1.234", "b"]
    with pytest.raises(DataError, match='set thousands = ","'):
        Cohort(people, rows.assign(crp=["1,234", "2,345"]), schema, [Marker("crp")])


@pytest.mark.parametrize(
    ("texts", "table", "right"),
    [
        (["1,234.5", "2"], ".", (".", True, ",")),
        (["1.234,5", "2"], ".", (",", True, ".")),
        (["1,234", "2,500"], ".", (".", False, ",")),
        (["1.234", "2.500"], ",", (",", False, ".")),
        (["75,5", "182.000"], ".", (",", True, ".")),
        (["75,5", "1.5"], ".", (",", False, ".")),
        (["1,234,567"], ",", (".", True, ",")),
        (["1.234.567"], ".", (",", True, ".")),
        (["01.02.2024"], ".", (".", True, "")),
    ],
)
def test_marks_of_a_column(texts, table, right):
    assert tuple(find_marks(texts, table)) == right


@pytest.mark.parametrize(
    ("cells", "unit", "right"),
    [
        (["12 h", "36 H", "0"], "days", [0.5, 1.5, 0.0]),
        (["12 H", "36 Std."], "hours", [12.0, 36.0]),
        (["1 d", "2 Tage", "3 jours"], "days", [1.0, 2.0, 3.0]),
        (["90 min", "1h"], "hours", [1.5, 1.0]),
        (["2 weeks", "3"], "days", [14.0, 3.0]),
        (["1 year", "6 Monate"], "months", [12.0, 6.0]),
        (["3 visits", "1 month", "2"], "days", [np.nan, np.nan, 2.0]),
        (["12 h"], "visits", [np.nan]),
        (["12 mg"], "days", [np.nan]),
    ],
)
def test_times_with_their_unit(cells, unit, right):
    found = to_times(pd.Series(cells, dtype=object), unit)
    np.testing.assert_allclose(found.values, right)
    assert list(found.bad) == list(np.isnan(right))


def test_units_of_time():
    assert [unit_of_time(w) for w in ("H", "Tage", "wk", "mg")] == ["hours", "days", "weeks", ""]
    assert in_unit("hours", "minutes") == 60 and in_unit("y", "months") == 12
    assert in_unit("month", "days") is None


def test_a_study_reads_times_with_their_unit(folder):
    folder.write("visits.csv", VISITS.replace("1,4,crp", "1,96 H,crp").replace("3,1,", "3,24 h,"))
    plain = [0, 4, 0, 5, 1, 2]
    assert [time for _, time, _ in values(folder.cohort())] == plain
    folder.change("patients.csv", ("1,a,28,0", "1,a,4 weeks,0"))
    assert folder.cohort().patients["days"][0] == 28
    folder.write("visits.csv", VISITS.replace("3,1,", "3,1 month,"))
    assert '"1 month" (patient 3, row 6)' in folder.problems()
    assert "in days; a unit of time behind it must be one that" in folder.problems()


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["12 H", "3 L", "5"], ["", "", ""]),
        (["12 *", "3 (H)", "5↑"], ["", "", ""]),
        (["12 L", "5"], ["L", ""]),  # may be litres
        (["12 A", "5 H"], ["A", ""]),
    ],
)
def test_marks_of_high_and_low(cells, right):
    _, unit, units = to_readings(pd.Series(cells, dtype=object))
    assert [units[k] for k in unit] == right
