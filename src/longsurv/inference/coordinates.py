"""Coordinates in which to climb: centred, unit-scaled, and a straight line from the user's.

A climb, its difference steps and its tolerances then do not know in which unit a marker was
written, from which origin time runs or how a treatment was coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from longsurv.inference.density import LogDensity
from longsurv.inference.identify import Identified, identify
from longsurv.inference.maximise import Optimum

DIFFERENCES = 1e-6
"""Scaled eigenvalues below this are not told from the error of a Hessian by differences."""


@dataclass(frozen=True, eq=False)
class Affine:
    """theta = centre + factor @ u.

    Attributes
    ----------
    centre : ndarray, shape (d,)
    factor : ndarray, shape (d, d)
        Of full rank.
    """

    centre: np.ndarray
    factor: np.ndarray

    @classmethod
    def of_blocks(cls, blocks: Sequence[tuple[np.ndarray, np.ndarray]]) -> Affine:
        """Several vectors after one another, each with a centre (k,) and a factor (k, k)."""
        centres, factors = zip(*blocks, strict=True)
        sizes = [len(centre) for centre in centres]
        kept = [f for f, size in zip(factors, sizes, strict=True) if size]
        return cls(np.concatenate(centres), np.ascontiguousarray(block_diag(*kept)))

    def outward(self, u: np.ndarray) -> np.ndarray:
        """theta, shape (..., d), from u."""
        return self.centre + u @ self.factor.T

    def inward(self, theta: np.ndarray) -> np.ndarray:
        """u, shape (d,), from theta."""
        return np.linalg.solve(self.factor, theta - self.centre)

    def without_shift(self, index: np.ndarray) -> Affine:
        """The same, but the elements of theta at `index` keep their origin."""
        centre = self.centre.copy()
        centre[index] = 0.0
        return Affine(centre, self.factor)

    @property
    def log_jacobian(self) -> float:
        """Log of |d theta / d u|."""
        return float(np.linalg.slogdet(self.factor)[1])

    def density(self, density: LogDensity, log_jacobian: float = 0.0) -> LogDensity:
        """A log density of theta as one of u, plus a constant that may be its Jacobian."""
        centre, factor = self.centre, self.factor
        transposed = np.ascontiguousarray(factor.T)

        def of_u(u: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = density(centre + factor @ u)
            return value + log_jacobian, transposed @ gradient

        return of_u

    def optimum(self, found: Optimum) -> Optimum:
        """The record of a climb in u, all of it free, as one in theta."""
        back = np.linalg.inv(self.factor)
        return replace(
            found,
            x=self.outward(found.x),
            gradient=back.T @ found.gradient,
            hessian=back.T @ found.hessian @ back,
        )

    def identify(self, hessian: np.ndarray) -> Identified:
        """What the Hessian in theta of a log density, one of differences, determines of theta."""
        information = -self.factor.T @ hessian @ self.factor
        known = np.where(np.isfinite(information), information, np.nan)
        found = identify(known, rounding=np.full(len(known), DIFFERENCES), flat=DIFFERENCES)
        cov = self.factor @ found.cov @ self.factor.T
        return Identified(cov, found.flat.mapped(self.factor), found.indefinite)
