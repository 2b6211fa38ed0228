"""The sums over patients behind every likelihood of the Gaussian mixed model.

Patients stand side by side in blocks of LANES: each step of the small-matrix algebra is a loop over
the lanes of a block, which the compiler turns into vector instructions. A block that is not full is
filled with patients without data, which add nothing to any sum.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LANES = 16


def in_blocks(values: np.ndarray) -> np.ndarray:
    """Lay out per-patient arrays, shape (N, ...), as (blocks, ..., LANES)."""
    blocks = -(-len(values) // LANES)
    padded = np.zeros((blocks * LANES, *values.shape[1:]))
    padded[: len(values)] = values
    return np.ascontiguousarray(
        np.moveaxis(padded.reshape(blocks, LANES, *values.shape[1:]), 1, -1)
    )


def by_patient(blocks: np.ndarray, count: int) -> np.ndarray:
    """The arrays of so many patients, shape (N, ...), from their blocks: `in_blocks` undone."""
    whole = np.moveaxis(blocks, -1, 1).reshape(-1, *blocks.shape[1:-1])
    return np.ascontiguousarray(whole[:count])


@njit(cache=True, nogil=True, error_model="numpy")
def patient_sums(lam, ztz, ztw, cross):
    """Sums over patients at the relative covariance factor lam, shape (q, q).

    Parameters
    ----------
    lam : ndarray, shape (q, q)
        Lower triangular.
    ztz, ztw : ndarray, shapes (blocks, q, q, LANES) and (blocks, q, k, LANES)
    cross : ndarray, shape (k, k)

    Returns
    -------
    log_det : float
        log |V / sigma^2|.
    T : ndarray, shape (k, k)
        W' (V / sigma^2)^-1 W.
    G : ndarray, shape (q, q)
        Sum of Z' (V / sigma^2)^-1 Z.
    H : ndarray, shape (blocks, q, k, LANES)
        Z' (V / sigma^2)^-1 W of each patient.
    """
    blocks, q, k, _ = ztw.shape
    T = np.zeros((k, k, LANES))
    G = np.zeros((q, q, LANES))
    H = np.empty((blocks, q, k, LANES))
    AL = np.empty((q, q, LANES))
    L = np.empty((q, q, LANES))
    U = np.empty((q, k, LANES))
    s = np.empty(LANES)
    det = np.ones(LANES)
    log_det = 0.0
    for n in range(blocks):
        A, B, Hn = ztz[n], ztw[n], H[n]
        # AL = A lam
        for a in range(q):
            for b in range(q):
                s[:] = 0.0
                for c in range(b, q):
                    for i in range(LANES):
                        s[i] += A[a, c, i] * lam[c, b]
                for i in range(LANES):
                    AL[a, b, i] = s[i]
        # L L' = lam' A lam + I
        for b in range(q):
            for a in range(b, q):
                s[:] = 1.0 if a == b else 0.0
                for c in range(a, q):
                    for i in range(LANES):
                        s[i] += lam[c, a] * AL[c, b, i]
                for c in range(b):
                    for i in range(LANES):
                        s[i] -= L[a, c, i] * L[b, c, i]
                if a == b:
                    for i in range(LANES):
                        L[b, b, i] = math.sqrt(s[i])
                        det[i] *= L[b, b, i]
                else:
                    for i in range(LANES):
                        L[a, b, i] = s[i] / L[b, b, i]
        # The factors are at least 1: take logarithms only before their products overflow.
        largest = 1.0
        for i in range(LANES):
            largest = max(largest, det[i])
        if largest > 1e100:
            for i in range(LANES):
                log_det += 2.0 * math.log(det[i])
                det[i] = 1.0
        # U = L^-1 lam' B;  T -= U'U
        for b in range(k):
            for a in range(q):
                s[:] = 0.0
                for c in range(a, q):
                    for i in range(LANES):
                        s[i] += lam[c, a] * B[c, b, i]
                for c in range(a):
                    for i in range(LANES):
                        s[i] -= L[a, c, i] * U[c, b, i]
                for i in range(LANES):
                    U[a, b, i] = s[i] / L[a, a, i]
        for b in range(k):
            for c in range(b + 1):
                for a in range(q):
                    for i in range(LANES):
                        T[b, c, i] -= U[a, b, i] * U[a, c, i]
        # AL becomes A lam L'^-1;  G += A - AL AL';  H = B - AL U
        for a in range(q):
            for b in range(q):
                for i in range(LANES):
                    s[i] = AL[a, b, i]
                for c in range(b):
                    for i in range(LANES):
                        s[i] -= L[b, c, i] * AL[a, c, i]
                for i in range(LANES):
                    AL[a, b, i] = s[i] / L[b, b, i]
        for a in range(q):
            for b in range(a + 1):
                for i in range(LANES):
                    s[i] = A[a, b, i]
                for c in range(q):
                    for i in range(LANES):
                        s[i] -= AL[a, c, i] * AL[b, c, i]
                for i in range(LANES):
                    G[a, b, i] += s[i]
            for b in range(k):
                for i in range(LANES):
                    s[i] = B[a, b, i]
                for c in range(q):
                    for i in range(LANES):
                        s[i] -= AL[a, c, i] * U[c, b, i]
                for i in range(LANES):
                    Hn[a, b, i] = s[i]
    for i in range(LANES):
        log_det += 2.0 * math.log(det[i])
    return log_det, cross + _mirrored(T), _mirrored(G), H


@njit(cache=True, nogil=True, error_model="numpy")
def outer_sum(H, C):
    """Sum over patients of (H_i C)(H_i C)', shape (q, q), for C of shape (k, m)."""
    blocks, q, k, _ = H.shape
    m = C.shape[1]
    out = np.zeros((q, q, LANES))
    E = np.empty((q, LANES))
    for n in range(blocks):
        for j in range(m):
            for a in range(q):
                for i in range(LANES):
                    E[a, i] = H[n, a, 0, i] * C[0, j]
                for b in range(1, k):
                    for i in range(LANES):
                        E[a, i] += H[n, a, b, i] * C[b, j]
            for a in range(q):
                for b in range(a + 1):
                    for i in range(LANES):
                        out[a, b, i] += E[a, i] * E[b, i]
    return _mirrored(out)


@njit(cache=True, nogil=True, error_model="numpy")
def _mirrored(lower):
    """Sum the lanes of a symmetric matrix of which only the lower triangle was filled."""
    d = lower.shape[0]
    out = np.empty((d, d))
    for a in range(d):
        for b in range(a + 1):
            total = 0.0
            for i in range(lower.shape[2]):
                total += lower[a, b, i]
            out[a, b] = out[b, a] = total
    return out
