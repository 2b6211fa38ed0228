"""What a run says while it works: a line a stage, with the time it took and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

WIDTH = 78


class Progress:
    """Lines on a stream about the stages of a run.

    On a terminal the line of the stage at work is rewritten as it goes on; elsewhere each stage
    leaves one plain line when it is done. The time left is the cost of what is to come, in seconds
    on an ordinary computer, times how much slower this one has been so far. What comes from the
    store costs nothing and says nothing about the speed.

    Parameters
    ----------
    plan : sequence of (title, cost)
        The stages to come, and the seconds each takes on an ordinary computer.
    stream : text file, optional
        Standard error by default.
    quiet : bool
        Say nothing.
    """

    def __init__(
        self,
        plan: Sequence[tuple[str, float]] = (),
        *,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        self.plan = list(plan)
        self.stream = stream if stream is not None else sys.stderr
        self.quiet = quiet or self.stream is None  # a process without standard error
        self.rewrites = not self.quiet and self.stream.isatty()
        self._at = -1
        self._began = self._step_began = time.perf_counter()
        self._cost_left = sum(cost for _, cost in self.plan)  # of this stage and all later ones
        self._stage_cost = 0.0  # what is left of this stage's cost
        self._worked, self._cost_done = 0.0, 0.0  # seconds, and what they were thought to cost

    def expect(self, plan: Sequence[tuple[str, float]]) -> None:
        """Stages to come before those already planned, none of which has begun.

        Parameters
        ----------
        plan : sequence of (str, float)
            Stages and the seconds they are expected to take.
        """
        self.plan[:0] = plan
        self._cost_left += sum(cost for _, cost in plan)

    def begin(self) -> None:
        """Start the next stage of the plan."""
        self._at += 1
        self._stage_cost = self.plan[self._at][1]
        self._began = self._step_began = time.perf_counter()
        self._show(self._line("", self.left))

    def step(self, label: str, share: float, *, reused: bool = False) -> None:
        """A part of the stage is done.

        Parameters
        ----------
        label : str
            As in "3 of 14: Procalcitonin".
        share : float
            Part of the stage's cost, between 0 and 1.
        reused : bool
            It came from the store.
        """
        self._account(min(share * self.plan[self._at][1], self._stage_cost), reused)
        self._show(self._line(label, self.left))

    def end(self, note: str = "", *, reused: bool = False) -> None:
        """The stage is done; `note` is added to its line.

        Parameters
        ----------
        note : str
        reused : bool
            Whether all of it came from the store.
        """
        self._account(self._stage_cost, reused)
        took = clock(time.perf_counter() - self._began)
        last = self._at == len(self.plan) - 1
        left = "" if last else f", about {clock(self.left)} left"
        self._clear()
        self._print(f"{self._head} {took}{f' ({note})' if note else ''}{left}")

    def say(self, text: str) -> None:
        """A sentence on a line of its own.

        Parameters
        ----------
        text : str
        """
        self._clear()
        self._print(text)

    @property
    def left(self) -> float:
        """Seconds of the whole run still to come, as far as one can tell."""
        # The plan's own costs count like two seconds of work, so that a first short step, with
        # libraries still to be loaded, does not set the whole estimate.
        return self._cost_left * (self._worked + 2.0) / (self._cost_done + 2.0)

    def _account(self, cost: float, reused: bool) -> None:
        now = time.perf_counter()
        if not reused:
            self._worked += now - self._step_began
            self._cost_done += cost
        self._step_began = now
        self._stage_cost -= cost
        self._cost_left = max(self._cost_left - cost, 0.0)

    @property
    def _head(self) -> str:
        return f"[{self._at + 1}/{len(self.plan)}] {self.plan[self._at][0]}:"

    def _line(self, label: str, left: float) -> str:
        took = clock(time.perf_counter() - self._began)
        times = f" {took}, about {clock(left)} left"
        room = WIDTH - len(self._head) - len(times) - 1
        return f"{self._head} {label[: max(room, 0)]}{times}"

    def _show(self, line: str) -> None:
        if self.rewrites:
            self._write(f"\r{line[:WIDTH]:<{WIDTH}}")

    def _clear(self) -> None:
        if self.rewrites:
            self._write(f"\r{'':<{WIDTH}}\r")

    def _print(self, line: str) -> None:
        if not self.quiet:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:  # nobody listens any more, or a log's disk is full: the work goes on
            self.quiet, self.rewrites = True, False


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 1:02:03."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
