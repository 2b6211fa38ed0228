"""How far random effects are shrunk: the square root that their variance needs, compiled."""

from __future__ import annotations

import math

from numba import njit

from longsurv.likelihood.arithmetic.covariance import lower_cholesky


# Inlined: a call for every patient costs a sixth of a crossed fit.
@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def shrunken_root(A, lam, M, L, work, root, out):
    """Factor lam (I + lam'A lam)^-1 lam' as root root', with root = lam L'^-1.

    Parameters
    ----------
    A, lam : ndarray, shape (q, q)
        Z'Z, and the relative covariance factor, lower triangular.
    M, L, work : ndarray, shape (q, q)
        Room to work in; L, zero above its diagonal, becomes the factor of I + lam'A lam.
    root, out : ndarray, shape (q, q)
        Become the root, and its product with its transpose.

    Returns
    -------
    float
        log det(I + lam'A lam).
    """
    q = lam.shape[0]
    for a in range(q):
        for b in range(q):
            value = 0.0
            for c in range(b, q):
                value += A[a, c] * lam[c, b]
            work[a, b] = value
    for a in range(q):
        for b in range(a + 1):
            value = 1.0 if a == b else 0.0
            for c in range(a, q):
                value += lam[c, a] * work[c, b]
            M[a, b] = value
    lower_cholesky(M, L)
    log_det = 0.0
    for b in range(q):
        log_det += 2.0 * math.log(L[b, b])
        for a in range(q):
            value = lam[a, b]
            for c in range(b):
                value -= root[a, c] * L[b, c]
            root[a, b] = value / L[b, b]
    for a in range(q):
        for b in range(q):
            value = 0.0
            for c in range(q):
                value += root[a, c] * root[b, c]
            out[a, b] = value
    return log_det
