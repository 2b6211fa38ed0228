"""The covariance of a mixed model's measurements, one independent cluster of rows at a time.

A cluster is a patient or, when patients are nested in something, a group of the coarsest grouping;
where groupings cross, all rows are one. Its rows have the covariance V = R + sum over groupings of
Z D Z', with R the covariance of the residuals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import pandas as pd
from scipy.linalg import cholesky, solve_triangular

from longsurv.arguments import checked
from longsurv.design.groupings import Grouping
from longsurv.design.mixed import MixedDesign
from longsurv.errors import LongsurvError
from longsurv.inference.specification import TableSpecification

LARGEST = 6000
"""Rows whose covariance matrix is held as a whole."""


class FittedMixed(Protocol):
    """What is used of a fitted mixed model, with or without nested groupings."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The specification, which has the data."""
        ...

    @property
    def design(self) -> MixedDesign:
        """Arrays of the model."""
        ...

    @property
    def coefficients(self) -> np.ndarray:
        """Fixed effects, shape (p,)."""
        ...

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        ...

    @property
    def residual_cov(self) -> np.ndarray:
        """Covariance of the residuals for each kind of pair of a patient's rows, shape (K,)."""
        ...

    @property
    def random_cov(self) -> pd.DataFrame:
        """Covariance of the random effects, grouping by grouping."""
        ...

    @property
    def own_covariances(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each grouping the covariance of its effects in the kernel's columns of Z, and the
        matrix that Z is those columns times."""
        ...


type MixedFit = Annotated[FittedMixed, "a fitted LMM, as of .fit()"]


@dataclass(frozen=True)
class Cluster:
    """Rows that are independent of all others.

    Attributes
    ----------
    rows : ndarray of int, shape (m,)
    V : ndarray, shape (m, m)
        Covariance of the measurements.
    R : ndarray, shape (m, m)
        Covariance of the residuals.
    """

    rows: np.ndarray
    V: np.ndarray
    R: np.ndarray


@checked
def clusters(fit: MixedFit) -> Iterator[Cluster]:
    """The clusters of a fitted model.

    Raises
    ------
    LongsurvError
        If one has too many rows.
    """
    design = fit.design
    coarsest = design.outer[-1] if design.outer else design
    apart, count = coarsest.group, len(coarsest.labels)
    if design.crossed:
        apart, count = np.zeros_like(design.group), 1
    largest = int(np.bincount(apart).max())
    if largest > LARGEST:
        raise LongsurvError(
            f"{largest} rows depend on one another through their random effects; this question "
            f"needs the covariance of all of them at once, which is held for {LARGEST} at most"
        )
    # In the kernel's columns: far from the origin of time Z D Z' is a difference of large numbers.
    own = zip(design.groupings, fit.own_covariances, strict=True)
    terms = [(g.group, g.random.X @ np.linalg.inv(basis), D) for g, (D, basis) in own]
    place = np.empty(len(design.y), dtype=np.int64)
    residuals = residual_blocks(fit)
    for rows in split_rows(apart, count):
        place[rows] = np.arange(len(rows))
        R = np.zeros((len(rows), len(rows)))
        for patient in np.unique(design.group[rows]):
            of_patient, block = residuals[patient]
            R[np.ix_(place[of_patient], place[of_patient])] = block
        V = R.copy()
        for group, Z, D in terms:
            V += (group[rows, None] == group[rows]) * (Z[rows] @ D @ Z[rows].T)
        yield Cluster(rows, V, R)


@checked
def groupings(fit: MixedFit) -> list[tuple[Grouping, np.ndarray]]:
    """Each grouping of the design with the covariance (q, q) of its random effects."""
    if not fit.design.groupings:
        return []
    D, out, start = fit.random_cov.to_numpy(), [], 0
    for grouping in fit.design.groupings:
        end = start + len(grouping.random.names)
        out.append((grouping, D[start:end, start:end]))
        start = end
    return out


def split_rows(group: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Rows of each group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group, minlength=n_groups))[:-1])


def residual_blocks(fit: FittedMixed) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows of each patient, and the covariance of their residuals."""
    design = fit.design
    rows = split_rows(design.group, len(design.labels))
    if design.residual is None:
        blocks = [fit.sigma**2 * np.eye(len(at)) for at in rows]
    else:
        sizes = np.array([len(at) for at in rows])
        parts = np.split(fit.residual_cov[design.residual.kind], np.cumsum(sizes**2)[:-1])
        blocks = [part.reshape(n, n) for part, n in zip(parts, sizes, strict=True)]
    if design.weights is not None:
        root = design.weights.root
        blocks = [R / np.outer(root[at], root[at]) for R, at in zip(blocks, rows, strict=True)]
    return list(zip(rows, blocks, strict=True))


@dataclass(frozen=True)
class Whitened:
    """The model in coordinates in which the measurements are independent with variance 1.

    Attributes
    ----------
    clusters : list of Cluster
    L : list of ndarray
        Cholesky factor of each V.
    basis : ndarray, shape (n, p)
        Orthonormal basis of the columns of L^-1 X.
    """

    clusters: list[Cluster]
    L: list[np.ndarray]
    basis: np.ndarray

    def forth(self, values: np.ndarray) -> np.ndarray:
        """L^-1 values, shape (n, ...).

        Parameters
        ----------
        values : ndarray, shape (n, ...)

        Returns
        -------
        ndarray, shape (n, ...)
        """
        return self._solved(values, "N")

    def unscaled(self, values: np.ndarray) -> np.ndarray:
        """L values, shape (n, ...): marginal residuals from scaled ones.

        Parameters
        ----------
        values : ndarray, shape (n, ...)

        Returns
        -------
        ndarray, shape (n, ...)
        """
        out = np.empty(values.shape)
        for cluster, L in zip(self.clusters, self.L, strict=True):
            out[cluster.rows] = L @ values[cluster.rows]
        return out

    def back(self, values: np.ndarray) -> np.ndarray:
        """L'^-1 values, shape (n, ...).

        Parameters
        ----------
        values : ndarray, shape (n, ...)

        Returns
        -------
        ndarray, shape (n, ...)
        """
        return self._solved(values, "T")

    def _solved(self, values: np.ndarray, trans: str) -> np.ndarray:
        out = np.empty(values.shape)
        for cluster, L in zip(self.clusters, self.L, strict=True):
            out[cluster.rows] = solve_triangular(L, values[cluster.rows], lower=True, trans=trans)
        return out

    def residual(self, values: np.ndarray) -> np.ndarray:
        """R values, shape (n, ...): conditional residuals from V^-1 (y - X b).

        Parameters
        ----------
        values : ndarray, shape (n, ...)

        Returns
        -------
        ndarray, shape (n, ...)
        """
        out = np.empty(values.shape)
        for cluster in self.clusters:
            out[cluster.rows] = cluster.R @ values[cluster.rows]
        return out

    def residual_sd(self) -> np.ndarray:
        """Standard deviations of the conditional residuals, shape (n,).

        The roots of the diagonal of R (V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1) R.
        """
        variance = -(self.residual(self.back(self.basis)) ** 2).sum(axis=1)
        for cluster, L in zip(self.clusters, self.L, strict=True):
            half = solve_triangular(L, cluster.R, lower=True)
            variance[cluster.rows] += (half**2).sum(axis=0)
        return np.sqrt(np.maximum(variance, 0.0))


@checked
def whiten(fit: MixedFit) -> Whitened:
    """Whitening coordinates of a fitted model."""
    found = list(clusters(fit))
    L = [cholesky(cluster.V, lower=True) for cluster in found]
    basis, _ = np.linalg.qr(Whitened(found, L, np.empty((0, 0))).forth(fit.design.fixed.X))
    return Whitened(found, L, basis)
