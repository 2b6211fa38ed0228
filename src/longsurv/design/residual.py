"""Correlation of a patient's residuals: structures over visits or over time.

The covariance of two residuals of one patient depends only on the kind of their pair: which two
visits they belong to, or how much time lies between them. This module sorts pairs into kinds; what
a structure makes of them is in `longsurv.likelihood.residuals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.arguments import checked, choice
from longsurv.design.formula import joined_columns
from longsurv.errors import DataError, LongsurvError
from longsurv.likelihood.residuals import CORRELATIONS, Correlation
from longsurv.words import plural, verb


@checked
@dataclass(frozen=True)
class Residual:
    """How the residuals of one patient are correlated.

    Parameters
    ----------
    kind : {"independent", "cs", "ar1", "exponential", "toeplitz", "unstructured"}
        Compound symmetry (one correlation); first-order autoregression over the order of the visits
        (rho^lag); continuous-time autoregression (rho^time, for visits at irregular times); one
        correlation for each lag; one for each pair of visits.
    visit : str, optional
        Column of the visits (their sorted order counts) or, for "exponential", of the time.
    patient : str, optional
        Column of the patients, or several joined by a colon (site:id), in back-quotes where one has
        a colon in it; by default the finest group of the formula. A formula without random terms
        needs it.
    heterogeneous : bool, optional
        A standard deviation for each visit. True by default for "unstructured" only.

    Raises
    ------
    LongsurvError
        For an unknown kind, or no visits where they are needed.
    """

    kind: str = "independent"
    visit: str | None = None
    patient: str | None = None
    heterogeneous: bool | None = None

    def __post_init__(self) -> None:
        choice("kind of a residual structure", self.kind, CORRELATIONS)
        if self.heterogeneous is None:
            object.__setattr__(self, "heterogeneous", self.correlation.by_pair)
        if self.visit is None and (self.correlation.needs_visit or self.heterogeneous):
            what = "a standard deviation for each visit" if self.heterogeneous else repr(self.kind)
            raise LongsurvError(
                f"{what} needs the column of the visits: Residual(..., visit='visit')"
            )

    @property
    def correlation(self) -> Correlation:
        """What the kind stands for."""
        return CORRELATIONS[self.kind]

    @property
    def patient_columns(self) -> tuple[str, ...]:
        """The columns that make up the patients, if they are named."""
        return joined_columns(self.patient) if self.patient else ()

    @property
    def trivial(self) -> bool:
        """Whether residuals are independent with one variance."""
        return not (self.heterogeneous or self.correlation.size(2))

    def design(self, data: pd.DataFrame, patient: np.ndarray) -> ResidualDesign:
        """The structure for rows of data with the given patients, shape (n,).

        Raises
        ------
        DataError
            If a patient has two rows at one visit, there is one visit only, or a time is no number.
        """
        n = len(data)
        order = np.argsort(patient, kind="stable")
        if self.visit is None:
            visit, levels = np.zeros(n, dtype=np.int64), pd.Index([""])
        else:
            visit, found = pd.factorize(data[self.visit], sort=True)
            levels = pd.Index(found)
            _check_visits(self, data, patient, visit, levels)
        first, second = _pairs(patient[order])
        time = np.arange(len(levels), dtype=float)
        if self.correlation.in_time:
            time = levels.to_numpy(dtype=float)
        by_visit = self.visit is not None and (self.heterogeneous or not self.correlation.in_time)
        if by_visit:
            m = len(levels)
            kind = visit[order][first] * m + visit[order][second]
            a, b = np.divmod(np.arange(m * m), m)
            lag = np.abs(time[a] - time[b])
        else:
            gap = np.abs(time[visit[order][first]] - time[visit[order][second]])
            # Without visits all that matters is whether the two rows are the same one.
            gap = np.where(first == second, 0.0, gap if self.visit is not None else 1.0)
            lag, kind = np.unique(gap, return_inverse=True)
            a = b = np.zeros(len(lag), dtype=np.int64)
        most = int(np.bincount(patient).max())
        if self.visit is not None:
            most = max(most, len(levels))
        return ResidualDesign(self, levels, lag, a, b, most, order, kind.astype(np.int64))


def _pairs(patient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all ordered pairs within patients, for rows sorted by patient: patient by patient."""
    counts = np.bincount(patient)
    counts = counts[counts > 0]
    start = np.repeat(np.cumsum(counts) - counts, counts**2)
    within = np.arange(len(start)) - np.repeat(np.cumsum(counts**2) - counts**2, counts**2)
    size = np.repeat(counts, counts**2)
    return start + within // size, start + within % size


def _check_visits(
    spec: Residual, data: pd.DataFrame, patient: np.ndarray, visit: np.ndarray, levels: pd.Index
) -> None:
    if len(levels) < 2:
        raise DataError(
            f"column {spec.visit!r} has one value only; correlation needs several visits"
        )
    if spec.correlation.in_order and _is_text(data[spec.visit]):
        raise DataError(
            f"column {spec.visit!r} holds text, which does not say in which order the visits "
            "come; make it numbers or a Categorical with its categories in order"
        )
    if spec.correlation.in_time and not pd.api.types.is_numeric_dtype(levels.dtype):
        raise DataError(f"column {spec.visit!r} must hold times as numbers for kind={spec.kind!r}")
    twice = pd.DataFrame({"patient": patient, "visit": visit}).duplicated().to_numpy()
    if twice.any():
        rows = [data.index[i] for i in np.flatnonzero(twice)[:5]]
        raise DataError(
            f"{plural(int(twice.sum()), 'row')} "
            f"{verb(int(twice.sum()), 'repeats', 'repeat')} a visit ({spec.visit}) of the "
            f"same patient, as at "
            f"index {rows}; a residual structure needs one row for each patient and visit"
        )


def _is_text(column: pd.Series) -> bool:
    return not (
        isinstance(column.dtype, pd.CategoricalDtype)
        or pd.api.types.is_numeric_dtype(column.dtype)
        or pd.api.types.is_datetime64_any_dtype(column.dtype)
    )


@dataclass(frozen=True, eq=False)
class ResidualDesign:
    """A structure for particular rows.

    Attributes
    ----------
    spec : Residual
    levels : Index
        Visits, in order.
    lag : ndarray, shape (K,)
        Visits or time between the two rows of each kind of pair.
    first, second : ndarray of int, shape (K,)
        Their visits.
    most : int
        Largest number of rows a patient may have.
    order : ndarray of int, shape (n,)
        Rows sorted by patient.
    kind : ndarray of int, shape (sum of squared numbers of rows,)
        Kind of each ordered pair of rows of a patient, patient by patient in that order.
    """

    spec: Residual
    levels: pd.Index
    lag: np.ndarray
    first: np.ndarray
    second: np.ndarray
    most: int
    order: np.ndarray
    kind: np.ndarray

    @property
    def structure(self) -> tuple[Correlation, bool, np.ndarray, np.ndarray, np.ndarray, int, int]:
        """Arguments of `longsurv.likelihood.lmm.dense.residual.Structure`."""
        s = self.spec
        kinds = (self.lag, self.first, self.second)
        return (s.correlation, bool(s.heterogeneous), *kinds, len(self.levels), self.most)

    @property
    def names(self) -> tuple[str, ...]:
        """Standard deviations, then correlation parameters."""
        at = [str(v) for v in self.levels]
        sds = tuple(f"sigma({v})" for v in at) if self.spec.heterogeneous else ("sigma",)
        return (*sds, *self.spec.correlation.labels(at))
