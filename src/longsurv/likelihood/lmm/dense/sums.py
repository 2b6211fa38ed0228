"""The sums behind the likelihood of the mixed model with correlated residuals and nested groups.

V0 = V / sigma^2 of one cluster (the coarsest group, such as a site) is A + Zo Lam_o Lam_o' Zo': A
is block-diagonal in patients and is factored patient by patient; what patients of a cluster share
enters through the Woodbury identity, so that the cost grows with the cube of a patient's visits and
of the number of groups in a cluster, not of the cluster's rows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import lower_cholesky


# Products are written out: at these sizes a call of a matrix library costs more than it saves.
@njit(cache=True, nogil=True)
def _times(A, B):
    """A B, zeros of A skipped."""
    n, m, k = A.shape[0], A.shape[1], B.shape[1]
    out = np.zeros((n, k))
    for i in range(n):
        for c in range(m):
            a = A[i, c]
            if a != 0.0:
                for j in range(k):
                    out[i, j] += a * B[c, j]
    return out


@njit(cache=True, nogil=True)
def _cross(A, B):
    """A' B, zeros of A skipped."""
    n, m, k = A.shape[0], A.shape[1], B.shape[1]
    out = np.zeros((m, k))
    for c in range(n):
        for i in range(m):
            a = A[c, i]
            if a != 0.0:
                for j in range(k):
                    out[i, j] += a * B[c, j]
    return out


@njit(cache=True, nogil=True)
def _solve_lower(L, B):
    """B <- L^-1 B in place."""
    n, k = B.shape
    for i in range(n):
        for c in range(i):
            f = L[i, c]
            for b in range(k):
                B[i, b] -= f * B[c, b]
        f = 1.0 / L[i, i]
        for b in range(k):
            B[i, b] *= f


@njit(cache=True, nogil=True)
def _solve_upper(L, B):
    """B <- L'^-1 B in place."""
    n, k = B.shape
    for i in range(n - 1, -1, -1):
        for c in range(i + 1, n):
            f = L[c, i]
            for b in range(k):
                B[i, b] -= f * B[c, b]
        f = 1.0 / L[i, i]
        for b in range(k):
            B[i, b] *= f


@njit(cache=True, nogil=True)
def forward(
    values, lam, lam_outer, W, Z, Zo, kind, rows, first_kind, slots, clusters, sizes, offsets
):
    """Factor every patient and cluster.

    Parameters
    ----------
    values : ndarray, shape (K,)
        Residual covariance over sigma^2 of each kind of pair.
    lam : ndarray, shape (q, q)
        Relative covariance factor of the patients' random effects.
    lam_outer : ndarray, shape (qo, qo)
        Block-diagonal: those of the outer groupings, one after the other.
    W, Z, Zo : ndarray, shapes (n, k), (n, q), (n, qo)
        Rows sorted by cluster and patient.
    kind : ndarray of int
        Kind of each ordered pair of rows, patient by patient.
    rows, first_kind : ndarray of int, shape (N + 1,)
        Where each patient's rows and pairs begin.
    slots : ndarray of int, shape (N, qo)
        Position of each outer column of a patient among the effects of its cluster.
    clusters : ndarray of int, shape (C + 1,)
        Where each cluster's patients begin.
    sizes : ndarray of int, shape (C,)
        Number of outer effects of each cluster.
    offsets : ndarray of int, shape (C + 1,)
        Where each cluster's squared number of effects begins in the flat arrays.

    Returns
    -------
    definite : bool
        Whether all is positive definite.
    running : ndarray, shape (C, 2)
        log |V0| and the last diagonal element of T, summed up to each cluster.
    T : ndarray, shape (k, k)
        W' V0^-1 W.
    factors : ndarray
        Cholesky factors of A, patient by patient.
    B, Bo : ndarray, shapes (n, k), (n, qo)
        L^-1 W and L^-1 Zo.
    inner, shrink : ndarray
        Zo' A^-1 Zo and Lam_o (I + Lam_o' Zo' A^-1 Zo Lam_o)^-1 Lam_o' in the effects of each
        cluster, flat.
    F : ndarray, shape (effects, k)
        Zo' A^-1 W in the effects of each cluster.
    """
    k, q, qo = W.shape[1], Z.shape[1], Zo.shape[1]
    B, Bo = W.copy(), Zo.copy()
    T = np.zeros((k, k))
    factors = np.zeros(kind.shape[0])
    inner = np.zeros(offsets[-1])
    shrink = np.zeros(offsets[-1])
    F = np.zeros((sizes.sum(), k))
    running = np.zeros((sizes.shape[0], 2))
    log_det = 0.0
    top = 0
    for c in range(sizes.shape[0]):
        m = sizes[c]
        C = inner[offsets[c] : offsets[c + 1]].reshape(m, m)
        G = shrink[offsets[c] : offsets[c + 1]].reshape(m, m)
        Fc = F[top : top + m]
        full = np.zeros((m, m))
        for u in range(clusters[c], clusters[c + 1]):
            start, end = rows[u], rows[u + 1]
            n = end - start
            A = np.empty((n, n))
            pairs = kind[first_kind[u] : first_kind[u + 1]]
            ZL = _times(Z[start:end], lam)
            for i in range(n):
                for j in range(i + 1):
                    s = values[pairs[i * n + j]]
                    for a in range(q):
                        s += ZL[i, a] * ZL[j, a]
                    A[i, j] = s
            L = factors[first_kind[u] : first_kind[u + 1]].reshape(n, n)
            if not lower_cholesky(A, L):
                return False, running, T, factors, B, Bo, inner, shrink, F
            for i in range(n):
                log_det += 2.0 * math.log(L[i, i])
            Bu, Bou = B[start:end], Bo[start:end]
            _solve_lower(L, Bu)
            _solve_lower(L, Bou)
            for i in range(n):
                for a in range(k):
                    for b in range(a + 1):
                        T[a, b] += Bu[i, a] * Bu[i, b]
                for a in range(qo):
                    at = slots[u, a]
                    for b in range(qo):
                        C[at, slots[u, b]] += Bou[i, a] * Bou[i, b]
                    for b in range(k):
                        Fc[at, b] += Bou[i, a] * Bu[i, b]
            for a in range(qo):
                for b in range(qo):
                    full[slots[u, a], slots[u, b]] = lam_outer[a, b]
        if m > 0:
            M = _cross(full, _times(C, full))
            for a in range(m):
                M[a, a] += 1.0
            L = np.zeros((m, m))
            if not lower_cholesky(M, L):
                return False, running, T, factors, B, Bo, inner, shrink, F
            U = _cross(full, Fc)
            _solve_lower(L, U)
            half = np.empty((m, m))
            for a in range(m):
                for b in range(m):
                    half[a, b] = full[b, a]
            _solve_lower(L, half)
            crossed = _cross(half, half)
            for a in range(G.shape[0]):
                for b in range(G.shape[1]):
                    G[a, b] = crossed[a, b]
            for a in range(m):
                log_det += 2.0 * math.log(L[a, a])
            for i in range(m):
                for a in range(k):
                    for b in range(a + 1):
                        T[a, b] -= U[i, a] * U[i, b]
        running[c, 0] = log_det
        running[c, 1] = T[k - 1, k - 1]
        top += m
    for a in range(k):
        for b in range(a):
            T[b, a] = T[a, b]
    return True, running, T, factors, B, Bo, inner, shrink, F


