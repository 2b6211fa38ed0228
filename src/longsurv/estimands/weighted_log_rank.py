"""Log-rank tests with weights over time, in strata, and the largest of several (max-combo).

At each event time the events in the group less those expected, times a weight

    w(t) = S(t-)^rho (1 - S(t-))^gamma

(Fleming and Harrington), S Kaplan and Meier's curve of both groups together, summed over times and
strata. rho = gamma = 0 is the log-rank test; rho = 1 looks at early differences (Peto and
Prentice's), gamma = 1 at late ones. Max-combo takes the largest of several, and its p-value counts
that it was chosen: the statistics are jointly normal, their correlations known.

With few events the permutation version holds: labels are permuted within strata, each patient's
score being w at the event less the weighted hazards passed through. All allocations are counted
where the scores take few values, as with few events; else some are drawn. It needs the same entry
and censoring in both groups of a stratum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import checked
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.allocations import UNIT, Sums, allocated, whole
from longsurv.estimands.exact_hazard import NOTHING_VARIES
from longsurv.estimands.follow_up import FollowUp, follow_up, two_groups

STANDARD = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
_ROUNDING = 1e-10
_FAR = 38.0  # standard deviations: of no probability in double precision
_NODES = {1: 1, 2: 24, 3: 24, 4: 8}  # between corners, by the number of independent deviates
_MOST_INDEPENDENT = max(_NODES)
_OUTER_NODES = 12  # of the first of four
_AT_ONCE = 2_000_000


@checked
def weighted_log_rank(
    data: pd.DataFrame,
    group: str,
    weights: Sequence[tuple[float, float]] = STANDARD,
    *,
    strata: str | None = None,
    draws: int = 10_000,
    seed: int = 1,
) -> pd.DataFrame:
    """Test equality of two hazards with weights over time, and with the largest of them.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
        Competing events are censored.
    group : str
    weights : sequence of (float, float)
        rho and gamma of each test, neither negative.
    strata : str, optional
        Column within whose values the groups are compared.
    draws, seed : int
        Of the random allocations, if not all can be counted.

    Returns
    -------
    DataFrame
        A row a weight, and with several "max-combo": method, rho, gamma, statistic (standard normal
        deviate, positive where the group has more events than expected; of max-combo the one that
        is farthest from 0), p_value (two-sided, normal), p_permutation (two-sided), note.

    Raises
    ------
    DataError
        For data that cannot be follow-up, or strata that are missing.
    EstimationError
        If no event happened while both groups were at risk.
    LongsurvError
        For weights that are none.

    References
    ----------
    Fleming TR, Harrington DP. Counting processes and survival analysis. New York: Wiley; 1991.
    Karrison TG. Versatile tests for comparing survival curves based on weighted log-rank
    statistics. Stata J 2016;16:678-690. Lin RS, et al. Alternative analysis methods for time to
    event endpoints under nonproportional hazards. Stat Biopharm Res 2020;12:187-198.
    """
    pairs = [(float(rho), float(gamma)) for rho, gamma in weights]
    if not pairs or any(rho < 0 or gamma < 0 for rho, gamma in pairs):
        raise LongsurvError(
            f"weights are pairs of rho and gamma, at least 0, as (0, 1) for late differences; got"
            f" {list(weights)}"
        )
    parts = _parts(data, group, pairs, strata)
    score = np.sum([part.score for part in parts], axis=0)
    variance = np.sum([part.variance for part in parts], axis=0)
    spread = np.sqrt(np.diag(variance))
    if not (spread > 0).any():
        raise EstimationError(NOTHING_VARIES)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(spread > 0, score / spread, np.nan)
    p = 2 * special.ndtr(-np.abs(z))
    permuted, how = _permuted(parts, draws, seed)
    rows = [
        {
            "method": _name(rho, gamma), "rho": rho, "gamma": gamma, "statistic": z[k],
            "p_value": p[k], "p_permutation": permuted[k],
            "note": how if spread[k] > 0 else "no event has any weight",
        }
        for k, (rho, gamma) in enumerate(pairs)
    ]  # fmt: skip
    if len(pairs) > 1:
        known = spread > 0
        largest = int(np.nanargmax(np.abs(z)))
        correlation = variance[np.ix_(known, known)] / np.outer(spread[known], spread[known])
        rows.append(
            {
                "method": "max-combo", "rho": math.nan, "gamma": math.nan,
                "statistic": z[largest], "p_value": _beyond(abs(z[largest]), correlation),
                "p_permutation": permuted[-1],
                "note": "; ".join(filter(None, (f"the largest is {_name(*pairs[largest])}", how))),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class _Part:
    """One stratum: scores of the tests, their covariance, and scores of the patients."""

    score: np.ndarray
    variance: np.ndarray
    patients: np.ndarray
    mine: np.ndarray


def _parts(
    data: pd.DataFrame, group: str, pairs: Sequence[tuple[float, float]], strata: str | None
) -> list[_Part]:
    name, _, _, _ = two_groups(data, group)
    whole, treated = follow_up(data), (data[group] == name).to_numpy(dtype=bool)
    if strata is None:
        return [_part(whole, treated, pairs)]
    if strata not in data:
        raise DataError(f"there is no column {strata!r}")
    if data[strata].isna().any():
        raise DataError(f"column {strata!r} has missing values")
    codes = pd.factorize(data[strata])[0]
    return [_part(whole.of(codes == k), treated[codes == k], pairs) for k in range(codes.max() + 1)]


def _part(f: FollowUp, mine: np.ndarray, pairs: Sequence[tuple[float, float]]) -> _Part:
    times = f.times(1)
    d, y = f.happening(times, 1), f.at_risk(times)
    group = f.of(mine)
    d1, y1 = group.happening(times, 1), group.at_risk(times)
    before = np.concatenate([[1.0], np.cumprod(1 - d / y)])[:-1]
    w = np.array([before**rho * (1 - before) ** gamma for rho, gamma in pairs])
    share = y1 / y
    more = y > 1
    spread = d * share * (1 - share) * np.where(more, (y - d) / np.where(more, y - 1, 1), 0.0)
    passed = np.concatenate([np.zeros((len(pairs), 1)), np.cumsum(w * (d / y), axis=1)], axis=1)
    last = np.searchsorted(times, f.exit, "right")
    first = np.searchsorted(times, f.entry, "right")
    at_event = np.where(f.status == 1, w[:, np.maximum(last - 1, 0)] if len(times) else 0.0, 0.0)
    patients = at_event - (passed[:, last] - passed[:, first])
    return _Part(w @ (d1 - d * share), (w * spread) @ w.T, patients.T, mine)


def _permuted(parts: Sequence[_Part], draws: int, seed: int) -> tuple[np.ndarray, str]:
    """Two-sided p-values of every test, and of the largest, under permuted labels.

    All allocations are counted where their sums can be written down; else some are drawn.
    """
    every = _every_allocation(parts)
    if every is not None:
        return _counted(parts, every), "all allocations"
    observed = np.sum([part.patients[part.mine].sum(axis=0) for part in parts], axis=0)
    scale = np.sqrt(np.sum([_permutation_variance(part) for part in parts], axis=0))
    known = scale > 0
    rng, found, done = np.random.default_rng(seed), [], 0
    urns = sorted((_Urn.of(part) for part in parts), key=lambda urn: urn.key)
    size = max(1, _AT_ONCE // max(len(part.mine) for part in parts))
    while done < draws:
        many = min(size, draws - done)
        total = np.zeros((many, len(observed)))
        for urn in urns:
            labels = np.tile(np.arange(len(urn.scores)) < urn.drawn, (many, 1))
            total += urn.sign * (rng.permuted(labels, axis=1) @ urn.scores)
        found.append(total)
        done += many
    drawn = np.abs(np.concatenate(found)) / np.where(known, scale, 1.0)
    ours = np.abs(observed) / np.where(known, scale, 1.0)
    extreme = (drawn >= ours - _ROUNDING).sum(axis=0)
    p = np.where(known, (1 + extreme) / (1 + draws), np.nan)
    if not known.any():
        return np.append(p, np.nan), ""
    largest = (drawn[:, known].max(axis=1) >= ours[known].max() - _ROUNDING).sum()
    return np.append(p, (1 + largest) / (1 + draws)), f"{draws:,} random allocations"


class _Urn(NamedTuple):
    """Scores of a stratum's patients in an order of their own, and how many are drawn from them:
    so neither the order of the rows nor that of groups and strata moves what is drawn.

    A stratum's scores sum to 0: those of the group that is not drawn are minus those of the other.
    """

    scores: np.ndarray
    drawn: int
    sign: float

    @classmethod
    def of(cls, part: _Part) -> _Urn:
        scores = part.patients[np.lexsort(part.patients.T)]
        sides = [part.patients[who] for who in (part.mine, ~part.mine)]
        keys = [(len(side), side[np.lexsort(side.T)].tolist()) for side in sides]
        mine = keys[0] <= keys[1]
        return cls(scores, keys[0 if mine else 1][0], 1.0 if mine else -1.0)

    @property
    def key(self) -> tuple[int, int, list[float]]:
        """By which the strata are put in order."""
        return len(self.scores), self.drawn, self.scores.ravel().tolist()


def _every_allocation(parts: Sequence[_Part]) -> Sums | None:
    """The distribution of the tests' scores under permuted labels; None if too large."""
    total: Sums | None = None
    for part in parts:
        one = allocated(whole(part.patients), int(part.mine.sum()))
        total = one if total is None or one is None else total.plus(one)
        if total is None:
            return None
    return total


