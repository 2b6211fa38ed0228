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
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import special

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.follow_up import FollowUp, by_group, two_groups
from longsurv.estimands.kaplan_meier import kaplan_meier

Interval = Literal["mover", "wald"]


@dataclass(frozen=True, eq=False)
class CumulativeIncidence:
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

    follow_up: FollowUp
    cause: int
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    cause_events: np.ndarray
    survival: np.ndarray
    incidence: np.ndarray

    @property
    def known_until(self) -> float:
        """The end of follow-up, unless everyone at risk at some time had an event at it.

        With delayed entry that can be before others enter; the survival curve stays at 0 then.
        """
        ended = bool((self.events == self.at_risk).any())
        return np.inf if ended else float(self.follow_up.exit.max())

    def at(self, t: float) -> tuple[float, float]:
        """Return the incidence by a time and its standard error; NaN after the end of follow-up.

        With the binomial variances and covariances of events among those at risk at each time
        (the delta method; Marubini and Valsecchi 1995, section 10.2). Without censoring it is the
        binomial standard error of a proportion.
        """
        if t > self.known_until:
            return np.nan, np.nan
        m = int(np.searchsorted(self.time, t, side="right"))
        if m == 0:
            return 0.0, 0.0
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
        Pearson's) for as many patients as are known to be with or without the event by t.
        """
        estimate, error = self.at(t)
        if np.isnan(estimate):
            return np.nan, np.nan
        tail = (1 - level) / 2
        if 0 < estimate < 1 and error > 0:
            step = np.exp(-float(special.ndtri(tail)) * error / (estimate * -np.log(estimate)))
            return float(estimate**step), float(estimate ** (1 / step))
        edge = tail ** (1 / max(self._known(t), 1))
        return (0.0, float(1 - edge)) if estimate < 0.5 else (float(edge), 1.0)

    def _known(self, t: float) -> int:
        """Patients whose status at t is known: at risk after it, or with any event by it."""
        at = np.array([t])
        f = self.follow_up
        done = int(((f.status > 0) & (f.exit <= t)).sum())
        return int(f.at_risk(at)[0] - f.happening(at, *f.causes)[0]) + done


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
        group, cause, time, n_risk (just before the time), events (of the cause, up to it),
        estimate, std_error, conf_low, conf_high, one_minus_km (what calling the other causes
        censoring would give), note.

    Raises
    ------
    DataError
        For data that cannot be follow-up.
    """
    _check_level(level)
    groups = by_group(data, group)
    if causes is None:
        causes = sorted({cause for f in groups.values() for cause in f.causes})
    rows: list[dict[str, Any]] = []
    for name, follow_up in groups.items():
        for cause in causes:
            curve = cumulative_incidence(follow_up, cause)
            one = FollowUp(follow_up.entry, follow_up.exit, (follow_up.status == cause) * 1)
            naive = 1 - kaplan_meier(one).at(np.asarray(times, dtype=float))[0]
            for t, km in zip(times, naive, strict=True):
                estimate, error = curve.at(t)
                low, high = curve.interval(t, level)
                rows.append(
                    {
                        group: name, "cause": cause, "time": t,
                        "n_risk": int(follow_up.at_risk(np.array([t]))[0]),
                        "events": int(((one.status == 1) & (one.exit <= t)).sum()),
                        "estimate": estimate, "std_error": error, "conf_low": low,
                        "conf_high": high, "one_minus_km": float(km), "note": _note(curve, t),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


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
    interval : {"mover", "wald"}
        Of the difference: from the limits of the two incidences (as Newcombe's is from Wilson's),
        which holds with few events; or by normal approximation.
    level : float

    Returns
    -------
    DataFrame
        A row each of "risk of" each group, "risk difference" (group minus reference), "risk
        ratio": quantity, time, estimate, std_error (of the ratio: of its logarithm), conf_low,
        conf_high, note.

    References
    ----------
    Zou GY, Donner A. Construction of confidence limits about effect measures: a general approach.
    Stat Med 2008;27:1693-1702.
    """
    _check_level(level)
    if interval not in get_args(Interval):
        raise LongsurvError(f"interval is one of {', '.join(get_args(Interval))}, not {interval!r}")
    name, treated, reference_name, reference = two_groups(data, group)
    sides = []
    for label, follow_up in ((name, treated), (reference_name, reference)):
        curve = cumulative_incidence(follow_up, cause)
        if time > curve.known_until:
            raise DataError(
                f"group {label}: follow-up ends at {curve.known_until:g} with patients at risk, so"
                f" the risk by {time:g} is not known"
            )
        sides.append((label, *curve.at(time), *curve.interval(time, level), _note(curve, time)))
    (_, p, p_error, p_low, p_high, p_note), (_, q, q_error, q_low, q_high, q_note) = sides
    rows: list[dict[str, Any]] = [
        {
            "quantity": f"risk of {label}", "estimate": estimate, "std_error": error,
            "conf_low": low, "conf_high": high, "note": note,
        }
        for label, estimate, error, low, high, note in sides
    ]  # fmt: skip
    error = float(np.hypot(p_error, q_error))
    z = float(special.ndtri((1 + level) / 2))
    if interval == "wald":
        low, high = p - q - z * error, p - q + z * error
        note = "normal approximation" + ("; a variance is taken as 0" if p_note or q_note else "")
    else:
        low = p - q - float(np.hypot(p - p_low, q_high - q))
        high = p - q + float(np.hypot(p_high - p, q - q_low))
        note = "from the limits of the two risks"
    rows.append(
        {
            "quantity": "risk difference", "estimate": p - q, "std_error": error,
            "conf_low": max(low, -1.0), "conf_high": min(high, 1.0), "note": note,
        }
    )  # fmt: skip
    rows.append({"quantity": "risk ratio", **_ratio(p, p_error, q, q_error, z)})
    return pd.DataFrame(rows).assign(time=time)[
        ["quantity", "time", "estimate", "std_error", "conf_low", "conf_high", "note"]
    ]


def _ratio(p: float, p_error: float, q: float, q_error: float, z: float) -> dict[str, Any]:
    if p == 0 or q == 0:
        return {
            "estimate": np.nan if q == 0 else 0.0, "std_error": np.nan, "conf_low": np.nan,
            "conf_high": np.nan, "note": "no interval with a group without events",
        }  # fmt: skip
    error = float(np.hypot(p_error / p, q_error / q))
    step = float(np.exp(z * error))
    return {
        "estimate": p / q, "std_error": error, "conf_low": p / q / step,
        "conf_high": p / q * step, "note": "normal approximation of the logarithm",
    }  # fmt: skip


def _note(curve: CumulativeIncidence, t: float) -> str:
    estimate, error = curve.at(t)
    if np.isnan(estimate):
        return f"follow-up ends at {curve.known_until:g} with patients at risk"
    if error == 0:
        which = "no" if estimate < 0.5 else "only"
        return f"{which} events of this cause; the limit is Clopper and Pearson's"
    emptied = curve.time[curve.at_risk == curve.events]
    if len(emptied) and emptied[0] <= t and emptied[0] < curve.follow_up.exit.max():
        return f"nobody was left at risk after {emptied[0]:g}, before later entries"
    return ""


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
