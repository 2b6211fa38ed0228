"""Second derivatives of a log density, and the coordinates in which it is near a standard
normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longsurv.inference.density import LogDensity


def hessian(density: LogDensity, x: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
    """Central differences of the exact gradient.

    Parameters
    ----------
    density : callable
        Returns (value, gradient) at a point.
    x : ndarray, shape (d,)
    free : ndarray of int, optional
        Coordinates that may move; all by default.

    Returns
    -------
    ndarray, shape (f, f)
        Symmetric, in the free coordinates.
    """
    index = np.arange(len(x)) if free is None else free
    H = np.empty((len(index), len(index)))
    for row, j in enumerate(index):
        step = 1e-4 * max(1.0, abs(x[j]))
        up, down = x.copy(), x.copy()
        up[j] += step
        down[j] -= step
        H[row] = (density(up)[1][index] - density(down)[1][index]) / (up[j] - down[j])
    return 0.5 * (H + H.T)


@dataclass(frozen=True)
class Whitening:
    """theta = centre + factor @ z turns a density into one close to a standard normal in z.

    Attributes
    ----------
    centre : ndarray, shape (d,)
    factor : ndarray, shape (d, d)
        factor @ factor.T is the inverse of the negative Hessian (regularised where needed).
    regularised : bool
        The negative Hessian was not positive definite; its small eigenvalues were raised.
    """

    centre: np.ndarray
    factor: np.ndarray
    regularised: bool


def positive_definite(negative_hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Eigenvalues and vectors of a Hessian scaled to unit diagonal, the small ones raised.

    Returns the inverse half-scales too folded into the vectors, so that
    inverse = vectors @ diag(1 / values) @ vectors.T.
    """
    if negative_hessian.size == 0:
        return np.empty(0), negative_hessian, False
    diagonal = np.abs(np.diag(negative_hessian))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(negative_hessian * np.outer(scale, scale))
    floor = 1e-10 * max(1.0, float(values[-1]))
    bad = values < floor
    raised = np.where(bad, np.maximum(np.abs(values), 1e-4), values)
    return raised, vectors * scale[:, None], bool(bad.any())


def whiten(centre: np.ndarray, hessian_at_centre: np.ndarray) -> Whitening:
    """Coordinates whitened by the curvature at `centre` (the mode of a posterior)."""
    values, vectors, regularised = positive_definite(-hessian_at_centre)
    return Whitening(centre, vectors / np.sqrt(values), regularised)
