"""What a mixed model with several groupings says of each group, and of rows given the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import lower_cholesky
from longsurv.likelihood.lmm.crossed.data import CrossedData, CrossedState, factored
from longsurv.likelihood.lmm.crossed.sums import of_patients
from longsurv.likelihood.lmm.kernel import Point
from longsurv.likelihood.lmm.loglik import LOG_2PI

CHUNK = 8_000_000
"""Numbers of a matrix of rows and effects held at a time."""


@dataclass(frozen=True, eq=False)
class Given:
    """Effects of the kernel's columns given all rows and beta; covariances are over sigma^2.

    Attributes
    ----------
    state : CrossedState
        Its B is the covariance of all effects but the patients'.
    rest : ndarray, shape (m,)
        Their mean.
    mean, cov : ndarray, shapes (N, q) and (N, q, q)
        Of the patients' effects.
    """

    state: CrossedState
    rest: np.ndarray
    mean: np.ndarray
    cov: np.ndarray


def given(data: CrossedData, lams: Sequence[np.ndarray], u: np.ndarray) -> Given:
    """The effects at relative covariance factors, for residuals W u."""
    state = factored(data, lams)
    D = lams[0] @ lams[0].T
    _, _, shared, H = of_patients(state.G, state.B, state.B @ state.SW, *data.sums)
    # G = D (I - Z'Z G), so that what the other effects' uncertainty adds is D J B J' D.
    return Given(state, state.B @ (state.SW @ u), (H @ u) @ D, state.G + D @ shared @ D)


@dataclass(frozen=True, eq=False)
class _Places:
    """Rows to say something of, in the kernel's own columns.

    Attributes
    ----------
    known : ndarray of bool, shape (m,)
        Whether the patient was seen.
    own : ndarray, shape (m, q)
    patient : ndarray of int, shape (m,)
        0 where it was not.
    others : list of (ndarray (m, q_t), ndarray of int (m,))
        Columns and group of the other terms.
    """

    known: np.ndarray
    own: np.ndarray
    patient: np.ndarray
    others: list[tuple[np.ndarray, np.ndarray]]

    def weights(self, data: CrossedData, chosen: slice) -> np.ndarray:
        """Of the effects of U in some of the rows, shape (rows, all effects of U)."""
        count = len(self.own[chosen])
        out = np.zeros((count, data.starts[-1]))
        for t, (values, group) in enumerate(self.others, 1):
            seen = np.flatnonzero(group[chosen] >= 0)
            out[seen[:, None], data.of_term(t)[group[chosen][seen]]] = values[chosen][seen]
        return out

    def through_patients(
        self, data: CrossedData, state: CrossedState, chosen: slice, weights: np.ndarray
    ) -> np.ndarray:
        """Take away what the patients' own rows tell of the effects of U (`weights`, in place).

        The patient's part of the mean per column of W, z'G Z'W, shape (rows, k).
        """
        known = np.flatnonzero(self.known[chosen])
        patient, z = self.patient[chosen][known], self.own[chosen][known]
        of_patient = np.einsum("ia,iab->ib", z, state.G[patient])
        sizes = data.first[patient + 1] - data.first[patient]
        rows = np.repeat(np.arange(len(known)), sizes)
        at = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at += np.repeat(data.first[patient], sizes)
        weights[known[rows], data.touched[at]] -= np.einsum(
            "ea,ea->e", of_patient[rows], data.ztu[at]
        )
        part = np.zeros((len(weights), data.ztw.shape[2]))
        part[known] = np.einsum("ia,iak->ik", of_patient, data.ztw[patient])
        return part


def _places(data: CrossedData, Z: Sequence[np.ndarray], group: Sequence[np.ndarray]) -> _Places:
    own = [z @ np.linalg.inv(basis) for z, basis in zip(Z, data.bases, strict=True)]
    known = group[0] >= 0
    others = list(zip(own[1:], group[1:], strict=True))
    return _Places(known, own[0], np.where(known, group[0], 0), others)


def predict_rows(
    data: CrossedData,
    point: Point,
    u: np.ndarray,
    Z: Sequence[np.ndarray],
    group: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The random part of rows given the data; as `MixedKernel.predict_rows`, with the coupling in
    orthonormal coordinates."""
    state, places = factored(data, point.lams), _places(data, Z, group)
    count, k = len(Z[0]), data.W.shape[1]
    of_w, variance = np.empty((count, k)), np.zeros(count)
    solved = state.B @ state.SW
    for chosen in _chunks(count, data.starts[-1]):
        weights = places.weights(data, chosen)
        part = places.through_patients(data, state, chosen, weights)
        of_w[chosen] = part + weights @ solved
        variance[chosen] = point.sigma**2 * ((weights @ state.half.T) ** 2).sum(axis=1)
    known, z = places.known, places.own
    G = state.G[places.patient[known]]
    variance[known] += point.sigma**2 * np.einsum("ia,iab,ib->i", z[known], G, z[known])
    variance += _unseen_variance(z, ~known, point.D[0])
    for (values, of), D in zip(places.others, point.D[1:], strict=True):
        variance += _unseen_variance(values, of < 0, D)
    return of_w @ u, variance, of_w[:, :-1]


def _unseen_variance(values: np.ndarray, unseen: np.ndarray, D: np.ndarray) -> np.ndarray:
    return np.where(unseen, np.einsum("ia,ab,ib->i", values, D, values), 0.0)


