"""Derivatives of the mixed model with correlated residuals in its variance parameters.

eta holds the free elements of each D_t, row by row below the diagonal (V is linear in those), then
the parameters of the residual covariance as `Structure.covariance_parameters` takes them. Where V
is not linear in the latter, its second derivatives matter: to the observed information, and to
Kenward and Roger's adjusted covariance (their R_rs; Biometrics 53:983-997, 1997, equation 3 ff.).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.likelihood.lmm.blocks import free_elements
from longsurv.likelihood.lmm.curvature import VarianceCurvature
from longsurv.likelihood.lmm.dense.clusters import Batch, batches
from longsurv.likelihood.lmm.dense.loglik import DenseData
from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.likelihood.residuals.correlation import complex_step


def dense_curvature(
    data: DenseData,
    D: Sequence[np.ndarray],
    eta: np.ndarray,
    gamma: np.ndarray,
    reml: bool,
) -> VarianceCurvature:
    """Curvature at covariances D of each term and residual parameters eta, in the kernel's columns.

    Its R is zero where V is linear.

    Parameters
    ----------
    data : DenseData
    D : sequence of ndarray, shape (q_t, q_t)
    eta : ndarray
        Of the residual covariance, as `Structure.covariance_parameters` gives them.
    gamma : ndarray, shape (p,)
        Coefficients in orthonormal coordinates.
    reml : bool
        Whether `observed` is of the restricted likelihood.
    """
    structure, p, k = data.structure, data.p, data.p + 1
    to_residual = np.eye(k)
    to_residual[:p, p] = -gamma
    W = data.W @ to_residual
    value = structure.covariance(eta)
    first = complex_step(structure.covariance, eta)
    elements = [free_elements(blocks) for blocks in data.blocks]
    m = sum(len(rows) for rows, _ in elements) + len(eta)
    information = np.zeros((k, k))
    P, Q, trace = np.zeros((m, k, k)), np.zeros((m, m, k, k)), np.zeros((m, m))
    weight = np.zeros(len(value))
    squares = np.zeros((len(value), k, k))
    for batch in batches(data, width=m):
        V_inverse = np.linalg.inv(batch.covariance(D, value))
        Wg = W[batch.index]
        H = V_inverse @ Wg
        slopes = _slopes(batch, elements, first)
        Y = slopes @ H
        information += np.tensordot(Wg, H, axes=((0, 1), (0, 1)))
        P -= np.einsum("gnj,rgnk->rjk", H, Y, optimize=True)
        Q += np.einsum("rgnj,sgnk->rsjk", Y, V_inverse @ Y, optimize=True)
        A = V_inverse @ slopes
        trace += A.reshape(m, -1) @ np.swapaxes(A, -1, -2).reshape(m, -1).T
        if not structure.linear:
            known = batch.kind >= 0
            g, i, j = np.nonzero(known)
            kind = batch.kind[known]
            weight += np.bincount(kind, V_inverse[known], len(weight))
            for a in range(k):
                for b in range(k):
                    squares[:, a, b] += np.bincount(kind, H[g, i, a] * H[g, j, b], len(weight))
    R, bend = np.zeros((m, m, k, k)), np.zeros((m, m))
    if not structure.linear:
        second = second_derivatives(structure, eta)
        tail = slice(m - len(eta), m)
        R[tail, tail] = np.tensordot(second, squares, axes=1)
        bend[tail, tail] = second @ weight
    phi = np.linalg.inv(information[:p, :p])
    PX, QX, RX = P[:, :p, :p], Q[:, :, :p, :p], R[:, :, :p, :p]
    phi_P = phi @ PX
    projected = (
        trace - 2.0 * np.einsum("jk,rskj->rs", phi, QX) + np.einsum("rjk,skj->rs", phi_P, phi_P)
    )
    slope = P[:, :p, p]
    quad = Q[:, :, p, p] - np.einsum("rj,jk,sk->rs", slope, phi, slope) - 0.5 * R[:, :, p, p]
    if reml:
        bend = bend - np.einsum("jk,rskj->rs", phi, RX)
    observed = quad - 0.5 * (projected if reml else trace) + 0.5 * bend
    return VarianceCurvature(
        phi, PX, QX, 0.5 * projected, observed, 0.5 * np.diag(trace), slope @ phi, RX
    )


def _slopes(
    batch: Batch, elements: Sequence[tuple[np.ndarray, np.ndarray]], first: np.ndarray
) -> np.ndarray:
    """dV / d eta_r of each cluster of a batch, shape (m, g, n, n)."""
    parts = []
    for t, (rows, columns) in enumerate(elements):
        Z, same = batch.columns(t), batch.same(t)
        for a, b in zip(rows, columns, strict=True):
            product = Z[:, :, None, a] * Z[:, None, :, b]
            parts.append(same * (product if a == b else product + np.swapaxes(product, 1, 2)))
    return np.concatenate([np.array(parts).reshape(-1, *batch.kind.shape), batch.residual(first)])


def second_derivatives(structure: Structure, eta: np.ndarray) -> np.ndarray:
    """Of the residual covariance of each kind of pair, shape (m, m, K), by central differences."""
    out = []
    for s in range(len(eta)):
        step = np.zeros(len(eta))
        step[s] = 1e-4 * max(abs(eta[s]), 1e-3)
        near = complex_step(structure.covariance, eta + step) - complex_step(
            structure.covariance, eta - step
        )
        far = complex_step(structure.covariance, eta + 2 * step) - complex_step(
            structure.covariance, eta - 2 * step
        )
        out.append((8.0 * near - far) / (12.0 * step[s]))
    second = np.array(out)
    return 0.5 * (second + np.swapaxes(second, 0, 1))
