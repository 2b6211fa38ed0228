"""Parts of a sum that know nothing of each other, computed several at once.

A part is the same however many compute them, and parts are added in their order, so that the number
of processors changes no bit of a sum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

MANY = 5000
"""Patients from which on sums over them are taken in parts."""


class Computer(Protocol):
    """Whatever asks every part."""

    def each[P, R](self, ask: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]:
        """The answers, in the order of the parts."""


@dataclass(frozen=True)
class Threads:
    """Parts that are computed here, several at once where what they call lets go of Python's lock.

    Attributes
    ----------
    count : int, optional
        By default as many as there are processors for this process.
    """

    count: int | None = None

    def each[P, R](self, ask: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]:
        """The answers, in the order of the parts."""
        count = self.count or processors()
        first = ask(parts[0])  # alone: it may have to be compiled
        if len(parts) == 1 or count == 1:
            return [first, *map(ask, parts[1:])]
        with ThreadPoolExecutor(min(count, len(parts) - 1)) as pool:
            return [first, *pool.map(ask, parts[1:])]


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on a Mac
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
