"""Variance parameters of a mixed model with independent blocks of random effects."""

from __future__ import annotations

import numpy as np

from longsurv.results.mixed import VarianceEstimate


def block_variances(
    names: tuple[str, ...],
    D: np.ndarray,
    sigma: float,
    elements: tuple[np.ndarray, np.ndarray],
    information: np.ndarray,
) -> VarianceEstimate:
    """sigma, standard deviations and the correlations within blocks.

    Parameters
    ----------
    names : tuple of str
    D : ndarray, shape (q, q)
        Covariance of the random effects.
    sigma : float
    elements : (rows, columns)
        The free elements of D's lower triangle.
    information : ndarray, shape (m, m)
        Observed information of those elements and sigma^2.
    """
    tau = np.sqrt(np.diag(D))
    with np.errstate(divide="ignore", invalid="ignore"):
        C = D / np.outer(tau, tau)
    rows, columns = elements
    below = rows > columns
    i, j = rows[below], columns[below]
    values = np.concatenate([[sigma], tau, np.clip(C[i, j], -1.0, 1.0)])
    on_boundary = (tau == 0).any() or np.linalg.eigvalsh(C)[0] < 1e-8
    if on_boundary or np.linalg.eigvalsh(information)[0] <= 0:
        return VarianceEstimate(names, values, np.full(len(values), np.nan))
    q = len(D)
    at = np.arange(len(rows))
    variance = np.empty(q, dtype=np.int64)
    variance[rows[~below]] = at[~below]
    jacobian = np.zeros((len(values), len(information)))
    jacobian[0, -1] = 0.5 / sigma
    jacobian[1 + np.arange(q), variance] = 0.5 / tau
    row = 1 + q + np.arange(len(i))
    jacobian[row, at[below]] = 1.0 / (tau[i] * tau[j])
    jacobian[row, variance[i]] = -0.5 * C[i, j] / D[i, i]
    jacobian[row, variance[j]] = -0.5 * C[i, j] / D[j, j]
    cov = jacobian @ np.linalg.solve(information, jacobian.T)
    return VarianceEstimate(names, values, np.sqrt(np.diag(cov)))
