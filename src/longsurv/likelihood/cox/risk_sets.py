"""Compiled sums over risk sets: the two operations every Cox computation is made of.

Let A be the 0/1 matrix "row i is at risk at event time k". `risk_sums` computes A' applied to
rows (S0, S1, ... of the textbooks) and `exposure` computes A applied to event times (cumulative
hazards). Neither subtracts: without late entry they are running sums; with it, a row's range of
event times is split into O(log K) nodes of a binary tree. So a sum of positive terms is exact to
rounding even just after somebody of enormous risk has left.

Relative risks are kept as v * 2^(256 e) with integer e, added in the style of log-sum-exp. The
exponent is 0 for any linear predictor within +-88, so it costs one predictable comparison, and
risk sets neither overflow nor vanish however far apart the linear predictors are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.cox.data import Floats, Integers, RiskArrays

LOG_BASE = 256 * np.log(2.0)
NO_TERMS = -(2**30)  # exponent of an empty sum


@njit(cache=True, nogil=True, forceinline=True)
def scaled(gap: int) -> float:
    """2^(256 gap) for gap <= 0, to 0 when the term cannot matter beside one of gap 0."""
    if gap == 0:
        return 1.0
    return 2.0**-256 if gap == -1 else 0.0


@njit(cache=True, nogil=True)
def linear_predictor(a: RiskArrays, b: Floats) -> Floats:
    """eta = X b + offset, for standardised coefficients b."""
    X, offset = a.X, a.offset
    n, p = X.shape
    eta = np.empty(n)
    for i in range(n):
        total = offset[i]
        for j in range(p):
            total += X[i, j] * b[j]
        eta[i] = total
    return eta


@njit(cache=True, nogil=True)
def relative_risks(a: RiskArrays, eta: Floats) -> tuple[Floats, Integers]:
    """Weighted risks w exp(eta) as mantissa v and exponent e."""
    n, weight = len(eta), a.weight
    v = np.empty(n)
    e = np.empty(n, np.int32)
    for i in range(n):
        e[i] = np.int32(np.rint(eta[i] / LOG_BASE))
        v[i] = weight[i] * np.exp(eta[i] - e[i] * LOG_BASE)
    return v, e


@njit(cache=True, nogil=True, forceinline=True)
def _aligned(S: Floats, eS: Integers, k: int, exponent: int) -> float:
    """Factor by which a term of this exponent enters S[k]; S[k] is rescaled if it is larger."""
    gap = exponent - eS[k]
    if gap > 0:
        factor = scaled(-gap)
        for j in range(S.shape[1]):
            S[k, j] *= factor
        eS[k] = exponent
        return 1.0
    return scaled(gap)


@njit(cache=True, nogil=True, forceinline=True)
def _add_sum(S: Floats, eS: Integers, into: int, source: int) -> None:
    """S[into] += S[source]."""
    factor = _aligned(S, eS, into, eS[source])
    for j in range(S.shape[1]):
        S[into, j] += factor * S[source, j]


@njit(cache=True, nogil=True)
def risk_sums(
    a: RiskArrays, v: Floats, e: Integers, width: int | np.int64
) -> tuple[Floats, Integers]:
    """Sums over the risk set of every event time: S (K, width), and their exponents eS (K,).

    The first column is the sum of v, the others those of v times the leading columns of X.
    """
    K, X, first, last = len(a.deaths), a.X, a.first, a.last
    if not a.staggered:
        S, eS = np.zeros((K, width)), np.full(K, NO_TERMS, np.int32)
        for i in range(len(v)):
            k = last[i] - 1
            term = v[i] if e[i] == eS[k] else v[i] * _aligned(S, eS, k, e[i])
            S[k, 0] += term
            for j in range(1, width):
                S[k, j] += term * X[i, j - 1]
        for k in range(K - 2, -1, -1):
            if a.opening[k + 1] == a.opening[k]:
                _add_sum(S, eS, k, k + 1)
        return S, eS
    tree, eT = np.zeros((2 * K, width)), np.full(2 * K, NO_TERMS, np.int32)
    for i in range(len(v)):
        low, high = first[i] + K, last[i] + K
        while low < high:
            node = -1
            if low & 1:
                node = low
                low += 1
            elif high & 1:
                high -= 1
                node = high
            else:
                low >>= 1
                high >>= 1
            if node >= 0:
                term = v[i] if e[i] == eT[node] else v[i] * _aligned(tree, eT, node, e[i])
                tree[node, 0] += term
                for j in range(1, width):
                    tree[node, j] += term * X[i, j - 1]
    for node in range(2, 2 * K):
        _add_sum(tree, eT, node, node >> 1)
    return tree[K:].copy(), eT[K:].copy()


@njit(cache=True, nogil=True)
def death_sums(
    a: RiskArrays, v: Floats, e: Integers, eS: Integers, width: int | np.int64
) -> Floats:
    """As `risk_sums`, over the tied events alone and with exponents eS; empty if not needed."""
    X, event, last = a.X, a.event, a.last
    E = np.zeros((len(a.deaths) if a.efron else 0, width))
    for i in range(len(v) if a.efron else 0):
        if event[i]:
            k = last[i] - 1
            term = v[i] * scaled(e[i] - eS[k])
            E[k, 0] += term
            for j in range(1, width):
                E[k, j] += term * X[i, j - 1]
    return E


@njit(cache=True, nogil=True)
def exposure(a: RiskArrays, e: Integers, h: Floats, eS: Integers) -> Floats:
    """Sum of h (K, m) over the event times at which each row is at risk.

    h[k] carries the exponent -eS[k], that of a hazard; the result (n, m) is to be multiplied by a
    row's v, so it carries -e[i] and the product is an ordinary number.
    """
    n, m = len(e), h.shape[1]
    K, first, last = len(a.deaths), a.first, a.last
    out = np.zeros((n, m))
    if not a.staggered:
        H, eH = h.copy(), -eS
        for k in range(1, K):
            if a.opening[k] == a.opening[k - 1]:
                _add_sum(H, eH, k, k - 1)
        for i in range(n):
            k = last[i] - 1
            factor = scaled(e[i] + eH[k])
            for j in range(m):
                out[i, j] = factor * H[k, j]
        return out
    tree, eT = np.zeros((2 * K, m)), np.full(2 * K, NO_TERMS, np.int32)
    for k in range(K):
        eT[K + k] = -eS[k]
        for j in range(m):
            tree[K + k, j] = h[k, j]
    for node in range(2 * K - 1, 1, -1):
        _add_sum(tree, eT, node >> 1, node)
    for i in range(n):
        low, high = first[i] + K, last[i] + K
        while low < high:
            node = -1
            if low & 1:
                node = low
                low += 1
            elif high & 1:
                high -= 1
                node = high
            else:
                low >>= 1
                high >>= 1
            if node >= 0:
                factor = scaled(e[i] + eT[node])
                for j in range(m):
                    out[i, j] += factor * tree[node, j]
    return out