@njit(cache=True, nogil=True)
def adjoint(
    spread, n_kinds, Z, kind, rows, first_kind, slots, clusters, sizes, offsets,
    factors, B, Bo, inner, shrink, F,
):  # fmt: skip
    """Where S = V0^-1 - V0^-1 W spread spread' W' V0^-1 meets the parameters.

    Parameters
    ----------
    spread : ndarray, shape (k, r)
    n_kinds : int
    Others : as taken and returned by `forward`

    Returns
    -------
    own : ndarray, shape (q, q)
        Sum over patients of Z' S Z.
    outer : ndarray, shape (qo, qo)
        Sum over outer groups of Zo' S Zo; only the blocks of one grouping have a meaning.
    by_kind : ndarray, shape (K,)
        Sum of S over the pairs of each kind.
    """
    q, qo, r = Z.shape[1], Bo.shape[1], spread.shape[1]
    own, outer, by_kind = np.zeros((q, q)), np.zeros((qo, qo)), np.zeros(n_kinds)
    top = 0
    for c in range(sizes.shape[0]):
        m = sizes[c]
        C = inner[offsets[c] : offsets[c + 1]].reshape(m, m)
        G = shrink[offsets[c] : offsets[c + 1]].reshape(m, m)
        Fc = F[top : top + m]
        GF = _times(G, _times(Fc, spread))
        if m > 0:
            total = C - _times(C, _times(G, C))
            H = _times(Fc, spread) - _times(C, GF)
            seen = np.zeros(m, dtype=np.bool_)
            for u in range(clusters[c], clusters[c + 1]):
                for a in range(qo):
                    if seen[slots[u, a]]:
                        continue
                    for b in range(qo):
                        s = total[slots[u, a], slots[u, b]]
                        for j in range(r):
                            s -= H[slots[u, a], j] * H[slots[u, b], j]
                        outer[a, b] += s
                for a in range(qo):
                    seen[slots[u, a]] = True
        for u in range(clusters[c], clusters[c + 1]):
            start, end = rows[u], rows[u + 1]
            n = end - start
            L = factors[first_kind[u] : first_kind[u + 1]].reshape(n, n)
            E = _times(B[start:end], spread)
            S = np.zeros((n, n))
            for i in range(n):
                S[i, i] = 1.0
            if m > 0:
                mine = np.empty((qo, qo))
                for a in range(qo):
                    for b in range(qo):
                        mine[a, b] = G[slots[u, a], slots[u, b]]
                    for j in range(r):
                        for i in range(n):
                            E[i, j] -= Bo[start + i, a] * GF[slots[u, a], j]
                BG = _times(Bo[start:end], mine)
                for i in range(n):
                    for j in range(n):
                        for a in range(qo):
                            S[i, j] -= BG[i, a] * Bo[start + j, a]
            for i in range(n):
                for j in range(n):
                    for a in range(r):
                        S[i, j] -= E[i, a] * E[j, a]
            _solve_upper(L, S)
            for i in range(n):
                for j in range(i):
                    S[i, j], S[j, i] = S[j, i], S[i, j]
            _solve_upper(L, S)
            own += _cross(Z[start:end], _times(S, Z[start:end]))
            pairs = kind[first_kind[u] : first_kind[u + 1]]
            for i in range(n):
                for j in range(n):
                    by_kind[pairs[i * n + j]] += S[i, j]
        top += m
    return own, outer, by_kind
