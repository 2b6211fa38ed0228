"""Ctrl-C in compiled code that cannot raise it."""

from __future__ import annotations

import signal
import sys

import pytest

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
