"""What the command line needs of the console it runs in."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path

from longsurv.errors import LongsurvError

LOG_FILE = "longsurv-error.log"


def survive_narrow_consoles() -> None:
    """Write "?" for a character that the console cannot show, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(lines: Iterable[str]) -> None:
    """Write lines to standard output at once; whoever reads it may have gone, as `head` does.

    Raises
    ------
    LongsurvError
        If they cannot be written for another reason, such as a full disk.
    """
    if sys.stdout is None:
        return
    try:
        print("".join(f"{line}\n" for line in lines), end="", flush=True)
    except BrokenPipeError:
        drop_output()
    except OSError as error:
        drop_output()
        raise LongsurvError(
            f"standard output cannot be written: {error.strerror or error}"
        ) from error


def complain(text: str, *, alone: bool = False) -> None:
    """Write a line to standard error, if it can be written at all.

    Parameters
    ----------
    text : str
    alone : bool
        On a line of its own, also where a line of progress stands unfinished on a terminal.
    """
    if sys.stderr is None:
        return
    try:
        before = "\n" if alone and sys.stderr.isatty() else ""
        print(f"{before}longsurv: {text}", file=sys.stderr, flush=True)
    except OSError:
        drop_output("stderr")


def report_fault(error: BaseException) -> None:
    """One sentence for a fault of longsurv's own, and the rest for whoever mends it."""
    text = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    complain(f"an unexpected error stopped the work ({kind}: {error}).")
    for folder in (Path(), Path(tempfile.gettempdir())):
        log = folder / LOG_FILE
        try:
            log.write_text(text, encoding="utf-8")
        except OSError:
            continue
        complain(
            f"this is a fault of longsurv, not of your data. {log.resolve()} has the "
            "details; please send it with the command you gave"
        )
        return
    complain(text)


def drop_output(name: str = "stdout") -> None:
    """Write nowhere from now on: whoever read this stream has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), getattr(sys, name).fileno())
