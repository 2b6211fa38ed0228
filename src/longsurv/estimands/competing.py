"""Cumulative incidence with competing events: the proportion who died, others having gone home.

F(t) is the sum over times s <= t of S(s-) d(s) / Y(s): free of every event until s, then the event
of interest (Aalen-Johansen). Discharge alive is not censoring: 1 - Kaplan-Meier, which treats it
so, is the risk in a world where nobody is discharged, and is never smaller.

Written out here because lifelines moves tied times at random before it starts, and days in a
hospital are all ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import check_methods, checked
from longsurv.design.names import free
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands import curve_plots
from longsurv.estimands.follow_up import Extent, FollowUp, by_group, two_groups
from longsurv.estimands.intervals import mover, within
from longsurv.estimands.kaplan_meier import kaplan_meier
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Interval = Literal["mover", "fisher-z"]
INCIDENCES = (
    "cause", "time", "n_risk", "events", "estimate", "std_error", "conf_low", "conf_high",
    "one_minus_km", "note",
)  # fmt: skip
"""Columns of `incidence_table` beside the group's."""


@check_methods
@dataclass(frozen=True, eq=False)
class CumulativeIncidence(Readable):
    """The cumulative incidence of one cause in one group, with steps at the times of any event.

    Attributes
    ----------
    follow_up : FollowUp
    cause : int
        Status of the event of interest.
    time : ndarray, shape (m,)
        Distinct times of an event of any cause.
    at_risk, events, cause_events : ndarray, shape (m,)
        At risk, leaving by any cause, leaving by this one.
    survival : ndarray, shape (m,)
        Free of every event, just before each time.
    incidence : ndarray, shape (m,)
        Just after each time.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    follow_up: FollowUp
    cause: int
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    cause_events: np.ndarray
    survival: np.ndarray
    incidence: np.ndarray

    @cached_property
    def extent(self) -> Extent:
        """The times at which it is known."""
        return self.follow_up.extent(*self.follow_up.causes)

    def at(self, t: float) -> tuple[float, float]:
        """Return the incidence by a time and its standard error; NaN where it is not known.

        With the binomial variances and covariances of events among those at risk at each time
        (the delta method; Marubini and Valsecchi 1995, section 10.2). Without censoring it is the
        binomial standard error of a proportion.

        Parameters
        ----------
        t : float

        Returns
        -------
        tuple of float
        """
        t = float(self.follow_up.on_clock(np.array(t)))
        if not self.extent.known(np.array(t)):
            return np.nan, np.nan
        m = int(np.searchsorted(self.time, t, side="right"))
        if not self.cause_events[:m].any():
            return 0.0, 0.0
        all_left = bool((self.events[:m] == self.at_risk[:m]).any())
        if all_left and (self.events[:m] == self.cause_events[:m]).all():
            return 1.0, 0.0  # counted, where the sum is only nearly 1
        y, s = self.at_risk[:m], self.survival[:m]
        a, b = self.cause_events[:m] / y, self.events[:m] / y
        after = self.incidence[m - 1] - self.incidence[:m]
        # How F(t) changes with the hazard of any event at s; nothing is left to change at b = 1.
        any_cause = np.where(b < 1, after / np.where(b < 1, 1 - b, 1.0), 0.0)
        variance = (
            s**2 * a * (1 - a) + any_cause**2 * b * (1 - b) - 2 * s * any_cause * a * (1 - b)
        ) / y
        return float(self.incidence[m - 1]), float(np.sqrt(max(variance.sum(), 0.0)))

    def interval(self, t: float, level: float = 0.95) -> tuple[float, float]:
        """Return pointwise limits, by normal approximation of log(-log F).

        At an incidence of 0 or 1, where that has no value, the other limit is exact (Clopper and
        Pearson's) for as many patients as are known to be with or without the event by t; who
        entered late counts in part.

        Parameters
        ----------
        t : float
        level : float

        Returns
        -------
        tuple of float
        """
        estimate, error = self.at(t)
        if np.isnan(estimate):
            return np.nan, np.nan
        tail = (1 - level) / 2
        if 0 < estimate < 1 and error > 0:
            step = np.exp(-float(special.ndtri(tail)) * error / (estimate * -np.log(estimate)))
            return float(estimate**step), float(estimate ** (1 / step))
        n = self._known(t)
        edge = tail ** (1 / n) if n > 0 else 0.0
        return (0.0, float(1 - edge)) if estimate < 0.5 else (float(edge), 1.0)

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """The curve at its steps and at the end of follow-up, with its limits.

        Parameters
        ----------
        level : float

        Returns
        -------
        DataFrame
            time, estimate, conf_low, conf_high; it begins at the earliest entry with 0.
        """
        start = float(self.follow_up.entry.min())
        rows = [(start, 0.0, 0.0, 0.0)]
        for t in np.unique(np.append(self.time, self.follow_up.exit.max())):
            rows.append((float(t), self.at(float(t))[0], *self.interval(float(t), level)))
        return pd.DataFrame(rows, columns=["time", "estimate", "conf_low", "conf_high"])

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the curve with its band.

        Parameters
        ----------
        level : float
            Of the band.
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.
        """
        return curve_plots.cumulative_incidence(self.table(level), self.cause, level, ax)

    def _known(self, t: float) -> float:
        """Patients whose status at t is known: at risk after it, or with any event by it.

        Who entered late counts for the share of the time from the first entry to t that was left.
        """
        f, first = self.follow_up, self.extent.first
        t = float(f.on_clock(np.array(t)))
        if t <= first:
            return 0.0
        there = (f.exit > t) | ((f.exit == t) & (f.status == 0))
        known = (there | (f.status > 0)) & (f.entry < t)
        return float(((t - f.entry[known]) / (t - first)).sum())


@checked
def cumulative_incidence(follow_up: FollowUp, cause: int = 1) -> CumulativeIncidence:
    """Estimate the cumulative incidence of one cause in one group.

    Parameters
    ----------
    follow_up : FollowUp
    cause : int
        Status of the event of interest; every other status above 0 competes with it.

    References
    ----------
    Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains based on
    censored observations. Scand J Stat 1978;5:141-150.
    """
    time = follow_up.times(*follow_up.causes)
    at_risk = follow_up.at_risk(time)
    events = follow_up.happening(time, *follow_up.causes)
    mine = follow_up.happening(time, cause)
    survival = np.cumprod(np.concatenate([[1.0], 1 - events / at_risk]))[:-1]
    incidence = np.cumsum(survival * mine / at_risk)
    return CumulativeIncidence(follow_up, cause, time, at_risk, events, mine, survival, incidence)


@checked
def incidence_table(
    data: pd.DataFrame,
    group: str,
    times: Sequence[float],
    *,
    causes: Sequence[int] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the cumulative incidence of each cause in each group at some times.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status", "entry" if delayed, `group`.
    group : str
    times : sequence of float
    causes : sequence of int, optional
        Statuses; nothing: every one that occurs.
    level : float

    Returns
    -------
    DataFrame
        group (with "_variable" after its name where that is one of the others), cause, time, n_risk
        (just before the time), events (of the cause, up to it), estimate, std_error, conf_low,
        conf_high, one_minus_km (what calling the other causes censoring would give), note.

    Raises
    ------
    DataError
        For data that cannot be follow-up.
    """
    groups = by_group(data, group)
    if causes is None:
        causes = sorted({cause for f in groups.values() for cause in f.causes})
        if not causes:
            raise DataError(
                f"nobody in {' or '.join(map(str, groups))} has an event of any cause: name the "
                "causes whose incidences, 0 so far, are wanted"
            )
    rows: list[dict[str, object]] = []
    column = str(free(group, INCIDENCES))
    for name, follow_up in groups.items():
        for cause in causes:
            curve = cumulative_incidence(follow_up, cause)
            one = FollowUp(follow_up.entry, follow_up.exit, (follow_up.status == cause) * 1)
            naive = 1 - kaplan_meier(one).at(np.asarray(times, dtype=float))[0]
            clock = follow_up.on_clock(np.asarray(times, dtype=float))
            for t, km in zip(map(float, clock), naive, strict=True):
                estimate, error = curve.at(t)
                low, high = curve.interval(t, level)
                rows.append(
                    {
                        column: name, "cause": cause, "time": t,
                        "n_risk": int(follow_up.at_risk(np.array([t]))[0]),
                        "events": int(((one.status == 1) & (one.exit <= t)).sum()),
                        "estimate": estimate, "std_error": error, "conf_low": low,
                        "conf_high": high, "one_minus_km": float(km), "note": _note(curve, t),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


@checked
def incidence_difference(
    data: pd.DataFrame,
    group: str,
    time: float,
    *,
    cause: int = 1,
    interval: Interval = "mover",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare the cumulative incidence of two groups by a time.

    Without competing events this is the difference of the Kaplan-Meier risks, and without censoring
    that of two proportions.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
    group : str
    time : float
    cause : int
    interval : {"mover", "fisher-z"}
        Of the difference: from the limits of the two incidences (as Newcombe's is from Wilson's),
        which holds with few events; or by normal approximation of its inverse hyperbolic tangent.
        Neither can leave -1 to 1.
    level : float

    Returns
    -------
    DataFrame
        A row each of "risk of" each group, "risk difference" (group minus reference), "risk
        ratio": quantity, time, estimate, std_error (of the ratio: of its logarithm), conf_low,
        conf_high, note. Where groups enter at different times the risks are of those at risk from
        the first entry of the group that is observed last.

    Raises
    ------
    DataError
        For data that cannot be follow-up, or if a risk is not known: follow-up ends before `time`
        with patients at risk, or a risk set is empty before others enter.

    References
    ----------
    Zou GY, Donner A. Construction of confidence limits about effect measures: a general approach.
    Stat Med 2008;27:1693-1702.
    """
    name, treated, reference_name, reference = two_groups(data, group)
    start = float(max(treated.entry.min(), reference.entry.min()))
    asked, time = time, float(reference.on_clock(treated.on_clock(np.array(time))))
    if not start < time:
        raise LongsurvError(f"the horizon ({time:g}) must come after the first entry ({start:g})")
    later = f"counted from {start:g}, the first entry of the group that is observed last"
    rows: list[_Row] = []
    for label, whole in ((name, treated), (reference_name, reference)):
        follow_up = whole.since(start)
        if not len(follow_up) or follow_up.entry.min() > start:
            raise DataError(f"group {label}: nobody is at risk just after {start:g}")
        curve = cumulative_incidence(follow_up, cause)
        unknown = curve.extent.why(time)
        if unknown:
            raise DataError(f"group {label}: {unknown}, so the risk by {time:g} is not known")
        (estimate, error), (low, high) = curve.at(time), curve.interval(time, level)
        notes = [_note(curve, time), later if whole.entry.min() < start else ""]
        note = "; ".join(filter(None, notes))
        rows.append(_Row(f"risk of {label}", estimate, error, low, high, note))
    z = float(special.ndtri((1 + level) / 2))
    one, other = rows
    rows += [_difference(one, other, interval, z), _ratio(one, other, z)]
    return pd.DataFrame(rows).assign(time=asked)[
        ["quantity", "time", "estimate", "std_error", "conf_low", "conf_high", "note"]
    ]


class _Row(NamedTuple):
    quantity: str
    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    note: str

    @property
    def limits(self) -> tuple[float, float, float]:
        """The estimate and its interval."""
        return self.estimate, self.conf_low, self.conf_high


def _difference(group: _Row, reference: _Row, interval: Interval, z: float) -> _Row:
    """The difference of two risks; its limits lie within -1 and 1 by construction."""
    p, q = group.estimate, reference.estimate
    error = float(np.hypot(group.std_error, reference.std_error))
    if interval == "mover":
        low, high = mover(group.limits, reference.limits)
        note = "from the limits of the two risks"
    elif group.std_error == 0 or reference.std_error == 0:
        low = high = np.nan
        note = _unvarying(group, reference)
    else:
        low, high = within(p - q, error, z)
        note = "normal approximation of Fisher's z of the difference"
    return _Row("risk difference", p - q, error, low, high, note)


def _unvarying(group: _Row, reference: _Row) -> str:
    """Which risks are 0 or 1, whose variance is not known."""
    said = [
        f"{'no' if side.estimate < 0.5 else 'only'} events of this cause in the "
        f"{side.quantity.removeprefix('risk of ')} group"
        for side in (group, reference)
        if side.std_error == 0
    ]
    return f"{' and '.join(said)}, so no variance to make an interval of"


def _ratio(group: _Row, reference: _Row, z: float) -> _Row:
    p, q = group.estimate, reference.estimate
    estimate = np.nan if q == 0 else p / q
    if group.std_error == 0 or reference.std_error == 0:
        note = "no interval with a group without events"
        if p != 0 and q != 0:
            note = _unvarying(group, reference)
        return _Row("risk ratio", estimate, np.nan, np.nan, np.nan, note)
    error = float(np.hypot(group.std_error / p, reference.std_error / q))
    step = float(np.exp(z * error))
    note = "normal approximation of the logarithm"
    return _Row("risk ratio", estimate, error, estimate / step, estimate * step, note)


def _note(curve: CumulativeIncidence, t: float) -> str:
    unknown = curve.extent.why(t)
    if unknown:
        return unknown
    estimate, error = curve.at(t)
    if error == 0:
        if t <= curve.extent.first:
            return "nobody has been at risk for any time yet"
        which = "no" if estimate < 0.5 else "only"
        return f"{which} events of this cause; the limit is Clopper and Pearson's"
    return ""
