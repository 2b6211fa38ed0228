"""What a mixed model has of rows to impute: their columns, and covariances at its parameters."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.analyses.imputation.rows import ImputedRows, labels_of
from longsurv.design.fixed import rebuilt
from longsurv.design.mixed import MixedDesign
from longsurv.design.residual import ResidualDesign
from longsurv.errors import DataError
from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.models.glmm import GLMM
from longsurv.models.lmm import LMM
from longsurv.words import plural


@dataclass(frozen=True, eq=False)
class RowArrays:
    """What a mixed model has of some rows: means and covariances at values of its parameters.

    Attributes
    ----------
    X : ndarray, shape (k, p)
    Z : tuple of ndarray, shape (k, q_t)
        Of each term, as the user has them.
    groups : tuple of ndarray of int, shape (k,)
    patient : ndarray of int, shape (k,)
    residual : ResidualDesign or None
        Of these rows; None for independent residuals.
    """

    X: np.ndarray
    Z: tuple[np.ndarray, ...]
    groups: tuple[np.ndarray, ...]
    patient: np.ndarray
    residual: ResidualDesign | None

    @cached_property
    def kinds(self) -> tuple[np.ndarray, ...]:
        """Kind of each pair of rows of every patient, patient by patient, shape (c, c) each."""
        assert self.residual is not None
        counts = np.bincount(self.patient)
        ends = np.cumsum(counts**2)
        parts = np.split(self.residual.kind, ends[:-1])
        return tuple(part.reshape(c, c) for part, c in zip(parts, counts, strict=True))

    def of_residuals(self, structure: Structure) -> Structure:
        """The structure of the fitted rows for the kinds of pairs of these.

        Parameters
        ----------
        structure : Structure
            Of the fitted rows.
        """
        from longsurv.inference.specification import holding

        if self.residual is None:
            return structure
        # rho of continuous time is the correlation across the shortest lag of the fitted rows
        return holding(self.residual.structure, shortest=structure.shortest)

    def covariance(
        self, of: np.ndarray, D: Sequence[np.ndarray], by_kind: np.ndarray
    ) -> np.ndarray:
        """Covariance of some rows, which hold all of their patients', shape (S, m, m).

        Parameters
        ----------
        of : ndarray of int, shape (m,)
        D : sequence of ndarray, shape (S, q_t, q_t)
            Of each term.
        by_kind : ndarray, shape (S, K)
            Residual covariance of each kind of pair; of a row with itself where K is 1 and
            residuals are independent.
        """
        V = np.zeros((len(by_kind), len(of), len(of)))
        for Z, group, D_t in zip(self.Z, self.groups, D, strict=True):
            if Z.shape[1]:
                own = group[of]
                V += (Z[of] @ D_t @ Z[of].T) * (own[:, None] == own)
        if self.residual is None:
            return V + by_kind[:, :1, None] * np.eye(len(of))
        for patient, rows in by_patient(self.patient[of]):
            V[:, rows[:, None], rows] += by_kind[:, self.kinds[patient]]
        return V


def by_patient(patient: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each patient of some sorted rows, and where their rows are."""
    for one in np.unique(patient):
        yield int(one), np.flatnonzero(patient == one)


def row_arrays(model: LMM, rows: ImputedRows) -> RowArrays:
    """The arrays of the rows under a model.

    Raises
    ------
    DataError
        If the rows that were seen do not determine the mean of one to impute.
    """
    design, frame = model.design, rows.frame
    check_means(design, frame, rows)
    X = design.fixed.rebuild(frame)
    residual = None
    if design.residual is not None:
        residual = model.residual.design(frame, rows.patient)
        by_visit = model.residual.visit is not None and not design.residual.times
        if by_visit and not residual.levels.equals(design.residual.levels):
            unseen = residual.levels.difference(design.residual.levels)
            raise DataError(
                f"nobody has a value of {rows.response!r} at {model.residual.visit} "
                f"{', '.join(map(str, unseen))}: its variance is not determined, and no value can"
                " be imputed there"
            )
        if not residual.names_of_groups.equals(design.residual.names_of_groups):
            raise DataError(
                f"a group of {model.residual.by!r} has no value of {rows.response!r}: its variance"
                " is not determined, and no value can be imputed there"
            )
    return RowArrays(
        X,
        tuple(term.random.rebuild(frame) for term in design.terms),
        tuple(labels_of(frame, term.name) for term in design.terms),
        rows.patient,
        residual,
    )


def check_means(design: MixedDesign, frame: pd.DataFrame, rows: ImputedRows) -> None:
    """Refuse rows to impute with a column that others determine only among those seen.

    Parameters
    ----------
    design : MixedDesign
    frame : DataFrame
        Of the rows.
    rows : ImputedRows

    Raises
    ------
    DataError
    """
    fixed = design.fixed
    away = fixed.departures(rebuilt(fixed.recipe, frame), frame).any(axis=1)
    wrong = away[rows.asked]
    if wrong.any():
        count = int(wrong.sum())
        raise DataError(
            f"the mean of {plural(count, 'value')} to impute is not determined: nobody like them"
            f" has a value of {rows.response!r} ({', '.join(fixed.aliased[:3])})"
        )


def under_reference(
    model: LMM | GLMM, rows: ImputedRows, treatment: str, reference: Hashable
) -> tuple[np.ndarray, np.ndarray]:
    """X (k, p) with everybody in the reference group, and who is in another, shape (k,) of bool.

    Raises
    ------
    DataError
        If the reference is no group of the data, or the treatment is not in the model.
    """
    group = rows.frame[treatment]
    known = group.dropna().unique().tolist()
    if reference not in known:
        raise DataError(
            f"{treatment!r} has no group {reference!r}; it has {', '.join(map(str, known))}"
        )
    all_reference = pd.Series([reference] * len(group), index=group.index)
    X = model.design.fixed.rebuild(
        rows.frame.assign(**{treatment: all_reference.astype(group.dtype)})
    )
    other = (group != reference).to_numpy(dtype=bool)
    if not (X[other] != model.design.fixed.rebuild(rows.frame)[other]).any():
        raise DataError(
            f"the means of {model.formula!r} do not depend on {treatment!r}: there is no reference"
            " to take values from"
        )
    return X, other
