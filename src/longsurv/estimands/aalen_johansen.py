"""Cumulative incidence with competing events: the proportion who died, others having gone home.

F(t) is the sum over times s <= t of S(s-) d(s) / Y(s): free of every event until s, then the event
of interest (Aalen-Johansen). Discharge alive is not censoring: 1 - Kaplan-Meier, which treats it
so, is the risk in a world where nobody is discharged, and is never smaller.

Written out here because lifelines moves tied times at random before it starts, and days in a
hospital are all ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import check_methods, checked
from longsurv.estimands import curve_plots
from longsurv.estimands.follow_up import Extent, FollowUp
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
