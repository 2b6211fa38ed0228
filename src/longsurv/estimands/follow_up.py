"""Follow-up as arrays: who is at risk when, and what happens at each time.

The estimands of survival take a DataFrame such as `Cohort.survival_data()` returns: a row a
patient, columns "exit" and "status" (0 censored, 1 the event of interest, 2 and above competing
events; or only "event", 0/1), "entry" for delayed entry, and a column of the group. A patient is
at risk over (entry, exit].

Times that differ by rounding are one time (see `longsurv.times`). `by_group` merges those of all
groups together; a `FollowUp` made of other arrays merges its own. What is compared with them from
outside (a horizon, a landmark, times to report) goes through `FollowUp.on_clock` first.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.outcome import event_problem, read_numbers, status_problem
from longsurv.errors import DataError
from longsurv.times import merged, snapped


@dataclass(frozen=True)
class Extent:
    """The times at which a curve of one group is known.

    Attributes
    ----------
    first, last : float
        First entry and last exit.
    emptied : float
        When all at risk had the event; infinite if never. At the end of follow-up the curve stays
        where that leaves it; before, it says nothing of those who entered later.
    gap : tuple of float, optional
        The first stretch between `first` and `last` without anybody under observation.
    """

    first: float
    last: float
    emptied: float
    gap: tuple[float, float] | None

    def known(self, times: np.ndarray) -> np.ndarray:
        """Whether the curve is known at each of the times.

        Parameters
        ----------
        times : ndarray

        Returns
        -------
        ndarray of bool
        """
        known = (times >= self.first) & ((times <= self.last) | (self.emptied <= self.last))
        if self.emptied < self.last:
            known &= times < self.emptied
        return known if self.gap is None else known & (times <= self.gap[0])

    def why(self, t: float, there: str = "at risk") -> str:
        """Say why the curve is not known at a time; "" if it is. `there`: those who remain.

        Parameters
        ----------
        t : float
        there : str
            What those who remain are called.

        Returns
        -------
        str
        """
        if t < self.first:
            return f"nobody is under observation before {self.first:g}"
        if self.emptied < self.last and t >= self.emptied:
            return f"nobody was left at risk after {self.emptied:g}, before later entries"
        if self.gap is not None and t > self.gap[0]:
            return f"nobody was under observation between {self.gap[0]:g} and {self.gap[1]:g}"
        if t > self.last and self.emptied > self.last:
            return f"follow-up ends at {self.last:g} with patients {there}"
        return ""


@dataclass(frozen=True, eq=False)
class FollowUp:
    """Follow-up of the patients of one group.

    Attributes
    ----------
    entry, exit : ndarray, shape (n,)
        Those that differ by rounding are made equal. Groups to be compared come from `by_group`, or
        from `of` and `since` of one `FollowUp`, or go through `on_one_clock`.
    status : ndarray of int, shape (n,)
    """

    entry: np.ndarray
    exit: np.ndarray
    status: np.ndarray

    def __post_init__(self) -> None:
        exit_, entry = merged(self.exit, self.entry)
        object.__setattr__(self, "exit", exit_)
        object.__setattr__(self, "entry", entry)

    def __len__(self) -> int:
        return len(self.exit)

    def on_clock(self, times: np.ndarray) -> np.ndarray:
        """Return times, any shape, with those within rounding of an entry or exit equal to it.

        Call it on a horizon, a landmark or times to report before comparing them with `entry` and
        `exit`; `at_risk`, `happening` and `since` do so themselves.

        Parameters
        ----------
        times : ndarray

        Returns
        -------
        ndarray
        """
        known = np.concatenate([self.entry, self.exit])
        return snapped(times, known, float(self.entry.min(initial=np.inf)))

    def of(self, chosen: np.ndarray) -> FollowUp:
        """Return the follow-up of some of the patients.

        Parameters
        ----------
        chosen : ndarray
            Of bool, or positions.

        Returns
        -------
        FollowUp
        """
        return FollowUp(self.entry[chosen], self.exit[chosen], self.status[chosen])

    def since(self, start: float) -> FollowUp:
        """Return the follow-up after a time, of the patients who are at risk after it.

        Parameters
        ----------
        start : float

        Returns
        -------
        FollowUp
        """
        start = float(self.on_clock(np.array(start)))
        later = self.of(self.exit > start)
        return FollowUp(np.maximum(later.entry, start), later.exit, later.status)

    def at_risk(self, times: np.ndarray) -> np.ndarray:
        """Count the patients with entry < t <= exit.

        Parameters
        ----------
        times : ndarray

        Returns
        -------
        ndarray of int
        """
        times = self.on_clock(times)
        entered = np.searchsorted(np.sort(self.entry), times, side="left")
        left = np.searchsorted(np.sort(self.exit), times, side="left")
        return entered - left

    def happening(self, times: np.ndarray, *status: int) -> np.ndarray:
        """Count the patients who leave with one of these statuses at each of the times.

        Parameters
        ----------
        times : ndarray
        *status : int

        Returns
        -------
        ndarray of int
        """
        times = self.on_clock(times)
        chosen = np.sort(self.exit[np.isin(self.status, status)])
        return np.searchsorted(chosen, times, "right") - np.searchsorted(chosen, times, "left")

    def times(self, *status: int) -> np.ndarray:
        """Distinct times at which someone leaves with one of these statuses.

        Parameters
        ----------
        *status : int

        Returns
        -------
        ndarray
        """
        return np.unique(self.exit[np.isin(self.status, status)])

    @property
    def gap(self) -> tuple[float, float] | None:
        """The first stretch of time between the first entry and the last exit without anybody."""
        order = np.argsort(self.entry, kind="stable")
        reached = np.maximum.accumulate(self.exit[order])[:-1]
        entry = self.entry[order][1:]
        broken = np.flatnonzero(entry > reached)
        return (float(reached[broken[0]]), float(entry[broken[0]])) if len(broken) else None

    def emptied(self, *status: int) -> float:
        """The first time at which all at risk leave with one of these statuses; infinite if none.

        With delayed entry that can be before others enter, of whom it says nothing.

        Parameters
        ----------
        *status : int

        Returns
        -------
        float
        """
        times = self.times(*status)
        all_left = times[self.happening(times, *status) == self.at_risk(times)]
        return float(all_left[0]) if len(all_left) else np.inf

    def extent(self, *status: int) -> Extent:
        """Return up to when it is known who is free of these statuses; others are censoring.

        Parameters
        ----------
        *status : int

        Returns
        -------
        Extent
        """
        return Extent(
            float(self.entry.min()), float(self.exit.max()), self.emptied(*status), self.gap
        )

    @property
    def causes(self) -> list[int]:
        """Statuses other than censoring that occur."""
        return [int(s) for s in np.unique(self.status) if s > 0]


@checked
def follow_up(data: pd.DataFrame) -> FollowUp:
    """Read the follow-up of all patients.

    Parameters
    ----------
    data : DataFrame
        See the top of this file.

    Raises
    ------
    DataError
        Listing every missing column or value and every impossible time or status; statuses 1 and 2
        that may be R's (`longsurv.design.outcome`); a status that contradicts the event beside it.
    """
    status = "status" if "status" in data else "event"
    names = ["exit", status, *(["entry"] if "entry" in data else [])]
    _check_present(data, names)
    columns = {name: read_numbers(data[name], name) for name in names}
    entry = columns.get("entry", np.zeros(len(data)))
    problems = [
        f"column {name!r} must hold finite times; see {_rows(data, ~np.isfinite(columns[name]))}"
        for name in names
        if name != status and not np.isfinite(columns[name]).all()
    ]
    never = ~(columns["exit"] > entry)
    if never.any():
        problems.append(f"exit must come after entry, but does not in {_rows(data, never)}")
    problems += _status_problems(data, status, columns[status])
    if problems:
        raise DataError(problems)
    return FollowUp(entry, columns["exit"], columns[status].astype(np.int64))


@checked
def by_group(data: pd.DataFrame, group: str) -> dict[Hashable, FollowUp]:
    """Split follow-up by group, the reference first.

    Parameters
    ----------
    data : DataFrame
        See the top of this file.
    group : str
        Its column of the group. The first category of a Categorical is the reference; of anything
        else the first in order is. A category without patients is no group.

    Raises
    ------
    DataError
        As `follow_up` does, and for a group that is missing.
    """
    times = ["exit", "status" if "status" in data else "event", *({"entry"} & {*data.columns})]
    _check_present(data, [group, *times])
    whole, labels = follow_up(data), data[group].to_numpy()
    return {
        level: whole.of(np.asarray(labels == level, dtype=bool))
        for level in _levels(data[group], group)
    }


def _check_present(data: pd.DataFrame, names: Sequence[str]) -> None:
    absent = [f"there is no column {name!r}" for name in names if name not in data]
    if absent:
        raise DataError(absent)
    if not len(data):
        raise DataError("there are no patients")
    problems = [
        f"column {name!r} is missing a value in {_rows(data, empty)}"
        for name in names
        if (empty := data[name].isna().to_numpy()).any()
    ]
    if problems:
        raise DataError(problems)


def _status_problems(data: pd.DataFrame, name: str, codes: np.ndarray) -> list[str]:
    if name == "event":
        problem = event_problem(data[name], name)
        return [problem] if problem else []
    unknown = (codes != np.floor(codes)) | (codes < 0)
    if unknown.any():
        return [f"column {name!r} must hold 0, 1, 2, ...; see {_rows(data, unknown)}"]
    if "event" not in data:
        problem = status_problem(data[name], name)
        return [problem] if problem else []
    problem = event_problem(data["event"], "event")
    if problem:
        return [problem]
    event = read_numbers(data["event"], "event")
    against = ~np.isnan(event) & (event != (codes == 1))
    if against.any():
        return [
            f"column {name!r} contradicts 'event' in {_rows(data, against)}: an event (1) is a "
            "status of 1, and no other; drop the column that is wrong"
        ]
    return []


@checked
def two_groups(data: pd.DataFrame, group: str) -> tuple[Hashable, FollowUp, Hashable, FollowUp]:
    """Return the compared group and its follow-up, then the reference and its.

    Raises
    ------
    DataError
        Unless there are exactly two groups.
    """
    groups = by_group(data, group)
    if len(groups) != 2:
        raise DataError(f"expected two groups in {group!r}, found {', '.join(map(str, groups))}")
    (reference, first), (other, second) = groups.items()
    return other, second, reference, first


@checked
def on_one_clock(*sides: FollowUp) -> tuple[FollowUp, ...]:
    """Groups to compare, with times that differ by rounding made equal across all of them."""
    ends, begins = merged(
        np.concatenate([side.exit for side in sides]),
        np.concatenate([side.entry for side in sides]),
    )
    assert begins is not None
    cuts = np.cumsum([len(side) for side in sides])[:-1]
    parts = zip(np.split(begins, cuts), np.split(ends, cuts), sides, strict=True)
    return tuple(FollowUp(begin, end, side.status) for begin, end, side in parts)


def _levels(column: pd.Series, name: str) -> list[Hashable]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.remove_unused_categories().cat.categories)
    try:
        return sorted(column.unique())
    except TypeError as error:
        raise DataError(
            f"column {name!r} mixes labels that have no order ({error}); make them all text"
        ) from error


def _rows(data: pd.DataFrame, chosen: np.ndarray) -> str:
    labels = [str(label) for label in data.index[chosen]]
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return f"{'row' if len(labels) == 1 else 'rows'} {', '.join(labels[:5])}{more}"
