"""Windows of measurement time, closed or half open."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.arguments import checked_last
from longsurv.cohort.problems import show
from longsurv.errors import DataError

type Closed = Literal["both", "left", "right", "neither"]

_NUMBER = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
_INTERVAL = re.compile(rf"\s*([\[(]){_NUMBER},{_NUMBER}([\])])\s*")
_CLOSED: dict[str, Closed] = {"[]": "both", "[)": "left", "(]": "right", "()": "neither"}


@checked_last
@dataclass(frozen=True)
class Phase:
    """A window of measurement time; its ends belong to it unless `closed` says otherwise.

    Parameters
    ----------
    name : str
    first, last : float
        In the schema's time unit.
    closed : {"both", "left", "right", "neither"}
        Which ends belong to it; "left" is the half-open window from `first` to before `last`,
        so that phases can touch without sharing a time.
    """

    name: str
    first: float
    last: float
    closed: Closed = "both"

    def __post_init__(self) -> None:
        if not (is_number(self.first) and is_number(self.last) and self.first <= self.last):
            raise DataError(
                f"phase {show(self.name)}: expected two numbers, first <= last, "
                f"not {show(self.first)} and {show(self.last)}"
            )
        if self.closed not in _CLOSED.values():
            raise DataError(
                f'phase {show(self.name)}: closed must be "both", "left", "right" or "neither", '
                f"not {show(self.closed)}"
            )
        if self.first == self.last and self.closed != "both":
            raise DataError(
                f"phase {show(self.name)}: no time lies in {self}; write {self.first:g} for one "
                "time, or end it later"
            )

    def __str__(self) -> str:
        ends = next(ends for ends, closed in _CLOSED.items() if closed == self.closed)
        return f"{ends[0]}{self.first:g}, {self.last:g}{ends[1]}"

    def contains(self, time: np.ndarray) -> np.ndarray:
        """Which times belong to the phase.

        Parameters
        ----------
        time : array of float

        Returns
        -------
        array of bool
        """
        after = time >= self.first if self.closed in ("both", "left") else time > self.first
        before = time <= self.last if self.closed in ("both", "right") else time < self.last
        return after & before


def parse_interval(text: str) -> tuple[float, float, Closed] | None:
    """Ends of "[0, 1)" and which of them belong to it; None if it is no interval."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        return None
    return float(match[2]), float(match[3]), _CLOSED[match[1] + match[4]]


def phase_of(time: np.ndarray, phases: Sequence[Phase]) -> pd.Categorical:
    """The phase of each time, in the order of the study, missing outside every phase."""
    codes = np.full(len(time), -1)
    for k, phase in enumerate(phases):
        codes[phase.contains(time)] = k
    return pd.Categorical.from_codes(codes, categories=[phase.name for phase in phases])


def phase_problems(phases: Sequence[Phase]) -> list[str]:
    """What is wrong with phases taken together: names given twice, and shared times."""
    names = [phase.name for phase in phases]
    problems = [
        f"phase {show(name)} is given twice" for name in set(names) if names.count(name) > 1
    ]
    for a, b in itertools.pairwise(sorted(phases, key=lambda phase: (phase.first, phase.last))):
        touching = b.first == a.last
        if touching and not (a.closed in ("both", "right") and b.closed in ("both", "left")):
            continue
        if b.first <= a.last:
            problems.append(
                f"phases {show(a.name)} and {show(b.name)} overlap at time {b.first:g}"
                + (f'; write "[{a.first:g}, {a.last:g})" to end before it' if touching else "")
            )
    return problems


def is_number(value: object) -> bool:
    """Whether a value is a finite number, and not True or False."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
