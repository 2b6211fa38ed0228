"""Second derivatives of a log density, and the coordinates in which it is near a standard
normal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from longsurv.inference.density import LogDensity

STEP = 1e-4
"""Of a difference, for a parameter of about unit size and uncertainty."""
COARSEST, CHOSEN = 0.3, 1e-3
"""Steps of more standard errors than the one are made as long as the other: the curvature may
change on the way."""
ATTEMPTS = 12


def hessian(density: LogDensity, x: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
    """Central differences of the exact gradient.

    A step that turns out to be far too long for the curvature it shows, as where a parameter is in
    other units, is taken again. None is made longer: a flat direction has to be seen as flat. Climb
    in coordinates of about unit size (see `Affine`).

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
        H[row] = _differences(density, x, j)[index]
    return 0.5 * (H + H.T)


def _differences(density: LogDensity, x: np.ndarray, j: int) -> np.ndarray:
    """Derivative of the gradient along coordinate j, shape (d,)."""
    step, longest = STEP * max(1.0, abs(x[j])), COARSEST
    for _ in range(ATTEMPTS):
        up, down = x.copy(), x.copy()
        up[j] += step
        down[j] -= step
        (high, above), (low, below) = density(up), density(down)
        with np.errstate(invalid="ignore", over="ignore"):
            slope = (above - below) / (up[j] - down[j])
        if not (math.isfinite(high) and math.isfinite(low) and math.isfinite(slope[j])):
            step, longest = 1e-2 * step, 2.0 * CHOSEN
            continue
        told = step * math.sqrt(abs(slope[j]))  # the step in standard errors
        if told <= longest:
            break
        step, longest = step * max(CHOSEN / told, 1e-4), 2.0 * CHOSEN
    return slope


def rough_hessian(density: LogDensity, x: np.ndarray) -> np.ndarray:
    """One-sided differences of the gradient, shape (d, d): half the work, to start a climb with.

    For coordinates of about unit size.
    """
    gradient = density(x)[1]
    H = np.empty((len(x), len(x)))
    for j in range(len(x)):
        beside = x.copy()
        beside[j] += STEP
        H[j] = (density(beside)[1] - gradient) / STEP
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
    if not np.isfinite(negative_hessian).all():
        return np.ones(len(negative_hessian)), np.eye(len(negative_hessian)), True
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
