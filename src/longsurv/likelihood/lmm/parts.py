"""The sums over patients of a large cohort, part by part.

Patients are independent, so a likelihood of many is a sum over parts of them that know nothing of
each other. A part answers with `PartSums`, a few small matrices, whether it is computed by a thread
or on another machine. Parts are added in their order, and are the same however many compute them,
so that their number changes no bit of the sum.

For C of shape (k, m), the sum over patients of (H C)(H C)' is one over the products of the elements
of H with each other. So one pass over the patients does, and no H is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
from numba import njit

from longsurv.likelihood.lmm.curvature import CurvatureSums, curvature_sums
from longsurv.likelihood.lmm.sums import LANES, by_patient, patient_sums

PART = 65_536
"""Patients of a part, a multiple of `LANES`."""
PIECE = 64
"""Blocks whose H stay in the cache."""


@dataclass(frozen=True)
class PartSums:
    """Sums over the patients of a part at a relative covariance factor lam, shape (q, q).

    Attributes
    ----------
    log_det : float
        log |V / sigma^2|.
    T : ndarray, shape (k, k)
        W' (V / sigma^2)^-1 W - W'W.
    G : ndarray, shape (q, q)
        Sum of Z' (V / sigma^2)^-1 Z.
    products : ndarray, shape (q, k, q, k)
        Sum of the products of H = Z' (V / sigma^2)^-1 W with itself.
    """

    log_det: float
    T: np.ndarray
    G: np.ndarray
    products: np.ndarray

    def __add__(self, other: Self) -> Self:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return type(self)(*(a + b for a, b in pairs))

    def outer(self, C: np.ndarray) -> np.ndarray:
        """Sum over patients of (H C)(H C)', shape (q, q), for C of shape (k, m)."""
        return np.einsum("ajbl,jl->ab", self.products, C @ C.T)


class SummedPart(Protocol):
    """Some of the patients, wherever their arrays are."""

    def sums(self, lam: np.ndarray) -> PartSums:
        """At a relative covariance factor, shape (q, q)."""

    def curvature(self, lam: np.ndarray, sigma2: float, gamma: np.ndarray) -> CurvatureSums:
        """See `longsurv.likelihood.lmm.curvature`."""


@dataclass(frozen=True, eq=False)
class PartArrays:
    """A part whose arrays are at hand.

    Attributes
    ----------
    ztz, ztw : ndarray, shapes (blocks, q, q, LANES) and (blocks, q, k, LANES)
    count : int
        Patients, those that fill the last block not counted.
    """

    ztz: np.ndarray
    ztw: np.ndarray
    count: int

    def sums(self, lam: np.ndarray) -> PartSums:
        """At a relative covariance factor, shape (q, q)."""
        log_det, T, G, products = _part_sums(lam, self.ztz, self.ztw)
        q, k = self.ztw.shape[1:3]
        return PartSums(log_det, T, G, products.reshape(q, k, q, k))

    def curvature(self, lam: np.ndarray, sigma2: float, gamma: np.ndarray) -> CurvatureSums:
        """See `longsurv.likelihood.lmm.curvature`; in pieces, as it takes room by patient."""
        return added(
            curvature_sums(lam, sigma2, gamma, by_patient(A, count), by_patient(B, count))
            for A, B, count in _pieces(self, 4 * PIECE)
        )


def parts_of(blocks: tuple[np.ndarray, np.ndarray], patients: int) -> tuple[PartArrays, ...]:
    """The parts of statistics laid out in blocks: views, no copies."""
    whole = PartArrays(*blocks, patients)
    return tuple(PartArrays(*piece) for piece in _pieces(whole, PART // LANES))


def _pieces(of: PartArrays, blocks: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    for start in range(0, len(of.ztz), blocks):
        at = slice(start, start + blocks)
        count = min(blocks * LANES, of.count - start * LANES)
        yield of.ztz[at], of.ztw[at], count


class Summed(Protocol):
    """Sums that can be added to others of their kind."""

    def __add__(self, other: Self) -> Self:
        """The sums of both."""


def added[S: Summed](sums: Iterable[S]) -> S:
    """The sum over all parts, in their order."""
    first, *others = sums
    for more in others:
        first = first + more
    return first


@njit(cache=True, nogil=True, error_model="numpy")
def _part_sums(lam, ztz, ztw):
    blocks, q, k, _ = ztw.shape
    nothing = np.zeros((k, k))
    T, G = np.zeros((k, k)), np.zeros((q, q))
    squares = np.zeros((q * k, q * k, LANES))
    log_det = 0.0
    for start in range(0, blocks, PIECE):
        end = min(start + PIECE, blocks)
        more, T_piece, G_piece, H = patient_sums(lam, ztz[start:end], ztw[start:end], nothing)
        log_det += more
        for a in range(k):
            for b in range(k):
                T[a, b] += T_piece[a, b]
        for a in range(q):
            for b in range(q):
                G[a, b] += G_piece[a, b]
        rows = H.reshape(end - start, q * k, LANES)
        for n in range(end - start):
            for a in range(q * k):
                for b in range(a + 1):
                    for i in range(LANES):
                        squares[a, b, i] += rows[n, a, i] * rows[n, b, i]
    products = np.empty((q * k, q * k))
    for a in range(q * k):
        for b in range(a + 1):
            s = 0.0
            for i in range(LANES):
                s += squares[a, b, i]
            products[a, b] = products[b, a] = s
    return log_det, T, G, products
