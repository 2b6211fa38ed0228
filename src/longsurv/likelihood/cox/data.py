"""Survival rows made ready for the Cox kernels: sorted, ranked, centred and scaled once.

The kernels never see a time. Each row is at risk at a run of consecutive event times of its
stratum, so `prepare` turns (entry, exit] into the index range [first, last) of that run; ties,
entry times and strata are all settled here, and the kernels loop over integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longsurv.likelihood.cox.sorting import (
    Floats,
    Integers,
    column_scales,
    counting_sort,
    entry_indices,
    event_ranges,
    sound,
    standardise_rows,
    stratum_means,
    tallies,
)
from longsurv.times import Clock, clock


class RiskArrays(NamedTuple):
    """What the compiled kernels read. Rows by stratum and exit; event times likewise.

    n rows, p columns, K distinct event times (counted separately in each stratum).
    """

    X: Floats  # (n, p) centred within stratum and scaled
    offset: Floats  # (n,) centred within stratum
    weight: Floats  # (n,)
    event: NDArray[np.bool_]  # (n,)
    first: Integers  # (n,) first event time at which the row is at risk
    last: Integers  # (n,) one past the last; an event row's own time is last - 1
    opening: Integers  # (K,) index of the first event time of the same stratum
    deaths: Integers  # (K,) number of events
    death_weight: Floats  # (K,) their summed weights
    staggered: bool  # some row enters after the first event time of its stratum
    efron: bool  # ties exist and are to be treated by Efron's method


@dataclass(frozen=True, eq=False)
class CoxData:
    """Rows prepared for the Cox kernels by `prepare`.

    Attributes
    ----------
    arrays : RiskArrays
        Sorted arrays the compiled kernels read. Rows never at risk at an event time are left
        out: they carry no information.
    order : ndarray of int, shape (n,)
        Original position of each kept row.
    n_rows : int
        Number of rows given to `prepare`.
    mean : ndarray, shape (n_strata, p)
        Column means by stratum, subtracted from X.
    scale : ndarray, shape (p,)
        Column scales (powers of two near the standard deviation, so scaling rounds nothing).
    offset_mean : ndarray, shape (n_strata,)
        Mean offset by stratum, subtracted from the offset.
    times : ndarray, shape (K,)
        Distinct event times, by stratum and time.
    time_stratum : ndarray of int, shape (K,)
        Position in `strata` of each event time.
    strata : ndarray, shape (n_strata,)
        Stratum labels, sorted.
    ties : {"efron", "breslow"}
    """

    arrays: RiskArrays
    order: Integers
    n_rows: int
    mean: Floats
    scale: Floats
    offset_mean: Floats
    times: Floats
    time_stratum: Integers
    strata: NDArray
    ties: str

    @property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.arrays.deaths.sum())

    @property
    def n_columns(self) -> int:
        """Number of covariates."""
        return self.arrays.X.shape[1]

    @cached_property
    def scale_products(self) -> Floats:
        """Products of the scales of two columns, (p, p)."""
        return np.outer(self.scale, self.scale)

    @cached_property
    def log_scale(self) -> float:
        """Sum of the logarithms of the scales."""
        return float(np.log(self.scale).sum())


def prepare(
    X: ArrayLike,
    exit: ArrayLike,
    event: ArrayLike,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    ties: str = "efron",
    timed: Clock | None = None,
) -> CoxData:
    """Sort, rank, centre and scale survival rows for the Cox kernels.

    A row is at risk at time t when entry < t <= exit, as in R's ``Surv(entry, exit, event)``.
    Times that differ by rounding are one time; see `longsurv.times`.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Covariates, no intercept. p may be 0.
    exit : array_like, shape (n,)
        End of the time at risk.
    event : array_like of bool or 0/1, shape (n,)
        Whether the event happened at `exit`.
    entry : array_like, shape (n,), optional
        Start of the time at risk; without it every row is at risk from the beginning.
    weights : array_like, shape (n,), optional
        Case weights, at least 0. A row of weight 0 is left out, also from the count of ties.
    strata : array_like, shape (n,), optional
        Labels; risk sets never cross strata.
    offset : array_like, shape (n,), optional
        Added to the linear predictor.
    ties : {"efron", "breslow"}
    timed : Clock, optional
        That of `exit` and `entry`, if it has been made already.

    Returns
    -------
    CoxData

    Raises
    ------
    ValueError
        If the arrays cannot be used; the message lists every problem found, with 0-based rows.
    """
    X, exit, event = _reals(X), _reals(exit), np.asarray(event)
    n = len(exit)
    start = None if entry is None else _reals(entry)
    weight = _reals(np.ones(n)) if weights is None else _reals(weights)
    shift = _reals(np.zeros(n)) if offset is None else _reals(offset)
    labels = None if strata is None else np.asarray(strata)
    _check(X, exit, event, start, weight, shift, labels, ties)

    died = event.astype(bool)
    if labels is None:
        levels, code = np.zeros(1, dtype=int), np.zeros(n, dtype=np.int64)
    else:
        levels, code = np.unique(labels, return_inverse=True)
    timed = clock(exit, start) if timed is None else timed
    exit_rank, entry_rank = timed.exit, timed.entry
    # Of tied rows the events come first: the kernels' loops ask each row whether it is one, and a
    # processor foretells the answer only if there is a pattern in it.
    order: Integers = (
        counting_sort(
            exit_rank,
            np.concatenate([np.flatnonzero(died), np.flatnonzero(~died)]),
            len(timed.times),
        )
        if timed.by_exit is None
        else timed.by_exit
    )
    if entry_rank is not None:
        _check_at_risk(exit_rank, entry_rank)
    if len(levels) > 1:
        order = counting_sort(code, order, len(levels))
    counted = died if weights is None else died & (weight > 0)
    first, last, time_rank, time_stratum, opening = event_ranges(
        order, code, exit_rank, counted, len(levels) > 1
    )
    if entry_rank is not None:
        bounds = np.searchsorted(time_stratum, np.arange(len(levels) + 1))
        first = entry_indices(order, code, entry_rank, time_rank, bounds, last)
    informative = first < last
    if weights is not None:
        informative &= weight[order] > 0
    if not informative.all():
        order, first, last = order[informative], first[informative], last[informative]
    mean, offset_mean = stratum_means(X, shift, code, len(levels))
    scale = column_scales(X, mean, code)
    died = died[order]
    weight = np.ones(len(order)) if weights is None else weight[order]
    deaths, death_weight = tallies(last, died, weight, len(time_rank))
    Z = np.empty((len(order), X.shape[1]))  # NumPy's large arrays come in large pages: much faster
    standardise_rows(X, mean, scale, code, order, Z)
    arrays = RiskArrays(
        X=Z,
        offset=(
            np.zeros(len(order)) if offset is None else shift[order] - offset_mean[code[order]]
        ),
        weight=weight,
        event=died,
        first=first,
        last=last,
        opening=opening,
        deaths=deaths,
        death_weight=death_weight,
        staggered=entry is not None and bool((first > opening[first]).any()),
        efron=ties == "efron" and bool(deaths.max() > 1),
    )
    for array in arrays:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return CoxData(
        arrays=arrays,
        order=order,
        n_rows=n,
        mean=mean,
        scale=scale,
        offset_mean=offset_mean,
        times=timed.times[time_rank],
        time_stratum=time_stratum,
        strata=levels,
        ties=ties,
    )


def standardise(data: CoxData, beta: ArrayLike) -> Floats:
    """Coefficients of the standardised columns, checked for shape."""
    return shaped(data, beta) * data.scale


def shaped(data: CoxData, beta: ArrayLike) -> Floats:
    """A copy of coefficients, checked for shape."""
    b = np.array(beta, dtype=float)
    if b.shape != data.scale.shape:
        raise ValueError(f"beta has shape {b.shape}, but there are {len(data.scale)} columns")
    return b


def _reals(values: ArrayLike) -> Floats:
    """Contiguous float array that is never written to, so one compiled version serves all."""
    array = np.ascontiguousarray(values, dtype=float).view()
    array.flags.writeable = False
    return array


def _check(
    X: Floats,
    exit: Floats,
    event: NDArray,
    entry: Floats | None,
    weight: Floats,
    offset: Floats,
    strata: NDArray | None,
    ties: str,
) -> None:
    """Raise one ValueError naming every problem of the arguments of `prepare`."""
    if ties not in ("efron", "breslow"):
        raise ValueError(f'ties must be "efron" or "breslow", not {ties!r}')
    if X.ndim != 2 or exit.ndim != 1:
        raise ValueError(f"X must be a matrix and exit a vector, not {X.ndim}- and {exit.ndim}-d")
    vectors = {"X": X[:, 0] if X.shape[1] else np.zeros(len(X)), "event": event, "entry": entry}
    vectors |= {"weights": weight, "strata": strata, "offset": offset}
    wrong = [
        f"{name} has shape {v.shape}, but exit has {len(exit)} rows"
        for name, v in vectors.items()
        if v is not None and v.shape != exit.shape
    ]
    if wrong:
        raise ValueError("; ".join(wrong))

    problems = []

    def complain(bad: NDArray[np.bool_], text: str) -> None:
        if bad.any():
            rows = np.flatnonzero(bad)
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            problems.append(f"{text}: row {', '.join(map(str, rows[:5]))}{more}")

    if not sound(X, exit, weight, offset):
        complain(~np.isfinite(X).all(axis=1), "X is not finite")
        complain(~np.isfinite(exit), "exit is not finite")
        complain(~np.isfinite(weight) | (weight < 0), "weights must be finite and at least 0")
        complain(~np.isfinite(offset), "offset is not finite")
    if event.dtype != bool:
        complain((event != 0) & (event != 1), "event must be 0 or 1")
    if entry is not None:
        complain(~np.isfinite(entry), "entry is not finite")
        complain(entry >= exit, "entry must be before exit")
    if not ((event == 1) & (weight > 0)).any():
        problems.append("there is no event with a positive weight: nothing can be estimated")
    if problems:
        raise ValueError("; ".join(problems))


def _check_at_risk(exit_rank: Integers, entry_rank: Integers) -> None:
    empty = np.flatnonzero(exit_rank <= entry_rank)
    if len(empty):
        raise ValueError(
            "entry and exit differ by no more than rounding (their times count as tied): "
            f"row {', '.join(map(str, empty[:5]))}"
        )
