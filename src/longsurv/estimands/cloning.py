"""Treatments that begin after time zero: clones, artificial censoring and its weights, in arrays.

Every patient is copied into two arms. In the arm "begin within the grace period" a copy counts
while its patient may still begin, and from then on if they did; in the arm "do not begin within it"
until its patient begins. What is lost so is made up for by weights: the inverse of the probability
of having done what the arm asks for, given the history of covariates.

The first arm leaves open when to begin. It stands for beginning on the days on which treatment
usually begins, among all who do within the grace period, whatever the covariates: with h_k(L) the
probability of beginning in interval k, not having begun, and h_k that of all,

    h*_k = h_k / (1 - prod_{j >= k} (1 - h_j)),

a patient who begins in k has the weight h*_k / h_k(L) times the product over the intervals before
of (1 - h*_j) / (1 - h_j(L)); h* of the last interval is 1. Within an interval, while a share f of
those who begin in it have begun, a patient who has not has (1 - h*_k f) / (1 - h_k(L) f). They do
so evenly, but for times at which several began: in whole days all who begin in an interval may do
so at its end. Who began on the day of an event counts then as having not, as nothing says which
came first.

Hernan MA. How to estimate the effect of treatment duration on survival outcomes using observational
data. BMJ 2018;360:k182. Cain LE and others. When to start treatment? Int J Biostat 2010;6:18, for
grace periods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.errors import EstimationError
from longsurv.estimands.propensity import propensity_draws
from longsurv.times import snapped

type Weights = Callable[[float], np.ndarray]
"""Time to weights of the copies."""
ARMS = ("begin", "do not begin")
_NONE = 1e-9  # a share of an arm without any event that is rounding


@dataclass(frozen=True, eq=False)
class Histories:
    """Follow-up from time zero and when treatment began.

    Attributes
    ----------
    begun : ndarray, shape (n,)
        When treatment began; infinite for who did not within the grace period.
    exit : ndarray, shape (n,)
    status : ndarray of int, shape (n,)
        0 censored, 1 the event, 2 and above competing events.
    edges : ndarray, shape (k + 1,)
        Ends of the intervals of the grace period, from 0.
    """

    begun: np.ndarray
    exit: np.ndarray
    status: np.ndarray
    edges: np.ndarray

    @property
    def interval(self) -> np.ndarray:
        """The interval in which each patient began, shape (n,); k for who did not."""
        found = np.searchsorted(self.edges, self.begun, side="left") - 1
        return np.where(np.isfinite(self.begun), np.maximum(found, 0), len(self.edges) - 1)

    @cached_property
    def spread(self) -> np.ndarray:
        """Who began at a time that nobody else did, and so may have at any other of the interval,
        shape (n,); nobody where most began at a time that others did."""
        began = np.isfinite(self.begun)
        _, place, count = np.unique(self.begun, return_inverse=True, return_counts=True)
        alone: np.ndarray = began & (count[place] == 1)
        return alone if 2 * alone.sum() > began.sum() else np.zeros_like(alone)

    @property
    def periods(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Patient and interval of every row of the model of beginning, and whether they began: at
        risk at its start, without treatment."""
        k = len(self.edges) - 1
        may = (self.exit[:, None] > self.edges[:k]) & (self.interval[:, None] >= np.arange(k))
        patient, period = np.nonzero(may)
        return patient, period, self.interval[patient] == period


@dataclass(frozen=True, eq=False)
class Curves:
    """Cumulative incidence of the event in both arms, for each of b weightings of the patients.

    Attributes
    ----------
    time : ndarray, shape (t,)
    incidence : ndarray, shape (2, b, t)
        In the order of `ARMS`.
    """

    time: np.ndarray
    incidence: np.ndarray

    def risk(self) -> np.ndarray:
        """At the last time, shape (2, b)."""
        return self.incidence[:, :, -1]

    def mean_without(self, horizon: float) -> np.ndarray:
        """Mean time without the event up to the horizon, shape (2, b).

        Parameters
        ----------
        horizon : float
        """
        steps = np.diff([*self.time, horizon])
        return horizon - (self.incidence * steps).sum(axis=-1)


