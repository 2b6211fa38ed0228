"""The rows of a mixed model's data: seen, to be imputed, and none because the patient had died."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.groupings import combined
from longsurv.design.names import is_name, unquoted
from longsurv.design.outcome import read_truths
from longsurv.design.residual import Residual, orderless
from longsurv.design.variables import missing, present
from longsurv.errors import DataError, LongsurvError
from longsurv.models.glmm import GLMM
from longsurv.models.lmm import LMM
from longsurv.words import plural, verb


@dataclass(frozen=True)
class Columns:
    """What the columns of the data besides those of the model mean.

    Parameters
    ----------
    visit : str, optional
        The order of a patient's rows; by default the visits of the residual structure.
    dead : str, optional
        True where the patient had died before the visit.
    treatment : str, optional
    """

    visit: str | None = None
    dead: str | None = None
    treatment: str | None = None


@dataclass(frozen=True, eq=False)
class ImputedRows:
    """Rows that were seen or are to be imputed, by patient and visit.

    Attributes
    ----------
    response : str
        Column of the data.
    at : ndarray of int, shape (k,)
        Their positions in the data.
    frame : DataFrame
        They themselves.
    y : ndarray, shape (k,)
        NaN where there is no value.
    unit, patient : ndarray of int, shape (k,)
        Independent of all other rows; and of one patient. Both are sorted.
    after : ndarray of bool, shape (k,)
        After the patient's last value; all False where the order of visits is not known.
    ordered : bool
        Whether it is known.
    dead : int
        Rows without a value since the patient had died.
    limited : ndarray of bool, shape (k,)
        Values known by limits only; the limit stands in their place.
    """

    response: str
    at: np.ndarray
    frame: pd.DataFrame
    y: np.ndarray
    unit: np.ndarray
    patient: np.ndarray
    after: np.ndarray
    ordered: bool
    dead: int
    limited: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        """Rows to impute, shape (k,) of bool."""
        found: np.ndarray = np.isnan(self.y)
        return found

    @cached_property
    def units(self) -> tuple[np.ndarray, ...]:
        """Rows of each unit in which something is to be imputed."""
        cuts = np.flatnonzero(np.diff(self.unit)) + 1
        return tuple(of for of in np.split(np.arange(len(self.unit)), cuts) if self.asked[of].any())

    @property
    def words(self) -> str:
        """How many values, of how many patients, in which pattern; it names nobody."""
        asked, patient = self.asked, self.patient
        count, total = int(asked.sum()), len(asked)
        text = (
            f"{count:,} of {plural(total, 'value')} of {self.response} {verb(count, 'is', 'are')}"
            f" imputed, of {plural(len(np.unique(patient[asked])), 'patient')}"
        )
        if self.ordered:
            seen = np.bincount(patient, ~asked) > 0
            never = int((asked & ~seen[patient]).sum())
            late = int((asked & self.after).sum()) - never
            text += (
                f" ({late:,} after a patient's last value, {count - late - never:,} before it,"
                f" {never:,} of patients without any)"
            )
        beyond = int(self.limited.sum())
        if beyond:
            text += (
                f"; {plural(beyond, 'value')} known by a limit only"
                f" {verb(beyond, 'is', 'are')} drawn within it"
            )
        if self.dead:
            text += (
                f"; {plural(self.dead, 'value')} after death {verb(self.dead, 'is', 'are')} none,"
                " and not imputed"
            )
        return f"{text}."


def imputed_rows(model: LMM | GLMM, columns: Columns) -> ImputedRows:
    """Sort the rows of a model's data into those seen, to be imputed, and after death.

    Raises
    ------
    LongsurvError
        For a response that is no column, groupings that cross, or a column that is not there.
    DataError
        Where nothing is missing, a row to impute lacks something else, or one after death has a
        value.
    """
    design, data = model.design, model.data
    response = unquoted(design.formula.response)
    if not is_name(design.formula.response) or response not in data:
        raise LongsurvError(
            f"imputed values are of a column, and {design.formula.response!r} is computed of one;"
            " put what is modelled into a column of its own, as data.assign(y=np.log(data.crp))"
        )
    if design.crossed:
        raise LongsurvError(
            f"{model.formula!r} has groupings that cross, so that no patient is independent of the"
            " others; impute from a model in which patients are nested"
        )
    if isinstance(model, LMM) and model.weights is not None:
        raise LongsurvError(
            f"{model.formula!r} has precision weights, and a value that was never measured has no"
            " precision; impute from a model without weights"
        )
    visit = columns.visit or residual_of(model).visit
    for name in (visit, columns.dead, columns.treatment):
        if name is not None and name not in data:
            raise LongsurvError(f"the data have no column {name!r}")
    empty = missing(data[response])
    dead = np.zeros(len(data), dtype=bool)
    if columns.dead is not None:
        dead = read_truths(
            data[columns.dead], columns.dead, "the patient had died before the visit"
        )
        _check_no_value_after_death(data, dead & ~empty, response)
    asked = empty & ~dead
    beyond = np.zeros(len(data), dtype=bool)
    if isinstance(design, GeneralisedDesign):
        beyond[design.rows] = design.extent != 0.0
    if not (asked | beyond).any():
        raise DataError(
            f"no value of {response!r} is missing{' but after death' if dead.any() else ''}: there"
            " is nothing to impute. A visit that did not take place needs a row of its own, with"
            " the covariates and without a value"
        )
    kept = asked.copy()
    kept[design.rows] = True
    at = np.flatnonzero(kept)
    whole = _complete(model, data, visit)
    if not whole[asked].all():
        lacking = int((asked & ~whole).sum())
        raise DataError(
            f"{plural(lacking, 'row')} without a value of {response!r}"
            f" {verb(lacking, 'lacks', 'lack')} something else that the model needs, as at index"
            f" {list(data.index[asked & ~whole][:5])}: complete the covariates first"
            " (longsurv.analyses.CovariateImputation)"
        )
    frame = data.iloc[at]
    keys = [labels_of(frame, term.name) for term in reversed(design.terms)]
    if design.crossed or not design.outer:
        keys = keys[-1:]
    order = np.arange(len(frame))
    if visit is not None:
        order = np.argsort(pd.factorize(frame[visit], sort=True)[0], kind="stable")
    for key in reversed(keys):
        order = order[np.argsort(key[order], kind="stable")]
    frame, at = frame.iloc[order], at[order]
    ranked = [key[order] for key in keys]
    unit, patient = _ranks(ranked[:1]), _ranks(ranked)
    y = frame[response].to_numpy(dtype=float, na_value=np.nan)
    y = np.where(missing(frame[response]), np.nan, y)
    ordered = visit is not None and _in_order(frame[visit], patient)
    after = _after(patient, y) if ordered else np.zeros(len(y), dtype=bool)
    rows = ImputedRows(
        response, at, frame.reset_index(drop=True), y, unit, patient, after, ordered,
        int((dead & empty).sum()), beyond[at],
    )  # fmt: skip
    return rows


def residual_of(model: LMM | GLMM) -> Residual:
    """How the residuals of a model are correlated; those of a generalised one are not.

    Parameters
    ----------
    model : LMM or GLMM
    """
    return model.residual if isinstance(model, LMM) else Residual()


def _complete(model: LMM | GLMM, data: pd.DataFrame, visit: str | None) -> np.ndarray:
    """Rows with everything but a response."""
    from longsurv.design.terms import columns_of, terms

    parsed, residual = model.design.formula, residual_of(model)
    needed = [*columns_of(terms(parsed.fixed)), *residual.columns]
    for term in parsed.random:
        needed += [*columns_of(terms(term.effects)), *term.columns]
    return present(data, [*needed, *([visit] if visit else [])])


def _in_order(visit: pd.Series, patient: np.ndarray) -> bool:
    """Whether visits say in which order each patient's rows come."""
    twice = pd.DataFrame({"patient": patient, "visit": visit.to_numpy()}).duplicated()
    return not (orderless(visit) or twice.any())


