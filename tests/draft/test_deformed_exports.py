"""Exports deformed on their way: read rightly, or left to choose; never wrong and complete."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from deformed_exports import DEFORMED
from judge import verdict

from longsurv.draft import draft_files


@pytest.mark.parametrize("name", DEFORMED)
def test_a_deformed_export_is_read_rightly_or_left_to_choose(name: str, tmp_path: Path) -> None:
    export = DEFORMED[name](tmp_path, 14)
    assert verdict(draft_files(export.files), export.answer) == []


@pytest.mark.parametrize("name", ["the_hour_in_a_column_of_its_own", "a_date_at_the_end_of_time"])
def test_the_pandas_lines_make_the_tidy_copy_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = DEFORMED[name](tmp_path, 15)
    _, *tables, script = draft_files(export.files).write(tmp_path / "study.toml")
    again = tmp_path / "again"
    again.mkdir()
    for path in (*export.files, script):
        shutil.copy(path, again)
    monkeypatch.chdir(again)
    runpy.run_path("study_tidy.py")
    for path in tables:
        pd.testing.assert_frame_equal(pd.read_csv(path), pd.read_csv(again / path.name))
