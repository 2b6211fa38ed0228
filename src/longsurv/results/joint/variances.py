"""SDs and correlations of a joint model, from the unconstrained parameters they are climbed in."""

from __future__ import annotations

import numpy as np

from longsurv.inference import Identified
from longsurv.likelihood import joint
from longsurv.likelihood.arithmetic.covariance import covariance


def natural_variances(phi: np.ndarray, data: joint.JointData) -> np.ndarray:
    """SDs and correlations, row by row, from log sigmas, log tau and unconstrained correlations."""
    n, q = len(data.markers) + data.q, data.q
    correlation = covariance(np.ones(q), phi[n:])
    return np.concatenate([np.exp(phi[:n]), correlation[np.tril_indices(q, -1)]])


def variances(
    phi: np.ndarray, data: joint.JointData, found: Identified, on_boundary: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Natural variance parameters, which of them are known, and standard errors.

    Those on the boundary are exactly there, and the correlations of what is 0 are not known.
    """
    at = slice(data.p, data.n_marker)
    jacobian, values = _jacobian(phi, data), natural_variances(phi, data)
    whole = np.zeros((len(values), len(found.cov)))
    whole[:, at] = jacobian
    known = found.flat.mapped(whole).determined | on_boundary
    se = np.sqrt(np.maximum(np.diag(jacobian @ found.cov[at, at] @ jacobian.T), 0.0))
    n, q = len(data.markers), data.q
    zero = np.zeros(q, dtype=bool)
    zero[:] = on_boundary[n : n + q]
    values[: n + q][on_boundary[: n + q]] = 0.0
    i, j = np.tril_indices(q, -1)
    near = np.abs(values[n + q :]) > 1.0 - 1e-6
    values[n + q :][near] = np.sign(values[n + q :][near])
    known[n + q :] = (known[n + q :] | near) & ~(zero[i] | zero[j])
    se[on_boundary] = np.nan
    se[n + q :][near] = np.nan
    return values, known, se


def _jacobian(phi: np.ndarray, data: joint.JointData) -> np.ndarray:
    """Derivative of the natural variance parameters in the unconstrained ones."""
    columns = []
    for j in range(len(phi)):
        step = np.zeros_like(phi)
        step[j] = 1e-5
        columns.append(
            (natural_variances(phi + step, data) - natural_variances(phi - step, data)) / 2e-5
        )
    return np.column_stack(columns)
