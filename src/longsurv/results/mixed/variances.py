"""Variance parameters of a mixed model, from the kernel's covariance matrices to the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from longsurv.inference import Flat
from longsurv.likelihood.lmm.blocks import element_map
from longsurv.likelihood.residuals.correlation import complex_step
from longsurv.results.mixed.estimate import VarianceEstimate

SINGULAR = 1e-8
"""A correlation matrix in the kernel's columns with a smaller eigenvalue is singular."""


class RandomTerm(NamedTuple):
    """The random effects of one grouping.

    Attributes
    ----------
    D : ndarray, shape (q, q)
        Their covariance in the kernel's columns of Z.
    basis : ndarray, shape (q, q)
        The effects in those columns are basis @ b.
    elements : (rows, columns)
        The free elements of D's lower triangle.
    """

    D: np.ndarray
    basis: np.ndarray
    elements: tuple[np.ndarray, np.ndarray]

    @property
    def some(self) -> np.ndarray:
        """Which effects of the kernel's columns vary and do not determine one another, (q,)."""
        tau = np.sqrt(np.diag(self.D))
        some = tau > 0.0
        unit = np.where(some, tau, 1.0)
        C = (self.D / np.outer(unit, unit))[np.ix_(some, some)]
        if some.any() and np.linalg.eigvalsh(C)[0] < SINGULAR:
            return np.zeros(len(self.D), dtype=bool)
        return some

    @property
    def inner(self) -> np.ndarray:
        """Which free elements of D are away from any boundary."""
        rows, columns = self.elements
        some = self.some
        return some[rows] & some[columns]


def carried(tau: np.ndarray, C: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SDs and correlations of b from those of the effects to @ b.

    Parameters
    ----------
    tau : ndarray, shape (..., q)
    C : ndarray, shape (..., q, q)
    to : ndarray, shape (q, q)
    """
    if np.array_equal(to, np.eye(len(to))):
        return tau, C
    back = np.linalg.inv(to)
    D = back @ (C * tau[..., :, None] * tau[..., None, :]) @ back.T
    sd = np.sqrt(np.diagonal(D, axis1=-2, axis2=-1))
    return sd, np.clip(D / (sd[..., :, None] * sd[..., None, :]), -1.0, 1.0)


def variance_estimate(
    names: tuple[str, ...],
    terms: Sequence[RandomTerm],
    eta: np.ndarray,
    shown: Callable[[np.ndarray], np.ndarray],
    information: np.ndarray | None,
    flat: Flat,
) -> VarianceEstimate:
    """Residual parameters, then the SDs and correlations of every grouping.

    Parameters
    ----------
    names : tuple of str
    terms : sequence of RandomTerm
    eta : ndarray, shape (k,)
        Parameters of the residual covariance.
    shown : callable
        What is reported of those; complex arguments must be welcome.
    information : ndarray, shape (m, m), optional
        Observed information of the free elements of every D in the kernel's columns, then of eta;
        without it there are no standard errors.
    flat : Flat
        Directions of those parameters that the data do not determine.
    """
    point = np.concatenate([*(term.D[term.elements] for term in terms), eta])
    maps = [element_map(np.linalg.inv(term.basis), term.elements) for term in terms]

    def natural(x: np.ndarray) -> np.ndarray:
        parts, at = [shown(x[len(x) - len(eta) :])], 0
        for term, to_user in zip(terms, maps, strict=True):
            rows, columns = term.elements
            values = to_user @ x[at : at + len(rows)]
            at += len(rows)
            tau = np.sqrt(values[rows == columns])
            i, j = rows[rows > columns], columns[rows > columns]
            parts += [tau, values[rows > columns] / (tau[i] * tau[j])]
        return np.concatenate(parts)

    with np.errstate(divide="ignore", invalid="ignore"):
        values = natural(point)
        jacobian = complex_step(natural, point).T
    correlation = np.array([name.startswith("cor(") for name in names])
    values = np.where(correlation, np.clip(values, -1.0, 1.0), values)
    undetermined: tuple[str, ...] = ()
    if flat:
        # On a boundary a square root has no slope, but its sign of one.
        slopes = np.where(np.isfinite(jacobian), jacobian, np.sign(np.nan_to_num(jacobian)))
        known = flat.estimable(slopes)
        values = np.where(known, values, np.nan)
        undetermined = tuple(n for n, k in zip(names, known, strict=True) if not k)
    nothing = VarianceEstimate(names, values, np.full(len(values), np.nan), undetermined)
    if information is None or flat:
        return nothing
    inner = np.concatenate([*(term.inner for term in terms), np.ones(len(eta), dtype=bool)])
    information, moving = information[np.ix_(inner, inner)], jacobian[:, inner]
    unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    if np.linalg.eigvalsh(information * np.outer(unit, unit))[0] <= 0:
        return nothing
    variance = np.einsum("ri,ir->r", moving, np.linalg.solve(information, moving.T))
    known = ~(~np.isfinite(jacobian) | (jacobian != 0))[:, ~inner].any(axis=1)
    return VarianceEstimate(names, values, np.where(known, np.sqrt(variance), np.nan), ())
