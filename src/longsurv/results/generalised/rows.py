"""The rows a generalised mixed model is asked to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.results.columns import beside
from longsurv.results.generalised.quantities import AskedRows
from longsurv.results.mixed.rows import PredictedMixed, fixed_rows, random_rows
from longsurv.results.options import NewGroups
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign
    from longsurv.likelihood.glmm.data import GLMMData


class PredictedGeneralised(PredictedMixed, Protocol):
    """What is used of an answer of a GLMM."""

    @property
    def design(self) -> GeneralisedDesign:
        """Its arrays."""

    @property
    def data(self) -> GLMMData:
        """Those of the likelihood."""


def rows_of(
    result: PredictedGeneralised,
    newdata: pd.DataFrame | None,
    by_patient: bool,
    new_groups: NewGroups,
) -> tuple[pd.DataFrame, AskedRows]:
    """The frame and its rows; without `by_patient` as of patients nobody has seen."""
    frame, X = fixed_rows(result, newdata)
    design, site = result.design, None
    if by_patient:
        parts, groups = random_rows(design, newdata, new_groups)
        Z, group, *outer = np.hstack(parts), *groups
        site = outer[0] if outer else None
        if site is not None and result.data.site is not None:
            _check_own_sites(design, frame, group, site, result.data.site)
    else:
        group = np.full(len(X), -1)
        Z = design.effects.X if newdata is None else design.effects.rebuild(newdata)
    offset = design.offsets if newdata is None else design.offset_of(newdata)
    return frame, AskedRows(X, Z, group, offset, site)


def _check_own_sites(
    design: GeneralisedDesign,
    frame: pd.DataFrame,
    group: np.ndarray,
    site: np.ndarray,
    own: np.ndarray,
) -> None:
    """Refuse patients of the fit at another site than theirs, whose effect theirs goes with."""
    moved = np.flatnonzero((group >= 0) & (site >= 0) & (site != own[np.maximum(group, 0)]))
    if len(moved):
        column = design.outer[0].name
        raise LongsurvError(
            f"the model knows {plural(len(np.unique(group[moved])), 'patient')} of these rows at"
            f" another {column} (index {list(frame.index[moved][:5])}): give each patient's own"
            f" {column}, or another label to a patient whom the model has not seen"
        )


def by_category(
    frame: pd.DataFrame, design: GeneralisedDesign, columns: dict[str, np.ndarray]
) -> pd.DataFrame:
    """The frame with its answers, one row a category where they have a second axis."""
    if next(iter(columns.values())).ndim == 1:
        return beside(frame, columns)
    times = len(design.levels)
    repeated = frame.iloc[np.repeat(np.arange(len(frame)), times)]
    category = np.tile(np.array(design.levels, dtype=object), len(frame))
    return beside(repeated, {"category": category} | {k: v.ravel() for k, v in columns.items()})
