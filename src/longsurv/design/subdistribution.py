"""Risk sets of a subdistribution hazard: who left by a competing event stays, with less weight.

Fine and Gray's hazard of a cause is that of the time of the cause, infinite for who left by
another. Such a patient stays at risk of it for ever, and would have been seen to only until
censored; so at time t the patient counts with the probability of being still uncensored at t,
given that they were at their own time: G(t-) / G(T-), G Kaplan and Meier's curve of the end of
follow-up. With delayed entry the same is asked of the time of entry (Geskus 2011, Biometrics
67:39-49). The patient then has several rows, one for each stretch between changes of that weight
in which the cause happens to somebody. An event comes before a censoring at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Subdistribution:
    """Rows of a weighted Cox model that is Fine and Gray's.

    Attributes
    ----------
    source : ndarray of int, shape (m,)
        The patient of each row.
    entry, exit : ndarray, shape (m,)
    event : ndarray of int, shape (m,)
    weight : ndarray, shape (m,)
        That of the stretch, times the patient's own.
    later : ndarray of bool, shape (m,)
        Stretches after the patient's competing event.
    censoring : tuple of Censoring
        The curve of each stratum.
    """

    source: np.ndarray
    entry: np.ndarray
    exit: np.ndarray
    event: np.ndarray
    weight: np.ndarray
    later: np.ndarray
    censoring: tuple[Censoring, ...]


@dataclass(frozen=True, eq=False)
class Censoring:
    """The weighted curve of the end of follow-up in one stratum.

    Attributes
    ----------
    rows : ndarray of int
        Its patients.
    time : ndarray, shape (c,)
        At which somebody was censored.
    at_risk, hazard : ndarray, shape (c,)
        Weight of who might have been, and the share that was.
    """

    rows: np.ndarray
    time: np.ndarray
    at_risk: np.ndarray
    hazard: np.ndarray


def subdistribution(
    entry: np.ndarray, exit: np.ndarray, status: np.ndarray, cause: int,
    weight: np.ndarray, stratum: np.ndarray, late: bool,
) -> Subdistribution:  # fmt: skip
    """Cut the follow-up of who had a competing event into weighted stretches.

    Parameters
    ----------
    entry, exit : ndarray, shape (n,)
    status : ndarray of int, shape (n,)
        0 censored, `cause` the event, anything else a competing one.
    cause : int
    weight : ndarray, shape (n,)
        Of each patient.
    stratum : ndarray of int, shape (n,)
        With a curve of censoring each.
    late : bool
        Whether entry may be delayed.
    """
    parts, curves = [], []
    for one in np.unique(stratum):
        rows = np.flatnonzero(stratum == one)
        curve, part = _of_stratum(entry, exit, status, cause, weight, rows, late)
        curves.append(curve)
        parts.append(part)
    source, begin, end, event, share, later = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    order = np.lexsort((begin, source))
    return Subdistribution(
        source[order], begin[order], end[order], event[order],
        (share * weight[source])[order], later[order], tuple(curves),
    )  # fmt: skip


type _Part = tuple[np.ndarray, ...]


def _of_stratum(
    entry: np.ndarray, exit: np.ndarray, status: np.ndarray, cause: int, weight: np.ndarray,
    rows: np.ndarray, late: bool,
) -> tuple[Censoring, _Part]:  # fmt: skip
    begin, end, code, w = entry[rows], exit[rows], status[rows], weight[rows]
    # Half a step later than any event at the same time.
    time = np.unique(end[code == 0])
    ended = _weight_at(time, end[code == 0], w[code == 0])
    there = _after(time, end, w, code == 0) - _after(time, begin, w, np.ones(len(end), dtype=bool))
    hazard = ended / there
    changes, value = time, np.cumprod(1 - hazard)
    if late:
        changes, value = _with_entries(time, value, begin, end, w)
    ends = np.append(changes, max(float(end.max()), float(changes.max(initial=-np.inf))))
    value = np.concatenate([[1.0], value])
    happening = np.unique(end[code == cause])
    kept = np.unique(np.searchsorted(ends, happening, "left"))  # stretches with an event
    other = (code != 0) & (code != cause)
    mine = np.searchsorted(ends, end, "left")
    stop = np.where(other, ends[np.minimum(mine, len(ends) - 1)], end)
    plain = (
        rows, begin, stop, (code == cause) * 1, np.ones(len(rows)), np.zeros(len(rows), dtype=bool),
    )  # fmt: skip
    who = np.flatnonzero(other)
    first = np.searchsorted(kept, mine[who], "right")
    count = len(kept) - first
    who = np.repeat(who, count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    stretch = kept[np.repeat(first, count) + place]
    share = value[stretch] / value[mine[who]]
    seen = share > 0
    who, stretch, share = who[seen], stretch[seen], share[seen]
    more = (
        rows[who], ends[stretch - 1], ends[stretch], np.zeros(len(who), dtype=int), share,
        np.ones(len(who), dtype=bool),
    )  # fmt: skip
    part = tuple(np.concatenate(pair) for pair in zip(plain, more, strict=True))
    return Censoring(rows, time, there, hazard), part


def _weight_at(times: np.ndarray, when: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(times, when), weight, len(times))


def _after(times: np.ndarray, when: np.ndarray, weight: np.ndarray, too: np.ndarray) -> np.ndarray:
    """Weight of those after each of the times, and at it if they are in `too`."""
    place = np.where(
        too, np.searchsorted(times, when, "right"), np.searchsorted(times, when, "left")
    )
    return np.cumsum(np.bincount(place, weight, len(times) + 1)[::-1])[::-1][1:]


def _with_entries(
    time: np.ndarray, value: np.ndarray, begin: np.ndarray, end: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Changes of the probability of being seen, and its value after each.

    The probability of having entered by t is the product over later entries of one less the share
    of those at risk, in time that runs backwards, who had only just entered.
    """
    entries = np.unique(begin)
    entered = _weight_at(entries, begin, w)
    none = np.zeros(len(begin), dtype=bool)
    there = _after(entries, end, w, none) - _after(entries, begin, w, none)
    factor = 1 - entered / there
    by = np.append(np.cumprod(factor[::-1])[::-1][1:], 1.0)
    changes = np.union1d(entries, time)
    before = np.concatenate([[1.0], value])
    index = np.searchsorted(entries, changes, "right") - 1
    return changes, by[np.maximum(index, 0)] * before[np.searchsorted(time, changes, "right")]
