"""Sufficient statistics of each patient, in the kernel's own columns.

X is orthonormalised (X = Q R), y is replaced by its least-squares residual, and the columns of Z
are orthogonalised within each block of correlated effects and scaled to unit root mean square, so
that neither units nor the origin of time cost digits: with calendar years an intercept is the
patient's level two thousand years ago, and D all but singular. The model is the same in any columns
that span the same space; D = B^-1 D* B^-T where Z = Z* B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numba import njit
from scipy.linalg import solve_triangular

from longsurv.likelihood.lmm.sums import by_patient, in_blocks


@dataclass(frozen=True)
class LMMData:
    """Per-patient sufficient statistics.

    Attributes
    ----------
    blocks : tuple of ndarray
        Z'Z and Z'(Q, y - Q Q'y) of each patient, in the kernel's own columns of Z, laid out for
        `longsurv.likelihood.lmm.sums`.
    cross : ndarray, shape (p + 1, p + 1)
        Pooled cross products of (Q, y - Q Q'y).
    r : ndarray, shape (p, p)
        Upper triangle with X = Q r.
    beta_ols : ndarray, shape (p,)
        Least-squares coefficients.
    z_basis : ndarray, shape (q, q)
        Z is the kernel's columns times this B; the random effects b of Z are B b there.
    z_scale : ndarray, shape (q,)
        The SDs of `loglik` are of the effects of the kernel's columns over this.
    nobs : int
        Number of observations.
    log_weights : ndarray, shape (N,)
        Sum of the log weights of each patient's rows, which are those rows times the roots of their
        weights: |V| is that of these rows over the weights' product.
    """

    blocks: tuple[np.ndarray, np.ndarray]
    cross: np.ndarray
    r: np.ndarray
    beta_ols: np.ndarray
    z_basis: np.ndarray
    z_scale: np.ndarray
    nobs: int
    log_weights: np.ndarray

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return self.r.shape[0]

    @property
    def q(self) -> int:
        """Number of random effects a patient."""
        return len(self.z_basis)

    @property
    def patients(self) -> int:
        """Number of patients N."""
        return len(self.log_weights)

    @cached_property
    def ztz(self) -> np.ndarray:
        """Z'Z of each patient, in the kernel's own columns of Z, shape (N, q, q)."""
        return by_patient(self.blocks[0], self.patients)

    @cached_property
    def ztw(self) -> np.ndarray:
        """Z'(Q, y - Q Q'y) of each patient, shape (N, q, p + 1)."""
        return by_patient(self.blocks[1], self.patients)

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> Self:
        """The same with (Q, y - Q Q'y) @ turn in their place, for turn of shape (p + 1, p)."""
        cross = turn.T @ self.cross @ turn
        blocks = (self.blocks[0], in_blocks(self.ztw @ turn))
        return replace(self, blocks=blocks, cross=cross, r=r, beta_ols=beta_ols)

    @cached_property
    def log_weight(self) -> float:
        """Of all rows together."""
        return float(self.log_weights.sum())

    @cached_property
    def log_det_r(self) -> float:
        """log |det R|."""
        return float(np.log(np.abs(np.diag(self.r))).sum())


def prepare(
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    blocks: tuple[int, ...] | None = None,
    to: np.ndarray | None = None,
    log_weights: np.ndarray | None = None,
) -> LMMData:
    """Reduce the rows to sufficient statistics.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Fixed-effects design of full column rank.
    y : ndarray, shape (n,)
        Response.
    Z : ndarray, shape (n, q)
        Random-effects design.
    group : ndarray of int, shape (n,)
        Patient of each row, 0 to n_groups - 1; rows may be in any order.
    n_groups : int
        Number of patients.
    blocks : tuple of int, optional
        How many neighbouring columns of Z each block of correlated effects has; they are
        orthogonalised. By default columns are scaled only.
    to : ndarray, shape (q, q), optional
        Instead, the kernel's columns are those of Z to^-1, scaled: the SDs and correlations of
        `loglik` are of the effects `to` @ b.
    log_weights : ndarray, shape (n,), optional
        Log of each row's precision weight, by whose root X, y and Z were multiplied.

    Returns
    -------
    LMMData
    """
    r = triangle(X)
    W = _orthonormal(np.ascontiguousarray(X, dtype=float), r)
    Q = W[:, :-1]
    # A second pass removes what rounding left of the columns' dependence.
    fit = Q.T @ y
    fit += Q.T @ (y - Q @ fit)
    W[:, -1] = y - Q @ fit
    z_basis, z_scale = random_basis(Z, blocks, to)
    to_own = np.linalg.inv(z_basis)
    ztz, ztw = _patient_sums(np.ascontiguousarray(Z, dtype=float), to_own, W, group, n_groups)
    return LMMData(
        blocks=(in_blocks(ztz), in_blocks(ztw)),
        cross=W.T @ W,
        r=r,
        beta_ols=solve_triangular(r, fit, lower=False),
        z_basis=z_basis,
        z_scale=z_scale,
        nobs=len(y),
        log_weights=np.bincount(group, log_weights, n_groups)
        if log_weights is not None
        else np.zeros(n_groups),
    )


def random_basis(
    Z: np.ndarray,
    blocks: tuple[int, ...] | None = None,
    to: np.ndarray | None = None,
    rows: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """B, shape (q, q), for which the columns of Z B^-1 have unit root mean square; their scales.

    Z has shape (n, q), or is any matrix with the products Z'Z of so many `rows`. Within blocks, if
    given, those columns are also orthogonal and B an upper triangle; a block of dependent columns
    is scaled only. With `to`, they are those of Z to^-1.
    """
    rows = len(Z) if rows is None else rows
    columns = Z if to is None else Z @ np.linalg.inv(to)
    size = np.sqrt(np.diag(columns.T @ columns) / rows)
    basis = np.diag(np.where(size > 0.0, size, 1.0))
    if to is not None:
        return basis @ to, np.diag(basis).copy()
    start = 0
    for count in blocks or ():
        at, start = slice(start, start + count), start + count
        if count > 1 and (size[at] > 0.0).all():
            r = triangle(Z[:, at]) / math.sqrt(rows)
            if (np.diag(r) > 1e-13 * size[at]).all():
                basis[at, at] = r
    return basis, np.diag(basis).copy()


def triangle(X: np.ndarray) -> np.ndarray:
    """Upper triangle r with a positive diagonal for which the columns of X r^-1 are orthonormal,
    nearly if not to rounding.

    Nothing after it takes them for exactly so, and the root of X'X is the faster way to r; columns
    close to dependence need the other one.
    """
    products = X.T @ X
    size = np.sqrt(np.diag(products))
    scaled = products / np.outer(size, size)  # of full column rank, so no size is 0
    if np.linalg.eigvalsh(scaled).min(initial=1.0) > 1e-6:
        return np.linalg.cholesky(products).T
    r = np.linalg.qr(X, mode="r")
    return r * np.where(np.diag(r) < 0.0, -1.0, 1.0)[:, None]


@njit(cache=True, nogil=True, error_model="numpy")
def _orthonormal(X, r):
    """X r^-1, shape (n, p), and room for one more column."""
    n, p = X.shape
    W = np.empty((n, p + 1))
    for i in range(n):
        for j in range(p):
            s = X[i, j]
            for k in range(j):
                s -= W[i, k] * r[k, j]
            W[i, j] = s / r[j, j]
    return W


@njit(cache=True, nogil=True, error_model="numpy")
def _patient_sums(Z, to_own, W, group, n_groups):
    """Sums over patients of the products of the columns of Z @ to_own."""
    n, q = Z.shape
    k = W.shape[1]
    ztz = np.zeros((n_groups, q, q))
    ztw = np.zeros((n_groups, q, k))
    own = np.empty(q)
    for i in range(n):
        g = group[i]
        for a in range(q):
            s = 0.0
            for b in range(q):
                s += Z[i, b] * to_own[b, a]
            own[a] = s
        for a in range(q):
            z = own[a]
            for b in range(q):
                ztz[g, a, b] += z * own[b]
            for b in range(k):
                ztw[g, a, b] += z * W[i, b]
    return ztz, ztw
