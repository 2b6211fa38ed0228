"""Random effects given the measured values of all markers, patients in lanes, and the way back.

With r the residuals of a patient's measured values and S the diagonal matrix of the residual
standard deviation of the marker that each random effect belongs to,

    b | y = T (t + v),   v ~ N(0, I),   T = F C^-T,   C C' = I + F' S^-1 A S^-1 F,   t = T' S^-2 Z'r

where D = F F' and A = Z'Z. The patient's part of the markers' own likelihood,

    t't / 2 - log det C,

comes with them.
"""

from __future__ import annotations

import math

from numba import njit

from longsurv.likelihood.arithmetic.lanes import cholesky, cholesky_pullback


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def conditional(q, F, root, A, zr, work, out):
    """Fill `work` from A = Z'Z (q, q, lanes) and zr = S^-2 Z'r (q, lanes).

    Parameters
    ----------
    q : int
    F : ndarray, shape (q, q)
        Lower triangular.
    root : ndarray, shape (q,)
        The diagonal of S^-1.
    A, zr : ndarray
    work : tuple
        AF = S^-1 A S^-1 F, C, its inverse and T, each (q, q, lanes); t and T t, each (q, lanes).
    out : ndarray, shape (lanes,)
        The patient's part of the likelihood.
    """
    AF, C, inverse, T, t, mean = work
    lanes = zr.shape[1]
    for i in range(q):
        for j in range(q):
            for n in range(lanes):
                AF[i, j, n] = 0.0
            for m in range(j, q):
                s = root[i] * root[m] * F[m, j]
                for n in range(lanes):
                    AF[i, j, n] += s * A[i, m, n]
    for i in range(q):
        for j in range(i + 1):
            for n in range(lanes):
                T[i, j, n] = 1.0 if i == j else 0.0
            for k in range(i, q):
                s = F[k, i]
                for n in range(lanes):
                    T[i, j, n] += s * AF[k, j, n]
    cholesky(q, T, C, inverse)
    for i in range(q):
        for j in range(q):
            for n in range(lanes):
                T[i, j, n] = 0.0
            for k in range(min(i, j) + 1):
                s = F[i, k]
                for n in range(lanes):
                    T[i, j, n] += s * inverse[j, k, n]
    for n in range(lanes):
        out[n] = 1.0
    for j in range(q):
        for n in range(lanes):
            t[j, n] = 0.0
        for i in range(q):
            for n in range(lanes):
                t[j, n] += T[i, j, n] * zr[i, n]
        for n in range(lanes):
            out[n] *= inverse[j, j, n]
    for n in range(lanes):
        out[n] = math.log(out[n])
    for i in range(q):
        for n in range(lanes):
            mean[i, n] = 0.0
            out[n] += 0.5 * t[i, n] * t[i, n]
        for j in range(q):
            for n in range(lanes):
                mean[i, n] += T[i, j, n] * t[j, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def conditional_pullback(q, F, root, zr, work, spare, mean_bar, T_bar, zr_bar, F_bar, log_root_bar):
    """Carry mean_bar and T_bar back, with the derivative of the patient's own part.

    Writes zr_bar (q, lanes); adds to F_bar (q, q, lanes) and log_root_bar (q, lanes), the latter
    at fixed zr. T_bar is overwritten.
    """
    AF, C, inverse, T, t, _ = work
    t_bar, C_bar, M_bar = spare
    lanes = zr.shape[1]
    for j in range(q):  # mean = T t
        for n in range(lanes):
            t_bar[j, n] = t[j, n]
        for k in range(q):
            for n in range(lanes):
                t_bar[j, n] += T[k, j, n] * mean_bar[k, n]
        for k in range(q):  # t = T' zr
            for n in range(lanes):
                T_bar[k, j, n] += mean_bar[k, n] * t[j, n] + zr[k, n] * t_bar[j, n]
    for j in range(q):
        for n in range(lanes):
            zr_bar[j, n] = 0.0
        for k in range(q):
            for n in range(lanes):
                zr_bar[j, n] += T[j, k, n] * t_bar[k, n]
    for j in range(q):  # T = F C^-T
        for k in range(j + 1):
            for n in range(lanes):
                C_bar[j, k, n] = -inverse[j, j, n] if j == k else 0.0
            for m in range(j, q):
                for o in range(q):
                    for n in range(lanes):
                        C_bar[j, k, n] -= inverse[m, j, n] * T_bar[o, m, n] * T[o, k, n]
    cholesky_pullback(q, C, inverse, C_bar, M_bar)
    for j in range(q):  # C C' = I + F'AF
        for k in range(j + 1):
            s = C_bar[0, 0]  # work space
            for n in range(lanes):
                s[n] = 0.0
            for o in range(q):
                for n in range(lanes):
                    s[n] += 2.0 * AF[j, o, n] * M_bar[o, k, n]
            for n in range(lanes):
                log_root_bar[j, n] += F[j, k] * s[n]
                F_bar[j, k, n] += s[n]
            for m in range(k, q):
                for n in range(lanes):
                    F_bar[j, k, n] += T_bar[j, m, n] * inverse[m, k, n]
