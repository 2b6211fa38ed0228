"""Forty synthetic exports, read without an edit, and what is said where nobody can know."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from exports import RECIPES, Export
from judge import verdict

from longsurv import read_cohort
from longsurv.draft import draft_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


def _made(name: str, folder: Path, seed: int) -> Export:
    place = folder / f"{name}-{seed}"
    place.mkdir()
    return RECIPES[name](place, seed)


def test_there_are_forty() -> None:
    assert len(RECIPES) == 40


@pytest.mark.parametrize("name", RECIPES)
def test_an_export_is_read_rightly_without_an_edit(name: str, folder: Path) -> None:
    export = _made(name, folder, 14)
    assert verdict(draft_files(export.files), export.answer) == []


@pytest.mark.parametrize(
    "name",
    ["semicolon_decimal_comma_german", "units_in_the_values", "limits_in_words", "timestamps",
     "german_dates", "one_table_with_dates_of_death", "wide_unit_in_header",
     "excel_merged_days_over_markers", "excel_title_rows_and_first_row_ids",
     "excel_native_dates_repeated_header", "excel_units_row_below_the_header",
     "three_tables_outcome_apart", "hours_against_days", "missing_minus_99"],
)  # fmt: skip
def test_the_pandas_lines_make_the_tidy_copy_again(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = _made(name, folder, 15)
    drafted = draft_files(export.files)
    place = export.files[0].parent
    written = drafted.write(place / "study.toml")
    assert read_cohort(written[0]).n_by_group == drafted.cohort().n_by_group
    if len(written) == 1:
        return
    again = place / "again"
    again.mkdir()
    for path in (*export.files, place / "study_tidy.py"):
        shutil.copy(path, again)
    monkeypatch.chdir(again)
    runpy.run_path("study_tidy.py")
    for path in written[1:-1]:
        first = pd.read_csv(path, dtype=str)
        second = pd.read_csv(again / path.name, dtype=str)
        for column in first.columns:
            numbers = pd.to_numeric(first[column], errors="coerce")
            if numbers.notna().all():
                pd.testing.assert_series_equal(
                    numbers, pd.to_numeric(second[column]), check_dtype=False
                )
            else:
                pd.testing.assert_series_equal(first[column], second[column])
