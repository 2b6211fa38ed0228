"""A joint model's parameters with random effects as the user has them, and as the kernel does.

The kernel's effects are to @ b, b the user's: those of columns centred as default priors are,
which neither a far origin of time nor the rounding it brings can reach. Only the standard
deviations and correlations of the random effects differ between the two vectors.
"""

from __future__ import annotations

import numpy as np

from longsurv.likelihood.covariance import count_correlations


def factor(phi: np.ndarray, q: int) -> np.ndarray:
    """Lower triangle F with D = F F', shape (q, q), from log SDs and unconstrained correlations.

    Precise where a correlation is all but 1: cosh takes the place of 1 - tanh^2.
    """
    F, m = np.zeros((q, q)), q
    for i in range(q):
        rest = float(np.exp(phi[i]))
        for j in range(i):
            F[i, j] = rest * np.tanh(phi[m])
            rest /= np.cosh(phi[m])
            m += 1
        F[i, i] = rest
    return F


def unconstrained(F: np.ndarray) -> np.ndarray:
    """The inverse of `factor`, for any square root F of D."""
    q = len(F)
    L = np.linalg.qr(F.T, mode="r").T
    L = L * np.where(np.diag(L) < 0.0, -1.0, 1.0)
    z = np.empty(count_correlations(q))
    m = 0
    for i in range(1, q):
        for j in range(i):
            z[m] = np.arcsinh(L[i, j] / np.linalg.norm(L[i, j + 1 : i + 1]))
            m += 1
    return np.concatenate([0.5 * np.log((L**2).sum(axis=1)), z])


def mapped(phi: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The log SDs and correlations of to @ b, shape (..., k), from those of b."""
    q = len(to)
    if np.array_equal(to, np.eye(q)):
        return phi
    flat = phi.reshape(-1, phi.shape[-1])
    return np.array([unconstrained(to @ factor(row, q)) for row in flat]).reshape(phi.shape)


def derivative(phi: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Of `mapped`, shape (k, k), by central differences of the fourth order."""
    out = np.empty((len(phi), len(phi)))
    for j in range(len(phi)):
        e = np.zeros_like(phi)
        e[j] = 1e-3
        near = mapped(phi + e, to) - mapped(phi - e, to)
        far = mapped(phi + 2.0 * e, to) - mapped(phi - 2.0 * e, to)
        out[:, j] = (8.0 * near - far) / (12.0 * e[j])
    return out
