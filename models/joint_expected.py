"""Coordinates in which the level of a hazard is the log of the events that it expects.

With few events the posterior of a baseline hazard bends: the level that explains d events depends
on what covariates and markers do, through a sum of exponentials, and the likelihood falls off it
like exp(-exp(.)), which chains whitened at one point cannot follow everywhere. With predicted
curves in the place of the true ones, the expected number of events is

    E = sum_g weight_g exp(B_g'gamma + w_g'omega + f_g'alpha)

and the likelihood is d log E - E, whatever the rest, times one in which E does not occur. So the
level in these coordinates is log E; the others stay as they are. That is a shear, of unit
Jacobian: the density is the same, and only the speed depends on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from longsurv.inference.density import LogDensity


@dataclass(frozen=True, eq=False)
class HazardColumns:
    """The columns of one cause's hazard, with predicted curves for the true ones.

    Attributes
    ----------
    columns : ndarray, shape (G, k)
        Basis, covariates and links at every point of the quadrature.
    weight : ndarray, shape (G,)
        Of the quadrature; all positive.
    level : ndarray, shape (k,)
        Change of the parameters that adds 1 to every log hazard; zero but for the baseline's.
    start : int
        Where the parameters of this cause are in the vector of all.
    """

    columns: np.ndarray
    weight: np.ndarray
    level: np.ndarray
    start: int

    @property
    def gauge(self) -> np.ndarray:
        """Weights of the parameters, shape (k,), whose sum is the level: log E."""
        return self.level / (self.level @ self.level)

    def log_expected(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """log E at this cause's parameters, and its gradient.

        Parameters
        ----------
        theta : ndarray, shape (k,)
        """
        return _log_expected(np.ascontiguousarray(theta), self.columns, self.weight)


@dataclass(frozen=True, eq=False)
class ExpectedEvents:
    """The parameters of a joint model, with log E in place of each cause's level.

    Attributes
    ----------
    causes : tuple of HazardColumns
    """

    causes: tuple[HazardColumns, ...]

    def outward(self, x: np.ndarray) -> np.ndarray:
        """theta from these coordinates.

        Parameters
        ----------
        x : ndarray, shape (..., d)
        """
        theta = np.array(x, dtype=float)
        for row in theta.reshape(-1, theta.shape[-1]):
            for cause in self.causes:
                own = row[cause.start : cause.start + len(cause.level)]
                own -= cause.level * (cause.log_expected(own)[0] - cause.gauge @ own)
        return theta

    def inward(self, theta: np.ndarray) -> np.ndarray:
        """These coordinates from theta.

        Parameters
        ----------
        theta : ndarray, shape (d,)
        """
        x = np.array(theta, dtype=float)
        for cause in self.causes:
            own = x[cause.start : cause.start + len(cause.level)]
            own += cause.level * (cause.log_expected(own)[0] - cause.gauge @ own)
        return x

    def density(self, density: LogDensity) -> LogDensity:
        """A log density of theta as one of these coordinates.

        Parameters
        ----------
        density : callable
            Returns the value and its gradient, shape (d,).
        """
        causes = [(c, slice(c.start, c.start + len(c.level)), c.gauge) for c in self.causes]

        def of_x(x: np.ndarray) -> tuple[float, np.ndarray]:
            theta, turns = x.copy(), []
            for cause, at, gauge in causes:
                log_expected, slope = cause.log_expected(x[at])
                theta[at] -= cause.level * (log_expected - gauge @ x[at])
                turns.append(gauge - slope)
            value, gradient = density(theta)
            back = gradient.copy()
            for (cause, at, _), turn in zip(causes, turns, strict=True):
                back[at] += turn * (cause.level @ gradient[at])
            return value, back

        return of_x


@njit(cache=True, nogil=True, error_model="numpy")
def _log_expected(
    theta: np.ndarray, columns: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    n, k = columns.shape
    eta = np.empty(n)
    top = -math.inf
    for g in range(n):
        at = 0.0
        for j in range(k):
            at += columns[g, j] * theta[j]
        eta[g] = at
        top = max(top, at)
    total = 0.0
    slope = np.zeros(k)
    for g in range(n):
        expected = weight[g] * math.exp(eta[g] - top)
        total += expected
        for j in range(k):
            slope[j] += expected * columns[g, j]
    return top + math.log(total), slope / total
