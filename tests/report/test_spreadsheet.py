"""Tables for spreadsheets: no text of a study is a formula there, and every number is a number."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import longsurv as ls
from longsurv.report.export import export
from longsurv.report.simulation import write_simulation
from longsurv.report.spreadsheet import plain_text, spreadsheet_csv
from longsurv.simulate.characteristics import Effect, operating_characteristics
from longsurv.study import STAGES

HOSTILE = (
    "=HYPERLINK(A1)", "+49 30 1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1",
    "\uff1d1", "-", "--1", "=1;2,3\n=4", '="x"', "-1 (-2 to 0)",
)  # fmt: skip
HARMLESS = ("-1", "-0.5e-3", "+7", "control", "", "95 %", "a=b", "\u22121", "1-2")


def runs(cell: str) -> bool:
    """Whether a spreadsheet would run the cell: by its first sign, unless it is a number."""
    try:
        if np.isfinite(float(cell)):
            return False
    except ValueError:
        pass
    return cell[:1] in ("\t", "\r", "\n") or cell.strip()[:1] in tuple("=+-@\uff1d")


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("cell", HOSTILE)
def test_text_that_would_run_is_text(cell: str) -> None:
    assert runs(cell)
    assert plain_text(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [*HARMLESS, -1, -0.5, None, True])
def test_what_would_not_run_is_left_alone(cell: object) -> None:
    assert plain_text(cell) is cell


def test_headers_categories_and_numbers() -> None:
    table = pd.DataFrame(
        {"=1+1": [-1.5, 2.0], "@": pd.Categorical(["=a", "b"]), "-x": ["-2", "-2 to 3"],
         "mixed": [-3, "=c"], "n": pd.array([-1, None], dtype="Int64"), "day": [-1, -2]}
    )  # fmt: skip
    assert cells(spreadsheet_csv(table)) == [
        ["'=1+1", "'@", "'-x", "mixed", "n", "day"],
        ["-1.5", "'=a", "-2", "-3", "-1", "-1"],
        ["2.0", "b", "'-2 to 3", "'=c", "", "-2"],
    ]


def test_two_columns_of_one_name_are_two_columns() -> None:
    table = pd.DataFrame([["=a", -1]], columns=["x", "x"])
    assert cells(spreadsheet_csv(table)) == [["x", "x"], ["'=a", "-1"]]


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_nothing_runs_and_nothing_is_lost(rows: list[tuple[str, float]]) -> None:
    text = spreadsheet_csv(pd.DataFrame(rows, columns=["text", "number"]))
    for (word, value), (cell, digits) in zip(rows, cells(text)[1:], strict=True):
        assert not runs(cell) and cell.removeprefix("'") == word.removeprefix("'")
        assert float(digits) == value


def hostile_study(folder: Path) -> Path:
    """The example study with groups, labels, units and a title that begin as formulas do."""
    source = ls.example_path("ivig_sepsis")
    for name in ("patients.csv", "measurements.csv"):
        text = (source / name).read_text(encoding="utf-8")
        text = re.sub(r"\bivig\b", "=ivig()", re.sub(r"\bcontrol\b", "@control", text))
        (folder / name).write_text(text, encoding="utf-8")
    text = (source / "study.toml").read_text(encoding="utf-8")
    head, *parts = re.split(r"(?=^\[markers\.)", text, flags=re.M)
    one = next(part for part in parts if part.startswith("[markers.pct]"))
    one = re.sub('label = "', 'label = "=1+', one)
    one = re.sub('unit = "', 'unit = "-', one)
    tail = "[models]" + text.partition("[models]")[2].replace(
        "draws = 1000\nchains = 4", "draws = 60\nchains = 2"
    )
    head = head.replace('value = "value"', 'value = "value"\nexclude_other_markers = true')
    head = re.sub('title = "', 'title = "+', head).replace('"control"', '"@control"')
    (folder / "study.toml").write_text(head + one + tail, encoding="utf-8")
    return folder / "study.toml"


def test_no_exported_table_has_a_formula(tmp_path: Path) -> None:
    study = ls.Study.from_toml(hostile_study(tmp_path))
    stages = tuple(replace(stage) for stage in STAGES if stage.key in ("markers", "mortality"))
    folder = export(study.run(progress=False, quick=True, stages=stages), tmp_path / "all")
    simulation = operating_characteristics(
        study, [Effect.parse("null")], cohorts=2, jobs=1, progress=False
    )
    written = [*(folder / "tables").glob("*.csv"), write_simulation(simulation, tmp_path / "s.csv")]
    everything = [row for path in written for row in cells(path.read_text(encoding="utf-8"))]
    seen = {cell for row in everything for cell in row}
    assert {"'=ivig()", "'@control"} <= seen and any(c.startswith("'=1+") for c in seen)
    assert not [cell for cell in seen if cell not in ("", "inf", "-inf") and runs(cell)]
    assert any(re.fullmatch(r"-\d.*", cell) for cell in seen)
