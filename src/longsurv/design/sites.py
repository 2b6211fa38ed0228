"""Sites of a survival model, which share a random effect on the log hazard: ``(1 | site)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.formula import RandomTerm
from longsurv.design.rank import independent_columns
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.words import plural


@dataclass(frozen=True, eq=False)
class Sites:
    """The sites of the rows of a model.

    Attributes
    ----------
    name : str
        Their column.
    labels : Index, length J
        Its values, sorted.
    group : ndarray of int, shape (n,)
        Position in `labels` of each row's site.
    """

    name: str
    labels: pd.Index
    group: np.ndarray

    @property
    def deviation(self) -> str:
        """What the standard deviation of the effects is called."""
        return f"sd(Intercept|{self.name})"

    @property
    def indicators(self) -> np.ndarray:
        """Whether a row is of a site, shape (n, J)."""
        return np.asarray(self.group[:, None] == np.arange(len(self.labels)), dtype=float)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Values (n,) summed over the rows of each site, shape (J,)."""
        return np.bincount(self.group, weights=values, minlength=len(self.labels))

    def codes(self, data: pd.DataFrame) -> np.ndarray:
        """Position in `labels` of the site of each new row, shape (m,).

        Raises
        ------
        LongsurvError
            If the column is missing or has sites that the model has not seen.
        """
        if self.name not in data:
            raise LongsurvError(f"the new data need the column {self.name!r}, which says the site")
        codes = np.asarray(self.labels.get_indexer(pd.Index(data[self.name])))
        if (codes < 0).any():
            unknown = sorted({str(v) for v in data[self.name][codes < 0]})[:5]
            raise LongsurvError(
                f"the model has not seen the {self.name} {unknown}; by_site=False averages over "
                "sites"
            )
        return codes


def site_column(random: Sequence[RandomTerm], text: str) -> str | None:
    """The column of ``(1 | column)``, the only random term a survival formula may have.

    Raises
    ------
    FormulaError
        For any other.
    """
    if not random:
        return None
    one = random[0]
    if len(random) > 1 or one.effects != "1" or len(one.columns) > 1:
        raise FormulaError(
            "a survival formula has one random effect, of one column, on the log hazard, as in "
            f"(1 | site); got {text!r}"
        )
    return one.columns[0]


def sites_of(column: pd.Series, event: np.ndarray, stratum: np.ndarray | None = None) -> Sites:
    """The sites of some rows.

    Parameters
    ----------
    column : Series, n rows
        Without missing values.
    event : ndarray, shape (n,)
        Whether each has the event.
    stratum : ndarray of int, shape (n,), optional
        Of each.

    Raises
    ------
    DataError
        If they cannot tell how sites differ.
    """
    group, labels = pd.factorize(column, sort=True)
    sites = Sites(str(column.name), pd.Index(labels), np.asarray(group))
    most, J = sites.sums(event).max(), len(labels)
    if J < 2:
        raise DataError(
            f"{sites.name!r} has one value, {labels[0]!r}: how much sites differ cannot be told "
            f"from one; leave (1 | {sites.name}) out"
        )
    if most < 2:
        raise DataError(
            f"none of the {plural(J, 'value')} of {sites.name!r} has more than one event: the data "
            f"cannot tell how much they differ; leave (1 | {sites.name}) out"
        )
    if stratum is not None:
        pairs = np.unique(np.column_stack([stratum, sites.group]), axis=0)
        if len(pairs) == len(np.unique(stratum)):
            raise DataError(
                f"every stratum has one {sites.name}: nobody is compared with patients of another, "
                f"so (1 | {sites.name}) has nothing to say; leave it or the strata out"
            )
    return sites


def reproduced(sites: Sites, X: np.ndarray, stratum: np.ndarray | None = None) -> bool:
    """Whether covariates and strata make every difference between sites, as treatment does where
    each of two sites has one: nothing is left that could tell how much sites differ.

    Parameters
    ----------
    sites : Sites
    X : ndarray, shape (n, p)
    stratum : ndarray of int, shape (n,), optional
        Of each row.
    """
    levels = np.zeros(len(X), dtype=int) if stratum is None else stratum
    first = np.asarray(levels[:, None] == np.unique(levels), dtype=float)
    J = len(sites.labels)
    if first.shape[1] + X.shape[1] < J:
        return False
    columns = np.hstack([first, X, sites.indicators])
    return not independent_columns(columns)[-J:].any()
