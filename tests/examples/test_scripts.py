from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPECTED = {
    "fit_models.py": ["REML", "NUTS on the marginal likelihood", "drug[T.D-penicillamine]"],
    "compare_engines.py": ["Prior sceptical, Normal(0, 0.355)", "prior pulls"],
    "report.py": ["Interleukin-6", "report.html"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_script_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_the_script_runs_anywhere_and_says_what_it_found(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As Python runs a file, with warnings as errors, but in a process that has its libraries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLES / name)])
    runpy.run_path(sys.argv[0], run_name="__main__")
    said = capsys.readouterr().out
    for words in EXPECTED[name]:
        assert words in said
    assert (tmp_path / "report.html").exists() == (name == "report.py")