def beginning_model(at: Histories, X: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Probability of beginning in every row of `Histories.periods`, shape (b, rows).

    A pooled logistic regression; priors Normal(0, 2.5) of its log odds ratios, per unit of X and
    per standard deviation of time, keep it finite where few began.

    Parameters
    ----------
    at : Histories
    X : ndarray, shape (rows, p)
        Covariates known at the start of the interval, in units of the prior, without intercept.
    mass : ndarray, shape (b, n)
        Weights of the patients.
    """
    patient, period, began = at.periods
    k = len(at.edges) - 1
    time = period / max(k - 1, 1)
    shape = np.column_stack([time, time**2] if k > 2 else [np.empty((len(time), 0))])
    sd = shape.std(axis=0)
    shape = (shape[:, sd > 0.0] - shape[:, sd > 0.0].mean(axis=0)) / sd[sd > 0.0]
    wide = np.column_stack([X, shape])
    of_rows = mass[:, patient]
    of_rows = of_rows * (len(patient) / of_rows.sum(axis=1, keepdims=True))
    return propensity_draws(np.column_stack([np.ones(len(wide)), wide]), began, of_rows)


def cloned_curves(
    at: Histories, chance: np.ndarray, mass: np.ndarray, horizon: float
) -> tuple[Curves, np.ndarray]:
    """Weighted cumulative incidence in both arms.

    Parameters
    ----------
    at : Histories
    chance : ndarray, shape (b, rows)
        From `beginning_model`.
    mass : ndarray, shape (b, n)
    horizon : float

    Returns
    -------
    curves : Curves
    weights : ndarray, shape (2, b, n)
        Of the copies at the end of the grace period, 0 for those censored.
    """
    weighing = _Weighing.of(at, chance, mass)
    return weighted_incidence(at, weighing.at_time, mass, horizon), weighing.final


@dataclass(frozen=True, eq=False)
class _Weighing:
    """Weights of both copies of every patient at any time.

    Attributes
    ----------
    chance : ndarray, shape (b, n, k)
        Of beginning in each interval; 0 where a patient is not at risk of it.
    usual : ndarray, shape (b, 1, k)
        h*.
    before : ndarray, shape (2, b, n, k + 1)
        Of a copy that has not begun by the start of each interval.
    final : ndarray, shape (2, b, n)
    mass : ndarray, shape (b, n)
    """

    at: Histories
    chance: np.ndarray
    usual: np.ndarray
    before: np.ndarray
    final: np.ndarray
    mass: np.ndarray

    @classmethod
    def of(cls, at: Histories, chance: np.ndarray, mass: np.ndarray) -> _Weighing:
        patient, period, began = at.periods
        b, n, k = len(mass), len(at.exit), len(at.edges) - 1
        dense = np.zeros((b, n, k))
        dense[:, patient, period] = chance
        size, events = np.zeros((b, k)), np.zeros((b, k))
        for j in range(k):
            here = period == j
            size[:, j] = mass[:, patient[here]].sum(axis=1)
            events[:, j] = mass[:, patient[here & began]].sum(axis=1)
        all_of_them = events / np.maximum(size, 1e-300)
        still = 1.0 - np.cumprod((1.0 - all_of_them)[:, ::-1], axis=1)[:, ::-1]
        usual = np.where(still > 0.0, all_of_them / np.where(still > 0.0, still, 1.0), 1.0)
        usual = usual[:, None, :]
        stayed = 1.0 / (1.0 - dense)
        ones = np.ones((b, n, 1))
        before = np.stack([
            np.concatenate([ones, np.cumprod((1.0 - usual) * stayed, axis=2)], axis=2),
            np.concatenate([ones, np.cumprod(stayed, axis=2)], axis=2),
        ])  # fmt: skip
        when, everyone = at.interval, np.arange(n)
        first = np.minimum(when, k - 1)
        began_in = np.where(dense[:, everyone, first] > 0.0, dense[:, everyone, first], 1.0)
        treated = before[0][:, everyone, first] * usual[:, 0, first] / began_in
        final = np.stack([
            np.where(when < k, treated, 0.0),
            np.where(when < k, 0.0, before[1][:, :, k]),
        ])  # fmt: skip
        return cls(at, dense, usual, before, final, mass)

    def at_time(self, t: float) -> np.ndarray:
        """Weights at a time, just before what happens then, shape (2, b, n)."""
        edges = self.at.edges
        if t > edges[-1]:
            return self.final
        j = min(max(int(np.searchsorted(edges, t, side="left")) - 1, 0), len(edges) - 2)
        share = self._begun_by(t, j)
        left = 1.0 - self.chance[:, :, j] * share
        waiting = np.stack([
            self.before[0, :, :, j] * (1.0 - self.usual[:, :, j] * share) / left,
            self.before[1, :, :, j] / left,
        ])  # fmt: skip
        return np.where(self.at.begun < t, self.final, waiting)

    def _begun_by(self, t: float, j: int) -> np.ndarray:
        """Of those who begin in an interval the share that has before a time, shape (b, 1)."""
        edges, begun = self.at.edges, self.at.begun
        here, evenly = self.at.interval == j, self.at.spread
        size = self.mass[:, here].sum(axis=1, keepdims=True)
        gone = self.mass[:, here & ~evenly & (begun < t)].sum(axis=1, keepdims=True)
        between = self.mass[:, here & evenly].sum(axis=1, keepdims=True)
        passed = (t - edges[j]) / (edges[j + 1] - edges[j])
        return (gone + passed * between) / np.where(size > 0.0, size, 1.0)


def weighted_incidence(
    at: Histories,
    weights_at: Weights,
    mass: np.ndarray,
    horizon: float,
    start: float = 0.0,
) -> Curves:
    """Cumulative incidence of the event in arms whose copies have weights that change with time.

    Aalen and Johansen's estimate from weighted numbers at risk. Once everybody in an arm has had
    some event its incidence stays; where the last ones left were censored it is not known.

    Parameters
    ----------
    at : Histories
    weights_at : callable
        Time to weights, shape (2, 1 or b, n).
    mass : ndarray, shape (b, n)
    horizon, start : float

    Raises
    ------
    EstimationError
        If nobody is left in an arm before the horizon of whom some had had no event.
    """
    inside = (at.status > 0) & (at.exit <= horizon) & (at.exit > start)
    times = np.unique(at.exit[inside])
    free, at_risk = np.ones((2, len(mass))), np.empty((2, len(mass)))
    incidence = np.zeros((2, len(mass), len(times) + 1))
    grace = at.edges[-1]
    late, order = None, np.argsort(at.exit, kind="stable")
    for i, t in enumerate(times):
        if t <= grace or late is None:
            w = weights_at(t) * mass
            if t > grace:  # they change no more
                late = w
                tail = np.cumsum(w[..., order[::-1]], axis=-1)
                sorted_exit = at.exit[order]
            else:
                at_risk = w[..., at.exit >= t].sum(axis=-1)
        if late is not None:
            w = late
            count = len(order) - int(np.searchsorted(sorted_exit, t, side="left"))
            at_risk = tail[..., count - 1]
        now = np.flatnonzero((at.exit == t) & inside)
        dying = w[..., now[at.status[now] == 1]].sum(axis=-1)
        leaving = w[..., now].sum(axis=-1)
        _check_left(at_risk, free, t, horizon)
        some = np.where(at_risk > 0.0, at_risk, 1.0)
        incidence[:, :, i + 1] = incidence[:, :, i] + free * dying / some
        free = free * np.maximum(1.0 - leaving / some, 0.0)
    end = float(snapped(horizon, at.exit))
    w = weights_at(end) * mass if late is None else late
    _check_left(w[..., at.exit >= end].sum(axis=-1), free, horizon, horizon)
    return Curves(np.concatenate([[start], times]), incidence)


def _check_left(at_risk: np.ndarray, free: np.ndarray, t: float, horizon: float) -> None:
    """Refuse a time at which nobody of an arm is left, though some had had no event."""
    lost = (at_risk <= 0.0) & (free > _NONE)
    if lost.any():
        which = ARMS[int(lost.any(axis=1).argmax())]
        raise EstimationError(
            f"nobody is left at {t:g} who did what the arm {which!r} asks for, and not all had had"
            f" an event: the horizon ({horizon:g}) or the grace period is too long for these"
            " patients"
        )
