"""Covariance matrices of whole clusters, for what is computed once a fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from longsurv.likelihood.lmm.dense.loglik import DenseData

CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class Batch:
    """Clusters of equal size n, side by side.

    Attributes
    ----------
    index : ndarray of int, shape (g, n)
        Sorted rows of each cluster.
    kind : ndarray of int, shape (g, n, n)
        Kind of each pair of rows; -1 for rows of two patients.
    data : DenseData
    """

    index: np.ndarray
    kind: np.ndarray
    data: DenseData

    def columns(self, t: int) -> np.ndarray:
        """Scaled columns of Z of term t, shape (g, n, q)."""
        widths = [sum(blocks) for blocks in self.data.blocks]
        start = sum(widths[1:t])
        Z = self.data.Z if t == 0 else self.data.Zo[:, start : start + widths[t]]
        return Z[self.index]

    def same(self, t: int) -> np.ndarray:
        """Whether two rows are of the same group of term t, shape (g, n, n)."""
        group = self.data.groups[t][self.index]
        return group[:, :, None] == group[:, None, :]

    def residual(self, by_kind: np.ndarray) -> np.ndarray:
        """Matrices (..., g, n, n) of the values by_kind (..., K) of pairs; 0 between patients."""
        return np.where(self.kind >= 0, by_kind[..., self.kind], 0.0)

    def covariance(self, D: Sequence[np.ndarray], by_kind: np.ndarray) -> np.ndarray:
        """V, shape (g, n, n), for covariances D of each term in scaled columns of Z."""
        V = self.residual(by_kind)
        for t, Dt in enumerate(D):
            if len(Dt):
                Z = self.columns(t)
                V += self.same(t) * (Z @ Dt @ np.swapaxes(Z, 1, 2))
        return V


def batches(data: DenseData, width: int = 1) -> Iterator[Batch]:
    """All clusters, in batches of which `width` matrices a cluster fit into memory."""
    _, rows, first_kind, _, clusters, _, _ = data.indices
    counts = np.diff(rows)
    patient = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(patient)) - rows[:-1][patient]
    begin = rows[clusters]
    sizes = np.diff(begin)
    for n in np.unique(sizes):
        chosen = np.flatnonzero(sizes == n)
        step = max(1, CHUNK // (int(n) ** 2 * width))
        for start in range(0, len(chosen), step):
            index = begin[chosen[start : start + step]][:, None] + np.arange(n)
            u, w = patient[index], within[index]
            at = first_kind[u][:, :, None] + w[:, :, None] * counts[u][:, :, None] + w[:, None, :]
            same = u[:, :, None] == u[:, None, :]
            kind = np.where(same, data.indices[0][np.where(same, at, 0)], -1)
            yield Batch(index, kind, data)


def largest_cluster(data: DenseData) -> int:
    """Rows of the largest cluster."""
    _, rows, _, _, clusters, _, _ = data.indices
    return int(np.diff(rows[clusters]).max())
