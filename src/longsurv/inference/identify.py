"""Which directions of a parameter vector the data determine.

An information matrix is scaled to unit diagonal before it is looked at, so that no unit of any
parameter decides; a direction along which the scaled information is rounding is flat: the data say
nothing about it. A parameter that moves along a flat direction has no estimate, whatever number a
climb left in it, but combinations that do not move along any have theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLAT = 1e-10
"""Scaled eigenvalues below this are rounding, where the information is computed exactly."""
LOADS = 1e-5
"""Share of a scaled unit vector along flat directions from which on a combination moves."""


@dataclass(frozen=True)
class Flat:
    """Directions that are not determined.

    Attributes
    ----------
    directions : ndarray, shape (d, k)
        In the units of the parameters, one a column; k is 0 where everything is determined.
    scale : ndarray, shape (d,)
        Typical sizes of the parameters, so that units do not decide what counts as moving.
    """

    directions: np.ndarray
    scale: np.ndarray

    @classmethod
    def none(cls, d: int) -> Flat:
        """Everything is determined."""
        return cls(np.empty((d, 0)), np.ones(d))

    def __bool__(self) -> bool:
        return self.directions.shape[1] > 0

    def also(self, directions: np.ndarray) -> Flat:
        """These directions and others, shape (d,) or (d, k)."""
        return Flat(np.column_stack([self.directions, directions]), self.scale)

    def of(self, index: np.ndarray) -> Flat:
        """The same directions as some of the parameters, at positions `index`, see them."""
        return self._seen(self.directions[index], self.scale[index])

    def mapped(self, J: np.ndarray) -> Flat:
        """The same directions as parameters J theta see them; J has shape (m, d)."""
        scale = np.sqrt(((J * self.scale) ** 2).sum(axis=1))
        return self._seen(J @ self.directions, np.where(scale > 0.0, scale, 1.0))

    def _seen(self, directions: np.ndarray, scale: np.ndarray) -> Flat:
        """Without those along which, but for rounding, nothing of what is looked at moves."""
        before = np.linalg.norm(self.directions / self.scale[:, None], axis=0)
        after = np.linalg.norm(directions / scale[:, None], axis=0)
        return Flat(directions[:, after > LOADS * before], scale)

    def estimable(self, L: np.ndarray) -> np.ndarray:
        """Which combinations, rows of L with shape (m, d), do not move, shape (m,) of bool."""
        L = np.atleast_2d(L)
        if not self:
            return np.ones(len(L), dtype=bool)
        scaled = self.directions / self.scale[:, None]
        scaled = scaled / np.linalg.norm(scaled, axis=0)
        left, size, _ = np.linalg.svd(scaled, full_matrices=False)
        basis = left[:, size > LOADS * size[0]]
        rows = L * self.scale
        norm = np.linalg.norm(rows, axis=1)
        return np.linalg.norm(rows @ basis, axis=1) <= LOADS * np.where(norm > 0.0, norm, 1.0)

    @property
    def determined(self) -> np.ndarray:
        """Which single parameters do not move, shape (d,) of bool."""
        return self.estimable(np.eye(len(self.scale)))


@dataclass(frozen=True)
class Identified:
    """What an information matrix determines.

    Attributes
    ----------
    cov : ndarray, shape (d, d)
        Inverse of the information on the determined directions, 0 along flat ones. Always finite:
        ask `flat.estimable` before reading a variance off it.
    flat : Flat
    indefinite : bool
        Some direction curves upwards: the point is not a maximum.
    """

    cov: np.ndarray
    flat: Flat
    indefinite: bool


def identify(
    information: np.ndarray, *, rounding: np.ndarray | None = None, flat: float = FLAT
) -> Identified:
    """Split the space of the parameters by what an information matrix determines.

    Parameters
    ----------
    information : ndarray, shape (d, d)
        Minus the Hessian of a log-likelihood (or log density) at a point.
    rounding : ndarray, shape (d,), optional
        What rounding alone leaves on the diagonal; a parameter whose information is no larger has
        none. Needed where large terms cancel, as in a partial likelihood.
    flat : float
        Scaled eigenvalues below this are flat; larger than the default where the information holds
        the error of differences.

    Returns
    -------
    Identified
    """
    d = len(information)
    diagonal = np.diag(information).copy()
    known = np.isfinite(information).all(axis=0)
    known &= diagonal > (0.0 if rounding is None else rounding)
    inside = np.flatnonzero(known)
    scale = np.ones(d)
    scale[inside] = 1.0 / np.sqrt(diagonal[inside])
    part = information[np.ix_(inside, inside)] * np.outer(scale[inside], scale[inside])
    values, vectors = np.linalg.eigh(0.5 * (part + part.T))
    weak = values < flat * float(values.max(initial=1.0))
    whole = np.zeros((d, len(inside)))
    whole[inside] = vectors * scale[inside, None]
    strong = whole[:, ~weak]
    return Identified(
        cov=(strong / values[~weak]) @ strong.T,
        flat=Flat(np.hstack([whole[:, weak], np.eye(d)[:, ~known]]), scale),
        indefinite=bool((values < -max(flat, 1e-6)).any()),
    )
