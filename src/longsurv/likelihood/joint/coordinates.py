"""Centre and size of a joint model's parameters, for a climb that knows no units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood.joint.data import MarkerData
from longsurv.likelihood.joint.loglik import JointData

Block = tuple[np.ndarray, np.ndarray]
"""Centre (k,) and factor (k, k) of some parameters: centre + factor @ u."""

ENDLESS = 25.0
"""A coefficient of the hazard as large in these coordinates, per SD, has no maximum."""
RANK = 1e-9
"""Share of a column left beside the others, from which on it counts as one of its own."""


def blocks(
    data: JointData, levels: Sequence[np.ndarray], link_scales: Sequence[np.ndarray]
) -> list[Block]:
    """The blocks of theta, in its order.

    Parameters
    ----------
    data : JointData
    levels : sequence of ndarray, shape (m,)
        By cause, baseline coefficients of a constant hazard.
    link_scales : sequence of ndarray, shape (K,)
        By cause, typical sizes of the links.
    """
    spread = [_residual_sd(marker) for marker in data.markers]
    out = [
        (m.beta_ols, s * solve_triangular(m.r, np.eye(m.p), lower=False))
        for m, s in zip(data.markers, spread, strict=True)
    ]
    out.append(_shifted(np.log(spread)))
    tau = [np.log(s / m.z_scale) for m, s in zip(data.markers, spread, strict=True)]
    out.append(_shifted(np.concatenate(tau)))
    out.append(_shifted(np.zeros(data.q * (data.q - 1) // 2)))
    for cause, level, scale in zip(data.causes, levels, link_scales, strict=True):
        out.append(_shifted(level))
        out.append((np.zeros(cause.covariates.shape[1]), _orthonormal(cause.covariates)))
        out.append((np.zeros(len(scale)), np.diag(1.0 / scale)))
    return out


def _shifted(centre: np.ndarray) -> Block:
    return centre, np.eye(len(centre))


def _residual_sd(marker: MarkerData) -> float:
    """Root mean square of a marker's residuals from its mean curve."""
    squares = marker.cross[marker.p, marker.p]
    return math.sqrt(squares / marker.nobs) if squares > 0.0 else 1.0


def _orthonormal(X: np.ndarray) -> np.ndarray:
    """factor for which X @ factor has columns without correlation, of unit root mean square."""
    if not X.size:
        return np.eye(X.shape[1])
    size = np.sqrt(np.mean(X**2, axis=0))
    size = np.where(size > 0.0, size, 1.0)
    r = np.linalg.qr(X / size, mode="r")
    if len(r) < X.shape[1] or np.abs(np.diag(r)).min() < RANK * math.sqrt(len(X)):
        return np.diag(1.0 / size)
    factor = solve_triangular(r, np.eye(len(size)), lower=False) * math.sqrt(len(X))
    return factor / size[:, None]
