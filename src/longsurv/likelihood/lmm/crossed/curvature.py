"""Derivatives of a mixed model with several groupings in its variances, without a dense V.

V = sum_r eta_r V_r, with eta the free elements of each D_t and, last, sigma^2. For the first ones

    Z_t'V^-1 Z_s and H_t = Z_t'V^-1 W

give all products: Z'V^-1 Z of the patients is block-diagonal but for -J B J', of the rank of the
other effects U, Z'V^-1 U is J (I - B S), U'V^-1 U is (I - S B) S (see `sums`). Those of sigma^2
follow, as sigma^2 I = V - sum_r eta_r V_r.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from longsurv.likelihood.lmm.crossed.data import CrossedData, CrossedState
from longsurv.likelihood.lmm.crossed.sums import of_patients, touched_products
from longsurv.likelihood.lmm.curvature import VarianceCurvature, assembled

DENSE = 500
"""Rows up to which V is inverted as it stands. Differences of large numbers cost digits where a
variance grows without end, as one does that the data do not determine."""

type Pairs = list[tuple[int, int]]


def crossed_curvature(
    data: CrossedData,
    state: CrossedState,
    elements: Sequence[tuple[np.ndarray, np.ndarray]],
    D: Sequence[np.ndarray],
    sigma2: float,
    gamma: np.ndarray,
    reml: bool,
) -> VarianceCurvature:
    """Curvature at a point, in the kernel's columns.

    Parameters
    ----------
    data : CrossedData
    state : CrossedState
        There.
    elements : sequence of (rows, columns)
        Free elements of each D.
    D : sequence of ndarray, shape (q_t, q_t)
    sigma2 : float
    gamma : ndarray, shape (p,)
        Coefficients in orthonormal coordinates.
    reml : bool
        Whether `observed` is of the restricted likelihood.
    """
    k = data.W.shape[1]
    # The last column of W becomes the residual y - X b.
    to_residual = np.eye(k)
    to_residual[:-1, -1] = -gamma
    if data.nobs <= DENSE:
        return assembled(*_written_out(data, elements, D, sigma2, to_residual), reml)
    P, Q, trace, first_trace = _of_effects(_Products.at(data, state, to_residual), elements)
    T = to_residual.T @ state.T @ to_residual
    share = np.concatenate([Dt[free] for Dt, free in zip(D, elements, strict=True)]) / sigma2
    P, Q, trace = _with_residual(T, P, Q, trace, first_trace, share, data.nobs)
    return assembled(T / sigma2, P / sigma2**2, Q / sigma2**3, trace / sigma2**2, reml)


def _written_out(
    data: CrossedData,
    elements: Sequence[tuple[np.ndarray, np.ndarray]],
    D: Sequence[np.ndarray],
    sigma2: float,
    turn: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """W'V^-1 W and the three sums of `assembled`, from matrices of all rows."""
    W = data.W @ turn
    n, slopes = len(W), []
    V = sigma2 * np.eye(n)
    for (Z, group), (rows, columns), Dt in zip(data.terms, elements, D, strict=True):
        same = group[:, None] == group
        V += same * (Z @ Dt @ Z.T)
        for a, b in zip(rows, columns, strict=True):
            product = np.outer(Z[:, a], Z[:, b])
            slopes.append(same * (product if a == b else product + product.T))
    V_inverse, of = np.linalg.inv(V), np.array([*slopes, np.eye(n)])
    H = V_inverse @ W
    Y, A = of @ H, V_inverse @ of
    Q = np.einsum("rnj,snk->rsjk", Y, V_inverse @ Y, optimize=True)
    trace = A.reshape(len(A), -1) @ np.swapaxes(A, 1, 2).reshape(len(A), -1).T
    return W.T @ H, -np.swapaxes(Y, 1, 2) @ H, Q, trace


@dataclass(frozen=True, eq=False)
class _Products:
    """Of the patients' columns Z and all other columns U, with V over sigma^2.

    Attributes
    ----------
    terms : list of ndarray of int, shape (groups, q_t)
        Columns of U of each other term.
    own, shared : ndarray, shape (N, q, q)
        Z'V^-1 Z is their difference on the diagonal.
    H : ndarray, shape (N, q, k)
        Z'V^-1 W.
    JJ, HJ : ndarray, shapes (q, q, m, m) and (q, q, k, m)
        Sums over patients of J'J and H'J by pair of effects.
    B, left : ndarray, shape (m, m)
        As of `CrossedState`.
    N, HU : ndarray, shapes (m, m) and (m, k)
        U'V^-1 U and U'V^-1 W.
    """

    terms: list[np.ndarray]
    own: np.ndarray
    shared: np.ndarray
    H: np.ndarray
    JJ: np.ndarray
    HJ: np.ndarray
    B: np.ndarray
    left: np.ndarray
    N: np.ndarray
    HU: np.ndarray

    @classmethod
    def at(cls, data: CrossedData, state: CrossedState, turn: np.ndarray) -> _Products:
        """With W @ turn in place of W."""
        J, own, shared, H = of_patients(state.G, state.B, state.B @ state.SW, *data.sums)
        H = np.ascontiguousarray(H @ turn)
        JJ, HJ = touched_products(J, H, data.first, data.touched, len(state.S))
        terms = [data.of_term(t) for t in range(1, len(data.blocks))]
        N, HU = state.left @ state.S, state.left @ state.SW @ turn
        return cls(terms, own, shared, H, JJ, HJ, state.B, state.left, N, HU)


