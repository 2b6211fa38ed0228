"""The difference in change: how much further a marker moves in one group than in another.

"Significant in one group, not in the other" compares two p-values. The estimand here compares the
changes themselves:

    (mean at `end` - mean at `start`) under `level`  minus  the same under `reference`

as one contrast of the fixed effects, from an Estimate or a Posterior alike. On the log scale its
exponential is a ratio: the fold change under `level` over the fold change under `reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design import FixedDesign
from longsurv.design.fixed import rebuilt
from longsurv.design.variables import absent
from longsurv.errors import EstimationError, FormulaError, LongsurvError
from longsurv.estimands.limited_spread import limited_sd
from longsurv.times import snapped

type Correction = Literal["holm", "fdr_bh"]
CORRECTED: dict[str, Correction] = {"p_holm": "holm", "p_fdr": "fdr_bh"}
"""Columns of corrected p-values, and how."""


class HasFixed(Protocol):
    """A design with fixed effects."""

    @property
    def fixed(self) -> FixedDesign:
        """Their design."""


class Contrasting(Protocol):
    """What an Estimate and a Posterior share."""

    @property
    def design(self) -> HasFixed:
        """The arrays of the model."""
        ...

    @property
    def contrast(self) -> Callable[..., pd.DataFrame]:
        """A linear combination of the fixed effects, one tidy row."""


class Predicting(Protocol):
    """A result that predicts."""

    def predict(self, newdata: pd.DataFrame) -> pd.DataFrame:
        """Mean response of the rows."""


type Predicts = Annotated[Predicting, "a fit or posterior of a mixed model"]
type Answer = Annotated[Contrasting, "a fit or posterior of a mixed model"]


@checked
@dataclass(frozen=True)
class Change:
    """A change of a marker, and the two groups it is compared between.

    Parameters
    ----------
    variable : str
        Column the marker changes along: "phase", or the measurement time.
    start, end : hashable
        Its values before and after.
    treatment : str
        Column of the group.
    level, reference : hashable
        The group whose change is reported, and the one it is compared with.
    """

    variable: str
    start: Hashable
    end: Hashable
    treatment: str
    level: Hashable
    reference: Hashable


@checked
def difference_in_change(result: Answer, change: Change, data: pd.DataFrame) -> pd.DataFrame:
    """Contrast the change under one treatment level with that under the reference.

    Parameters
    ----------
    result : Estimate or Posterior
        Of a model with an interaction of `change.variable` and `change.treatment`.
    change : Change
    data : DataFrame
        The data of the model; other covariates are held at a typical patient's.

    Returns
    -------
    DataFrame
        One row of the result's tidy table.

    Raises
    ------
    EstimationError
        If the model has no such interaction, or a group has no data at one of the two ends.
    """
    return result.contrast(contrast_weights(result.design.fixed, change, data))


def contrast_weights(design: FixedDesign, change: Change, data: pd.DataFrame) -> dict[str, float]:
    """Weights of the fixed effects in the difference in change, the zeros left out.

    Raises
    ------
    EstimationError
        If the contrast cannot be estimated from this design, or nothing was measured at an end.
    """
    corners = [
        (level, at)
        for level in (change.level, change.reference)
        for at in (change.end, change.start)
    ]
    weights = _combined(design, change, data, corners, [1.0, -1.0, -1.0, 1.0])
    if not weights:
        raise EstimationError(
            f"the model has no interaction of {change.variable!r} and {change.treatment!r}, so"
            f" both groups change alike by construction; write '{change.variable} *"
            f" {change.treatment}'"
        )
    return weights


def start_weights(design: FixedDesign, change: Change, data: pd.DataFrame) -> dict[str, float]:
    """Weights of the fixed effects in the difference between the groups at the start of a change,
    the zeros left out; none where the model has them begin alike.

    Raises
    ------
    EstimationError
        As for `contrast_weights`.
    """
    corners = [(level, change.start) for level in (change.level, change.reference)]
    return _combined(design, change, data, corners, [1.0, -1.0])


def _combined(
    design: FixedDesign,
    change: Change,
    data: pd.DataFrame,
    ends: Sequence[tuple[Hashable, Hashable]],
    signs: Sequence[float],
) -> dict[str, float]:
    """Weights of the fixed effects in a combination of groups at ends of a change."""
    corners = _rows(data, [{change.treatment: level, change.variable: at} for level, at in ends])
    _check_measured(change, data)
    try:
        matrix = rebuilt(design.recipe, corners, "the phases and groups compared")
    except FormulaError as error:
        unseen = _unseen(change, data)  # of a factor of numbers
        if not unseen:
            raise
        raise EstimationError(f"there is no measurement at {unseen}") from error
    found = np.asarray(signs) @ matrix.to_numpy(dtype=float)
    weights = dict(zip(map(str, matrix.columns), found, strict=True))
    weights = {name: float(w) for name, w in weights.items() if abs(w) > 1e-12}
    lost = [name for name in weights if name in design.aliased]
    if lost:
        raise EstimationError(
            f"the difference in change needs {lost[0]!r}, which the data cannot tell from the"
            f" other terms: is there a measurement of every group at both {change.start!r} and"
            f" {change.end!r}?"
        )
    return weights


def _check_measured(change: Change, data: pd.DataFrame) -> None:
    """Refuse groups, phases and days of which there is no measurement.

    Along a number the mean between two measured times is the model's to give, but not beyond the
    first and the last of them.
    """
    absent = [name for name in (change.variable, change.treatment) if name not in data]
    if absent:
        raise EstimationError(f"the data have no column {', '.join(map(repr, absent))}")
    measured = data[data["y"].notna()] if "y" in data else data
    for level in (change.level, change.reference):
        if not (measured[change.treatment] == level).any():
            raise EstimationError(f"there is no measurement with {change.treatment} {level!r}")
    times = measured[change.variable].dropna()
    if not pd.api.types.is_numeric_dtype(times) or pd.api.types.is_bool_dtype(times):
        unseen = _unseen(change, measured)
        if unseen:
            raise EstimationError(f"there is no measurement at {unseen}")
        return
    first, last = (float(t) for t in (times.min(), times.max()))
    for at in (change.start, change.end):
        if not isinstance(at, (int, float, np.number)):
            raise EstimationError(f"{change.variable!r} holds numbers, and {at!r} is none")
        if not first <= float(snapped(at, times)) <= last:
            raise EstimationError(
                f"there is no measurement at {change.variable} {at:g}: they were made from "
                f"{first:g} to {last:g}, and the model cannot be relied on beyond"
            )


def _unseen(change: Change, data: pd.DataFrame) -> str:
    """Which of the two ends were never measured, in words; "" if both were."""
    there = data[change.variable]
    ends = [at for at in (change.start, change.end) if not (there == at).any()]
    if not ends:
        return ""
    known = ", ".join(map(str, sorted(there.dropna().unique(), key=str)[:10]))
    return f"{change.variable} {' and '.join(map(repr, ends))} (there is: {known})"


@checked
def mean_curves(
    result: Predicts,
    data: pd.DataFrame,
    variable: str,
    values: Sequence[Hashable],
    treatment: str,
    groups: Sequence[Hashable],
) -> pd.DataFrame:
    """Fitted mean of a typical patient of each group at each value of `variable`.

    Returns
    -------
    DataFrame
        Group by group, in the order of `values`: columns `variable`, `treatment` (those of `data`
        called as one of the others have "_newdata" after their names) and the result's `estimate`,
        `std_error`, `conf_low`, `conf_high`, on the scale of the response.
    """
    grid = _rows(data, [{treatment: group, variable: at} for group in groups for at in values])
    return result.predict(grid)


@checked
def adjusted_p_values(p_values: Sequence[float] | np.ndarray, method: Correction) -> np.ndarray:
    """Correct p-values for multiple comparisons; missing ones stay missing and do not count.

    Parameters
    ----------
    p_values : sequence of float
    method : {"holm", "fdr_bh"}
        Holm (1979) controls the family-wise error rate, Benjamini and Hochberg (1995) the
        false discovery rate.

    Notes
    -----
    Written out here because statsmodels' own makes Python search its whole memory for what is no
    longer used, at each call.
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1:
        raise LongsurvError(f"p_values is a list of numbers, not a table of shape {p.shape}")
    wrong = p[(p < 0.0) | (p > 1.0 + 1e-9)]  # a sum of probabilities may round above 1
    if len(wrong):
        raise LongsurvError(f"a p-value lies between 0 and 1; got {wrong[0]:g}")
    out = np.full(len(p), np.nan)
    known = np.isfinite(p)
    order = np.flatnonzero(known)[np.argsort(p[known])]
    ascending, rank = p[order], np.arange(1, len(order) + 1)
    if method == "holm":  # the k-th smallest of m times m - k + 1, and no less than those before
        found = np.maximum.accumulate(ascending * rank[::-1])
    else:  # times m / k, and no more than those after
        found = np.minimum.accumulate((ascending / (rank / len(order)))[::-1])[::-1]
    out[order] = np.minimum(found, 1.0)
    return out


