"""Compiled passes over unsorted rows that `cox.data.prepare` is made of."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]


@njit(cache=True, nogil=True)
def sound(X: Floats, exit: Floats, weight: Floats, offset: Floats) -> bool:
    """Whether every number is finite and no weight negative."""
    for i in range(len(exit)):
        total = exit[i] + offset[i] + weight[i]
        for j in range(X.shape[1]):
            total += X[i, j]
        # a finite sum has finite terms; one that overflows is looked at again by the caller
        if not (np.isfinite(total) and weight[i] >= 0.0):
            return False
    return True


@njit(cache=True, nogil=True)
def counting_sort(key: Integers, order: Integers, n_keys: int) -> Integers:
    """Stable sort of `order` by key[order], O(n)."""
    position = np.zeros(n_keys + 1, np.int64)
    for i in range(len(key)):
        position[key[i] + 1] += 1
    for k in range(n_keys):
        position[k + 1] += position[k]
    result = np.empty(len(order), np.int64)
    for i in range(len(order)):
        row = order[i]
        result[position[key[row]]] = row
        position[key[row]] += 1
    return result


@njit(cache=True, nogil=True)
def event_ranges(
    order: Integers,
    code: Integers,
    rank: Integers,
    event: NDArray[np.bool_],
    stratified: bool,
) -> tuple[Integers, Integers, Integers, Integers, Integers]:
    """Range of event times of each sorted row when nobody enters late.

    And of each event time its rank, its stratum and the first event time of that stratum. Strata
    (`code`), ranks and events are those of the rows before they are put in `order`.
    """
    n = len(order)
    first = np.empty(n, np.int32)
    last = np.empty(n, np.int32)
    time_rank = np.empty(n, np.int64)
    time_stratum = np.empty(n, np.int64)
    openings = np.empty(n, np.int32)
    K = 0
    opening = 0
    i = 0
    before = -1
    while i < n:
        own_rank = rank[order[i]]
        stratum = code[order[i]] if stratified else 0
        if stratum != before:
            opening, before = K, stratum
        j = i
        any_event = False
        while j < n:
            row = order[j]
            if rank[row] != own_rank or (stratified and code[row] != stratum):
                break
            any_event |= event[row]
            j += 1
        if any_event:
            time_rank[K] = own_rank
            time_stratum[K] = stratum
            openings[K] = opening
            K += 1
        while i < j:
            first[i] = opening
            last[i] = K
            i += 1
    return first, last, time_rank[:K].copy(), time_stratum[:K].copy(), openings[:K].copy()


@njit(cache=True, nogil=True)
def tallies(
    last: Integers, event: NDArray[np.bool_], weight: Floats, K: int
) -> tuple[Integers, Floats]:
    """Number of events and their summed weights at each of K event times."""
    deaths, death_weight = np.zeros(K, np.int64), np.zeros(K)
    for i in range(len(last)):
        if event[i]:
            deaths[last[i] - 1] += 1
            death_weight[last[i] - 1] += weight[i]
    return deaths, death_weight


@njit(cache=True, nogil=True)
def entry_indices(
    order: Integers,
    code: Integers,
    entry_rank: Integers,
    time_rank: Integers,
    bounds: Integers,
    last: Integers,
) -> Integers:
    """First event time after entry: at risk at t needs entry < t."""
    first = np.empty(len(order), np.int32)
    for i in range(len(order)):
        low, high = bounds[code[order[i]]], np.int64(last[i])
        while low < high:
            middle = (low + high) // 2
            if time_rank[middle] <= entry_rank[order[i]]:
                low = middle + 1
            else:
                high = middle
        first[i] = low
    return first


@njit(cache=True, nogil=True)
def stratum_means(
    X: Floats, offset: Floats, code: Integers, n_strata: int
) -> tuple[Floats, Floats]:
    """Means by stratum, summed about the stratum's first row: exact for a constant column."""
    n, p = X.shape
    pivot = np.full(n_strata, -1)
    count = np.zeros(n_strata)
    mean = np.zeros((n_strata, p))
    offset_mean = np.zeros(n_strata)
    for i in range(n):
        s = code[i]
        if pivot[s] < 0:
            pivot[s] = i
        count[s] += 1
        offset_mean[s] += offset[i] - offset[pivot[s]]
        for j in range(p):
            mean[s, j] += X[i, j] - X[pivot[s], j]
    for s in range(n_strata):
        offset_mean[s] = offset[pivot[s]] + offset_mean[s] / count[s]
        for j in range(p):
            mean[s, j] = X[pivot[s], j] + mean[s, j] / count[s]
    return mean, offset_mean


@njit(cache=True, nogil=True)
def column_scales(X: Floats, mean: Floats, code: Integers) -> Floats:
    """Powers of two near the columns' standard deviations; 1 for a constant column."""
    n, p = X.shape
    total = np.zeros(p)
    for i in range(n):
        for j in range(p):
            total[j] += (X[i, j] - mean[code[i], j]) ** 2
    for j in range(p):
        total[j] = 2.0 ** np.rint(0.5 * np.log2(total[j] / n)) if total[j] > 0.0 else 1.0
    return total


@njit(cache=True, nogil=True)
def standardise_rows(
    X: Floats, mean: Floats, scale: Floats, code: Integers, order: Integers, Z: Floats
) -> None:
    """Write rows of X into Z in the new order, centred within stratum and scaled."""
    n, p = len(order), X.shape[1]
    place = np.full(len(X), -1)
    for i in range(n):
        place[order[i]] = i
    inverse = 1.0 / scale  # exact: powers of two
    for row in range(len(X)):  # reading in order and writing out of order is the cheaper way
        i = place[row]
        if i >= 0:
            for j in range(p):
                Z[i, j] = (X[row, j] - mean[code[row], j]) * inverse[j]