def _counted(parts: Sequence[_Part], every: Sums) -> np.ndarray:
    """The p-values of `_permuted`, by counting."""
    observed = np.sum([whole(part.patients)[part.mine].sum(axis=0) for part in parts], axis=0)
    spread = np.sqrt(np.sum([_permutation_variance(part) for part in parts], axis=0))
    known = spread > 0
    slack = sum(len(part.mine) for part in parts)  # units that rounding can have moved a sum by
    far = np.abs(every.total) >= np.abs(observed) - slack
    p = np.where(known, every.probability @ far, np.nan)
    largest = np.nan
    if known.any():
        scale = spread[known] / UNIT
        drawn, ours = (np.abs(x[..., known]) / scale for x in (every.total, observed))
        beyond = drawn.max(axis=1) >= ours.max() - slack / scale.min()
        largest = every.probability[beyond].sum()
    return np.minimum(np.append(p, largest), 1.0)


def _permutation_variance(part: _Part) -> np.ndarray:
    """Of the sum of so many scores, drawn without replacement."""
    n, n1 = len(part.mine), int(part.mine.sum())
    if n < 2:
        return np.zeros(part.patients.shape[1])
    return n1 * (n - n1) / n * part.patients.var(axis=0, ddof=1)


def _beyond(value: float, correlation: np.ndarray) -> float:
    """Probability that the largest of correlated standard normal deviates is farther from 0.

    The deviates are combinations of a few independent ones (of the standard weights three, as those
    of (1, 0) and (0, 1) add up to the log-rank test's). All but the last are integrated over in
    turn, each within what its own deviate leaves it, and the last one within what all of them do:
    between planes, so each is integrated over from corner to corner of what they enclose.
    """
    factor = _pivoted(correlation)
    rank = factor.shape[1]
    if rank > _MOST_INDEPENDENT:
        raise LongsurvError(
            f"max-combo takes up to {_MOST_INDEPENDENT} independent weights; these have {rank}"
        )
    u, inside = np.zeros((1, 0)), np.ones(1)
    for j in range(rank - 1):
        centre, scale = u @ factor[j, :j], factor[j, j]
        low, high = special.ndtr((-value - centre) / scale), special.ndtr((value - centre) / scale)
        width = high - low
        bends = _crossings(value, factor, u) if j == rank - 2 else _corners(value, factor, j, u)
        with np.errstate(divide="ignore", invalid="ignore"):  # no width: of no mass either
            crossed = (special.ndtr(bends) - low[:, None]) / width[:, None]
        ends = np.clip(np.nan_to_num(crossed, nan=0.0), 0.0, 1.0)
        edges = np.column_stack([np.zeros(len(u)), np.sort(ends, axis=1), np.ones(len(u))])
        share, mass = _legendre(edges, _NODES[rank] if j >= rank - 3 else _OUTER_NODES)
        drawn = special.ndtri(low[:, None] + width[:, None] * share).clip(-_FAR, _FAR)
        inside = ((inside * width)[:, None] * mass).ravel()
        u = np.column_stack([np.repeat(u, share.shape[1], axis=0), drawn.ravel()])
    final = np.maximum(_mass_of_the_last(value, factor, u), 0.0)
    return float(np.clip(1 - inside @ final, 2 * special.ndtr(-value), 1.0))


