"""Spread and correlation of a patient's residuals: structures over visits or time, by group.

The covariance of two residuals of one patient depends only on the kind of their pair: which two
visits they belong to, or how much time lies between them, and which groups of rows they are of.
This module sorts pairs into kinds; what a structure makes of them is in
`longsurv.likelihood.residuals`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.arguments import checked, choice
from longsurv.design.formula import joined_columns
from longsurv.errors import DataError, LongsurvError
from longsurv.likelihood.lmm.dense.residual import Groups, Structure
from longsurv.likelihood.residuals import CORRELATIONS, Correlation
from longsurv.words import plural, verb


@checked
@dataclass(frozen=True)
class Residual:
    """How residuals spread, and how those of one patient are correlated.

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
    by : str, optional
        Column of groups of rows, such as the treatment or the laboratory, that have a standard
        deviation each (nlme's ``varIdent(form = ~ 1 | by)``), and where it is heterogeneous one for
        each visit. The correlations are those of all groups.
    apart : bool
        Whether each group of `by` has correlations of its own too, as by ``us(visit | by / id)`` of
        mmrm and ``GROUP=`` of SAS. A patient's rows are then of one group.

    Raises
    ------
    LongsurvError
        For an unknown kind, no visits where they are needed, or `apart` without `by`.
    """

    kind: str = "independent"
    visit: str | None = None
    patient: str | None = None
    heterogeneous: bool | None = None
    by: str | None = None
    apart: bool = False

    def __post_init__(self) -> None:
        choice("kind of a residual structure", self.kind, CORRELATIONS)
        if self.heterogeneous is None:
            object.__setattr__(self, "heterogeneous", self.correlation.by_pair)
        if self.visit is None and (self.correlation.needs_visit or self.heterogeneous):
            what = "a standard deviation for each visit" if self.heterogeneous else repr(self.kind)
            raise LongsurvError(
                f"{what} needs the column of the visits: Residual(..., visit='visit')"
            )
        if self.apart and self.by is None:
            raise LongsurvError(
                "apart=True gives each group correlations of its own and needs the column of the "
                "groups: Residual(..., by='treatment')"
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
    def columns(self) -> tuple[str, ...]:
        """All columns of the data that it names."""
        return (*self.patient_columns, *(c for c in (self.visit, self.by) if c is not None))

    @property
    def correlated(self) -> bool:
        """Whether residuals of a patient are correlated."""
        return self.correlation.size(2) > 0

    @property
    def trivial(self) -> bool:
        """Whether residuals are independent with one variance."""
        return not (self.heterogeneous or self.by or self.correlated)

    def design(self, data: pd.DataFrame, patient: np.ndarray) -> ResidualDesign:
        """The structure for rows of data with the given patients, shape (n,).

        Raises
        ------
        DataError
            If a patient has two rows at one visit, there is one visit only, a time is no number, or
            there are too few rows of a group.
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
        kind, names, groups = kind.astype(np.int64), pd.Index([""]), None
        if self.by is not None:
            group, found = pd.factorize(data[self.by], sort=True)
            names = pd.Index(found)
            _check_groups(self, data, patient, group, names)
            if self.heterogeneous:
                _check_cells(self, group, visit, names, levels)
            at, other = group[order][first], group[order][second]
            kind, groups = _by_group(kind, len(lag), at, other, len(names), self.apart)
            times = len(groups.first) // len(lag)
            lag, a, b = (np.tile(of_kind, times) for of_kind in (lag, a, b))
        return ResidualDesign(self, levels, lag, a, b, most, order, kind, names, groups)


def _pairs(patient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all ordered pairs within patients, for rows sorted by patient: patient by patient."""
    counts = np.bincount(patient)
    counts = counts[counts > 0]
    start = np.repeat(np.cumsum(counts) - counts, counts**2)
    within = np.arange(len(start)) - np.repeat(np.cumsum(counts**2) - counts**2, counts**2)
    size = np.repeat(counts, counts**2)
    return start + within // size, start + within % size


def _by_group(
    kind: np.ndarray, kinds: int, first: np.ndarray, second: np.ndarray, count: int, apart: bool
) -> tuple[np.ndarray, Groups]:
    """Kinds of pairs told apart by the groups of their rows: those of two rows of the first group,
    of the second one and so on, then those of rows of two groups that there are."""
    own = np.arange(count) * (count + 1)
    found = np.union1d(own, first * count + second)
    pairs = np.concatenate([own, np.setdiff1d(found, own)])
    place = np.empty(count * count, dtype=np.int64)
    place[pairs] = np.arange(len(pairs))
    groups = Groups(*np.divmod(np.repeat(pairs, kinds), count), count, apart)
    return kind + kinds * place[first * count + second], groups


def _check_groups(
    spec: Residual, data: pd.DataFrame, patient: np.ndarray, group: np.ndarray, names: pd.Index
) -> None:
    if len(names) < 2:
        raise DataError(
            f"column {spec.by!r} has one value only; residual standard deviations by group need "
            "several, so leave by= out"
        )
    counts = np.bincount(group)
    if counts.min() < 2:
        alone = int(counts.argmin())
        row = data.index[int(np.flatnonzero(group == alone)[0])]
        raise DataError(
            f"{spec.by} {names[alone]!s} has one row (index {row!s}), which says nothing of the "
            "spread of its residuals; merge it with another group, or leave by= out"
        )
    if not spec.apart:
        return
    home = np.full(int(patient.max()) + 1, -1)
    home[patient] = group
    if (home[patient] != group).any():
        row = data.index[int(np.flatnonzero(home[patient] != group)[0])]
        raise DataError(
            f"the patient of the row at index {row!s} has rows in several groups of {spec.by}; "
            "correlations of its own (apart=True) has a group whose patients have all rows in it"
        )


def _check_cells(
    spec: Residual, group: np.ndarray, visit: np.ndarray, names: pd.Index, levels: pd.Index
) -> None:
    size = len(levels)
    counts = np.bincount(group * size + visit, minlength=len(names) * size)
    few = np.flatnonzero(counts < 2)
    if len(few):
        g, v = divmod(int(few[0]), size)
        raise DataError(
            f"{spec.by} {names[g]!s} has {plural(int(counts[few[0]]), 'row')} at {spec.visit} "
            f"{levels[v]!s}, too few for a standard deviation of its own; use heterogeneous=False, "
            "leave by= out, or leave that visit out"
        )


def _check_visits(
    spec: Residual, data: pd.DataFrame, patient: np.ndarray, visit: np.ndarray, levels: pd.Index
) -> None:
    if len(levels) < 2:
        raise DataError(
            f"column {spec.visit!r} has one value only; correlation needs several visits"
        )
    if spec.correlation.in_order and orderless(data[spec.visit]):
        raise DataError(
            f"column {spec.visit!r} holds text, which does not say in which order the visits "
            "come; make it numbers or a Categorical with its categories in order (ordered=True)"
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


def orderless(column: pd.Series) -> bool:
    """Whether a column of visits does not say in which order they come.

    Text does not: "day 10" sorts before "day 2". Nor does a Categorical without order whose
    categories come as text sorts, where their numbers come otherwise: pandas made it so.

    Parameters
    ----------
    column : Series
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        labels = column.cat.categories
        if column.cat.ordered or not all(isinstance(label, str) for label in labels):
            return False
        return list(labels) == sorted(labels) != sorted(labels, key=_by_numbers)
    return not (
        pd.api.types.is_numeric_dtype(column.dtype)
        or pd.api.types.is_datetime64_any_dtype(column.dtype)
    )


def _by_numbers(label: str) -> list[tuple[float, str]]:
    """A key that sorts "day 2" before "day 10"."""
    parts = re.split(r"(\d+)", label)
    return [(float(part), "") if part.isdigit() else (-1.0, part) for part in parts]


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
    names_of_groups : Index
        Of rows with standard deviations of their own; one without a name where there are none.
    groups : Groups, optional
        Of the rows of each kind of pair.
    """

    spec: Residual
    levels: pd.Index
    lag: np.ndarray
    first: np.ndarray
    second: np.ndarray
    most: int
    order: np.ndarray
    kind: np.ndarray
    names_of_groups: pd.Index
    groups: Groups | None

    @property
    def structure(self) -> Structure:
        """The structure as the likelihood has it."""
        s = self.spec
        kinds = (self.lag, self.first, self.second)
        return Structure(
            s.correlation, bool(s.heterogeneous), *kinds, len(self.levels), self.most, self.groups
        )

    @property
    def times(self) -> bool:
        """Whether kinds of pairs are times between rows, not pairs of visits."""
        return self.spec.correlation.in_time and not self.spec.heterogeneous

    @property
    def cells(self) -> tuple[str, ...]:
        """What has a standard deviation of its own, in words; one without a name if nothing has."""
        visits = [str(v) for v in self.levels] if self.spec.heterogeneous else [""]
        groups = [str(g) for g in self.names_of_groups]
        return tuple(", ".join(filter(None, (v, g))) for g in groups for v in visits)

    def cell_of(self, data: pd.DataFrame) -> np.ndarray:
        """The cell of each row of other data, shape (m,).

        Raises
        ------
        DataError
            For a visit or a group that the model has not seen.
        """
        visit = np.zeros(len(data), dtype=np.int64)
        if self.spec.heterogeneous and self.spec.visit is not None:
            visit = _known(data, self.spec.visit, self.levels)
        if self.spec.by is None:
            return visit
        group = _known(data, self.spec.by, self.names_of_groups)
        return group * (len(self.levels) if self.spec.heterogeneous else 1) + visit

    @property
    def names(self) -> tuple[str, ...]:
        """Standard deviations, then correlation parameters."""
        labels = self.spec.correlation.labels([str(v) for v in self.levels])
        if self.spec.apart:
            labels = tuple(
                f"{label[:-1]}|{g})" if label.endswith(")") else f"{label}({g})"
                for g in self.names_of_groups
                for label in labels
            )
        return (*(f"sigma({c})" if c else "sigma" for c in self.cells), *labels)


def _known(data: pd.DataFrame, column: str, levels: pd.Index) -> np.ndarray:
    """Places of the values of a column among those that the model has seen."""
    if column not in data:
        raise DataError(f"the spread of a new measurement needs the column {column!r}")
    codes = np.asarray(levels.get_indexer(pd.Index(data[column])))
    if (codes < 0).any():
        at = int(np.flatnonzero(codes < 0)[0])
        raise DataError(
            f"{column} {data[column].iloc[at]!s} (index {data.index[at]!s}) has no residual "
            "standard deviation in the model, which has not seen it"
        )
    return codes
