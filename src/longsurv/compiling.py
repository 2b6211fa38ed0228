"""How hard the compiler tries.

A first use waits for the compiler. At LLVM's -O1 it takes a third less than at numba's -O3, for
code as fast: loops become vector instructions at either. Numba has one level for the whole process,
so it is set while a kernel of this package is compiled and put back after it.
"""

from __future__ import annotations

import os
from functools import cache

from numba.core import config, event

LEVEL = "NUMBA_OPT"
"""The variable in which a user may have said how hard; then that holds."""
_OPT = "OPT"  # of numba's configuration, which makes its names as it reads the environment


@cache
def compile_lightly() -> None:
    """Have this package's kernels compiled at -O1, and everybody else's as they were."""
    if LEVEL not in os.environ:
        event.register("numba:compile", _LightCompilation())


class _LightCompilation(event.Listener):
    """Told when a function's compiling begins and ends; those of its callees come in between."""

    def __init__(self) -> None:
        self._under_way: list[bool] = []  # whether each of the functions under way is ours
        self._usual = vars(config)[_OPT]

    def on_start(self, event: event.Event) -> None:
        """Set the level at the outermost of our kernels."""
        home = event.data["dispatcher"].py_func.__module__ or ""  # a generated function has none
        ours = home.partition(".")[0] == "longsurv"
        if ours and True not in self._under_way:
            self._usual = vars(config)[_OPT]
            vars(config)[_OPT] = type(self._usual)(1)
        self._under_way.append(ours)

    def on_end(self, event: event.Event) -> None:
        """Put the level back after it; of what began before anybody listened there is nothing."""
        if self._under_way and self._under_way.pop() and True not in self._under_way:
            vars(config)[_OPT] = self._usual
