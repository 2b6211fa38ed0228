"""What a mixed model with nested groups says of each group: random effects and predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.likelihood.lmm.dense.clusters import batches
from longsurv.likelihood.lmm.dense.loglik import DenseData
from longsurv.likelihood.lmm.kernel import Effects


def group_effects(
    data: DenseData, D: Sequence[np.ndarray], by_kind: np.ndarray, gamma: np.ndarray
) -> list[Effects]:
    """Random effects of every group of each term, those of Z itself.

    Parameters
    ----------
    data : DenseData
    D : sequence of ndarray, shape (q_t, q_t)
        Covariances in the kernel's columns of Z.
    by_kind : ndarray, shape (K,)
        Residual covariance of each kind of pair.
    gamma : ndarray, shape (p,)
    """
    residual = data.W @ np.append(-gamma, 1.0)
    counts = [int(group.max()) + 1 for group in data.groups]
    score = [np.zeros((n, len(Dt))) for n, Dt in zip(counts, D, strict=True)]
    weight = [np.zeros((n, len(Dt), len(Dt))) for n, Dt in zip(counts, D, strict=True)]
    for batch in batches(data):
        V_inverse = np.linalg.inv(batch.covariance(D, by_kind))
        e = np.einsum("gij,gj->gi", V_inverse, residual[batch.index])
        for t in range(len(D)):
            if not len(D[t]):
                continue
            Z, group = batch.columns(t), data.groups[t][batch.index]
            np.add.at(score[t], group, Z * e[:, :, None])
            own = np.einsum("gij,gjb->gib", V_inverse * batch.same(t), Z)
            np.add.at(weight[t], group, Z[:, :, :, None] * own[:, :, None, :])
    out = []
    for t, Dt in enumerate(D):
        back = np.linalg.inv(data.bases[t])
        mean = score[t] @ Dt @ back.T
        out.append(Effects(mean, back @ (Dt - Dt @ weight[t] @ Dt) @ back.T))
    return out


def predict_rows(
    data: DenseData,
    D: Sequence[np.ndarray],
    by_kind: np.ndarray,
    gamma: np.ndarray,
    Z: Sequence[np.ndarray],
    group: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The random part of new rows given the data (universal kriging without its fixed part).

    Parameters
    ----------
    data, D, by_kind, gamma
        As for `group_effects`.
    Z : sequence of ndarray, shape (m, q_t)
        Columns of the new rows, as the user has them.
    group : sequence of ndarray of int, shape (m,)
        Group of the new rows in each term; below 0 for one not seen.

    Returns
    -------
    mean, variance : ndarray, shape (m,)
        Given beta.
    coupling : ndarray, shape (m, p)
        How much the mean falls as gamma rises.
    """
    count, p = len(Z[0]), data.p
    scaled = [z @ np.linalg.inv(basis) for z, basis in zip(Z, data.bases, strict=True)]
    mean, coupling = np.zeros(count), np.zeros((count, p))
    variance = sum(np.einsum("ia,ab,ib->i", z, Dt, z) for z, Dt in zip(scaled, D, strict=True))
    u = np.append(-gamma, 1.0)
    for batch in batches(data):
        V = batch.covariance(D, by_kind)
        for g, rows in enumerate(batch.index):
            touched = np.zeros(count, dtype=bool)
            shared = np.zeros((count, len(rows)))
            for t, Dt in enumerate(D):
                if not len(Dt):
                    continue
                same = group[t][:, None] == data.groups[t][rows]
                shared += same * (scaled[t] @ Dt @ batch.columns(t)[g].T)
                touched |= same.any(axis=1)
            if touched.any():
                C = shared[touched]
                solved = np.linalg.solve(V[g], np.column_stack([data.W[rows], C.T]))
                mean[touched] += C @ solved[:, : p + 1] @ u
                coupling[touched] += C @ solved[:, :p]
                variance[touched] -= np.einsum("ij,ji->i", C, solved[:, p + 1 :])
    return mean, np.maximum(variance, 0.0), coupling
