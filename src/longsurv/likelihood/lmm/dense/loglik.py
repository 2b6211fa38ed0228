"""Marginal likelihood of the Gaussian mixed model with correlated residuals and nested groups.

    y_i = X_i beta + sum_t Z_it b_t(i) + e_i,    b_t ~ N(0, D_t),    e_i ~ N(0, sigma^2 R_i(psi))

i is a patient, b_t(i) the random effects of the patient's group in grouping t (the patient itself,
the site), R_i the structure of `longsurv.likelihood.lmm.dense.residual`. beta and sigma are
profiled out as in `longsurv.likelihood.lmm`, whose inner coordinates (orthonormal X, Z orthogonal
within blocks) are used here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.likelihood.lmm.dense.sums import adjoint, forward
from longsurv.likelihood.lmm.statistics import random_basis, triangle


@dataclass(frozen=True, eq=False)
class Term:
    """Random effects of one grouping.

    Attributes
    ----------
    Z : ndarray, shape (n, q)
    group : ndarray of int, shape (n,)
    blocks : tuple of int
        Sizes of the blocks of correlated effects.
    to : ndarray, shape (q, q), optional
        As for `lmm.prepare`.
    """

    Z: np.ndarray
    group: np.ndarray
    blocks: tuple[int, ...]
    to: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class DenseData:
    """Rows sorted by cluster and patient, and how they hang together.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
        The rows' positions before sorting.
    W : ndarray, shape (n, p + 1)
        (Q, y - Q Q'y) with X = Q r.
    Z, Zo : ndarray, shapes (n, q) and (n, qo)
        The kernel's columns of the patients' random effects, and of all outer groupings.
    indices : tuple of ndarray
        kind, rows, first_kind, slots, clusters, sizes, offsets of `lmm.dense.sums.forward`.
    groups : tuple of ndarray, each of shape (n,)
        Group of each sorted row in each term.
    blocks : tuple of tuple of int
        Blocks of each term, the patients' first (empty if they have no random effects).
    bases : tuple of ndarray
        Of each term B with (its columns) = (the kernel's columns) B.
    scales : tuple of ndarray
        As `LMMData.z_scale`, of each term.
    structure : Structure
        Of the residuals.
    r : ndarray, shape (p, p)
    beta_ols : ndarray, shape (p,)
    log_weights : ndarray, shape (C,)
        As for `LMMData`, of each cluster and those before it.
    """

    order: np.ndarray
    W: np.ndarray
    Z: np.ndarray
    Zo: np.ndarray
    indices: tuple[np.ndarray, ...]
    groups: tuple[np.ndarray, ...]
    blocks: tuple[tuple[int, ...], ...]
    bases: tuple[np.ndarray, ...]
    scales: tuple[np.ndarray, ...]
    structure: Structure
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
        return float(np.sqrt(np.mean(self.W[:, -1] ** 2)))

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> Self:
        """The same of W @ turn, for turn of shape (k, k - 1)."""
        return replace(self, W=np.ascontiguousarray(self.W @ turn), r=r, beta_ols=beta_ols)


def prepare(
    X: np.ndarray,
    y: np.ndarray,
    patient: np.ndarray,
    terms: Sequence[Term],
    structure: Structure,
    order: np.ndarray,
    kind: np.ndarray,
    *,
    orthogonal: bool = False,
    log_weights: np.ndarray | None = None,
) -> DenseData:
    """Sort the rows and index the groups.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank.
    y : ndarray, shape (n,)
    patient : ndarray of int, shape (n,)
    terms : sequence of Term
        The patients' own first (with no columns if they have none), then the groupings they are
        nested in, the finest first.
    structure : Structure
    order, kind
        Rows sorted by patient, and the kind of each ordered pair of a patient's rows in that order.
    orthogonal : bool
        Whether columns of a block of correlated effects are orthogonalised; scaled only by default.
    log_weights : ndarray, shape (n,), optional
        As for `lmm.prepare`.

    Returns
    -------
    DenseData
    """
    top = terms[-1].group
    # Patients in the order of their clusters; rows within a patient stay as in `order`.
    first = np.r_[True, np.diff(patient[order]) != 0]
    begin = np.flatnonzero(first)
    counts = np.diff(np.r_[begin, len(order)])
    sequence = (
        np.argsort(top[order[begin]], kind="stable") if len(terms) > 1 else np.arange(len(begin))
    )
    rows = np.concatenate([np.arange(begin[u], begin[u] + counts[u]) for u in sequence])
    pair_begin = np.cumsum(counts**2) - counts**2
    pairs = np.concatenate(
        [np.arange(pair_begin[u], pair_begin[u] + counts[u] ** 2) for u in sequence]
    )
    order, kind, counts = order[rows], kind[pairs], counts[sequence]
    starts = np.r_[0, np.cumsum(counts)]
    r = triangle(X)
    Q = solve_triangular(r, X.T, trans="T", lower=False).T
    fit = Q.T @ y
    fit += Q.T @ (y - Q @ fit)
    W = np.column_stack([Q, y - Q @ fit])[order]
    own, bases, scales = [], [], []
    for term in terms:
        basis, scale = random_basis(term.Z, term.blocks if orthogonal else None, term.to)
        own.append(np.ascontiguousarray((term.Z @ np.linalg.inv(basis))[order]))
        bases.append(basis)
        scales.append(scale)
    units = order[starts[:-1]]
    slots, clusters, sizes = _effects(
        [(t.group[units], t.Z.shape[1]) for t in terms[1:]], len(units)
    )
    added = np.zeros(len(y)) if log_weights is None else log_weights[order]
    return DenseData(
        order=order,
        W=np.ascontiguousarray(W),
        Z=own[0],
        Zo=np.ascontiguousarray(np.hstack([np.empty((len(y), 0)), *own[1:]])),
        indices=(
            kind.astype(np.int64),
            starts,
            np.r_[0, np.cumsum(counts**2)],
            slots,
            clusters,
            sizes,
            np.r_[0, np.cumsum(sizes**2)],
        ),
        groups=tuple(t.group[order] for t in terms),
        blocks=tuple(t.blocks for t in terms),
        bases=tuple(bases),
        scales=tuple(scales),
        structure=structure,
        r=r,
        beta_ols=solve_triangular(r, fit, lower=False),
        log_weights=np.cumsum(added)[starts[clusters[1:]] - 1],
    )


def _effects(
    outer: Sequence[tuple[np.ndarray, int]], n_units: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slots of the outer effects in their clusters, the clusters' first patients and sizes.

    outer has the group of each patient, sorted by the last grouping, and the number of columns.
    """
    if not outer:
        # Each patient is a cluster of its own.
        none = np.zeros((n_units, 0), dtype=np.int64)
        return none, np.arange(n_units + 1), np.zeros(n_units, dtype=np.int64)
    top = outer[-1][0]
    clusters = np.r_[np.flatnonzero(np.r_[True, np.diff(top) != 0]), n_units]
    slots = np.empty((n_units, sum(q for _, q in outer)), dtype=np.int64)
    sizes = np.zeros(len(clusters) - 1, dtype=np.int64)
    for c, (start, end) in enumerate(pairwise(clusters)):
        column = 0
        for group, q in outer:
            _, index = np.unique(group[start:end], return_inverse=True)
            for a in range(q):
                slots[start:end, column + a] = sizes[c] + index * q + a
            sizes[c] += (index.max() + 1) * q
            column += q
    return slots, clusters, sizes


@dataclass(frozen=True, eq=False)
class DenseState:
    """What `lmm.dense.sums.forward` found: running totals, T, and the rest for `adjoint`."""

    running: np.ndarray
    T: np.ndarray
    rest: tuple[np.ndarray, ...]

    @property
    def log_det(self) -> float:
        """log |V / sigma^2|."""
        return float(self.running[-1, 0])


def forward_state(data: DenseData, values: np.ndarray, factors: Sequence[np.ndarray]) -> DenseState:
    """Factor V / sigma^2 at values (K,) of the residual covariance and Lam of each term.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is not positive definite.
    """
    qo = data.Zo.shape[1]
    lam_outer, at = np.zeros((qo, qo)), 0
    for lam in factors[1:]:
        end = at + len(lam)
        lam_outer[at:end, at:end] = lam
        at = end
    definite, running, T, *rest = forward(
        values, np.ascontiguousarray(factors[0]), lam_outer, data.W, data.Z, data.Zo, *data.indices
    )
    if not definite:
        raise np.linalg.LinAlgError("V is not positive definite")
    running[:, 0] -= data.log_weights
    return DenseState(running, T, tuple(rest))


def pull(
    data: DenseData, spread: np.ndarray, n_kinds: int, state: DenseState
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums `lmm.dense.sums.adjoint` returns, for columns `spread` of shape (p + 1, r)."""
    return adjoint(np.ascontiguousarray(spread), n_kinds, data.Z, *data.indices, *state.rest)
