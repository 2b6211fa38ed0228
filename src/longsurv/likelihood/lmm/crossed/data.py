"""Arrays of a mixed model with several groupings, and V factored at a point.

    y = X beta + sum_t Z_t b_t + e,    b_tg ~ N(0, D_t) for each group g,    e ~ N(0, sigma^2 I)

The first term, the patients, has the most groups; its effects are eliminated group by group, those
of all others in one dense system (Bates et al. 2015, J Stat Softw 67(1), section 3, whose sparse
factor has just these two blocks when its factors are few).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood.lmm.crossed.sums import eliminated, row_sums
from longsurv.likelihood.lmm.dense.loglik import Term
from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.likelihood.lmm.statistics import random_basis, triangle
from longsurv.likelihood.residuals import CORRELATIONS


def independent() -> Structure:
    """Residuals of one variance: a row with itself is the only kind of pair."""
    zero = np.zeros(1, dtype=np.int64)
    return Structure(CORRELATIONS["independent"], False, np.zeros(1), zero, zero, 1, 1)


@dataclass(frozen=True, eq=False)
class CrossedData:
    """Sums over the rows, in orthonormal columns of X and the kernel's own of Z.

    Attributes
    ----------
    W : ndarray, shape (n, k)
        (Q, y - Q Q'y) with X = Q r; k = p + 1.
    Z : ndarray, shape (n, q)
        The patients' columns.
    U, columns : ndarray, shape (n, s)
        Values of each row in the columns of U that it touches, and which of the m those are.
    patient : ndarray of int, shape (n,)
    first : ndarray of int, shape (N + 1,)
        Where the touched columns of each patient begin.
    touched : ndarray of int
        Columns of U that each patient touches, ascending.
    ztz, ztw, ztu, utu, utw
        As `row_sums` returns them.
    cross : ndarray, shape (k, k)
        W'W.
    starts : tuple of int
        First column of U of each term but the first, and m.
    blocks, bases, scales, structure, r, beta_ols
        As for `DenseData`.
    log_weights : ndarray, shape (N,)
        As for `LMMData`.
    """

    W: np.ndarray
    Z: np.ndarray
    U: np.ndarray
    columns: np.ndarray
    patient: np.ndarray
    first: np.ndarray
    touched: np.ndarray
    ztz: np.ndarray
    ztw: np.ndarray
    ztu: np.ndarray
    utu: np.ndarray
    utw: np.ndarray
    cross: np.ndarray
    starts: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    bases: tuple[np.ndarray, ...]
    scales: tuple[np.ndarray, ...]
    r: np.ndarray
    beta_ols: np.ndarray
    log_weights: np.ndarray

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return len(self.W)

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return self.r.shape[0]

    @property
    def spread(self) -> float:
        """Root mean square of what least squares leaves."""
        return float(np.sqrt(self.cross[-1, -1] / self.nobs))

    @cached_property
    def structure(self) -> Structure:
        """Of independent residuals."""
        return independent()

    @property
    def sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """ztz, ztw, first, touched, ztu."""
        return self.ztz, self.ztw, self.first, self.touched, self.ztu

    def of_term(self, t: int) -> np.ndarray:
        """Columns of U of term t > 0, shape (groups, q_t)."""
        return np.arange(self.starts[t - 1], self.starts[t]).reshape(-1, sum(self.blocks[t]))

    @property
    def terms(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The kernel's columns (n, q_t) and the group (n,) of each row in each term."""
        out, at = [(self.Z, self.patient)], 0
        for start, blocks in zip(self.starts, self.blocks[1:], strict=False):
            q = sum(blocks)
            out.append((self.U[:, at : at + q], (self.columns[:, at] - start) // q))
            at += q
        return out

    @cached_property
    def tops(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Group of the last term of each patient (N,) and of each column of U (m,); None if some
        group of another term has rows in several, so that rows are not independent by them."""
        top = self.terms[-1][1]
        found = []
        for units in (self.patient[:, None], self.columns):
            of = np.full(int(units.max()) + 1, -1)
            for column in units.T:
                of[column] = top
            if any((of[column] != top).any() for column in units.T):
                return None
            found.append(of)
        return found[0], found[1]

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> Self:
        """The same of W @ turn, for turn of shape (k, k - 1)."""
        return replace(
            self,
            W=np.ascontiguousarray(self.W @ turn),
            ztw=self.ztw @ turn,
            utw=self.utw @ turn,
            cross=turn.T @ self.cross @ turn,
            r=r,
            beta_ols=beta_ols,
        )


def prepare(
    X: np.ndarray,
    y: np.ndarray,
    terms: Sequence[Term],
    *,
    orthogonal: bool = False,
    log_weights: np.ndarray | None = None,
) -> CrossedData:
    """Reduce the rows to sums.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank.
    y : ndarray, shape (n,)
    terms : sequence of Term
        The one with the most groups first; each has columns.
    orthogonal : bool
        Whether columns of a block of correlated effects are orthogonalised; scaled only by default.
    log_weights : ndarray, shape (n,), optional
        As for `lmm.prepare`.
    """
    r = triangle(X)
    Q = solve_triangular(r, X.T, trans="T", lower=False).T
    fit = Q.T @ y
    fit += Q.T @ (y - Q @ fit)
    W = np.ascontiguousarray(np.column_stack([Q, y - Q @ fit]))
    own, bases, scales = [], [], []
    for term in terms:
        basis, scale = random_basis(term.Z, term.blocks if orthogonal else None, term.to)
        own.append(np.ascontiguousarray(term.Z @ np.linalg.inv(basis)))
        bases.append(basis)
        scales.append(scale)
    patient = np.ascontiguousarray(terms[0].group, dtype=np.int64)
    starts, columns = [0], []
    for term in terms[1:]:
        q = term.Z.shape[1]
        columns.append(starts[-1] + term.group[:, None] * q + np.arange(q))
        starts.append(starts[-1] + (int(term.group.max()) + 1) * q)
    at = np.hstack(columns).astype(np.int64)
    U, m, patients = np.hstack(own[1:]), starts[-1], int(patient.max()) + 1
    keys, place = np.unique(patient[:, None] * m + at, return_inverse=True)
    place = np.ascontiguousarray(place.reshape(at.shape))
    ztz, ztw, ztu, utu, utw = row_sums(own[0], U, place, at, W, patient, patients, len(keys), m)
    return CrossedData(
        W=W,
        Z=own[0],
        U=U,
        columns=at,
        patient=patient,
        first=np.searchsorted(keys, np.arange(patients + 1) * m),
        touched=keys % m,
        ztz=ztz,
        ztw=ztw,
        ztu=ztu,
        utu=utu,
        utw=utw,
        cross=W.T @ W,
        starts=tuple(starts),
        blocks=tuple(t.blocks for t in terms),
        bases=tuple(bases),
        scales=tuple(scales),
        r=r,
        beta_ols=solve_triangular(r, fit, lower=False),
        log_weights=np.zeros(patients)
        if log_weights is None
        else np.bincount(patient, log_weights, patients),
    )


@dataclass(frozen=True, eq=False)
class CrossedState:
    """V0 = V / sigma^2 factored: V1 of the patients, K = I + Lam_o' S Lam_o of all others.

    Attributes
    ----------
    log_dets : ndarray, shape (N,)
        Of V1 over the weights, patient by patient.
    root : ndarray, shape (m, m)
        Lower triangle, K = root root'.
    half : ndarray, shape (m, m)
        root^-1 Lam_o'.
    B : ndarray, shape (m, m)
        half' half: covariance over sigma^2 of the effects of U given all rows.
    G : ndarray, shape (N, q, q)
        The same of each patient's effects, those of U being known.
    S, SW : ndarray, shapes (m, m) and (m, k)
        U'V1^-1 U and U'V1^-1 W.
    T : ndarray, shape (k, k)
        W'V0^-1 W.
    """

    log_dets: np.ndarray
    root: np.ndarray
    half: np.ndarray
    B: np.ndarray
    G: np.ndarray
    S: np.ndarray
    SW: np.ndarray
    T: np.ndarray

    @property
    def log_det(self) -> float:
        """log |V0|."""
        return float(self.log_dets.sum() + 2.0 * np.log(np.diag(self.root)).sum())

    @cached_property
    def left(self) -> np.ndarray:
        """I - S B, shape (m, m): U'V0^-1 is this times U'V1^-1."""
        return np.eye(len(self.S)) - self.S @ self.B


def factored(data: CrossedData, lams: Sequence[np.ndarray]) -> CrossedState:
    """V0 at the relative covariance factor of each term.

    Raises
    ------
    numpy.linalg.LinAlgError
        If K is not positive definite to working precision.
    """
    log_dets, T, SW, S, G = eliminated(
        np.ascontiguousarray(lams[0]), *data.sums, data.utu, data.utw, data.cross
    )
    m = len(S)
    scaled, factor = np.empty((m, m)), np.zeros((m, m))
    for t, lam in enumerate(lams[1:], 1):
        at = data.of_term(t)
        for a, b in zip(*np.nonzero(lam), strict=True):
            factor[at[:, a], at[:, b]] = lam[a, b]
        scaled[:, at] = S[:, at] @ lam
    root = np.linalg.cholesky(np.eye(m) + factor.T @ scaled)
    half = solve_triangular(root, factor.T, lower=True)
    explained = half @ SW
    log_dets -= data.log_weights
    return CrossedState(log_dets, root, half, half.T @ half, G, S, SW, T - explained.T @ explained)
