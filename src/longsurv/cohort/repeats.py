"""Several values of one marker at one time, or inside one phase: one of them, or their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.cohort.cutoff import LEFT, RIGHT
from longsurv.cohort.flow import Ledger
from longsurv.cohort.phases import phase_of
from longsurv.cohort.problems import Problems, Table
from longsurv.cohort.readings import DatedReadings
from longsurv.cohort.schema import Marker, Schema
from longsurv.words import plural

KEEP_ALL = ("all", "error")


def in_order(readings: DatedReadings, rank: np.ndarray) -> np.ndarray:
    """Positions of the readings sorted by patient, time and marker; ties in the table's order."""
    return np.lexsort((readings.row, readings.marker, readings.time, rank[readings.owner]))


def merge_duplicates(
    readings: DatedReadings,
    schema: Schema,
    markers: Sequence[Marker],
    table: Table,
    problems: Problems,
    ledger: Ledger,
) -> DatedReadings:
    """Make one value of several of a marker at one time; refuse them where no rule is given.

    The readings are sorted by patient, time and marker.
    """
    owner, time, marker = readings.owner, readings.time, readings.marker
    # NaN times equal nothing, themselves included, so times already refused do not count twice.
    same = (owner[1:] == owner[:-1]) & (time[1:] == time[:-1]) & (marker[1:] == marker[:-1])
    same &= marker[1:] >= 0
    if not same.any():
        return readings
    rules = [m.duplicates or schema.duplicates for m in markers]
    refused = np.array([*(rule == "error" for rule in rules), False])[marker]
    twice = (np.append(same, False) | np.append(False, same)) & refused
    rows, at = np.unique(readings.row[twice], return_index=True)
    named = zip(marker[twice][at], time[twice][at], strict=True)
    problems.rows(
        table,
        schema.time,
        rows,
        "a marker is measured twice at one time in a patient",
        'Keep one of the values, or tell the times apart; or set duplicates = "mean", "first" or '
        '"last".',
        words=[f"{markers[k].name} at {t:.10g}" for k, t in named],
    )
    group = np.cumsum(np.append(True, ~same))
    return _merge(readings, group, rules, "one value at a time", markers, table, problems, ledger)


def merge_within_phases(
    readings: DatedReadings,
    schema: Schema,
    markers: Sequence[Marker],
    table: Table,
    problems: Problems,
    ledger: Ledger,
) -> DatedReadings:
    """Keep of several values of a marker inside one phase what the rules say."""
    rules = [m.within_phase or schema.within_phase for m in markers]
    if not schema.phases or all(rule == "all" for rule in rules):
        return readings
    phase = phase_of(readings.time, schema.phases).codes.astype(np.int64)
    group = (readings.owner * len(markers) + readings.marker) * len(schema.phases) + phase
    group = np.where(phase < 0, -1 - np.arange(len(group)), group)  # outside every phase: alone
    return _merge(readings, group, rules, "one value a phase", markers, table, problems, ledger)


@dataclass(frozen=True)
class _Groups:
    """Readings in order of their group, and where each group begins and ends."""

    order: np.ndarray
    start: np.ndarray

    @property
    def size(self) -> np.ndarray:
        return np.diff(np.append(self.start, len(self.order)))

    def each(self, reduce: np.ufunc, values: np.ndarray) -> np.ndarray:
        return reduce.reduceat(values[self.order], self.start)


def _merge(
    readings: DatedReadings,
    group: np.ndarray,
    rules: Sequence[str],
    step: str,
    markers: Sequence[Marker],
    table: Table,
    problems: Problems,
    ledger: Ledger,
) -> DatedReadings:
    """One reading a group, by the rule of its marker."""
    keeps = np.array([*(rule in KEEP_ALL for rule in rules), True])[readings.marker]
    group = np.where(keeps, -1 - np.arange(len(group)), group)
    groups = _grouped(group, (readings.row, readings.time))
    last = groups.start + groups.size - 1
    chosen = groups.order[groups.start]
    marker = readings.marker[chosen]
    rule = np.array([*rules, "all"])[marker]
    chosen = np.where(rule == "last", groups.order[last], chosen)
    if "worst" in rules:
        readings, worst = _worst(readings, group, groups, rule == "worst", markers)
        chosen = np.where(rule == "worst", worst, chosen)
    mean = (rule == "mean") & (groups.size > 1)
    if mean.any():
        _refuse_unknown(readings, groups, mean, markers, table, problems)
        readings = _with_means(readings, groups, chosen, mean, markers)
    kept = np.zeros(len(readings), bool)
    kept[chosen] = True
    said = []
    for k, m in enumerate(markers):
        lost = int(np.count_nonzero(~kept & (readings.marker == k)))
        if lost:
            said.append(f"{m.label}, {rules[k]}: {lost:,}")
    ledger.keep(step, kept, "; ".join(said) or "no marker had several")
    return readings.select(kept)


