"""A joint model's parameters with random effects as the user has them, and as the kernel does.

The kernel's effects are to @ b, b the user's: those of columns centred as default priors are,
which neither a far origin of time nor the rounding it brings can reach. Only the standard
deviations and correlations of the random effects differ between the two vectors.
"""

from __future__ import annotations

import numpy as np

from longsurv.errors import EstimationError
from longsurv.likelihood.arithmetic.covariance import count_correlations


def _sech(z: np.ndarray) -> np.ndarray:
    """1 / cosh, which does not overflow where cosh would: it underflows to 0."""
    e = np.exp(-np.abs(z))
    return 2.0 * e / (1.0 + e * e)


def factor(phi: np.ndarray, q: int) -> np.ndarray:
    """Lower triangle F with D = F F', shape (q, q), from log SDs and unconstrained correlations.

    Precise where a correlation is all but 1: 1 / cosh^2 takes the place of 1 - tanh^2.
    """
    F, m = np.zeros((q, q)), q
    for i in range(q):
        rest = float(np.exp(phi[i]))
        for j in range(i):
            F[i, j] = rest * np.tanh(phi[m])
            rest *= float(_sech(phi[m]))
            m += 1
        F[i, i] = rest
    return F


def _factor_slopes(phi: np.ndarray, F: np.ndarray) -> np.ndarray:
    """Derivatives of `factor` in each of phi, shape (k, q, q)."""
    q, out = len(F), np.zeros((len(phi), *F.shape))
    m = q
    for i in range(q):
        out[i, i] = F[i]  # in its log SD
        for j in range(i):
            # F_ij has tanh z_j, what follows in the row 1 / cosh z_j; what is before both
            before = np.exp(phi[i]) * np.prod(_sech(phi[m - j : m]))
            out[m, i, j] = before * _sech(phi[m]) ** 2
            out[m, i, j + 1 :] = -np.tanh(phi[m]) * F[i, j + 1 :]
            m += 1
    return out


def _triangular(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L, lower triangular with a positive diagonal, and the orthonormal rows R with F = L R."""
    rows, upper = np.linalg.qr(F.T)
    sign = np.where(np.diag(upper) < 0.0, -1.0, 1.0)
    return upper.T * sign, rows.T * sign[:, None]


def unconstrained(F: np.ndarray) -> np.ndarray:
    """The inverse of `factor`, for any square root F of D.

    Raises
    ------
    EstimationError
        If a correlation rounds to one, as those of a level and a slope do far from the data.
    """
    L, _ = _triangular(F)
    q = len(F)
    z = np.empty(count_correlations(q))
    m = 0
    for i in range(1, q):
        for j in range(i):
            rest = np.linalg.norm(L[i, j + 1 : i + 1])
            if rest == 0.0:
                raise EstimationError(
                    "two random effects cannot be told apart at time 0, their correlation rounds to"
                    " one there: it is too far from the measurements. Count time from a moment"
                    " among them, such as a patient's first visit"
                )
            z[m] = np.arcsinh(L[i, j] / rest)
            m += 1
    return np.concatenate([0.5 * np.log((L**2).sum(axis=1)), z])


def _unconstrained_slopes(L: np.ndarray, dL: np.ndarray) -> np.ndarray:
    """Derivatives of `unconstrained`, shape (k, n), where L moves by dL, shape (n, q, q)."""
    q = len(L)
    out = [(L[i] * dL[:, i]).sum(axis=1) / (L[i] @ L[i]) for i in range(q)]
    for i in range(1, q):
        for j in range(i):
            rest, moved = L[i, j + 1 : i + 1], dL[:, i, j + 1 : i + 1]
            size = np.linalg.norm(rest)
            ratio = L[i, j] / size
            slope = (dL[:, i, j] - ratio * (moved @ rest) / size) / size
            out.append(slope / np.hypot(1.0, ratio))
    return np.array(out)


def mapped(phi: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The log SDs and correlations of to @ b, shape (..., k), from those of b."""
    q = len(to)
    if np.array_equal(to, np.eye(q)):
        return phi
    flat = phi.reshape(-1, phi.shape[-1])
    return np.array([unconstrained(to @ factor(row, q)) for row in flat]).reshape(phi.shape)


def derivative(phi: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Of `mapped`, shape (k, k).

    With to F = L R, R orthonormal, and M = L^-1 (to dF) R', L moves by L B, B the lower triangle of
    M + M' with half the diagonal (Murray 2016, arXiv:1602.07527, equation 8, for D = L L').
    """
    F = factor(phi, len(to))
    L, R = _triangular(to @ F)
    moved = np.linalg.solve(L, to @ _factor_slopes(phi, F)) @ R.T
    lower = np.tril(moved + np.swapaxes(moved, 1, 2))
    lower[:, *np.diag_indices(len(L))] *= 0.5
    return _unconstrained_slopes(L, L @ lower)
