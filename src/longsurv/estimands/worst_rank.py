"""Two groups compared by rank, where who died has the worst ranks.

A marker after death does not exist. Ranked together, whoever died is worse off than everybody
alive, and the sooner the worse; the living stand in the order of the marker. What is compared is

    P(outcome of the group is better than that of the reference) + P(the same) / 2,

the probability index (Mann-Whitney's, the area under the curve, the win probability): 1/2 where
neither group fares better. No change of the marker's unit or scale that keeps its order moves it.

Lachin (1999), Control Clin Trials 20:408-422 (worst ranks); Brunner & Munzel (2000), Biom J
42:17-25 (variance and degrees of freedom); Newcombe (2006), Stat Med 25:559-573 (where they have
none); Rubin (1981), Ann Stat 9:130-134 (Bayesian bootstrap).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.side_by_side import column_beside, truths
from longsurv.tables.notebook import Quantities
from longsurv.times import merged

MOST_EXACT = 100
"""Patients up to whom the rank test counts every allocation."""
_CELLS = 4_000_000  # draws x patients held at once

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class RankComparison(Quantities):
    """A group compared with a reference by the ranks of their outcomes.

    Attributes
    ----------
    probability : float
        The probability index, above 1/2 where the group fares better.
    conf_low, conf_high : float
    df : float
        Of the interval's Student's t on the logit; NaN for Newcombe's.
    p_value : float
        Of the rank test, two-sided.
    n, reference_n : int
    interval : {"brunner-munzel", "newcombe"}
    exact : bool
        The test counted every allocation of the patients to the groups; otherwise it is normal,
        with the variance corrected for ties.
    """

    probability: float
    conf_low: float
    conf_high: float
    df: float
    p_value: float
    n: int
    reference_n: int
    interval: str
    exact: bool


@checked
def worst_ranks(
    value: ArrayLike, died: ArrayLike, better: Literal["lower", "higher"]
) -> NDArray[np.int64]:
    """The place of each patient among all outcomes: 0 the worst, and equal outcomes one place.

    Parameters
    ----------
    value : array_like, shape (n,)
        Of the marker; not looked at where the patient died.
    died : array_like, shape (n,)
        Time of death; NaN for who is alive.
    better : {"lower", "higher"}
        Which values of the marker are.

    Returns
    -------
    ndarray of int, shape (n,)
        Deaths first, the earliest at 0; then the living from the worst value to the best. Values,
        and times, that differ by rounding only are equal.

    Raises
    ------
    DataError
        If somebody alive has no finite value, or died says no times.

    Examples
    --------
    >>> nan = float("nan")
    >>> worst_ranks([3.0, nan, 8.0, nan, 3.0], [nan, 2.0, nan, 5.0, nan], "lower").tolist()
    [3, 0, 2, 1, 3]
    """
    if isinstance(value, pd.Series):
        died = column_beside(value.index, died, "died")
    y, t = np.asarray(value, dtype=float), np.asarray(died, dtype=float)
    if y.shape != t.shape or y.ndim != 1:
        raise DataError("value and died are of the same patients, one number each")
    if np.asarray(died).dtype == bool or {*t} == {0.0, 1.0}:
        raise DataError(
            "died is the time of death, missing for who is alive; it only says who died"
        )
    alive = np.isnan(t)
    if not np.isfinite(y[alive]).all():
        absent = int((~np.isfinite(y[alive])).sum())
        raise DataError(f"{absent} of those alive have no value, and no rank: leave them out")
    ranks = np.empty(len(y), dtype=np.int64)
    deaths = _places(t[~alive])
    ranks[~alive] = deaths
    ranks[alive] = _places(y[alive] if better == "higher" else -y[alive]) + (
        deaths.max() + 1 if len(deaths) else 0
    )
    return ranks


def _places(values: Floats) -> Ints:
    if not len(values):
        return np.empty(0, dtype=np.int64)
    same, _ = merged(values)
    return np.unique(same, return_inverse=True)[1].astype(np.int64)


@checked
def rank_comparison(
    outcome: ArrayLike, treated: ArrayLike, *, level: float = 0.95
) -> RankComparison:
    """Compare two groups by the ranks of an outcome, more of which is better.

    The interval is Student's t for the logit of the index, with the variance of Brunner and Munzel
    (that of DeLong for an area under a curve), which the groups need not share, and their degrees
    of freedom: in 1,000 simulated cohorts of 19 and 22 patients, a fifth of them dead, it held the
    index in 97 % (the Bayesian bootstrap's in 95 %). Where that variance is 0, as where every
    patient of one group fares better, it is Newcombe's (his method 5).

    Parameters
    ----------
    outcome : array_like, shape (n,)
        As `worst_ranks` has it; only the order matters.
    treated : array_like of bool, shape (n,)
        Who is in the group; the others are the reference.
    level : float
        Of the interval.

    Raises
    ------
    LongsurvError
        For a group of fewer than two patients, or outcomes that are all equal.
    """
    x, y = two_groups_ranked(outcome, treated)
    m, n = len(x), len(y)
    better, worse = _placements(x, y), 1.0 - _placements(y, x)
    index = float(better.mean())
    parts = np.array([better.var(ddof=1) / m, worse.var(ddof=1) / n])
    variance = float(parts.sum())
    tail = 0.5 + level / 2.0
    p_value, exact = _rank_test(x, y)
    if variance > 1e-14 and 0.0 < index < 1.0:
        df = variance**2 / float(parts @ (parts / np.array([m - 1.0, n - 1.0])))
        half = stats.t.ppf(tail, df) * np.sqrt(variance) / (index * (1.0 - index))
        logit = np.log(index / (1.0 - index))
        low, high = 1.0 / (1.0 + np.exp(-(logit + np.array([-half, half]))))
        how = "brunner-munzel"
    else:
        (low, high), df, how = _newcombe(index, m, n, stats.norm.ppf(tail)), np.nan, "newcombe"
    return RankComparison(
        index, float(low), float(high), float(df), p_value, m, n, how, exact
    )  # fmt: skip


@checked
def index_draws(
    outcome: ArrayLike, treated: ArrayLike, *, draws: int = 2000, seed: int = 1
) -> NDArray[np.float64]:
    """Draw the probability index from its posterior, by the Bayesian bootstrap.

    The distribution of outcomes in a group of m is unknown and sits on its patients, with
    probabilities whose prior is the product of pi^(-1 - 1/m), as in `bayesian_bootstrap`.

    Parameters
    ----------
    outcome, treated
        As in `rank_comparison`.
    draws, seed : int

    Returns
    -------
    ndarray, shape (draws,)

    Raises
    ------
    LongsurvError
        As `rank_comparison`; also if every patient of one group fares better than all of the other,
        of which the bootstrap would be certain.
    """
    x, y = two_groups_ranked(outcome, treated)
    if x.min() > y.max() or x.max() < y.min():
        raise LongsurvError(
            "every patient of one group fares better than all of the other: a bootstrap of these"
            " patients has no spread, and would claim certainty"
        )
    levels, place = np.unique(np.concatenate([np.sort(x), np.sort(y)]), return_inverse=True)
    rng = np.random.default_rng(seed)
    found, done = np.empty(draws), 0
    while done < draws:
        size = min(draws - done, max(1, _CELLS // len(place)))
        p = _masses(place[: len(x)], len(levels), size, rng)
        q = _masses(place[len(x) :], len(levels), size, rng)
        below = np.cumsum(q, axis=1) - q / 2.0
        found[done : done + size] = (p * below).sum(axis=1)
        done += size
    return found


def _masses(place: Ints, k: int, size: int, rng: np.random.Generator) -> Floats:
    """Probabilities of each of k levels, a row a draw."""
    m = len(place)
    mass = rng.standard_gamma((m - 1.0) / m, size=(size, m))
    mass /= mass.sum(axis=1, keepdims=True)
    order = np.argsort(place, kind="stable")
    ordered, sums = place[order], np.zeros((size, k))
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    sums[:, ordered[first]] = np.add.reduceat(mass[:, order], first, axis=1)
    return sums


def two_groups_ranked(outcome: ArrayLike, treated: ArrayLike) -> tuple[Floats, Floats]:
    """Outcomes of the group and of the reference.

    Parameters
    ----------
    outcome : array_like, shape (n,)
    treated : array_like of bool, shape (n,)

    Raises
    ------
    DataError
        If an outcome is missing, or treated is neither true nor false; for columns of which the
        labels are not the same.
    LongsurvError
        For a group of fewer than two, or outcomes that are all equal.
    """
    if isinstance(outcome, pd.Series):
        treated = column_beside(outcome.index, treated, "treated")
    values, mine = np.asarray(outcome, dtype=float), truths(treated, "treated")
    if values.shape != mine.shape or values.ndim != 1:
        raise DataError("outcome and treated are of the same patients, one value each")
    if not np.isfinite(values).all():
        raise DataError("an outcome is missing; leave these patients out")
    x, y = values[mine], values[~mine]
    for name, group in (("the group", x), ("the reference", y)):
        if len(group) < 2:
            raise LongsurvError(
                f"{name} has {len(group)} with an outcome; at least 2 are needed to compare ranks"
            )
    if np.ptp(values) == 0:
        raise LongsurvError("all outcomes are equal: nobody fares better than anybody")
    return x, y


def _placements(x: Floats, y: Floats) -> Floats:
    """For each x the share of y below it, ties counting one half."""
    ordered = np.sort(y)
    below = np.searchsorted(ordered, x, side="left") + np.searchsorted(ordered, x, side="right")
    placed: Floats = below / (2.0 * len(y))
    return placed


def _rank_test(x: Floats, y: Floats) -> tuple[float, bool]:
    """Wilcoxon's rank sum, two-sided: the probability of a sum as far from its mean or further."""
    m, total = len(x), len(x) + len(y)
    doubled = np.rint(2.0 * stats.rankdata(np.concatenate([x, y]))).astype(np.int64)
    off = abs(2 * int(doubled[:m].sum()) - 2 * m * (total + 1))  # twice 2W from its mean, whole
    if total <= MOST_EXACT:
        few = min(m, total - m)  # the sum of the one group is known by that of the other
        ways = np.zeros((few + 1, int(np.sort(doubled)[-few:].sum()) + 1))
        ways[0, 0] = 1.0
        for k, rank in enumerate(doubled, 1):
            top = min(k, few)
            ways[1 : top + 1, rank:] += ways[:top, : ways.shape[1] - rank]
        sums = np.arange(ways.shape[1])
        far = np.abs(2 * sums - 2 * few * (total + 1)) >= off
        return min(1.0, float(ways[few, far].sum() / ways[few].sum())), True
    spread = ((doubled / 2.0 - (total + 1) / 2.0) ** 2).sum()
    variance = m * (total - m) / (total * (total - 1.0)) * spread
    return float(2.0 * stats.norm.sf(off / 4.0 / np.sqrt(variance))), False


def _newcombe(index: float, m: int, n: int, z: float) -> tuple[float, float]:
    """Limits at which the index is z standard errors off, by Newcombe's method 5."""
    size = (m + n) / 2.0 - 1.0

    def excess(at: float) -> float:
        more = size * ((1.0 - at) / (2.0 - at) + at / (1.0 + at))
        return (index - at) ** 2 - z**2 * at * (1.0 - at) * (1.0 + more) / (m * n)

    low = 0.0 if index <= 0.0 else float(optimize.brentq(excess, 0.0, index - 1e-12))
    high = 1.0 if index >= 1.0 else float(optimize.brentq(excess, index + 1e-12, 1.0))
    return low, high