def _worst(
    readings: DatedReadings,
    group: np.ndarray,
    groups: _Groups,
    asked: np.ndarray,
    markers: Sequence[Marker],
) -> tuple[DatedReadings, np.ndarray]:
    """The position of the worst reading of each group, and the readings with what is known of it.

    Where one may be worse than its limit, so is the worst: of 7 and "> 5" the highest is at least
    7, which is "> 7". Of a value and the same as a limit the one beyond it is further out.
    """
    up = np.array([*(m.direction != "higher" for m in markers), True])[readings.marker]
    worse, better = np.where(up, RIGHT, LEFT), np.where(up, LEFT, RIGHT)
    beyond = readings.censored == worse
    open_ended = groups.each(np.logical_or, beyond)
    of_group = np.empty(len(readings), dtype=bool)
    of_group[groups.order] = np.repeat(open_ended, groups.size)
    size = np.where(up, readings.value, -readings.value)
    size = np.where(of_group & (readings.censored == better), -np.inf, size)
    rank = np.where(beyond, 1, np.where(readings.censored == better, -1, 0))
    worst = _grouped(group, (rank, size)).order[groups.start + groups.size - 1]
    censored, moved = readings.censored.copy(), worst[asked & open_ended]
    censored[moved] = worse[moved]
    return replace(readings, censored=censored), worst


def _grouped(group: np.ndarray, keys: tuple[np.ndarray, ...]) -> _Groups:
    order = np.lexsort((*keys, group))
    return _Groups(order, np.flatnonzero(np.append(True, np.diff(group[order]) != 0)))


def _with_means(
    readings: DatedReadings,
    groups: _Groups,
    chosen: np.ndarray,
    mean: np.ndarray,
    markers: Sequence[Marker],
) -> DatedReadings:
    """The chosen reading of each group made the mean of it, on the marker's scale.

    Where all of them lie below a limit the mean lies below the mean of the limits.
    """
    logs = np.array([*(m.transform == "log" for m in markers), False])[readings.marker]
    with np.errstate(divide="ignore", invalid="ignore"):  # refused already
        scale = np.where(logs, np.log(readings.value), readings.value)
    average = groups.each(np.add, scale) / groups.size
    average = np.exp(average, out=average.copy(), where=logs[chosen])
    at = chosen[mean]
    value, time, censored = readings.value.copy(), readings.time.copy(), readings.censored.copy()
    value[at] = average[mean]
    time[at] = (groups.each(np.add, readings.time) / groups.size)[mean]
    censored[at] = groups.each(np.maximum, readings.censored)[mean]
    return replace(readings, value=value, time=time, censored=censored)


def _refuse_unknown(
    readings: DatedReadings,
    groups: _Groups,
    mean: np.ndarray,
    markers: Sequence[Marker],
    table: Table,
    problems: Problems,
) -> None:
    """Refuse means of which a part lies beyond a limit and the rest does not.

    To say of 8 and "< 2" that their mean lies below 5 forgets the 8: a model of such means takes
    them for lower than they are, most where most values are near the limit, and the groups for
    further apart (by a quarter and more).
    """
    measured, left, right = (
        groups.each(np.logical_or, readings.censored == code) for code in (0, LEFT, RIGHT)
    )
    unknown = mean & ((left & right) | (measured & (left | right)))
    first = groups.order[groups.start[unknown]]
    problems.rows(
        table,
        sorted({markers[k].name for k in readings.marker[first]}) or "",
        readings.row[first],
        "values partly beyond limits have no mean",
        'Choose "first" or "last" for this marker, or of the values inside a phase "worst", or '
        '"all", which lets each count as what it is.',
        words=[plural(int(n), "value") for n in groups.size[unknown]],
    )
