"""Columns in which a generalised mixed model is climbed and sampled, and the way back.

A clock that starts in the year 0, a covariate in other units or a response far from zero cost the
kernel digits and the climb its sense of direction. So X is orthonormalised, the columns of Z are
scaled to unit root mean square and, within a block of correlated effects, orthogonalised, and a
measurement is replaced by its least-squares residual in units of their spread. The model is the
same one, and its parameter vector theta is a linear map of the one in these columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from longsurv.likelihood.glmm.data import GLMMData

DEPENDENT = 1e-10
"""Columns of a block that leave no more than this of a column's size are only scaled."""


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The same model in columns of about unit size, and theta = centre + T @ x.

    Attributes
    ----------
    data : GLMMData
        The rows in those columns.
    centre : ndarray, shape (d,)
    T : ndarray, shape (d, d)
        x is the parameter vector for `data`, theta that for the rows as they were.
    constant : float
        What the log-likelihood of the rows as they were has more than that of `data`.
    """

    data: GLMMData
    centre: np.ndarray
    T: np.ndarray
    constant: float

    def outward(self, x: np.ndarray) -> np.ndarray:
        """theta, shape (..., d), from x."""
        return self.centre + x @ self.T.T

    def inward(self, theta: np.ndarray) -> np.ndarray:
        """x, shape (d,), from theta."""
        return np.linalg.solve(self.T, theta - self.centre)


@dataclass(frozen=True)
class _Base:
    """How predictors differ: eta = X beta + unit eta_x, with beta_x of columns less their mean."""

    beta: np.ndarray
    unit: float
    mean: np.ndarray


def for_climbing(data: GLMMData) -> Coordinates:
    """Coordinates of `longsurv.likelihood.glmm.loglik_factor`."""
    scaled, B, V, base = _scaled(data, orthogonal=True)
    rows, columns = data.entries
    # Lam = V Lam_x with V a lower triangle: linear, and a zero diagonal stays one.
    same_column = columns[:, None] == columns[None, :]
    factor = np.where(same_column, V[rows[:, None], rows[None, :]], 0.0)
    return _coordinates(data, scaled, B, base, factor, np.zeros(len(rows)))


def for_sampling(data: GLMMData) -> Coordinates:
    """Coordinates of `longsurv.likelihood.glmm.loglik`; Z is scaled but not turned, so that the
    standard deviations and correlations remain those of its columns."""
    scaled, B, V, base = _scaled(data, orthogonal=False)
    size = len(data.free_unconstrained) - data.p - data.n_family
    shift = np.zeros(size)
    shift[: data.q] = np.log(np.diag(V))
    return _coordinates(data, scaled, B, base, np.eye(size), shift)


def _coordinates(
    data: GLMMData,
    scaled: GLMMData,
    B: np.ndarray,
    base: _Base,
    factor: np.ndarray,
    shift: np.ndarray,
) -> Coordinates:
    p, m = data.p, data.n_family
    centre, T = np.zeros(p + m + len(factor)), np.eye(p + m + len(factor))
    centre[:p], T[:p, :p] = base.beta, base.unit * B
    T[p + m :, p + m :] = factor
    centre[p + m :] = shift
    constant = 0.0
    if data.family.thresholds:
        # The first cut of x belongs to a row with average covariates.
        T[p, :p] = base.mean @ B
    elif data.family.measured:
        centre[p] = math.log(base.unit)
        constant = -math.log(base.unit) * int((data.kind == 0).sum())
    return Coordinates(scaled, centre, T, constant)


def _scaled(data: GLMMData, orthogonal: bool) -> tuple[GLMMData, np.ndarray, np.ndarray, _Base]:
    """Rows in scaled columns; B and V with X_x = (X - mean) B and b = V b_x."""
    n, p = data.X.shape
    mean = data.X.mean(axis=0) if data.family.thresholds else np.zeros(p)
    X, B = _orthonormal(data.X - mean)
    base, y, offset, extent = _Base(np.zeros(p), 1.0, mean), data.y, data.offset, data.extent
    if data.family.measured:
        about, offset = data.middle - offset, np.zeros(n)
        fit = X.T @ about / n
        fit += X.T @ (about - X @ fit) / n
        residual = about - X @ fit
        unit = float(np.sqrt(np.mean(residual**2))) or 1.0
        # the lower bound, half an interval below its middle
        lower = residual - (data.middle - data.y)
        base, y, extent = _Base(B @ fit, unit, mean), lower / unit, extent / unit
    V = random_basis(data.Z, data.blocks if orthogonal else ())
    Z = np.ascontiguousarray(data.Z @ V)
    return (
        replace(data, y=y, extent=extent, X=X, Z=Z, effects=np.eye(data.q), offset=offset),
        B,
        base.unit * V,
        base,
    )


def _orthonormal(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns with X'X = n I, and B with these columns = X B."""
    n, p = X.shape
    if p == 0:
        return X, np.eye(0)
    size = np.sqrt(np.mean(X**2, axis=0))
    size = np.where(size > 0.0, size, 1.0)
    q, r = np.linalg.qr(X / size)
    # Once more, for what cancelled in columns that are nearly dependent.
    q, again = np.linalg.qr(q)
    sign = np.where(np.diag(again @ r) < 0.0, -1.0, 1.0)
    B = np.linalg.inv(again @ r) * sign * math.sqrt(n) / size[:, None]
    return np.ascontiguousarray(q * sign * math.sqrt(n)), B


def random_basis(Z: np.ndarray, blocks: tuple[int, ...] = ()) -> np.ndarray:
    """Lower triangle V, shape (q, q), for which the columns of Z V have unit root mean square.

    Within `blocks` they are also orthogonal, from the last column on; a block whose columns are
    dependent is only scaled.
    """
    size = np.sqrt(np.mean(Z**2, axis=0))
    V = np.diag(1.0 / np.where(size > 0.0, size, 1.0))
    start = 0
    for count in blocks:
        at, start = slice(start, start + count), start + count
        if count > 1 and (size[at] > 0.0).all():
            backwards = (Z[:, at] / size[at])[:, ::-1]
            r = np.linalg.qr(backwards, mode="r") / math.sqrt(len(Z))
            r *= np.where(np.diag(r) < 0.0, -1.0, 1.0)[:, None]
            if np.diag(r).min() > DEPENDENT:
                V[at, at] = np.linalg.inv(r)[::-1, ::-1] / size[at][:, None]
    return V
