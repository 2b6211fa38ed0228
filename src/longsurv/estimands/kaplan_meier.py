"""Survival curves by group, with intervals that hold near the tail.

S(t) is the product over event times s <= t of 1 - d(s) / Y(s), with d events among Y at risk;
Greenwood's variance is S(t)^2 sum d / (Y (Y - d)). Competing events end follow-up as censoring
does, so with them this is not the proportion alive: see `cumulative_incidence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import check_methods, checked
from longsurv.design.names import free
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands import curve_plots
from longsurv.estimands.follow_up import Extent, FollowUp, by_group
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SurvivalInterval = Literal["log-log", "log", "plain"]
Interval = Literal["log-log", "log", "plain", "beta-product"]
SURVIVALS = (
    "time", "n_risk", "events", "survival", "std_error", "conf_low", "conf_high", "note",
)  # fmt: skip
"""Columns of `survival_table` beside the group's."""


@check_methods
@dataclass(frozen=True, eq=False)
class SurvivalCurve(Readable):
    """A Kaplan-Meier curve, with steps at the event times.

    Attributes
    ----------
    follow_up : FollowUp
    time : ndarray, shape (m,)
        Distinct times of the event.
    at_risk, events : ndarray, shape (m,)
    survival : ndarray, shape (m,)
        Just after each time.
    greenwood : ndarray, shape (m,)
        Cumulative sum d / (Y (Y - d)): the variance of log S, infinite once S is 0.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    follow_up: FollowUp
    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    survival: np.ndarray
    greenwood: np.ndarray

    @cached_property
    def extent(self) -> Extent:
        """The times at which it is known."""
        return self.follow_up.extent(1)

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the survival and Greenwood's standard error; NaN where it is not known.

        The standard error is NaN where survival is 0 and the formula has no value.

        Parameters
        ----------
        times : ndarray

        Returns
        -------
        tuple of ndarray
        """
        times = self.follow_up.on_clock(times)
        survival = self._step(self.survival, times, 1.0)
        with np.errstate(invalid="ignore"):  # 0 times infinity at S = 0
            error = survival * np.sqrt(self._step(self.greenwood, times, 0.0))
        known = self.extent.known(times)
        return np.where(known, survival, np.nan), np.where(known, error, np.nan)

    def interval(
        self, times: np.ndarray, kind: Interval = "log-log", level: float = 0.95
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return pointwise limits at the times; NaN where the method has none.

        Parameters
        ----------
        times : ndarray
        kind : {"log-log", "log", "plain", "beta-product"}
        level : float

        Returns
        -------
        tuple of ndarray
        """
        if not 0 < level < 1:
            raise LongsurvError(f"level must be between 0 and 1, not {level}")
        times = self.follow_up.on_clock(times)
        if kind == "beta-product":
            return self._beta_product(times, level)
        survival, error = self.at(times)
        z = float(special.ndtri((1 + level) / 2))
        if kind == "plain":
            return np.maximum(survival - z * error, 0.0), np.minimum(survival + z * error, 1.0)
        survival = np.where(np.isnan(error), np.nan, survival)
        if kind == "log":
            step = np.exp(z * error / survival)
            return survival / step, np.minimum(survival * step, 1.0)
        inner = np.where(survival < 1, survival, np.nan)
        step = np.exp(z * error / (inner * -np.log(inner)))
        return inner**step, inner ** (1 / step)

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """The curve at its steps and at the end of follow-up, with log-log limits.

        Parameters
        ----------
        level : float

        Returns
        -------
        DataFrame
            time, n_risk (just before it), estimate, conf_low, conf_high; it begins at the earliest
            entry with 1.
        """
        follow_up = self.follow_up
        times = np.unique(np.append(follow_up.exit, follow_up.entry.min()))
        estimate, _ = self.at(times)
        low, high = self.interval(times, level=level)
        sure = (estimate == 0) | (estimate == 1)  # where there is no interval by this method
        return pd.DataFrame(
            {
                "time": times, "n_risk": follow_up.at_risk(times), "estimate": estimate,
                "conf_low": np.where(sure, estimate, low),
                "conf_high": np.where(sure, estimate, high),
            }
        )  # fmt: skip

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the curve with its band, what was censored and the numbers at risk.

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
        return curve_plots.survival(self.table(level), self.follow_up, level, ax)

    def _beta_product(self, times: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Limits by the beta product, method of moments; at most 1 and at least 0 by construction.

        The upper limit is a quantile of a product of Beta(Y - d + 1, d), one an event time; the
        lower one has a further factor Beta(survivors of t, 1), for a death that could come next.
        """
        if len(np.unique(self.follow_up.entry)) > 1:
            raise LongsurvError(
                "the beta product interval needs one entry time for all patients of a group"
            )
        a, b = self.at_risk - self.events + 1.0, self.events.astype(float)
        first = np.concatenate([[1.0], np.cumprod(a / (a + b))])
        second = np.concatenate([[1.0], np.cumprod(a * (a + 1) / ((a + b) * (a + b + 1)))])
        reached = np.searchsorted(self.time, times, side="right")
        # At t itself, patients censored at t are known to have survived it.
        alive = self.follow_up.at_risk(times) - self.follow_up.happening(times, 1)
        high = _beta_quantile(first[reached], second[reached], (1 + level) / 2)
        low = _beta_quantile(
            first[reached] * alive / (alive + 1), second[reached] * alive / (alive + 2),
            (1 - level) / 2,
        )  # fmt: skip
        return np.where(self.extent.known(times), low, 0.0), high

    def _step(self, values: np.ndarray, times: np.ndarray, before: float) -> np.ndarray:
        steps = np.concatenate([[before], values])
        return steps[np.searchsorted(self.time, times, side="right")]


@checked
def kaplan_meier(follow_up: FollowUp) -> SurvivalCurve:
    """Estimate the survival curve of one group; status 1 is the event, all else censoring."""
    time = follow_up.times(1)
    at_risk, events = follow_up.at_risk(time), follow_up.happening(time, 1)
    with np.errstate(divide="ignore"):  # Y = d: S becomes 0
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
    survival = np.cumprod(1 - events / at_risk)
    return SurvivalCurve(follow_up, time, at_risk, events, survival, greenwood)


@checked
def survival_table(
    data: pd.DataFrame,
    group: str,
    times: Sequence[float] | None = None,
    *,
    interval: Interval = "log-log",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the Kaplan-Meier survival of each group at some times.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
    group : str
    times : sequence of float, optional
        Nothing: each group's own event times.
    interval : {"log-log", "log", "plain", "beta-product"}
        Pointwise. The first three are by normal approximation; "beta-product" keeps its level in
        small groups and near the tail, and without censoring is Clopper and Pearson's.
    level : float

    Returns
    -------
    DataFrame
        group (with "_variable" after its name where that is one of the others), time, n_risk (just
        before the time), events (up to it), survival, std_error (Greenwood), conf_low, conf_high,
        note (why a number is missing).

    Raises
    ------
    DataError
        For data that cannot be follow-up, or times before the first entry.

    References
    ----------
    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. Greenwood M. Reports on Public Health and
    Medical Subjects 1926;33:1-26. Fay MP, Brittain EH, Proschan MA. Pointwise confidence intervals
    for a survival distribution with small samples or heavy censoring. Biostatistics
    2013;14:723-736.
    """
    tables, column = [], free(group, SURVIVALS)
    for name, follow_up in by_group(data, group).items():
        curve = kaplan_meier(follow_up)
        at = curve.time if times is None else np.asarray(times, dtype=float)
        at = follow_up.on_clock(at)
        start = follow_up.entry.min()
        if (at < start).any():
            raise DataError(f"{name}: nobody is under observation before {start:g}")
        survival, error = curve.at(at)
        low, high = curve.interval(at, interval, level)
        tables.append(
            pd.DataFrame(
                {
                    column: name, "time": at, "n_risk": follow_up.at_risk(at),
                    "events": np.searchsorted(
                        np.sort(follow_up.exit[follow_up.status == 1]), at, "right"
                    ),
                    "survival": survival, "std_error": error, "conf_low": low, "conf_high": high,
                    "note": [_note(curve, t, lo) for t, lo in zip(at, low, strict=True)],
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _note(curve: SurvivalCurve, t: float, low: float) -> str:
    unknown = curve.extent.why(t, "alive")
    if unknown:
        return unknown
    if np.isnan(low):
        return (
            "no events yet, so no interval of this kind; use beta-product"
            if (not len(curve.time) or t < curve.time[0])
            else "survival is 0, so no interval of this kind; use beta-product"
        )
    return ""


def _beta_quantile(first: np.ndarray, second: np.ndarray, p: float) -> np.ndarray:
    """Quantile of the Beta with these first two moments; a point mass at 0 or 1 is itself."""
    spread = second - first**2
    point = (first <= 0) | (first >= 1) | (spread <= 0)
    first_in, second_in = np.where(point, 0.5, first), np.where(point, 1 / 3, second)
    size = (first_in - second_in) / (second_in - first_in**2)
    quantile = special.betaincinv(size * first_in, size * (1 - first_in), p)
    return np.where(point, first, quantile)
