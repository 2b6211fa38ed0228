"""Where to look for the maximum of a generalised mixed model, and in which coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from longsurv.likelihood.glmm.coordinates import Coordinates, for_climbing
from longsurv.likelihood.glmm.crossed import Trail
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.loglik import loglik_factor


def starting_point(data: GLMMData) -> np.ndarray:
    """Where to start in scaled columns: a vector of `longsurv.likelihood.glmm.loglik_factor`."""
    p, m = data.p, data.n_family
    theta = np.zeros(len(data.free_factor))
    theta[:p], theta[p : p + m] = data.family.start(data.X, data.y, data.levels, m, data.offset)
    rows, columns = data.entries
    theta[p + m :] = np.where(rows == columns, 0.7, 0.0)
    return theta


def lower_bounds(data: GLMMData) -> np.ndarray:
    """Lower bounds of theta of `loglik_factor`: 0 for kappa and the diagonal of Lam."""
    rows, columns = data.entries
    family = data.family.lower(data.n_family)
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
    trail : Trail
        Where the climb has been last.
    """

    coordinates: Coordinates
    begin: np.ndarray
    lower: np.ndarray
    factor_names: tuple[str, ...]
    trail: Trail = field(default_factory=Trail)

    def log_likelihood(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Value, that of the rows as they are, and gradient at x, shape (d,)."""
        value, gradient = loglik_factor(self.coordinates.data, x, self.trail)
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
    out[:p] = theta[:p]
    out[p : p + m] = data.family.unconstrained(theta[p : p + m])
    out[p + m : p + m + q] = np.log(theta[p + m :][rows == columns])
    return out
