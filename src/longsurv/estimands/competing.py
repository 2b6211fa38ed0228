"""Cumulative incidence of competing events at some times: every cause, two groups compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import checked
from longsurv.design.names import free
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.aalen_johansen import CumulativeIncidence, cumulative_incidence
from longsurv.estimands.follow_up import FollowUp, by_group, two_groups
from longsurv.estimands.intervals import mover, within
from longsurv.estimands.kaplan_meier import kaplan_meier

Interval = Literal["mover", "fisher-z"]
INCIDENCES = (
    "cause", "time", "n_risk", "events", "estimate", "std_error", "conf_low", "conf_high",
    "one_minus_km", "note",
)  # fmt: skip
"""Columns of `incidence_table` beside the group's."""


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
