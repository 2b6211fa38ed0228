"""Distributions of sums of scores over all allocations of labels, written down.

The sum of n scores drawn without replacement, built up one distinct score at a time: quick with few
events, when most scores are tied. Scores are whole multiples of a unit, so that sums that are equal
are found to be; each may be a vector, of several tests.

Streitberg and Roehmel (1986), Statist Software Newsl 12:10-17.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

MOST_STATES = 100_000
"""Distinct sums above which a distribution is too large to be written down."""
UNIT = 1e-10
"""What scores are whole multiples of."""


class Sums(NamedTuple):
    """Values a sum may have, each once, and their probabilities.

    Attributes
    ----------
    total : ndarray of int, shape (S, K)
    probability : ndarray, shape (S,)
    """

    total: np.ndarray
    probability: np.ndarray

    def plus(self, other: Sums) -> Sums | None:
        """The sum of this and of an independent one; None if too large.

        Parameters
        ----------
        other : Sums
        """
        if len(self.total) * len(other.total) > 5 * MOST_STATES:
            return None
        total = (self.total[:, None] + other.total).reshape(-1, self.total.shape[1])
        some, where = _distinct(list(total.T))
        if len(some) > MOST_STATES:
            return None
        weights = np.outer(self.probability, other.probability).ravel()
        return Sums(total[some], np.bincount(where, weights))


def whole(scores: np.ndarray) -> np.ndarray:
    """Scores in whole units.

    Parameters
    ----------
    scores : ndarray

    Returns
    -------
    ndarray of int
    """
    return np.asarray(np.round(scores / UNIT), dtype=np.int64)


def allocated(scores: np.ndarray, n: int) -> Sums | None:
    """The sum of n of the scores, all choices alike; None if too large.

    Parameters
    ----------
    scores : ndarray of int, shape (N, K)
    n : int

    Returns
    -------
    Sums or None
    """
    values, times = np.unique(scores, axis=0, return_counts=True)
    if scores.shape[1] > 1 and _too_many(times, n):
        return None  # sums of vectors are hardly ever equal
    count = np.zeros(1, dtype=np.int64)
    total = np.zeros((1, scores.shape[1]), dtype=np.int64)
    log_ways = np.zeros(1)
    left = len(scores)
    for value, m in zip(values, times, strict=True):
        if len(count) * (m + 1) > 5 * MOST_STATES:
            return None
        left -= m
        taken = np.arange(m + 1)
        ways = special.gammaln(m + 1) - special.gammaln(taken + 1) - special.gammaln(m - taken + 1)
        count = (count[:, None] + taken).ravel()
        total = (total[:, None] + taken[:, None] * value).reshape(-1, len(value))
        log_ways = (log_ways[:, None] + ways).ravel()
        can = (count <= n) & (count + left >= n)
        count, total, log_ways = count[can], total[can], log_ways[can]
        # One whole number for the count and the first sum, since sorting those is quick.
        some, where = _distinct([total[:, 0] * (n + 1) + count, *total[:, 1:].T])
        if len(some) > MOST_STATES:
            return None
        peak = log_ways.max()
        log_ways = np.log(np.bincount(where, np.exp(log_ways - peak))) + peak
        count, total = count[some], total[some]
    probability = np.exp(log_ways - log_ways.max())
    return Sums(total, probability / probability.sum())


def _too_many(times: np.ndarray, n: int) -> bool:
    """Whether there are more than `MOST_STATES` ways to say how many of each distinct score are
    among n; the more, the nearer n is to half of all."""
    n, kinds = min(n, int(times.sum()) - n), len(times)
    if n >= 2 and kinds * (kinds - 1) // 2 > MOST_STATES:
        return True
    ways = np.zeros(n + 1)
    ways[0] = 1.0
    for m in times:
        sums = np.cumsum(ways)
        sums[m + 1 :] -= sums[: -m - 1].copy()
        ways = np.minimum(sums, MOST_STATES + 1.0)
    return bool(ways[n] > MOST_STATES)


def _distinct(keys: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of rows given by their columns: one position of each distinct row, and which each row is."""
    if len(keys) == 1:
        _, some, where = np.unique(keys[0], return_index=True, return_inverse=True)
        return some, where
    order = np.lexsort(keys)
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for key in keys:
        ordered = key[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    where = np.empty(len(order), dtype=np.int64)
    where[order] = np.cumsum(new) - 1
    return order[new], where
