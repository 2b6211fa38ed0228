"""Ctrl-C in compiled code that cannot raise it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.terminal import as_in_a_terminal

from longsurv.interrupts import insist, interruptible


@pytest.fixture(autouse=True)
def pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallowed(error: BaseException) -> None:
    """What Cython does with an error in a function that cannot raise: print it, and go on."""
    sys.excepthook(type(error), error, error.__traceback__)


def test_an_interrupt_that_is_swallowed_is_remembered_and_not_printed(capsys):
    with interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            swallowed(error)
        with pytest.raises(KeyboardInterrupt):
            insist()
    assert capsys.readouterr().err == ""


def test_another_error_is_printed(capsys):
    before = sys.excepthook
    with interruptible():
        try:
            raise ValueError("of something else")
        except ValueError as error:
            swallowed(error)
        insist()
    assert "ValueError: of something else" in capsys.readouterr().err
    assert sys.excepthook is before


PROGRAM = """
from longsurv.interrupts import interruptible

with interruptible():
    try:
        exec("import signal; signal.raise_signal(signal.SIGINT)")
    except KeyboardInterrupt:
        pass
raise SystemExit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_an_interrupt_in_text_being_run_leaves_the_exit_code_ours(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "program"], cwd=tmp_path, preexec_fn=as_in_a_terminal, check=False,
        timeout=60,
    )  # fmt: skip
    assert ended.returncode == 130
