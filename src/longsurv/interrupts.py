"""Ctrl-C kept in mind: an interrupt stays one whatever a library makes of it.

Python raises KeyboardInterrupt wherever it happens to be. In an import, a compilation or the end of
an object it can come out as another error, as a result that is not whole, or not at all. So the
command line remembers that it was asked to stop, and asks again wherever work ends.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_asked = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C raises KeyboardInterrupt and is remembered for `insist`.

    Where signals are not ours to handle, in a thread or where the program that calls us has a
    handler of its own, nothing changes.
    """
    ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield
        return
    unraisable, uncaught = sys.unraisablehook, sys.excepthook

    def hook(what: sys.UnraisableHookArgs) -> None:
        if not _asked.is_set():  # else it is the interrupt, or what came of it
            unraisable(what)

    def print_hook(
        kind: type[BaseException], error: BaseException, where: TracebackType | None
    ) -> None:
        # Compiled code that cannot raise (Cython's) prints what it swallows before it says so.
        if not _asked.is_set():
            uncaught(kind, error, where)

    _asked.clear()
    signal.signal(signal.SIGINT, _remember)
    sys.unraisablehook, sys.excepthook = hook, print_hook
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook, sys.excepthook = unraisable, uncaught
        if _asked.is_set():
            _let_python_exit_by_number()
        _asked.clear()


def _let_python_exit_by_number() -> None:
    """Undo Python's note of an interrupt within text being run, as dataclasses and formulas do.

    CPython keeps the note though the interrupt was caught, and `python -m` then ends as killed by
    the signal, whatever its exit code. It takes the note back whenever it runs another text.
    """
    eval("None")


def _remember(_signal: int, _frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether Ctrl-C was pressed since `interruptible` began."""
    return _asked.is_set()


def insist() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed, whatever became of it since."""
    if interrupted():
        raise KeyboardInterrupt


def ignore_interrupts() -> None:
    """What is left takes a moment and has to be whole: last words, the end of the process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
