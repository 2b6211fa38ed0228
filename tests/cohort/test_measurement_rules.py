"""Which measurements are kept: outside follow-up, several at a time or in a phase, by the rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_studies import VISITS, Folder, reasons, values

from longsurv.cohort import Marker, Phase, Schema
from longsurv.cohort.codes import likely_codes
from longsurv.errors import DataError
from longsurv.models import LMM, CoxPH, JointModel


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class TestOutside:
    def test_before_and_after_are_refused_with_advice(self, folder):
        folder.write("visits.csv", VISITS + "1,-1,crp,9\n2,9.5,crp,9\n1,29,crp,9\n")
        said = folder.problems()
        assert "negative or infinite time in 1 row: -1 (patient 1, row 8)" in said
        assert "after the event (death) in 1 row: time 9.5 > 9 (patient 2, row 9)" in said
        assert "after the end of follow-up in 1 row: time 29 > 28 (patient 1, row 10)" in said
        assert said.count('outside = "exclude"') == 3

    def test_excluded_and_counted(self, folder):
        plain = values(folder.cohort())
        folder.write("visits.csv", VISITS + "1,-1,crp,9\n2,9.5,crp,9\n1,29,crp,9\n1,30,crp,9\n")
        cohort = folder.keys("measurements", 'outside = "exclude"').cohort()
        assert values(cohort) == plain
        found = reasons(cohort)
        assert found["from time zero on"] == (1, "before time zero: 1")
        after = "after the event: 1; after the end of follow-up: 2"
        assert found["during follow-up"] == (3, after)

    def test_the_latest_value_before_time_zero_is_the_baseline(self, folder):
        rows = "3,-2,crp,100\n3,-1,crp,200\n3,-5,crp,300\n1,-1,crp,400\n"
        folder.write("visits.csv", VISITS + rows)
        folder.keys("measurements", "baseline_window = [-2, 0]")
        assert "-5 (patient 3" in folder.problems()
        cohort = folder.keys("measurements", 'outside = "exclude"').cohort()
        of_third = [row[1:] for row in values(cohort) if row[0] == 3]
        assert of_third == [(0, 200), (1, 5)]
        assert (1, 0, 400) not in values(cohort)  # there is one at time zero
        found = reasons(cohort)
        assert found["baseline before time zero"][0] == 2
        assert "1 dated at time zero" in found["baseline before time zero"][1]
        assert found["from time zero on"][0] == 1

    def test_other_patients(self, folder):
        folder.write("visits.csv", VISITS + "77,1,crp,x\n78,1,crp,1\n")
        assert "exclude_other_patients = true" in folder.problems()
        cohort = folder.keys("measurements", "exclude_other_patients = true").cohort()
        assert reasons(cohort)["patient in the patient table"] == (2, "not in patients.csv: 2")

    def test_a_joint_model_takes_what_the_tolerance_lets_pass(self, folder):
        folder.write("visits.csv", VISITS + "2,9.5,crp,20\n4,12,crp,9\n")
        cohort = folder.keys("measurements", "tolerance = 1").cohort()
        assert (2, 9.5, 20) in values(cohort)
        data = cohort.marker_data("crp", followed=True)
        assert list(data["day"]) == [0, 4, 0, 5, 9, 1, 2, 12]
        plain = cohort.marker_data("crp")
        pd.testing.assert_frame_equal(data.drop(columns="day"), plain.drop(columns="day"))
        event = CoxPH("Surv(entry, exit, event) ~ arm", cohort.survival_data())
        formula = "value ~ day * arm + (1 | id)"
        assert JointModel(LMM(formula, data), event, time="day").design
        with pytest.raises(DataError, match="after their event or end of follow-up"):
            assert JointModel(LMM(formula, plain), event, time="day").design


class TestPhases:
    def test_half_open_phases_touch(self, folder):
        text = '[phases]\nearly = "[0, 1)"\nmiddle = "[1, 4)"\nlate = [4, 6]\n'
        folder.change("study.toml", ("[markers.crp]", text + "[markers.crp]"))
        phases = list(folder.cohort().measurements["phase"])
        assert phases == ["early", "late", "early", "late", "middle", "middle"]

    def test_closed_phases_that_touch_overlap(self):
        given = {"treatment": "arm", "reference": "a", "exit": "days", "status": "died"}
        with pytest.raises(DataError, match=r'overlap at time 1; write "\[0, 1\)" to end before'):
            Schema(phases=(Phase("a", 0, 1), Phase("b", 1, 2)), **given)
        Schema(phases=(Phase("a", 0, 1, "left"), Phase("b", 1, 2)), **given)
        Schema(phases=(Phase("a", 0, 1), Phase("b", 1, 2, "right")), **given)

    @pytest.mark.parametrize("closed", ["both", "left", "right", "neither"])
    def test_ends(self, closed):
        inside = Phase("a", 0, 2, closed).contains(np.array([-1.0, 0, 1, 2, 3]))
        ends = [closed in ("both", "left"), True, closed in ("both", "right")]
        assert list(inside) == [False, *ends, False]

    def test_an_empty_phase(self):
        with pytest.raises(DataError, match=r"no time lies in \[1, 1\)"):
            Phase("a", 1, 1, "left")

    @pytest.mark.parametrize(
        ("rule", "kept"),
        [
            ("all", [12, 8, 30, 40]),
            ("first", [12, 30]),
            ("last", [8, 40]),
            ("mean", [10, 35]),
            ("worst", [12, 40]),
        ],
    )
    def test_several_values_in_a_phase(self, folder, rule, kept):
        text = "[phases]\nall = [0, 5]\n"
        folder.write("visits.csv", VISITS + "1,7,crp,99\n1,8,crp,98\n")
        folder.change(
            "study.toml",
            ("[markers.crp]", f'{text}[markers.crp]\ndirection = "lower"'),
        )
        cohort = folder.keys("measurements", f'within_phase = "{rule}"').cohort()
        found = values(cohort)
        assert [row[2] for row in found if row[0] in (1, 2) and row[1] < 6] == kept
        assert [row[2] for row in found if row[1] > 6] == [99, 98]  # outside every phase
        assert rule == "all" or reasons(cohort)["one value a phase"] == (2, f"crp, {rule}: 2")

    @pytest.mark.parametrize(
        ("first", "second", "better", "value", "censored"),
        [
            ("5", "<5", "lower", 5, "none"), ("<5", "5", "lower", 5, "none"),
            ("5", "<5", "higher", 5, "left"), ("<5", "5", "higher", 5, "left"),
            ("5", ">5", "lower", 5, "right"), (">5", "5", "higher", 5, "none"),
            ("7", ">5", "lower", 7, "right"), (">5", "7", "lower", 7, "right"),
            ("3", "<5", "higher", 3, "left"), ("<3", "5", "higher", 3, "left"),
            ("<9", ">5", "lower", 5, "right"), ("7", "<5", "lower", 7, "none"),
            (">5", ">8", "lower", 8, "right"), ("<5", "<8", "higher", 5, "left"),
        ],
    )  # fmt: skip
    def test_the_worst_is_known_as_far_as_the_values_are(
        self, folder, first, second, better, value, censored
    ):
        """The highest of 7 and "> 5" is at least 7; of 5 and "< 5" it is 5."""
        head = VISITS.splitlines()[0]
        folder.write("visits.csv", f"{head}\n1,0,crp,{first}\n1,4,crp,{second}\n2,0,crp,30\n")
        text = f'[phases]\nall = [0, 5]\n[markers.crp]\ndirection = "{better}"'
        folder.change("study.toml", ("[markers.crp]", text))
        row = folder.keys("measurements", 'within_phase = "worst"').cohort().measurements.iloc[0]
        assert (row["value"], row["censored"]) == (value, censored)

    def test_the_rule_of_one_marker(self, folder):
        text = '[phases]\nall = [0, 5]\n[markers.crp]\nwithin_phase = "last"\ndirection = "higher"'
        folder.change("study.toml", ("[markers.crp]", text))
        cohort = folder.keys("measurements", 'within_phase = "worst"').cohort()
        assert [row[2] for row in values(cohort)] == [8, 40, 5, 7]

    def test_worst_needs_a_direction(self, folder):
        folder.keys("measurements", 'within_phase = "worst"')
        assert 'marker "crp": within_phase = "worst" needs a direction' in folder.problems()
        with pytest.raises(DataError, match="needs a direction"):
            Marker("crp", within_phase="worst")


class TestDuplicates:
    TWICE = VISITS + "1,4,crp,2\n1,4,crp,4\n"

    def test_refused_with_advice(self, folder):
        folder.write("visits.csv", self.TWICE)
        said = folder.problems()
        assert 'column "day": a marker is measured twice' in said
        assert 'duplicates = "mean"' in said
        assert "crp at 4 (patient 1, row 3)" in said

    @pytest.mark.parametrize(("rule", "kept"), [("first", 8), ("last", 4), ("mean", 14 / 3)])
    @pytest.mark.parametrize("table", ["measurements", "markers.crp"])
    def test_made_one(self, folder, rule, kept, table):
        folder.write("visits.csv", self.TWICE)
        cohort = folder.keys(table, f'duplicates = "{rule}"').cohort()
        assert values(cohort)[1] == (1, 4, pytest.approx(kept))
        assert reasons(cohort)["one value at a time"] == (2, f"crp, {rule}: 2")

    def test_the_mean_is_on_the_scale_of_the_marker(self, folder):
        folder.write("visits.csv", self.TWICE)
        folder.keys("markers.crp", 'transform = "log"\nduplicates = "mean"')
        assert values(folder.cohort())[1][2] == pytest.approx(64 ** (1 / 3))

    def test_a_mean_of_values_below_limits_lies_below_the_mean_of_these(self, folder):
        folder.write("visits.csv", VISITS.replace("1,4,crp,8", "1,4,crp,<8") + "1,4,crp,<2\n")
        cohort = folder.keys("measurements", 'duplicates = "mean"').cohort()
        row = cohort.measurements.iloc[1]
        assert (row["value"], row["censored"]) == (5, "left")

    def test_a_value_and_one_beyond_a_limit_have_no_mean(self, folder):
        """That it lies below 5 is true of 8 and "<2", and forgets the 8."""
        folder.write("visits.csv", VISITS + "1,4,crp,<2\n")
        folder.keys("measurements", 'duplicates = "mean"')
        assert "values partly beyond limits have no mean in 1 row: 2 values" in folder.problems()
        folder.write("visits.csv", VISITS + "1,5,crp,<2\n")
        text = '[phases]\nall = [0, 5]\n[markers.crp]\nwithin_phase = "mean"'
        folder.change("study.toml", ("[markers.crp]", text))
        assert "have no mean" in folder.problems()

    def test_values_beyond_both_limits_have_no_mean(self, folder):
        folder.write("visits.csv", VISITS.replace("1,4,crp,8", "1,4,crp,>8") + "1,4,crp,<2\n")
        folder.keys("measurements", 'duplicates = "mean"')
        assert "have no mean" in folder.problems()


class TestValues:
    def test_units_and_words(self, folder):
        text = VISITS.replace(",12\n", ",12 mg/L\n").replace(",8\n", ",LESS THAN 0.01\n")
        text = text.replace(",40\n", ",150 IS HIGHEST MEASURED\n").replace(",5\n", ",<5mg/l\n")
        cohort = folder.write("visits.csv", text).cohort()
        assert list(cohort.measurements["value"]) == [12, 0.01, 30, 150, 5, 7]
        kinds = ["none", "left", "none", "right", "left", "none"]
        assert list(cohort.measurements["censored"]) == kinds

    def test_another_unit_is_refused(self, folder):
        folder.write("visits.csv", VISITS.replace(",12\n", ",1.2 mg/dL\n"))
        said = folder.problems()
        assert '"1.2 mg/dL" (patient 1, row 2)' in said
        assert 'A unit behind it must be the marker\'s unit (crp "mg/L")' in said

    def test_codes_outside_the_range_of_a_marker(self, folder):
        text = VISITS.replace(",12\n", ",-99\n").replace(",8\n", ",999\n")
        folder.write("visits.csv", text).keys("markers.crp", "range = [0, 500]")
        said = folder.problems()
        assert 'visits.csv, column "value": outside the range of crp, 0 to 500 mg/L' in said
        assert "crp -99 (patient 1, row 2), crp 999 (patient 1, row 3)" in said
        assert 'missing = ["-99", "999"]' in said and "[markers.crp]" in said
        folder.keys("measurements", 'missing = ["-99", "999"]')
        assert len(values(folder.cohort())) == 4

    def test_a_range_upside_down(self):
        with pytest.raises(DataError, match="range must be two numbers, the lower first"):
            Marker("crp", range=(5, 1))

    def test_codes_are_noted_where_no_range_says_that_they_are_some(self, folder):
        text = VISITS.replace(",12\n", ",-1\n").replace(",8\n", ",-1\n").replace(",5\n", ",999\n")
        cohort = folder.write("visits.csv", text).cohort()
        step = reasons(cohort)["perhaps codes for a missing value"]
        assert step[0] == 0 and step[1].startswith("crp: -1 (2), 999 (1); kept")

    @pytest.mark.parametrize(
        "values", [[-1.0, -2.5, 3], [1, 2, 998, 999], [500, 999], [0, 1, 2], [5.0], []]
    )
    def test_values_that_are_no_codes(self, values):
        assert likely_codes(np.array(values, dtype=float)) == []