def _of_effects(
    x: _Products, elements: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """-W'V^-1 V_r V^-1 W, W'V^-1 V_r V^-1 V_s V^-1 W, tr(V^-1 V_r V^-1 V_s) and tr(V^-1 V_r) in the
    elements of every D."""
    own = [_both(a, b) for a, b in zip(*elements[0], strict=True)]
    rest = [
        (at, _both(a, b))
        for at, (rows, columns) in zip(x.terms, elements[1:], strict=True)
        for a, b in zip(rows, columns, strict=True)
    ]
    r, s, k = len(own), len(rest), x.H.shape[2]
    P, Q, trace = np.empty((r + s, k, k)), np.empty((r + s, r + s, k, k)), np.empty((r + s, r + s))
    single = np.empty(r + s)
    # Of the patients: V_r = Z E_r Z'.
    crossing = [sum(x.JJ[a, b] for a, b in pairs) for pairs in own]
    along = [sum(x.HJ[a, b] for a, b in pairs) for pairs in own]
    N1 = x.own - x.shared
    for i, pairs in enumerate(own):
        P[i] = -sum(x.H[:, a].T @ x.H[:, b] for a, b in pairs)
        single[i] = sum(N1[:, a, b].sum() for a, b in pairs)
        through = crossing[i] @ x.B
        for j, others in enumerate(own[: i + 1]):
            Q[i, j] = _middle(x, pairs, others) - along[i] @ x.B @ along[j].T
            Q[j, i] = Q[i, j].T
            blocks = sum(
                (
                    x.own[:, d, a] * x.own[:, b, c]
                    - x.own[:, d, a] * x.shared[:, b, c]
                    - x.shared[:, d, a] * x.own[:, b, c]
                ).sum()
                for (a, b), (c, d) in _both_pairs(pairs, others)
            )
            trace[i, j] = trace[j, i] = blocks + np.vdot(through.T, crossing[j] @ x.B)
        between = x.left @ crossing[i] @ x.left.T
        for j, (at, others) in enumerate(rest, r):
            Q[i, j] = along[i] @ x.left.T @ _chosen(x.HU, at, others)
            Q[j, i] = Q[i, j].T
            value = sum(between[at[:, d], at[:, c]].sum() for c, d in others)
            trace[i, j] = trace[j, i] = value
    for i, (at, pairs) in enumerate(rest, r):
        P[i] = -sum(x.HU[at[:, a]].T @ x.HU[at[:, b]] for a, b in pairs)
        single[i] = sum(x.N[at[:, a], at[:, b]].sum() for a, b in pairs)
        mine = _chosen(x.HU, at, pairs)
        for j, (to, others) in enumerate(rest[: i - r + 1], r):
            Q[i, j] = mine.T @ x.N @ _chosen(x.HU, to, others)
            Q[j, i] = Q[i, j].T
            trace[i, j] = trace[j, i] = sum(
                np.vdot(x.N[np.ix_(at[:, b], to[:, c])], x.N[np.ix_(at[:, a], to[:, d])])
                for (a, b), (c, d) in _both_pairs(pairs, others)
            )
    return P, Q, trace, single


def _both(a: int, b: int) -> Pairs:
    """Where the matrix of derivatives of D in its element (a, b) is 1."""
    return [(a, b)] if a == b else [(a, b), (b, a)]


def _both_pairs(pairs: Pairs, others: Pairs) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    return ((one, other) for one in pairs for other in others)


def _middle(x: _Products, pairs: Pairs, others: Pairs) -> np.ndarray:
    """Sum over patients of H'E_r (Z'V1^-1 Z) E_s H."""
    return np.sum(
        [
            (x.H[:, a] * x.own[:, b, c, None]).T @ x.H[:, d]
            for (a, b), (c, d) in _both_pairs(pairs, others)
        ],
        axis=0,
    )


def _chosen(HU: np.ndarray, at: np.ndarray, pairs: Pairs) -> np.ndarray:
    """E HU, with E the derivative of the covariance of all of U in an element of one term's D."""
    out = np.zeros(HU.shape)
    for a, b in pairs:
        out[at[:, a]] += HU[at[:, b]]
    return out


def _with_residual(
    T: np.ndarray,
    P: np.ndarray,
    Q: np.ndarray,
    trace: np.ndarray,
    single: np.ndarray,
    share: np.ndarray,
    nobs: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same with sigma^2 after the rest: I = V / sigma^2 - sum_r share_r V_r."""
    m, k = P.shape[:2]
    P_all, Q_all = np.empty((m + 1, k, k)), np.empty((m + 1, m + 1, k, k))
    traces = np.empty((m + 1, m + 1))
    P_all[:m], Q_all[:m, :m], traces[:m, :m] = P, Q, trace
    P_all[m] = -T - np.tensordot(share, P, axes=1)
    Q_all[:m, m] = -P - np.einsum("s,rsjk->rjk", share, Q)
    Q_all[m, :m] = np.swapaxes(Q_all[:m, m], 1, 2)
    Q_all[m, m] = -P_all[m] - np.tensordot(share, Q_all[:m, m], axes=1)
    traces[:m, m] = traces[m, :m] = single - trace @ share
    traces[m, m] = nobs - share @ single - share @ traces[:m, m]
    return P_all, Q_all, traces
