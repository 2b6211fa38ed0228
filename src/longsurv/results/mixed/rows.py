"""The rows a mixed model is asked to predict, and the groups they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.design import MixedDesign
from longsurv.design.groupings import Grouping, combined
from longsurv.design.weights import Weights
from longsurv.errors import LongsurvError
from longsurv.inference.specification import TableSpecification
from longsurv.likelihood.lmm.kernel import MixedKernel, Point
from longsurv.results.columns import ranef_table
from longsurv.results.options import NewGroups


class PredictedMixed(Protocol):
    """What is used of an answer of any mixed model."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The model."""

    @property
    def design(self) -> MixedDesign:
        """Its arrays."""


def fixed_rows(
    result: PredictedMixed, newdata: pd.DataFrame | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """The frame and X (m, p) of rows to predict; by default of those of the fit."""
    design = result.design
    if newdata is None:
        return result.spec.data.iloc[design.rows], design.fixed.X
    return newdata.copy(), design.fixed.rebuild(newdata)


def random_rows(
    design: MixedDesign, newdata: pd.DataFrame | None, new_groups: NewGroups
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Z (m, q_t) and group (m,) of rows in each term of a design.

    A group is an index into the term's labels, or -1 - k for the k-th of those not seen; also where
    the patients have no random effects.
    """
    Z, group = [], []
    for term in design.terms:
        if newdata is None:
            Z.append(term.random.X)
            group.append(term.group)
        elif not term.random.names:
            Z.append(np.empty((len(newdata), 0)))
            group.append(np.full(len(newdata), -1))
        else:
            group.append(_codes(design, term, newdata, new_groups))
            Z.append(term.random.rebuild(newdata))
    return Z, group


def unseen_rows(
    design: MixedDesign, newdata: pd.DataFrame | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """As `random_rows`, each row being of a patient of its own in groups that were not seen."""
    Z = [
        term.random.X if newdata is None else term.random.rebuild(newdata) for term in design.terms
    ]
    return Z, [-1 - np.arange(len(Z[0]))] * len(Z)


def spread_of_new(
    result: PredictedMixed, newdata: pd.DataFrame | None, kernel: MixedKernel
) -> Callable[[Point], np.ndarray]:
    """Residual variances (m,) of new measurements at the values of a model's parameters.

    Raises
    ------
    LongsurvError
        Where residuals of a patient are correlated, and a new measurement depends on those before.
    DataError
        For rows of a group or a visit that has no spread in the model, or without a weight.
    """
    design = result.design
    residual, weights = design.residual, design.weights
    if residual is not None and residual.spec.correlated:
        raise LongsurvError(
            f"{result.spec.formula!r} has a residual structure, under which a new measurement "
            "depends on its visit and on those before; interval='prediction' needs independent "
            "residuals"
        )
    frame = result.spec.data.iloc[design.rows] if newdata is None else newdata
    cell = np.zeros(len(frame), dtype=np.int64) if residual is None else residual.cell_of(frame)
    over = 1.0 if weights is None else Weights.of(weights.column, frame).values
    return lambda point: kernel.cell_variances(point)[cell] / over


def _codes(
    design: MixedDesign, term: Grouping, newdata: pd.DataFrame, new_groups: NewGroups
) -> np.ndarray:
    labels = groups_of(newdata, term.name)
    codes = np.array(term.labels.get_indexer(labels))
    lost = codes < 0
    if new_groups == "error" and lost.any():
        unknown = sorted({str(v) for v in labels[lost]})[:5]
        if not design.structured:
            raise LongsurvError(
                f"the model has not seen {term.name} {unknown}; new_groups='population' predicts "
                "their population mean"
            )
        rows = [str(v) for v in newdata.index[lost][:5]]
        raise LongsurvError(
            f"the model has not seen the {term.name} {unknown} (index {rows}); "
            "new_groups='population' leaves their effects at 0"
        )
    codes[lost] = -1 - np.unique(labels[lost].astype(str), return_inverse=True)[1]
    return codes


def groups_of(frame: pd.DataFrame, name: str) -> pd.Index:
    """The group of each row in a grouping: of the column of that name, or of the several that are
    joined by colons in it, as in (1 | site:id)."""
    columns = [name] if name in frame else name.split(":")
    missing = [c for c in columns if c not in frame]
    if missing:
        several = len(missing) > 1
        listed = f"columns {missing}" if several else f"column {missing[0]!r}"
        raise LongsurvError(f"by_patient needs the {listed} in the new data")
    return pd.Index(frame[name]) if len(columns) == 1 else combined(frame, columns)


def patients(design: MixedDesign) -> dict[str, str | np.ndarray]:
    """The patients of a design, as `ranef_table` takes them."""
    return {design.group_name: design.labels.to_numpy()}


def ranef(
    design: MixedDesign, found: Sequence[tuple[np.ndarray, np.ndarray]], level: float
) -> pd.DataFrame:
    """Means and standard errors (G, q) of the random effects of every grouping, as a table."""
    parts = []
    for grouping, (mean, se) in zip(design.groupings, found, strict=True):
        groups = patients(design)
        if design.structured:
            groups = {"grouping": grouping.name, "group": grouping.labels.to_numpy()}
        parts.append(ranef_table(groups, grouping.random.names, mean, se, level))
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]


def check_random(result: PredictedMixed) -> None:
    """Refuse what only random effects can answer, of a model that has none."""
    if not result.design.groupings:
        raise LongsurvError(
            f"{result.spec.formula!r} has no random effects; its patients differ in their "
            "residuals only"
        )
