"""The rows of a generalised mixed model as its kernel takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.likelihood.glmm.family import Family, kinds_of, middle_of
from longsurv.own_order import own_order

SPACING = 0.8
"""Of the rule over the effects of sites, in standard deviations: see `sites`."""


class SiteRows(NamedTuple):
    """The rows sorted by site, and of each site by patient.

    Attributes
    ----------
    y, extent, offset : ndarray, shape (n,)
    X : ndarray, shape (n, p + 1)
        With the column of the site's effect, whose coefficient that is.
    Z : ndarray, shape (n, q - 1)
        Of the patients' own effects.
    first : ndarray of int, shape (N + 1,)
        First row of each patient.
    home : ndarray of int, shape (J + 1,)
        First patient of each site.
    """

    y: np.ndarray
    extent: np.ndarray
    offset: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    first: np.ndarray
    home: np.ndarray


class CrossedRows(NamedTuple):
    """The rows sorted by patient, those of most sites first.

    Attributes
    ----------
    y, extent, offset : ndarray, shape (n,)
    X : ndarray, shape (n, p)
    Z : ndarray, shape (n, q - 1)
        Of the patients' own effects.
    by : ndarray, shape (n,)
        What the site's effect is multiplied by.
    site : ndarray of int, shape (n,)
    first : ndarray of int, shape (N + 1,)
        First row of each patient.
    many : ndarray of int, shape (N,)
        Sites of each patient, never rising.
    seen : ndarray of int, shape (N, D)
        Those, then 0.
    own : ndarray of int, shape (n,)
        Which of its patient's sites a row is of.
    """

    y: np.ndarray
    extent: np.ndarray
    offset: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    by: np.ndarray
    site: np.ndarray
    first: np.ndarray
    many: np.ndarray
    seen: np.ndarray
    own: np.ndarray


@dataclass(frozen=True)
class GLMMData:
    """Rows sorted by patient, and the quadrature rule.

    Attributes
    ----------
    family : Family
    y : ndarray, shape (n,)
        0/1, category 0 to levels - 1, or a number (the limit where censored, the lower of two).
    extent : ndarray, shape (n,)
        The value lies between y and y + extent: 0 where it is measured, -inf below a limit, inf
        above one.
    X : ndarray, shape (n, p)
    Z : ndarray, shape (n, q)
    first : ndarray of int, shape (N + 1,)
        First row of each patient.
    levels : int
        Categories of an ordinal response, else 0.
    kappa : float
        1 / df of a Student response with fixed degrees of freedom, else NaN.
    nodes : ndarray, shape (M, q)
        Product rule for N(0, I).
    log_weights : ndarray, shape (M,)
        log omega_k + t_k't_k / 2.
    blocks : tuple of int
        How many neighbouring columns of Z each block of correlated random effects has.
    effects : ndarray, shape (q, q)
        The formula's random effects are effects @ b, b those of the columns of Z.
    offset : ndarray, shape (n,)
        What the predictor has besides.
    site : ndarray of int, shape (N,), optional
        Of each patient, 0 to J - 1. All patients of a site share one effect of the last column of
        Z, which is a block of its own; the rule is one for the other columns.
    place : ndarray of int, shape (n,), optional
        In place of `site`, where patients are found at several: the site of each row.
    spacing : float
        Of the rule over that effect: see `sites`.
    """

    family: Family
    y: np.ndarray
    extent: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    first: np.ndarray
    levels: int
    kappa: float
    nodes: np.ndarray
    log_weights: np.ndarray
    blocks: tuple[int, ...]
    effects: np.ndarray
    offset: np.ndarray
    site: np.ndarray | None = None
    place: np.ndarray | None = None
    spacing: float = SPACING

    @property
    def kind(self) -> np.ndarray:
        """Measured, or below, above or between limits: see `family.kinds_of`, shape (n,)."""
        return kinds_of(self.extent)

    @property
    def middle(self) -> np.ndarray:
        """The measured value, the limit, or the middle between two, shape (n,)."""
        return middle_of(self.y, self.extent)

    @property
    def code(self) -> int:
        """That of the family."""
        return self.family.code

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return self.X.shape[1]

    @property
    def q(self) -> int:
        """Number of random effects a patient, the site's among them."""
        return self.Z.shape[1]

    @property
    def q_own(self) -> int:
        """Number of random effects that a patient shares with nobody."""
        return self.q - self.shared

    @property
    def shared(self) -> bool:
        """Whether patients share the effect of the last column of Z with others of their site."""
        return self.site is not None or self.place is not None

    @property
    def own_order(self) -> np.ndarray:
        """Rows by patient, site and what is known of them, whatever their order in the table."""
        patient = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        site = self.site_of_row if self.shared else patient
        return own_order(patient, site, self.X, self.Z, self.offset, self.y)

    @property
    def site_of_row(self) -> np.ndarray:
        """The site of each row, shape (n,), where there are sites."""
        if self.place is not None:
            return self.place
        assert self.site is not None
        return np.repeat(self.site, np.diff(self.first))

    @property
    def n_sites(self) -> int:
        """Their number, 0 without."""
        return int(self.site_of_row.max()) + 1 if self.shared else 0

    @property
    def n_family(self) -> int:
        """Number of family parameters that are estimated."""
        return self.family.size(self.levels, self.kappa)

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the elements of Lam that are not zero by design, row by row."""
        block = np.repeat(np.arange(len(self.blocks)), self.blocks)
        rows, columns = np.tril_indices(self.q)
        within = block[rows] == block[columns]
        return rows[within], columns[within]

    @cached_property
    def free_factor(self) -> np.ndarray:
        """Where the parameters of `loglik_factor` are when Lam has its whole lower triangle."""
        start = self.p + self.n_family
        rows, columns = self.entries
        return np.concatenate([np.arange(start), start + rows * (rows + 1) // 2 + columns])

    @cached_property
    def free_unconstrained(self) -> np.ndarray:
        """Where the parameters of `loglik` are when all correlations are free."""
        start = self.p + self.n_family + self.q
        rows, columns = (index[self.entries[0] > self.entries[1]] for index in self.entries)
        return np.concatenate([np.arange(start), start + rows * (rows - 1) // 2 + columns])

    @cached_property
    def by_site(self) -> SiteRows:
        """The rows as the kernel of sites takes them."""
        assert self.site is not None
        size, patients = np.diff(self.first), np.argsort(self.site, kind="stable")
        rows = np.argsort(np.repeat(self.site, size), kind="stable")
        return SiteRows(
            self.y[rows],
            self.extent[rows],
            self.offset[rows],
            np.hstack([self.X, self.Z[:, -1:]])[rows],
            np.ascontiguousarray(self.Z[rows, :-1]),
            np.append(0, np.cumsum(size[patients])),
            np.append(0, np.cumsum(np.bincount(self.site))),
        )

    @cached_property
    def crossed(self) -> CrossedRows:
        """The rows as the kernel of sites that patients cross takes them."""
        assert self.place is not None
        N, group = (
            len(self.first) - 1,
            np.repeat(np.arange(len(self.first) - 1), np.diff(self.first)),
        )
        pairs, pair = np.unique(np.column_stack([group, self.place]), axis=0, return_inverse=True)
        count = np.bincount(pairs[:, 0], minlength=N)
        own = np.arange(len(pairs)) - (np.cumsum(count) - count)[pairs[:, 0]]
        seen = np.zeros((N, int(count.max())), dtype=np.int64)
        seen[pairs[:, 0], own] = pairs[:, 1]
        patients = np.argsort(-count, kind="stable")
        rank = np.empty(N, dtype=np.int64)
        rank[patients] = np.arange(N)
        rows = np.argsort(rank[group], kind="stable")
        return CrossedRows(
            self.y[rows],
            self.extent[rows],
            self.offset[rows],
            self.X[rows],
            np.ascontiguousarray(self.Z[rows, :-1]),
            self.Z[rows, -1].copy(),
            self.place[rows],
            np.append(0, np.cumsum(np.diff(self.first)[patients])),
            count[patients],
            seen[patients],
            own[pair.ravel()][rows],
        )

    def given_sites(self, b: np.ndarray) -> Self:
        """The rows of patients by themselves, the effects b (J,) of their sites being known."""
        effect = b[self.site_of_row]
        return replace(
            self,
            Z=np.ascontiguousarray(self.Z[:, :-1]),
            blocks=self.blocks[:-1],
            effects=self.effects[:-1, :-1],
            offset=self.offset + self.Z[:, -1] * effect,
            site=None,
            place=None,
        )


def prepare(
    family: str,
    y: np.ndarray,
    X: np.ndarray,
    Z: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    *,
    nodes: np.ndarray,
    log_weights: np.ndarray,
    blocks: tuple[int, ...] = (),
    extent: np.ndarray | None = None,
    df: float | None = None,
    effects: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    site: np.ndarray | None = None,
    place: np.ndarray | None = None,
) -> GLMMData:
    """Sort the rows by patient.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    y : ndarray, shape (n,)
        See `GLMMData`.
    X, Z : ndarray, shape (n, p) and (n, q)
        Designs; X without an intercept for an ordinal response.
    group : ndarray of int, shape (n,)
        Patient of each row, 0 to n_groups - 1, in any order.
    n_groups : int
    nodes, log_weights : ndarray, shape (M, q) and (M,)
        Quadrature rule, see `GLMMData`.
    blocks : tuple of int
        See `GLMMData`; by default one block.
    extent : ndarray, shape (n,), optional
        See `GLMMData`; all measured by default.
    df : float, optional
        Fixed degrees of freedom of a Student response.
    effects : ndarray, shape (q, q), optional
        See `GLMMData`; the identity by default.
    offset : ndarray, shape (n,), optional
        See `GLMMData`; 0 by default.
    site : ndarray of int, shape (n_groups,), optional
        See `GLMMData`; none by default.
    place : ndarray of int, shape (n,), optional
        See `GLMMData`; none by default.
    """
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=n_groups)
    own = FAMILIES[family]
    return GLMMData(
        family=own,
        y=np.ascontiguousarray(y[order], dtype=float),
        extent=np.zeros(len(y)) if extent is None else extent[order].astype(float),
        X=np.ascontiguousarray(X[order], dtype=float),
        Z=np.ascontiguousarray(Z[order], dtype=float),
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        levels=own.levels(y),
        kappa=1.0 / df if df is not None else math.nan,
        nodes=np.ascontiguousarray(nodes),
        log_weights=np.ascontiguousarray(log_weights),
        blocks=blocks or (Z.shape[1],),
        effects=np.eye(Z.shape[1]) if effects is None else effects,
        offset=np.zeros(len(y)) if offset is None else offset[order].astype(float),
        site=site,
        place=None if place is None else place[order],
    )
