"""Programs begun as from a terminal."""

from __future__ import annotations

import signal


def as_in_a_terminal() -> None:
    """Let Ctrl-C reach the next program (`preexec_fn`): what a shell starts with "&" ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
