"""Variance parameters of a mixed model, from the kernel's covariance matrices to the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from longsurv.design import MixedDesign
from longsurv.inference import Flat
from longsurv.likelihood.lmm.blocks import element_map
from longsurv.likelihood.residuals.correlation import complex_step
from longsurv.results.estimate import TIDY
from longsurv.results.reference import t_quantile
from longsurv.tables.notebook import Readable


@dataclass(frozen=True)
class VarianceEstimate(Readable):
    """Variance parameters of a fitted mixed model.

    Attributes
    ----------
    names : tuple of str
        Residual parameters (sigma, its correlations), the random effects' SDs, their correlations.
    values : ndarray
        On their natural scales; a correlation is NaN where one of its SDs is 0.
    std_error : ndarray
        NaN where a parameter is on its boundary.
    undetermined : tuple of str
        Parameters that the data do not determine: their values are NaN.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    names: tuple[str, ...]
    values: np.ndarray
    std_error: np.ndarray
    undetermined: tuple[str, ...] = ()

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """In the grammar of `tidy`.

        Parameters
        ----------
        level : float
            Of the intervals: on the log scale for SDs, Fisher's z for correlations.

        Returns
        -------
        DataFrame
            term, estimate, std_error, conf_low, conf_high; statistic, df and p_value are NaN.
        """
        z, values, se = t_quantile(level, np.inf), self.values, self.std_error
        correlation = np.array([name.startswith(("cor(", "rho")) for name in self.names])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(values > 0, np.exp(z * se / values), np.nan)
            centre, width = np.arctanh(values), z * se / (1.0 - values**2)
            low = np.where(correlation, np.tanh(centre - width), values / factor)
            high = np.where(correlation, np.tanh(centre + width), values * factor)
        empty = np.full(len(values), np.nan)
        columns = [list(self.names), values, se, empty, empty, empty, low, high]
        return pd.DataFrame(dict(zip(TIDY, columns, strict=True)))


SINGULAR = 1e-8
"""A correlation matrix in the kernel's columns with a smaller eigenvalue is singular."""


class RandomCovariance(NamedTuple):
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


def variance_estimate(
    names: tuple[str, ...],
    terms: Sequence[RandomCovariance],
    eta: np.ndarray,
    shown: Callable[[np.ndarray], np.ndarray],
    information: np.ndarray | None,
    flat: Flat,
) -> VarianceEstimate:
    """Residual parameters, then the SDs and correlations of every grouping.

    Parameters
    ----------
    names : tuple of str
    terms : sequence of RandomCovariance
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


def boundary_flags(
    design: MixedDesign, variance: VarianceEstimate, terms: Sequence[RandomCovariance]
) -> tuple[str, ...]:
    """Variances of exactly 0 and correlations of exactly 1, in words.

    Whether a covariance matrix is singular is asked in the kernel's columns: far from the origin of
    time any intercept and slope have a correlation close to 1.
    """
    found = dict(zip(variance.names, variance.values, strict=True))
    flags = []
    for grouping, term in zip(design.groupings, terms, strict=True):
        sds, correlations = grouping.random.parameter_names(grouping.name)
        for effect, name in zip(grouping.random.names, sds, strict=True):
            if found[name] == 0.0:
                flags.append(
                    f"Boundary: the variance of {effect} between {grouping.name} is estimated as "
                    "exactly 0; the data show no more variation there than the residual explains."
                )
        for name in correlations:
            if not term.some.all() and abs(found[name]) > 1.0 - 1e-6:
                flags.append(
                    f"Boundary: {name} is estimated as {found[name]:+.0f}; the random effects "
                    "have fewer dimensions than the formula gives them."
                )
    return tuple(flags)
