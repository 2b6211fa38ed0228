"""Harrell's concordance: does the patient with the higher predicted hazard have the event first?

A pair counts when one has the event at t while the other, of the same stratum, is at risk and has
no event at t (one censored at t outlives it). It is concordant when the earlier one has the higher
linear predictor; equal predictors count half. Each patient is compared at every event in O(log n)
by a Fenwick tree over the ranks of the predictor. The standard error is that of the infinitesimal
jackknife, as R's ``concordance`` takes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from longsurv.arguments import checked
from longsurv.errors import DataError
from longsurv.tables.notebook import Quantities
from longsurv.times import merged


@dataclass(frozen=True)
class Concordance(Quantities):
    """Harrell's C of a fitted model.

    Attributes
    ----------
    c : float
        Share of comparable pairs that are concordant, ties of the predictor counted half.
    std_error : float
    concordant, discordant, tied : float
        Pairs, weighted by the product of the case weights.
    """

    c: float
    std_error: float
    concordant: float
    discordant: float
    tied: float


@checked
def concordance(
    predictor: np.ndarray,
    exit: np.ndarray,
    event: np.ndarray,
    entry: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    stratum: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
) -> Concordance:
    """Concordance of a predictor of the hazard with survival, O(n log n).

    Parameters
    ----------
    predictor : ndarray, shape (n,)
        Higher for an earlier event.
    exit, event : ndarray, shape (n,)
        Times that differ by rounding are tied (`longsurv.times`).
    entry : ndarray, shape (n,), optional
        At risk over (entry, exit].
    weights : ndarray, shape (n,), optional
        Case weights. For the standard error a row of weight 3 is one patient who counts for three,
        whole numbers or not, as in R's ``concordance``.
    stratum : ndarray of int, shape (n,), optional
        Pairs are formed within strata.
    cluster : ndarray of int, shape (n,), optional
        For the standard error: rows of one cluster are dependent.

    Returns
    -------
    Concordance
        c is nan without a comparable pair.
    """
    n = np.size(exit)
    given = {"predictor": predictor, "exit": exit, "event": event, "entry": entry,
             "weights": weights, "stratum": stratum, "cluster": cluster}  # fmt: skip
    for name, values in given.items():
        if values is not None and np.shape(values) != (n,):
            raise DataError(f"{name} has the shape {np.shape(values)}, where exit has {n} values")
    predictor, event = np.asarray(predictor, dtype=float), np.asarray(event)
    exit, entry = merged(exit, entry)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    strata = np.zeros(n, dtype=np.int64) if stratum is None else stratum
    counts = np.zeros((n, 3))
    for s in np.unique(strata):
        rows = np.flatnonzero(strata == s)
        begin = np.full(len(rows), -np.inf) if entry is None else entry[rows]
        counts[rows] = _pairs(
            _ranks(predictor[rows]),
            *_moments(begin, exit[rows], event[rows].astype(np.int64)),
            w[rows],
        )
    concordant, discordant, tied = (w @ counts) / 2.0  # each pair is counted for both
    pairs = concordant + discordant + tied
    if pairs <= 1e-12 * w.sum() ** 2:  # weights that came and went leave their rounding
        return Concordance(np.nan, np.nan, 0.0, 0.0, 0.0)
    somers = (concordant - discordant) / pairs
    influence = w * (counts[:, 0] - counts[:, 1] - somers * counts.sum(axis=1)) / pairs
    if cluster is not None:
        influence = np.bincount(cluster, weights=influence)
    se = 0.5 * float(np.sqrt(influence @ influence))
    return Concordance((somers + 1.0) / 2.0, se, concordant, discordant, tied)


def _ranks(x: np.ndarray) -> np.ndarray:
    return np.unique(x, return_inverse=True)[1].astype(np.int64)


def _moments(
    entry: np.ndarray, exit: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Entry and exit as ranks, the event, and the rows in order of entry and of exit."""
    clock = np.unique(np.concatenate([entry, exit]))
    begin, end = np.searchsorted(clock, entry), np.searchsorted(clock, exit)
    return begin, end, event, np.argsort(begin, kind="stable"), np.argsort(end, kind="stable")


@njit(cache=True, nogil=True)
def _add(tree: np.ndarray, i: int, w: float) -> None:
    i += 1
    while i < len(tree):
        tree[i] += w
        i += i & -i


@njit(cache=True, nogil=True)
def _below(tree: np.ndarray, i: int) -> float:
    """Weight at ranks lower than i."""
    total = 0.0
    while i > 0:
        total += tree[i]
        i -= i & -i
    return total


@njit(cache=True, nogil=True)
def _count(
    tree: np.ndarray,
    rank: int,
    sign: float,
    out: np.ndarray,
    higher: int,
    lower: int,
    equal: int,
) -> None:
    """Add the tree's weight above, below and at a rank to three columns of one row."""
    below = _below(tree, rank)
    up_to = _below(tree, rank + 1)
    out[higher] += sign * (_below(tree, len(tree) - 1) - up_to)
    out[lower] += sign * below
    out[equal] += sign * (up_to - below)


@njit(cache=True, nogil=True)
def _pairs(
    rank: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    event: np.ndarray,
    by_entry: np.ndarray,
    by_exit: np.ndarray,
    w: np.ndarray,
) -> np.ndarray:
    """Weights of the partners in concordant, discordant and tied pairs of each row, (n, 3)."""
    n = len(rank)
    counts = np.zeros((n, 3))
    size = rank.max() + 2
    at_risk = np.zeros(size)
    # an event against those still at risk: backwards in time, rows join at their exit and leave at
    # their entry
    i = leaving = n - 1
    while i >= 0:
        t = end[by_exit[i]]
        while leaving >= 0 and begin[by_entry[leaving]] >= t:
            row = by_entry[leaving]
            _add(at_risk, rank[row], -w[row])
            leaving -= 1
        j = i
        while j >= 0 and end[by_exit[j]] == t:
            row = by_exit[j]
            if event[row] == 0:
                _add(at_risk, rank[row], w[row])
            j -= 1
        for k in range(j + 1, i + 1):
            row = by_exit[k]
            if event[row]:
                _count(at_risk, rank[row], 1.0, counts[row], 1, 0, 2)
        for k in range(j + 1, i + 1):
            row = by_exit[k]
            if event[row]:
                _add(at_risk, rank[row], w[row])
        i = j
    # a row against the events while it was at risk, those until its exit less those until its
    # entry; events at its own exit do not count if it has one too
    events = np.zeros(size)
    i = entering = 0
    while i < n:
        t = end[by_exit[i]]
        while entering < n and begin[by_entry[entering]] < t:
            row = by_entry[entering]
            _count(events, rank[row], -1.0, counts[row], 0, 1, 2)
            entering += 1
        j = i
        while j < n and end[by_exit[j]] == t:
            row = by_exit[j]
            if event[row]:
                _count(events, rank[row], 1.0, counts[row], 0, 1, 2)
            j += 1
        for k in range(i, j):
            row = by_exit[k]
            if event[row]:
                _add(events, rank[row], w[row])
        for k in range(i, j):
            row = by_exit[k]
            if event[row] == 0:
                _count(events, rank[row], 1.0, counts[row], 0, 1, 2)
        i = j
    return counts