def _chunks(count: int, width: int) -> list[slice]:
    step = max(1, CHUNK // width)
    return [slice(start, start + step) for start in range(0, count, step)]


def draw_rows(
    data: CrossedData,
    point: Point,
    u: np.ndarray,
    Z: Sequence[np.ndarray],
    group: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """One draw of the random part of rows, those of one group sharing its effects, shape (m,)."""
    state, places = factored(data, point.lams), _places(data, Z, group)
    rest = state.B @ (state.SW @ u)
    rest += point.sigma * (state.half.T @ rng.standard_normal(len(rest)))
    # A patient's effects, those of U being known: mean G (Z'e - Z'U rest), covariance sigma^2 G.
    needed, back = np.unique(places.patient[places.known], return_inverse=True)
    score = data.ztw @ u
    patient = np.repeat(np.arange(len(score)), np.diff(data.first))
    np.subtract.at(score, patient, data.ztu * rest[data.touched, None])
    values, vectors = np.linalg.eigh(state.G[needed])
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    noise = point.sigma * rng.standard_normal((len(needed), score.shape[1]))
    own = np.einsum("nab,nb->na", state.G[needed], score[needed])
    own += np.einsum("nab,nb->na", roots, noise)
    out = np.zeros(len(Z[0]))
    out[places.known] = np.einsum("ia,ia->i", places.own[places.known], own[back])
    out += _unseen(places.own, np.where(places.known, 0, group[0]), point, 0, rng)
    for t, (values_t, of) in enumerate(places.others, 1):
        seen = of >= 0
        effects = rest[data.of_term(t)[of[seen]]]
        out[seen] += np.einsum("ia,ia->i", values_t[seen], effects)
        out += _unseen(values_t, of, point, t, rng)
    return out


def _unseen(
    values: np.ndarray, group: np.ndarray, point: Point, t: int, rng: np.random.Generator
) -> np.ndarray:
    """The part of groups that were not seen (below 0), drawn from their population."""
    out, unseen = np.zeros(len(values)), np.flatnonzero(group < 0)
    if len(unseen):
        which, half = -1 - group[unseen], point.sigma * point.lams[t]
        new = rng.standard_normal((int(which.max()) + 1, len(half))) @ half.T
        out[unseen] = np.einsum("ia,ia->i", values[unseen], new[which])
    return out


def left_out(data: CrossedData, state: CrossedState, u: np.ndarray, log_sigma: float) -> np.ndarray:
    """Log density of the rows of each patient given all others, shape (N,).

    With Omega = V^-1, that of rows i is normal with covariance Omega_ii^-1 about y_i - Omega_ii^-1
    (Omega e)_i (Buerkner, Gabry & Vehtari 2021, Comput Stat 36:1243-1261).
    """
    order = np.argsort(data.patient, kind="stable")
    begin = np.r_[0, np.cumsum(np.bincount(data.patient, minlength=len(data.ztz)))]
    log_dets, quads = _conditional(
        order, begin, data.W @ u, data.ztw @ u, state.B @ (state.SW @ u), state.B, state.G,
        data.Z, data.U, data.columns, *data.sums[2:],
    )  # fmt: skip
    rows = np.diff(begin)
    quads = quads * np.exp(-2.0 * log_sigma) - data.log_weights
    return -0.5 * (rows * (LOG_2PI + 2.0 * log_sigma) - log_dets + quads)


@njit(cache=True, nogil=True, error_model="numpy")
def _conditional(
    order, begin, e, score, rest, B, G, Z, U, columns, first, touched, ztu
):  # fmt: skip
    """log |Omega_ii| and the square of (Omega e)_i in Omega_ii^-1, with V over sigma^2."""
    patients, q = score.shape
    log_dets, quads = np.empty(patients), np.empty(patients)
    place = np.zeros(B.shape[0], dtype=np.int64)
    for i in range(patients):
        n, size = begin[i + 1] - begin[i], first[i + 1] - first[i]
        cols = touched[first[i] : first[i + 1]]
        for f in range(size):
            place[cols[f]] = f
        # A = V1^-1 U of these rows, in the columns they touch; Omega = V1^-1 - A B A'.
        A, inner, omega_e = np.zeros((n, size)), np.empty((size, size)), np.empty(n)
        Omega, L = np.empty((n, n)), np.zeros((n, n))
        for f in range(size):
            for g in range(size):
                inner[f, g] = B[cols[f], cols[g]]
        for r in range(n):
            row = order[begin[i] + r]
            omega_e[r] = e[row]
            for c in range(U.shape[1]):
                A[r, place[columns[row, c]]] += U[row, c]
            for a in range(q):
                zg = 0.0
                for b in range(q):
                    zg += Z[row, b] * G[i, b, a]
                omega_e[r] -= zg * score[i, a]
                for f in range(size):
                    A[r, f] -= zg * ztu[first[i] + f, a]
            for f in range(size):
                omega_e[r] -= A[r, f] * rest[cols[f]]
        AB = A @ inner
        for r in range(n):
            row = order[begin[i] + r]
            for s in range(r + 1):
                other = order[begin[i] + s]
                value = 1.0 if r == s else 0.0
                for a in range(q):
                    for b in range(q):
                        value -= Z[row, a] * G[i, a, b] * Z[other, b]
                for f in range(size):
                    value -= AB[r, f] * A[s, f]
                Omega[r, s] = Omega[s, r] = value
        lower_cholesky(Omega, L)
        log_det = quad = 0.0
        for r in range(n):
            value = omega_e[r]
            for s in range(r):
                value -= L[r, s] * omega_e[s]
            omega_e[r] = value / L[r, r]
            quad += omega_e[r] ** 2
            log_det += 2.0 * math.log(L[r, r])
        log_dets[i], quads[i] = log_det, quad
    return log_dets, quads
