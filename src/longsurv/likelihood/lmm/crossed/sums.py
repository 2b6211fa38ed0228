"""The sums behind the likelihood of a mixed model with several groupings, however they cross.

V0 = V / sigma^2 = V1 + U Lam_o Lam_o' U', with V1 = I + Z Lam Lam' Z' block-diagonal in the
patients (the grouping with the most groups) and U the columns of all other groupings. Patients are
eliminated one by one, by sums over their rows: S = U'V1^-1 U, U'V1^-1 W and W'V1^-1 W follow, and
what is left is one dense system of the size of U. A patient touches few columns of U, which alone
are kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.shrinkage import shrunken_root


@njit(cache=True, nogil=True, error_model="numpy")
def row_sums(Z, U, place, columns, W, patient, patients, touched, m):
    """Sums over the rows.

    Parameters
    ----------
    Z : ndarray, shape (n, q)
        Columns of the patients' effects.
    U, columns : ndarray, shape (n, s)
        Values of each row in the columns of U it touches, and which ones those are, 0 to m - 1.
    place : ndarray of int, shape (n, s)
        Their places among the touched columns of all patients, 0 to touched - 1.
    W : ndarray, shape (n, k)
    patient : ndarray of int, shape (n,)
    patients, touched, m : int

    Returns
    -------
    ztz, ztw : ndarray, shapes (patients, q, q) and (patients, q, k)
    ztu : ndarray, shape (touched, q)
    utu, utw : ndarray, shapes (m, m) and (m, k)
    """
    n, q = Z.shape
    s, k = U.shape[1], W.shape[1]
    ztz, ztw = np.zeros((patients, q, q)), np.zeros((patients, q, k))
    ztu, utu, utw = np.zeros((touched, q)), np.zeros((m, m)), np.zeros((m, k))
    for i in range(n):
        g = patient[i]
        for a in range(q):
            z = Z[i, a]
            for b in range(q):
                ztz[g, a, b] += z * Z[i, b]
            for b in range(k):
                ztw[g, a, b] += z * W[i, b]
            for c in range(s):
                ztu[place[i, c], a] += z * U[i, c]
        for c in range(s):
            u, at = U[i, c], columns[i, c]
            for d in range(s):
                utu[at, columns[i, d]] += u * U[i, d]
            for b in range(k):
                utw[at, b] += u * W[i, b]
    return ztz, ztw, ztu, utu, utw


@njit(cache=True, nogil=True, error_model="numpy")
def eliminated(lam, ztz, ztw, first, columns, ztu, utu, utw, cross):
    """Take the patients out, at the relative covariance factor lam (q, q).

    Returns
    -------
    log_dets : ndarray, shape (patients,)
        Of V1.
    T, SW, S : ndarray, shapes (k, k), (m, k) and (m, m)
        W'V1^-1 W, U'V1^-1 W and U'V1^-1 U.
    G : ndarray, shape (patients, q, q)
        lam (I + lam' Z'Z lam)^-1 lam' of each.
    """
    patients, q, k = ztw.shape
    T, SW, S = cross.copy(), utw.copy(), utu.copy()
    log_dets, G = np.empty(patients), np.empty((patients, q, q))
    most = 0
    for i in range(patients):
        most = max(most, first[i + 1] - first[i])
    M, L, half = np.empty((q, q)), np.zeros((q, q)), np.empty((q, q))
    AL, BW, BU = np.empty((q, q)), np.empty((q, k)), np.empty((most, q))
    for i in range(patients):
        log_dets[i] = shrunken_root(ztz[i], lam, M, L, AL, half, G[i])
        for a in range(q):
            for b in range(k):
                value = 0.0
                for c in range(q):
                    value += half[c, a] * ztw[i, c, b]
                BW[a, b] = value
        start, size = first[i], first[i + 1] - first[i]
        for e in range(size):
            for a in range(q):
                value = 0.0
                for c in range(q):
                    value += half[c, a] * ztu[start + e, c]
                BU[e, a] = value
        for b in range(k):
            for c in range(k):
                for a in range(q):
                    T[b, c] -= BW[a, b] * BW[a, c]
        for e in range(size):
            at = columns[start + e]
            for b in range(k):
                value = 0.0
                for a in range(q):
                    value += BU[e, a] * BW[a, b]
                SW[at, b] -= value
            # The columns of a patient ascend: this fills the lower triangle.
            for f in range(e + 1):
                value = 0.0
                for a in range(q):
                    value += BU[e, a] * BU[f, a]
                S[at, columns[start + f]] -= value
    for a in range(S.shape[0]):
        for b in range(a):
            S[b, a] = S[a, b]
    return log_dets, T, SW, S, G


@njit(cache=True, nogil=True, error_model="numpy")
def of_patients(G, B, BSW, ztz, ztw, first, columns, ztu):
    """What each patient's columns are to all rows, B being Lam_o K^-1 Lam_o'.

    Returns
    -------
    J : ndarray, shape (q, touched)
        Z'V1^-1 U of each patient's touched columns.
    own, shared : ndarray, shape (patients, q, q)
        Z'V1^-1 Z, and J B J': Z'V0^-1 Z is their difference.
    H : ndarray, shape (patients, q, k)
        Z'V0^-1 W.
    """
    patients, q, k = ztw.shape
    J = np.empty((q, len(ztu)))
    own, shared = np.empty((patients, q, q)), np.zeros((patients, q, q))
    H = np.empty((patients, q, k))
    F = np.empty((q, q))
    along = np.empty(q)
    for i in range(patients):
        # F = I - Z'Z G
        for a in range(q):
            for b in range(q):
                value = 1.0 if a == b else 0.0
                for c in range(q):
                    value -= ztz[i, a, c] * G[i, c, b]
                F[a, b] = value
        start, size = first[i], first[i + 1] - first[i]
        for a in range(q):
            for b in range(q):
                value = 0.0
                for c in range(q):
                    value += F[a, c] * ztz[i, c, b]
                own[i, a, b] = value
            for b in range(k):
                value = 0.0
                for c in range(q):
                    value += F[a, c] * ztw[i, c, b]
                H[i, a, b] = value
        for e in range(start, start + size):
            for a in range(q):
                value = 0.0
                for c in range(q):
                    value += F[a, c] * ztu[e, c]
                J[a, e] = value
            for a in range(q):
                for b in range(k):
                    H[i, a, b] -= J[a, e] * BSW[columns[e], b]
        # B is symmetric: each pair of columns once.
        for e in range(start, start + size):
            row = B[columns[e]]
            for a in range(q):
                value = 0.5 * row[columns[e]] * J[a, e]
                for f in range(start, e):
                    value += row[columns[f]] * J[a, f]
                along[a] = value
            for a in range(q):
                for b in range(q):
                    shared[i, a, b] += J[a, e] * along[b] + along[a] * J[b, e]
    return J, own, shared, H


@njit(cache=True, nogil=True, error_model="numpy")
def touched_products(J, H, first, columns, m):
    """Sums over patients of J'J, shape (q, q, m, m), and H'J, (q, q, k, m), by pair of effects."""
    patients, q, k = H.shape
    JJ, HJ = np.zeros((q, q, m, m)), np.zeros((q, q, k, m))
    for i in range(patients):
        for e in range(first[i], first[i + 1]):
            for a in range(q):
                for b in range(q):
                    for f in range(first[i], first[i + 1]):
                        JJ[a, b, columns[e], columns[f]] += J[a, e] * J[b, f]
                    for c in range(k):
                        HJ[a, b, c, columns[e]] += H[i, a, c] * J[b, e]
    return JJ, HJ
