"""Where to look for the maximum of a generalised mixed model, and in which coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from longsurv.likelihood.glmm.coordinates import Coordinates, for_climbing
from longsurv.likelihood.glmm.families import BERNOULLI, ORDINAL, STUDENT
from longsurv.likelihood.glmm.loglik import GLMMData, loglik_factor


def random_scale(data: GLMMData) -> np.ndarray:
    """Root mean square of the columns of Z, shape (q,)."""
    z = np.sqrt(np.mean(data.Z**2, axis=0))
    return np.where(z > 0.0, z, 1.0)


def starting_point(data: GLMMData) -> np.ndarray:
    """Where to start in scaled columns: a vector of `longsurv.likelihood.glmm.loglik_factor`."""
    n, p, m = len(data.y), data.p, data.n_family
    theta = np.zeros(len(data.free_factor))
    if data.code == BERNOULLI:
        share = float(np.clip(data.y.mean(), 0.5 / n, 1.0 - 0.5 / n))
        theta[:p] = data.X.T @ (logit(share) + 4.0 * (data.y - share)) / n
    elif data.code == ORDINAL:
        below = np.cumsum(np.bincount(data.y.astype(int), minlength=data.levels))[:-1] / n
        cuts = logit(np.clip(below, 0.5 / n, 1.0 - 0.5 / n))
        theta[p] = cuts[0]
        theta[p + 1 : p + m] = np.log(np.maximum(np.diff(cuts), 1e-3))
    else:
        theta[p] = math.log(0.7)
        if data.code == STUDENT and m == 2:
            theta[p + 1] = 0.1
    rows, columns = data.entries
    theta[p + m :] = np.where(rows == columns, 0.7, 0.0)
    return theta


def lower_bounds(data: GLMMData) -> np.ndarray:
    """Lower bounds of theta of `loglik_factor`: 0 for kappa and the diagonal of Lam."""
    rows, columns = data.entries
    family = np.full(data.n_family, -np.inf)
    if data.code == STUDENT:
        family[1:] = 0.0
    diagonal = np.where(rows == columns, 0.0, -np.inf)
    return np.concatenate([np.full(data.p, -np.inf), family, diagonal])


@dataclass(frozen=True, eq=False)
class Climb:
    """The likelihood in coordinates in which its climb is well scaled.

    Attributes
    ----------
    coordinates : Coordinates
        Of x; they lead to the vector of `longsurv.likelihood.glmm.loglik_factor`.
    begin, lower : ndarray, shape (d,)
        Where to start, and lower bounds.
    factor_names : tuple of str
        Of the last elements of x, as in "Lam[1,0]".
    """

    coordinates: Coordinates
    begin: np.ndarray
    lower: np.ndarray
    factor_names: tuple[str, ...]

    def log_likelihood(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Value, that of the rows as they are, and gradient at x, shape (d,)."""
        value, gradient = loglik_factor(self.coordinates.data, x)
        return value + self.coordinates.constant, gradient


def climb(data: GLMMData) -> Climb:
    """What a maximiser needs."""
    coordinates = for_climbing(data)
    names = tuple(f"Lam[{a},{b}]" for a, b in zip(*data.entries, strict=True))
    return Climb(coordinates, starting_point(coordinates.data), lower_bounds(data), names)


def to_unconstrained(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """The vector of `loglik` for theta of `loglik_factor` with a diagonal, positive Lam."""
    p, m, q = data.p, data.n_family, data.q
    rows, columns = data.entries
    out = np.zeros(len(theta))
    out[: p + m] = theta[: p + m]
    if data.code == STUDENT and m == 2:
        out[p + 1] = -math.log(theta[p + 1])
    out[p + m : p + m + q] = np.log(theta[p + m :][rows == columns])
    return out
