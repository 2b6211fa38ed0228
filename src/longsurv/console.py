"""What the command line needs of the console it runs in."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

LOG_FILE = "longsurv-error.log"


def survive_narrow_consoles() -> None:
    """Write "?" for a character that the console cannot show, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def report_fault(error: Exception) -> None:
    """One sentence for a fault of longsurv's own, and the rest for whoever mends it."""
    text = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    print(f"longsurv: an unexpected error stopped the work ({kind}: {error}).", file=sys.stderr)
    for folder in (Path(), Path(tempfile.gettempdir())):
        log = folder / LOG_FILE
        try:
            log.write_text(text, encoding="utf-8")
        except OSError:
            continue
        print(
            f"longsurv: this is a fault of longsurv, not of your data. {log.resolve()} has the "
            "details; please send it with the command you gave",
            file=sys.stderr,
        )
        return
    print(text, file=sys.stderr)


def drop_output() -> None:
    """Write nowhere from now on: whoever read the output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
