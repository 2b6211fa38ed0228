from __future__ import annotations

import subprocess
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
def test_the_script_runs_anywhere_and_says_what_it_found(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in EXPECTED[name]:
        assert words in done.stdout
    assert (tmp_path / "report.html").exists() == (name == "report.py")
