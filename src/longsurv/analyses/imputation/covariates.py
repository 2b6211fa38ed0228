"""Covariates of patients that were not recorded, imputed by chained equations given the outcome.

Each covariate with missing values is regressed on all others, on the event and on the Nelson-Aalen
cumulative hazard at the patient's time, in turn; a missing value is that of one of the five
patients whose predictions are nearest, at coefficients drawn anew (predictive mean matching, by
statsmodels). Leaving the outcome out would bias effects towards none.

White & Royston (2009), Stat Med 28:1982-1998; van Buuren (2018), Flexible Imputation of Missing
Data, 2nd ed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.analyses.imputation.answers import Analysis, ImputedAnswer
from longsurv.arguments import checked
from longsurv.design.variables import missing
from longsurv.errors import DataError, LongsurvError
from longsurv.results.pooled import pool
from longsurv.tables.notebook import Readable
from longsurv.words import listed, plural

if TYPE_CHECKING:
    from statsmodels.imputation.mice import MICEData

DONORS = 5
FIRST, BETWEEN = 10, 5
"""Rounds over all covariates before the first completed data set, and between two."""


@checked
@dataclass(frozen=True, repr=False, eq=False)
class CovariateImputation(Readable):
    """Missing covariates, imputed given the others and the outcome.

    Parameters
    ----------
    data : DataFrame
        One row a patient.
    covariates : tuple of str
        Columns to complete, and complete ones to predict them from; numbers, or categories. One
        that is incomplete has numbers or two categories.
    exit, event : str, optional
        Follow-up time and whether it ended with the event: the event and the Nelson-Aalen
        cumulative hazard then predict too.
    entry : str, optional
        Time from which the patient was at risk.
    n : int
        Completed data sets.
    seed : int

    Raises
    ------
    LongsurvError
        If nothing is missing, a covariate has too few known values or does not vary, or is
        incomplete with three categories or more.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "counts")
    no_plot: ClassVar[str] = "counts of what is missing have no figure; summary() shows them"

    data: pd.DataFrame = field(repr=False)
    covariates: tuple[str, ...]
    exit: str | None = None
    event: str | None = None
    entry: str | None = None
    n: int = 50
    seed: int = 1

    def __post_init__(self) -> None:
        if self.n < 1:
            raise LongsurvError(f"n is the number of completed data sets, 1 or more, not {self.n}")
        if (self.exit is None) != (self.event is None):
            raise LongsurvError("exit and event come together: the time, and how it ended")
        names = [*self.covariates, self.exit, self.event, self.entry]
        absent = [name for name in names if name is not None and name not in self.data]
        if absent:
            raise DataError(f"the data have no column {absent[0]!r}")
        object.__setattr__(self, "data", self.data.reset_index(drop=True))
        if not self.incomplete:
            raise DataError(f"no value of {listed(list(self.covariates))} is missing")
        _ = self.predictors

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Covariates with missing values."""
        return tuple(name for name in self.covariates if missing(self.data[name]).any())

    @property
    def counts(self) -> pd.DataFrame:
        """How many values each covariate lacks: covariate, known, missing."""
        lost = [int(missing(self.data[name]).sum()) for name in self.covariates]
        known = [len(self.data) - k for k in lost]
        return pd.DataFrame({"covariate": self.covariates, "known": known, "missing": lost})

    @property
    def words(self) -> str:
        """What is imputed, and from what."""
        given = [*self.covariates, *(["the event", "the cumulative hazard"] if self.exit else [])]
        return (
            f"{plural(int(self.counts['missing'].sum()), 'missing value')} of"
            f" {listed(list(self.incomplete))} imputed by chained equations (predictive mean"
            f" matching, {DONORS} donors) given {listed(given)}, taken as missing at random."
        )

    @cached_property
    def predictors(self) -> pd.DataFrame:
        """Columns of the chained equations in standard units, named x0, x1, ...; the incomplete
        covariates first."""
        columns: list[np.ndarray] = []
        for name in (*self.incomplete, *(c for c in self.covariates if c not in self.incomplete)):
            columns += _columns(self.data[name], name)
        if self.exit is not None and self.event is not None:
            exit, event = (_complete(self.data[name], name) for name in (self.exit, self.event))
            entry = _complete(self.data[self.entry], self.entry) if self.entry else exit * 0 - 1
            columns += [event, cumulative_hazard(entry, exit, event)]
        kept = [_standard(column) for column in columns if _varies(column)]
        for name, column in zip(self.incomplete, kept, strict=False):
            known = int(np.isfinite(column).sum())
            if known <= len(kept) + DONORS:
                raise DataError(
                    f"{name!r} has {plural(known, 'known value')}, too few to predict it from"
                    f" {plural(len(kept) - 1, 'other column')}; name fewer covariates"
                )
        return pd.DataFrame({f"x{k}": column for k, column in enumerate(kept)})

    def completed(self) -> Iterator[pd.DataFrame]:
        """The completed data sets, one after the other.

        Yields
        ------
        DataFrame
            `data` with a value of a patient who has one wherever one was missing.
        """
        from statsmodels.imputation.mice import MICEData

        chain: MICEData = MICEData(
            self.predictors.copy(), k_pmm=DONORS, rng=np.random.default_rng(self.seed)
        )
        for k in range(self.n):
            chain.update_all(BETWEEN if k else FIRST)
            yield self.data.assign(
                **{
                    name: self._values(name, j, chain.data[f"x{j}"].to_numpy())
                    for j, name in enumerate(self.incomplete)
                }
            )

    def _values(self, name: str, j: int, found: np.ndarray) -> pd.Series:
        """A covariate with the values of donors, which are values that were recorded."""
        column, lost = self.data[name], missing(self.data[name])
        standard = self.predictors[f"x{j}"].to_numpy()
        known = np.flatnonzero(~lost)
        order = known[np.argsort(standard[known], kind="stable")]
        donor = order[np.searchsorted(standard[order], found[lost]).clip(max=len(order) - 1)]
        filled = column.copy()
        filled.iloc[np.flatnonzero(lost)] = column.iloc[donor].to_numpy()
        return filled

    def analyse(self, analysis: Analysis, *, level: float = 0.95) -> ImputedAnswer:
        """Analyse every completed data set, and pool the answers by Rubin's rules.

        Parameters
        ----------
        analysis : callable
            As for `Imputation.analyse`.
        level : float
            Of the intervals.

        Returns
        -------
        ImputedAnswer
        """
        answers = []
        for k, data in enumerate(self.completed(), 1):
            try:
                answers.append(analysis(data))
            except LongsurvError as error:
                raise type(error)(f"completed data set {k} of {self.n}: {error}") from error
        return ImputedAnswer(pool(answers, level=level), self.words)


def cumulative_hazard(entry: np.ndarray, exit: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Nelson-Aalen estimate at each patient's own time, shape (n,).

    Parameters
    ----------
    entry, exit : ndarray, shape (n,)
        At risk after the one, up to the other.
    event : ndarray, shape (n,)
        0 or 1.
    """
    times = np.unique(exit[event > 0])
    deaths = np.array([((exit == t) & (event > 0)).sum() for t in times], dtype=float)
    at_risk = np.array([((entry < t) & (exit >= t)).sum() for t in times], dtype=float)
    hazard = np.concatenate([[0.0], np.cumsum(deaths / at_risk)])
    found: np.ndarray = hazard[np.searchsorted(times, exit, side="right")]
    return found


def _columns(column: pd.Series, name: str) -> list[np.ndarray]:
    """A covariate as numbers: itself, or an indicator of every category but the first."""
    lost = missing(column)
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = [column.to_numpy(dtype=float, na_value=np.nan)]
    else:
        codes, levels = pd.factorize(column, sort=True)
        if lost.any() and len(levels) > 2:
            raise DataError(
                f"{name!r} is incomplete and has {len(levels)} categories; chained equations here"
                " take numbers and two categories: join some"
            )
        values = [np.where(lost, np.nan, codes == k).astype(float) for k in range(1, len(levels))]
    if not values or (lost.any() and not _varies(values[0])):
        raise DataError(f"{name!r} is the same in every patient who has it: nothing to impute from")
    return values


def _complete(column: pd.Series, name: str) -> np.ndarray:
    if missing(column).any():
        raise DataError(f"column {name!r} of the outcome has missing values")
    return np.asarray(column, dtype=float)


def _varies(column: np.ndarray) -> bool:
    known = column[np.isfinite(column)]
    return len(known) > 0 and float(known.std()) > 0.0


def _standard(column: np.ndarray) -> np.ndarray:
    found: np.ndarray = (column - np.nanmean(column)) / np.nanstd(column)
    return found
