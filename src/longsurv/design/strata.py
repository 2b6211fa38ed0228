"""Strata of a survival model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.design.dependence import Dependence
from longsurv.design.fixed import FixedDesign, independent_columns, rebuilt
from longsurv.errors import FormulaError


@dataclass(frozen=True)
class Strata:
    """The strata of a model: risk sets never cross them.

    Attributes
    ----------
    columns : tuple of str
        Columns of the data whose combinations of values are the strata.
    labels : tuple of str
        As in "site=a" or "site=a, sex=f".
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...]

    def codes(self, data: pd.DataFrame) -> np.ndarray:
        """Position in `labels` of each row, shape (n,).

        Raises
        ------
        FormulaError
            If a column is missing, or a row belongs to no stratum of the model.
        """
        missing = [c for c in self.columns if c not in data]
        if missing:
            raise FormulaError(f"the new data need the columns {missing}, which say the stratum")
        found = _stratum_labels(data, self.columns)
        codes = pd.Index(self.labels).get_indexer(pd.Index(found))
        if (codes < 0).any():
            unknown = sorted(set(np.asarray(found)[codes < 0]))
            raise FormulaError(f"strata {unknown} are not in the model, which has {self.labels}")
        return codes


def strata_of(
    data: pd.DataFrame, columns: Sequence[str]
) -> tuple[Strata | None, np.ndarray | None]:
    """The strata of some rows, and the position of each row's; None without columns."""
    if not columns:
        return None, None
    labels = _stratum_labels(data, columns)
    # in the order of the values, not of their text: 2 before 10
    order = data[list(columns)].assign(label=labels).drop_duplicates().sort_values(list(columns))
    strata = Strata(tuple(columns), tuple(dict.fromkeys(order["label"])))
    return strata, strata.codes(data)


def _stratum_labels(data: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    parts = [f"{c}=" + data[c].astype(str) for c in columns]
    labels = parts[0]
    for part in parts[1:]:
        labels = labels + ", " + part
    return [str(label) for label in labels]


def without_stratum_constants(
    fixed: FixedDesign, strata: Strata, stratum: np.ndarray, data: pd.DataFrame
) -> FixedDesign:
    """Leave out columns that strata determine: no risk set varies in them.

    Parameters
    ----------
    fixed : FixedDesign
    strata : Strata
    stratum : ndarray of int, shape (n,)
        Of each row of the design.
    data : DataFrame, n rows
    """
    counts = np.bincount(stratum)[:, None]
    sums = np.zeros((len(counts), fixed.X.shape[1]))
    np.add.at(sums, stratum, fixed.X)
    within = fixed.X - (sums / counts)[stratum]
    within[np.abs(within) < 1e-9 * np.abs(fixed.X).max(axis=0, initial=0.0)] = 0.0
    keep = independent_columns(within)
    if keep.all():
        return fixed
    names = np.array(fixed.names, dtype=object)
    aliased = (*fixed.aliased, *names[~keep])
    kept = np.ascontiguousarray(fixed.X[:, keep])
    gone = rebuilt(fixed.recipe, data)[list(aliased)].to_numpy(dtype=float)
    return replace(
        fixed,
        X=kept,
        names=tuple(names[keep]),
        aliased=aliased,
        dependence=Dependence.of(kept, gone, data, strata),
    )
