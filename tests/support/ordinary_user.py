"""The command line as an ordinary user runs it, whoever runs the tests."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.terminal import as_in_a_terminal

PROGRAM = (
    "from longsurv.cli import process; import sys; print('started', flush=True); "
    "sys.argv[0] = 'longsurv'; process()"
)
_BOUNDING_SET_DROP = 24
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _become() -> None:
    """No privileges of root's from the next program on, and Ctrl-C as in a terminal.

    On Linux root keeps the files it owns, and nothing else: permissions hold for it as for anybody.
    Elsewhere it becomes "nobody".
    """
    as_in_a_terminal()
    if os.geteuid():
        return
    if _LIBC is not None:
        for capability in range(64):
            _LIBC.prctl(_BOUNDING_SET_DROP, capability, 0, 0, 0)
    else:
        os.setgid(65534)
        os.setuid(65534)


def environment(changed: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with some variables set, or left out where None."""
    own = {k: v for k, v in os.environ.items() if k not in changed}
    return own | {k: v for k, v in changed.items() if v is not None}


def start(
    *words: str | Path, env: Mapping[str, str | None] | None = None, program: str = PROGRAM,
    **how: Any,
) -> subprocess.Popen[str]:  # fmt: skip
    """The command line, started; its first line of output is "started"."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)], text=True, errors="replace",
        env=environment(env or {}), preexec_fn=_become, **pipes,
    )  # fmt: skip


def run(*words: str | Path, **how: Any) -> tuple[int, str, str]:
    """Exit code, output and errors of the command line."""
    with start(*words, **how) as process:
        out, err = process.communicate(timeout=900)
    return process.returncode, (out or "").removeprefix("started\n"), err or ""


def shell(line: str, words: Sequence[str | Path], **how: Any) -> subprocess.CompletedProcess[str]:
    """A line for bash in which "$@" is the command line with these words."""
    command = [sys.executable, "-c", PROGRAM.replace("print('started', flush=True); ", "")]
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "longsurv", *command, *map(str, words)],
        capture_output=True, text=True, preexec_fn=_become, check=False, **how,
    )  # fmt: skip


def is_ordinary(folder: Path) -> bool:
    """Whether a program so started respects a folder that must not be written."""
    locked = folder / "locked"
    locked.mkdir(mode=0o555)
    program = "import sys; open(sys.argv[1], 'w')"
    return run(locked / "x", program=program)[0] != 0