@checked
def baseline_sd(data: pd.DataFrame, patient: str, time: str) -> float:
    """Standard deviation between patients of the first measured `y`; NaN for one patient.

    Where a column "censored" says that some of them lie beyond a limit ("left", "right"), that of a
    normal distribution of which these are known by their limits only (`limited_spread`).
    """
    for name in (patient, time, "y"):
        if name not in data:
            raise FormulaError(f"the standard deviation at baseline needs {absent(name, data)}")
    first = data.sort_values([patient, time]).drop_duplicates(patient)
    if len(first) < 2:
        return np.nan
    known = first[first["y"].notna()]
    said = {*known["censored"]} if "censored" in known else set()
    if said & {"left", "right"} and said <= {"none", "left", "right"}:
        return limited_sd(
            known["y"].to_numpy(dtype=float), known["censored"].astype(str).to_numpy()
        )
    return float(first["y"].std())


def _rows(data: pd.DataFrame, cells: Sequence[dict[str, Hashable]]) -> pd.DataFrame:
    """Rows of a typical patient with some columns set, every column keeping its type."""
    typical = {name: _typical(column) for name, column in data.items()}
    frame = pd.DataFrame([{**typical, **cell} for cell in cells], columns=list(data.columns))
    for name, column in data.items():
        if isinstance(column.dtype, pd.CategoricalDtype):  # what is none of its levels is missing
            known = frame[name].where(frame[name].isin(column.cat.categories))
            frame[name] = known.astype(column.dtype)
    return frame


def _typical(column: pd.Series) -> object:
    """The mean of a number, the commonest level of anything else."""
    present = column.dropna()
    if present.empty:
        return np.nan
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return float(present.mean())
    return present.mode().iloc[0]