def _legendre(edges: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a rule within every two neighbouring edges of each row."""
    nodes, weight = np.polynomial.legendre.leggauss(n)
    half = np.diff(edges, axis=1)[:, :, None] / 2
    share = edges[:, :-1, None] + half * (nodes + 1)
    return share.reshape(len(edges), -1), (half * weight).reshape(len(edges), -1)


def _crossings(value: float, factor: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Where, in the last variable but one, another deviate begins to bound the last variable.

    A deviate bounds it by two lines, (+-value - centre) / last; one that it has no part in, by
    none, but has to be within the value by itself.
    """
    j = factor.shape[1] - 2
    slope, last = factor[j + 1 :, j], factor[j + 1 :, j + 1]
    room = np.array([-value, value])[:, None, None] - u @ factor[j + 1 :, :j].T
    free = np.abs(last) < _ROUNDING
    with np.errstate(divide="ignore", invalid="ignore"):
        at_zero = np.concatenate(list(room[:, :, ~free] / last[~free]), axis=1)
        steep = np.tile(-slope[~free] / last[~free], 2)
        one, other = np.triu_indices(len(steep), 1)
        met = (at_zero[:, other] - at_zero[:, one]) / (steep[one] - steep[other])
        alone = np.concatenate(list(room[:, :, free] / slope[free]), axis=1)
    return np.concatenate([met, alone], axis=1)


def _corners(value: float, factor: np.ndarray, j: int, u: np.ndarray) -> np.ndarray:
    """Where, in the last variable but two, the bounds of those after it change; none before."""
    k, rank = factor.shape
    if j != rank - 3:
        return np.empty((len(u), 0))
    found = []
    for three in combinations(range(j, k), 3):
        planes = factor[list(three)]
        if abs(np.linalg.det(planes[:, j:])) < _ROUNDING:
            continue
        of_first = np.linalg.inv(planes[:, j:])[0]
        for signs in product((-value, value), repeat=3):
            found.append((np.array(signs) - u @ planes[:, :j].T) @ of_first)
    return np.array(found).reshape(-1, len(u)).T


def _mass_of_the_last(value: float, factor: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Probability, given the others, that the last variable leaves all deviates within."""
    rank = factor.shape[1]
    last = factor[rank - 1 :, rank - 1]
    centre = u @ factor[rank - 1 :, : rank - 1].T
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (np.array([-value, value])[:, None, None] - centre) / last
    free = np.abs(last) < _ROUNDING  # such a deviate says nothing of the last one
    fine = (np.abs(centre[:, free]) < value).all(axis=1)
    low = np.where(free, -np.inf, ends.min(axis=0)).max(axis=1)
    high = np.where(free, np.inf, ends.max(axis=0)).min(axis=1)
    mass: np.ndarray = (special.ndtr(high) - special.ndtr(low)) * fine
    return mass


def _pivoted(correlation: np.ndarray) -> np.ndarray:
    """Rows of a Cholesky factor of full column rank, the independent ones first."""
    rows, left = np.zeros_like(correlation), np.diag(correlation).copy()
    order: list[int] = []
    for j in range(len(correlation)):
        left[order] = -1.0
        k = int(np.argmax(left))
        if left[k] < 1e-9:
            break
        order.append(k)
        rows[:, j] = (correlation[:, k] - rows[:, :j] @ rows[k, :j]) / np.sqrt(left[k])
        left = 1 - (rows[:, : j + 1] ** 2).sum(axis=1)
    rest = [k for k in range(len(correlation)) if k not in order]
    return rows[[*order, *rest]][:, : len(order)]


def _name(rho: float, gamma: float) -> str:
    return "log-rank" if rho == gamma == 0 else f"Fleming-Harrington ({rho:g}, {gamma:g})"
