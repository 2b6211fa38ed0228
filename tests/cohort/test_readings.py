"""Measurement tables, wide, to readings: what is there, and what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Marker, Schema
from longsurv.cohort.flow import Ledger
from longsurv.cohort.problems import Problems, Table
from longsurv.cohort.readings import Readings, read_wide

SCHEMA = Schema(
    patient="id", treatment="arm", reference="control", exit="days", status="status",
    event="dead", censored="alive", time="day", wide=True,
)  # fmt: skip
WIDE = Table(
    pd.DataFrame({"id": [1, 2], "day": [0, 0], "crp": ["<3", "5"], "plt": [7, 8]}), "w.csv"
)


def read(*names: str) -> tuple[Readings | None, list[str]]:
    """Readings of the markers, and the problems."""
    markers, problems = [Marker(name) for name in names], Problems()
    return read_wide(WIDE, SCHEMA, markers, problems, Ledger("measurements")), problems.texts


def test_every_marker_of_every_row_is_a_reading() -> None:
    readings, problems = read("plt", "crp")
    assert readings is not None and not problems
    assert len(readings) == 4
    np.testing.assert_array_equal(readings.row, [0, 1, 0, 1])
    np.testing.assert_array_equal(readings.marker, [0, 0, 1, 1])
    np.testing.assert_array_equal(readings.value, [7, 8, 3, 5])
    np.testing.assert_array_equal(readings.censored, [0, 0, 1, 0])


def test_a_table_without_markers_has_no_readings() -> None:
    assert read() == (None, [])


@pytest.mark.parametrize("names", [("other",), ("crp", "other"), ("other", "crp")])
def test_a_marker_without_a_column_is_a_problem_and_nothing_is_read(names: tuple[str, ...]) -> None:
    readings, (problem,) = read(*names)
    assert readings is None
    assert 'column "other" (a marker) is missing' in problem
