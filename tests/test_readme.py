"""The README's example runs as printed and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
VERDICT = re.compile(r"\b(agree|asymptotics|boundary|prior pulls)\b")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.slow
def test_the_example_prints_what_the_readme_shows() -> None:
    code, shown = blocks("python")[0], blocks("text")[0]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    # A verdict near its limit may turn with the draws of another processor.
    texts = [VERDICT.sub("verdict", text) for text in (shown, printed.getvalue())]
    words = [NUMBER.sub("#", text).split() for text in texts]
    assert words[0] == words[1]
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (shown, printed.getvalue())]
    # Posterior draws differ a little between processors; everything else does not.
    assert numbers[1] == pytest.approx(numbers[0], abs=0.08)


def test_the_example_is_about_ten_lines() -> None:
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) <= 12
