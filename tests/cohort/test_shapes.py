"""Wide tables by a pattern, and one table of patients and measurements."""

from __future__ import annotations

import pandas as pd
import pytest
from small_studies import PATIENTS, Folder, reasons, values

from longsurv.cohort import Cohort, Marker, Schema

WIDE = """id,crp_d0,crp_d4,note,pct_d0
1,12,8,x,1
2,30,,y,2
3,5,<2,x,
4,7,9,y,3
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class TestPattern:
    @pytest.fixture
    def wide(self, folder):
        folder.change("study.toml", ('time = "day"\n', 'wide = "{marker}_d{time}"\n'))
        return folder.write("visits.csv", WIDE)

    EXPECTED = ((1, 0, 12), (1, 4, 8), (2, 0, 30), (3, 0, 5), (3, 4, 2), (4, 0, 7), (4, 4, 9))

    def test_a_row_a_patient(self, wide):
        cohort = wide.cohort()
        assert values(cohort) == list(self.EXPECTED)
        assert list(cohort.measurements.columns)[:2] == ["id", "time"]
        found = reasons(cohort)
        assert found["columns of other markers"] == (0, "pct (1 column)")
        assert found["value recorded"] == (1, "missing crp: 1")

    @pytest.mark.parametrize(
        ("pattern", "name"),
        [("{marker}.t{time}", "crp.t4"), ("{marker} day {time}", "crp day 4"),
         ("day{time}_{marker}", "day4_crp"), ("{marker}({time})", "crp(4)"),
         ("{marker}{time}", "crp4"), ("{marker}_{time}h", "crp_4h")],
    )  # fmt: skip
    def test_patterns(self, wide, pattern, name):
        text = WIDE.replace("crp_d4", name).replace("crp_d0", name.replace("4", "0"))
        wide.write("visits.csv", text)
        wide.change("study.toml", ("{marker}_d{time}", pattern))
        assert values(wide.cohort()) == list(self.EXPECTED)

    def test_problems_name_the_column(self, wide):
        wide.write("visits.csv", WIDE.replace("12", "clotted").replace(",9,", ",-9,"))
        wide.keys("markers.crp", 'transform = "log"')
        said = wide.problems()
        assert '"clotted" (patient 1, row 2, column "crp_d0")' in said
        assert 'crp -9 (patient 4, row 5, column "crp_d4")' in said

    def test_a_marker_without_columns(self, wide):
        wide.change("study.toml", ("[markers.crp]", "[markers.CRP]"))
        assert (
            'visits.csv: no column of "CRP" is called as in wide = "{marker}_d{time}" of '
            '[measurements]; those that do are of "crp", "pct"'
        ) in wide.problems()

    def test_a_pattern_without_its_parts(self, wide):
        wide.change("study.toml", ("{marker}_d{time}", "{marker}_d"))
        assert "a pattern names {time} once" in wide.problems()

    def test_one_file(self, wide):
        rows = [line.split(",", 1)[1] for line in WIDE.strip().split("\n")]
        both = "\n".join(f"{a},{b}" for a, b in zip(PATIENTS.split("\n"), rows, strict=False))
        wide.write("patients.csv", both + "\n")
        wide.change("study.toml", ('file = "visits.csv"\n', ""))
        cohort = wide.cohort()
        assert values(cohort) == list(self.EXPECTED)
        assert list(cohort.patients.columns) == ["id", "arm", "days", "died", "note"]


class TestOneTable:
    BOTH = """id,arm,days,died,sex,day,marker,value,ward
1,a,28,0,f,0,crp,12,x
1,a,28,0,f,4,crp,8,y
2,b,9,1,m,0,crp,30,x
2,b,9,1,,5,crp,40,x
3,a,28,0,f,1,crp,5,x
4,b,12,1,m,2,crp,7,x
5,b,12,1,m,,,,
"""

    @pytest.fixture
    def both(self, folder):
        folder.change("study.toml", ('file = "visits.csv"\n', ""))
        return folder.write("patients.csv", self.BOTH)

    def test_patients_are_the_distinct_rows(self, both, tmp_path):
        cohort = both.cohort()
        assert [row[2] for row in values(cohort)] == [12, 8, 30, 40, 5, 7]
        assert list(cohort.patients.columns) == ["id", "arm", "days", "died", "sex"]
        assert list(cohort.patients["sex"]) == ["f", "m", "f", "m", "m"]
        step = reasons(cohort)["one table of patients and measurements"]
        assert step == (0, '7 rows of 5 patients; left out, for they vary within a patient: "ward"')
        assert both.keys("measurements", 'file = "patients.csv"').cohort().flow.equals(cohort.flow)

    def test_what_varies_is_named(self, both):
        both.change("patients.csv", ("2,b,9,1,,5", "2,a,9,1,,5"))
        said = both.problems()
        assert 'patients.csv, column "arm": varies within a patient in 1 row: "a"' in said
        assert "(patient 2, row 5)" in said
        both.keys("patients", 'covariates = ["ward"]')
        assert 'column "ward": varies' in both.problems()

    def test_blocks_with_the_patient_in_the_first_row(self, both):
        text = self.BOTH.replace("1,a,28,0,f,4", ",,,,,4").replace("2,b,9,1,,5", ",,,,,5")
        both.write("patients.csv", text).keys("patients", "fill_down = true")
        cohort = both.cohort()
        assert values(cohort)[:2] == [(1, 0, 12), (1, 4, 8)]
        assert list(cohort.patients["days"]) == [28, 9, 28, 12, 12]

    def test_a_column_a_marker(self, both):
        both.write("patients.csv", self.BOTH.replace("marker,value", "mark,crp"))
        cohort = both.keys("measurements", "wide = true").cohort()
        assert [row[2] for row in values(cohort)] == [12, 8, 30, 40, 5, 7]

    def test_dates(self, both):
        text = self.BOTH.replace("days", "days,zero").replace(",28,", ",2024-01-29,2024-01-01,")
        text = text.replace(",9,", ",2024-01-10,2024-01-01,")
        text = text.replace(",12,1", ",2024-01-13,2024-01-01,1")
        both.write("patients.csv", text).keys("outcome", 'time_zero = "zero"')
        assert list(both.cohort().survival_data()["exit"]) == [28, 9, 28, 12, 12]

    def test_one_frame(self, both, tmp_path):
        frame = pd.read_csv(tmp_path / "patients.csv")
        schema = Schema(
            patient="id", treatment="arm", reference="a", exit="days", status="died", time="day"
        )
        cohort = Cohort(frame, frame, schema, [Marker("crp")])
        assert values(cohort) == values(both.cohort())
