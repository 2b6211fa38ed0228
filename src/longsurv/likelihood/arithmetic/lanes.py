"""Small-matrix algebra for many patients at once.

Patients stand side by side in lanes: the last axis of every array. Each step of the algebra is a
loop over lanes, which the compiler turns into vector instructions.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LANES = 64


def in_lanes(values: np.ndarray, order: np.ndarray, lanes: int = LANES) -> np.ndarray:
    """Lay out per-patient arrays, shape (N, ...), as (blocks, ..., lanes), in the given order.

    The last block is filled with patients of zeros.
    """
    blocks = -(-len(values) // lanes)
    padded = np.zeros((blocks * lanes, *values.shape[1:]))
    padded[: len(values)] = values[order]
    return np.ascontiguousarray(
        np.moveaxis(padded.reshape(blocks, lanes, *values.shape[1:]), 1, -1)
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def cholesky(q, A, L, inverse):
    """Lower Cholesky factors of A (q, q, lanes) and their inverses; NaN where there is none."""
    lanes = A.shape[2]
    for j in range(q):
        for i in range(j, q):
            for n in range(lanes):
                L[i, j, n] = A[i, j, n]
            for k in range(j):
                for n in range(lanes):
                    L[i, j, n] -= L[i, k, n] * L[j, k, n]
            if i == j:
                for n in range(lanes):
                    L[j, j, n] = math.sqrt(L[j, j, n])
                for n in range(lanes):
                    inverse[j, j, n] = 1.0 / L[j, j, n]
            else:
                for n in range(lanes):
                    L[i, j, n] *= inverse[j, j, n]
    for j in range(q):
        for i in range(j):
            for n in range(lanes):
                inverse[i, j, n] = 0.0
        for i in range(j + 1, q):
            for n in range(lanes):
                inverse[i, j, n] = 0.0
            for k in range(j, i):
                for n in range(lanes):
                    inverse[i, j, n] -= L[i, k, n] * inverse[k, j, n]
            for n in range(lanes):
                inverse[i, j, n] *= inverse[i, i, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def cholesky_pullback(q, L, inverse, L_bar, A_bar):
    """Write into A_bar the symmetric derivative with respect to A = L L', given that in L.

    A_bar = (S + S') / 2 with S = L^-T Phi(L' L_bar) L^-1, where Phi keeps the lower triangle and
    halves its diagonal (Murray 2016, arXiv:1602.07527, equation 10). L_bar is overwritten.
    """
    lanes = L.shape[2]
    for i in range(q):  # row i of L' L_bar needs rows i and below of L_bar only
        for j in range(i + 1):
            for n in range(lanes):
                L_bar[i, j, n] *= L[i, i, n]
            for k in range(i + 1, q):
                for n in range(lanes):
                    L_bar[i, j, n] += L[k, i, n] * L_bar[k, j, n]
        for n in range(lanes):
            L_bar[i, i, n] *= 0.5
    for i in range(q):
        for j in range(q):
            for n in range(lanes):
                A_bar[i, j, n] = 0.0
            for k in range(i, q):
                for m in range(j, k + 1):
                    for n in range(lanes):
                        A_bar[i, j, n] += inverse[k, i, n] * L_bar[k, m, n] * inverse[m, j, n]
    for i in range(q):
        for j in range(i):
            for n in range(lanes):
                A_bar[i, j, n] = 0.5 * (A_bar[i, j, n] + A_bar[j, i, n])
            for n in range(lanes):
                A_bar[j, i, n] = A_bar[i, j, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def weighted_moments(q, p, vk, moments):
    """Means of the nodes vk (K, q, lanes) into moments[0], their covariances into moments[1:]."""
    lanes = p.shape[1]
    for j in range(q):
        for n in range(lanes):
            s = 0.0
            for k in range(p.shape[0]):
                s += p[k, n] * vk[k, j, n]
            moments[0, j, n] = s
    for j in range(q):
        for i in range(q):
            for n in range(lanes):
                s = 0.0
                for k in range(p.shape[0]):
                    s += (
                        p[k, n]
                        * (vk[k, i, n] - moments[0, i, n])
                        * (vk[k, j, n] - moments[0, j, n])
                    )
                moments[1 + i, j, n] = s