def _check_no_value_after_death(data: pd.DataFrame, wrong: np.ndarray, response: str) -> None:
    if wrong.any():
        count = int(wrong.sum())
        raise DataError(
            f"{plural(count, 'row')} after death {verb(count, 'has', 'have')} a value of"
            f" {response!r}, as at index {list(data.index[wrong][:5])}"
        )


def labels_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Codes of the groups of a grouping, in the order of their labels."""
    columns = [name] if name in frame else name.split(":")
    labels = frame[name] if len(columns) == 1 else combined(frame, columns)
    codes: np.ndarray = pd.factorize(pd.Index(labels), sort=True)[0]
    return codes


def _ranks(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Codes of the combinations of some sorted keys, in their order."""
    moved = np.zeros(len(keys[0]), dtype=bool)
    for key in keys:
        moved[1:] |= key[1:] != key[:-1]
    found: np.ndarray = np.cumsum(moved)
    return found


def _after(patient: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows after the patient's last value."""
    last = np.full(int(patient.max()) + 1, -1)
    seen = np.flatnonzero(~np.isnan(y))
    last[patient[seen]] = seen  # ascending: the last one stays
    after: np.ndarray = np.arange(len(y)) > last[patient]
    return after


def moved_by(
    rows: ImputedRows, treatment: str | None, delta: float | Mapping[Hashable, float]
) -> np.ndarray:
    """What is added to each row that is imputed, shape (k,).

    Raises
    ------
    LongsurvError
        For groups without a treatment column, or of no patient.
    """
    if not isinstance(delta, Mapping):
        return np.full(len(rows.y), float(delta))
    if treatment is None:
        raise LongsurvError("a delta by group needs the column of the groups: treatment=")
    group = rows.frame[treatment]
    unknown = [name for name in delta if not (group == name).any()]
    if unknown:
        known = ", ".join(map(str, group.dropna().unique()))
        raise LongsurvError(f"{treatment!r} has no group {unknown[0]!r}; it has {known}")
    found = np.zeros(len(rows.y))
    for name, value in delta.items():
        found[(group == name).to_numpy(dtype=bool)] = float(value)
    return found
