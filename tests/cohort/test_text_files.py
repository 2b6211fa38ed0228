"""Separators, decimal marks, encodings and headers that nobody told about."""

from __future__ import annotations

import pandas as pd
import pytest
from small_studies import PATIENTS, VISITS, Folder, values


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_separator_and_encoding_are_found(folder, mark, encoding):
    plain = values(folder.cohort())
    patients = PATIENTS.replace("arm", "größe,arm").replace(",a,", ",5 µm,a,")
    patients = patients.replace(",b,", ",é,b,")
    folder.write("patients.csv", patients.replace(",", mark).encode(encoding))
    folder.write("visits.csv", VISITS.replace(",", mark))
    cohort = folder.cohort()
    assert values(cohort) == plain
    assert list(cohort.patients["größe"]) == ["5 µm", "é", "5 µm", "é"]


@pytest.mark.parametrize("name, encoding", [("비고", "euc_kr"), ("примечание", "cp1251")])
def test_text_of_another_encoding_is_refused(folder, name, encoding):
    folder.write("patients.csv", PATIENTS.replace("died", f"died,{name}").encode(encoding))
    assert 'encoding = "cp932"' in folder.problems()


def test_japanese_windows_is_found(folder):
    plain = values(folder.cohort())
    folder.write("patients.csv", PATIENTS.replace("died", "died,備考").encode("cp932"))
    cohort = folder.cohort()
    assert values(cohort) == plain
    assert "備考" in cohort.patients


def test_decimal_commas_are_found_where_nothing_else_is_possible(folder):
    text = VISITS.replace(",", ";").replace(";12\n", ";12,5\n").replace(";40\n", ";<0,02\n")
    folder.write("visits.csv", text)
    assert [row[2] for row in values(folder.cohort())] == [12.5, 8, 30, 0.02, 5, 7]


def test_a_comma_before_three_digits_may_be_of_thousands(folder):
    text = VISITS.replace(",", ";").replace(";12\n", ";12,500\n")
    folder.write("visits.csv", text)
    assert 'set decimal = ","' in folder.problems()
    folder.keys("measurements", 'decimal = ","')
    assert values(folder.cohort())[0][2] == 12.5


def test_a_comma_between_columns_is_no_decimal_mark_unless_that_is_said(folder):
    folder.write("visits.csv", VISITS.replace(",12\n", ',"12,5"\n'))
    assert 'set decimal = ","' in folder.problems()
    folder.keys("measurements", 'decimal = ","')
    assert values(folder.cohort())[0][2] == 12.5


def test_a_comma_is_no_decimal_mark_beside_points(folder):
    text = VISITS.replace(",", ";").replace(";12\n", ";12,5\n").replace(";40\n", ";4.5\n")
    folder.write("visits.csv", text)
    assert '"12,5" (patient 1, row 2)' in folder.problems()


def test_rows_above_the_header_are_skipped(folder):
    folder.write("visits.csv", "exported on;;\n\n" + VISITS.replace(",5\n", ",x\n"))
    folder.keys("measurements", "skip_rows = 2")
    assert '"x" (patient 3, row 8)' in folder.problems()
    folder.change("visits.csv", (",x\n", ",5\n"))
    assert len(values(folder.cohort())) == 6


def test_rows_above_the_header_of_a_sheet(folder):
    rows = [line.split(",") for line in VISITS.strip().split("\n")]
    frame = pd.DataFrame([["exported on", None, None, None], *rows])
    with pd.ExcelWriter(folder.path / "visits.xlsx") as book:
        pd.DataFrame({"about": [1]}).to_excel(book, sheet_name="about")
        frame.to_excel(book, sheet_name="values", header=False, index=False)
    folder.change("study.toml", ('file = "visits.csv"', 'file = "visits.xlsx"\nsheet = "values"'))
    folder.keys("measurements", "skip_rows = 1")
    assert len(values(folder.cohort())) == 6


def test_identifiers_in_the_first_row_only(folder):
    text = VISITS.replace("\n1,4", "\n,4").replace("\n2,5", "\n,5")
    folder.write("visits.csv", text)
    assert "fill_down = true" in folder.problems()
    folder.keys("measurements", "fill_down = true")
    assert [row[0] for row in values(folder.cohort())] == [1, 1, 2, 2, 3, 4]
    folder.change("study.toml", ("fill_down = true", 'fill_down = ["idd"]'))
    assert 'visits.csv: fill_down names no column "idd"; did you mean "id"?' in folder.problems()


def test_identifiers_keep_their_zeros(folder):
    folder.write("patients.csv", PATIENTS.replace("\n1,", "\n001,"))
    folder.write("visits.csv", VISITS.replace("\n1,", "\n001,"))
    assert list(folder.cohort().patients["id"]) == ["001", "2", "3", "4"]
