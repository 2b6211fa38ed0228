"""Exports of further kinds: read rightly, or said to be unclear; never wrong and sure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from judge import verdict
from more_exports import MORE

from longsurv.draft import draft_files


@pytest.mark.parametrize("name", MORE)
def test_an_export_is_read_rightly_without_an_edit(name: str, tmp_path: Path) -> None:
    export = MORE[name](tmp_path, 14)
    assert verdict(draft_files(export.files), export.answer) == []
