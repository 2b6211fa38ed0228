"""The patients of a mortality study by the levels of one column, and the Cox models of them.

    h_i(t) = h_0(t) exp(x_i' b + gamma_g + theta_g a_i)

for patient i of level g: gamma_g is the level's own hazard halfway between the two arms, theta_g
the log hazard ratio of treatment in it (a_i is -1/2 in the reference and 1/2 in the other arm), x_i
what is adjusted for.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.carried import PER_COEFFICIENT
from longsurv.design.names import quoted
from longsurv.errors import EstimationError
from longsurv.models.cox import CoxPH
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.expression import Functions
    from longsurv.results.options import Ties
    from longsurv.results.survival.cox import SurvivalEstimate

EVERYBODY = "all patients"
"""The one level of all patients together."""
HALF = 0.5
"""Arms are coded as minus and plus this, so that neither is the one priors are about."""


def levels_of(values: pd.Series) -> pd.Series:
    """The levels as text, in the order of the categories or of the values.

    Parameters
    ----------
    values : Series

    Returns
    -------
    Series
        Categorical; missing where the level is.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        found = list(values.cat.remove_unused_categories().cat.categories)
    else:
        unique = list(values.dropna().unique())
        try:
            found = sorted(unique)
        except TypeError:  # text beside numbers
            found = sorted(unique, key=str)
    texts = {value: _text(value) for value in found}
    labels = list(dict.fromkeys(texts.values()))
    return values.astype(object).map(texts).astype(pd.CategoricalDtype(labels, ordered=False))


def _text(value: Hashable) -> str:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)


@dataclass(frozen=True, eq=False)
class Trial:
    """What is asked of every column.

    Attributes
    ----------
    data : DataFrame
        Follow-up to the horizon, of patients with all covariates.
    treatment : str
    reference, group : hashable
        Its two levels.
    horizon : float
    adjust : str
        Covariates, a right-hand side.
    causes : tuple of int
        Statuses that happened, the event first.
    ties : {"efron", "breslow"}
    functions : mapping of str to callable, optional
    """

    data: pd.DataFrame
    treatment: str
    reference: Hashable
    group: Hashable
    horizon: float
    adjust: str
    causes: tuple[int, ...]
    ties: Ties
    functions: Functions | None

    @cached_property
    def treated(self) -> np.ndarray:
        """Whether a patient is in the compared arm, shape (n,)."""
        return np.asarray(self.data[self.treatment] == self.group, dtype=bool)

    def together(self) -> Split:
        """All patients as one level."""
        whole = pd.Series(EVERYBODY, index=self.data.index)
        return self._split("", levels_of(whole))

    def split(self, column: str) -> Split:
        """The patients by the levels of a column.

        Parameters
        ----------
        column : str

        Returns
        -------
        Split
        """
        return self._split(column, levels_of(self.data[column]))

    def _split(self, column: str, level: pd.Series) -> Split:
        happened = self.data["status"].to_numpy() == 1
        counts, reasons, effects, kept = [], {}, {}, np.zeros(len(level), dtype=bool)
        codes = {}
        for label in level.cat.categories:
            inside = np.asarray(level == label, dtype=bool)
            for arm, side in ((self.reference, ~self.treated), (self.group, self.treated)):
                mine = inside & side
                row = (column, label, str(arm), int(mine.sum()), int((mine & happened).sum()))
                counts.append(row)
            events, treated = int((inside & happened).sum()), self.treated[inside]
            patients = plural(len(treated), "patient")
            if not events:
                reasons[label] = f"no event in its {patients}"
                continue
            kept |= inside  # without an event a level's likelihood is at its top without the level
            if treated.all() or not treated.any():
                arm = self.group if treated.all() else self.reference
                reasons[label] = f"its {patients} are all in {arm}"
                continue
            term = f"{self.treatment} in {column} {label}" if column else f"{self.treatment} arm"
            effects[label] = term.replace("`", "'")
            codes[effects[label]] = np.where(inside, np.where(self.treated, HALF, -HALF), 0.0)
        data = self.data.assign(**codes, **{_factor(column): level})[kept].reset_index(drop=True)
        columns = ["column", "level", "arm", "patients", "events"]
        return Split(
            self, column, data, pd.DataFrame(counts, columns=columns), effects, reasons,
            int(level.isna().sum()),
        )  # fmt: skip


def _factor(column: str) -> str:
    return f"level of {column}"


@dataclass(frozen=True, eq=False)
class Split:
    """The patients by the levels of one column.

    Attributes
    ----------
    trial : Trial
    column : str
        "" for all patients together.
    data : DataFrame
        Rows of levels with an event, with a column for each effect: the arm in its level, 0 in
        others.
    counts : DataFrame
        column, level, arm, patients, events.
    effects : mapping of str to str
        Coefficient of each level that may have an answer.
    reasons : mapping of str to str
        Why each other level has none.
    unknown : int
        Patients whose level is missing.
    """

    trial: Trial
    column: str
    data: pd.DataFrame
    counts: pd.DataFrame
    effects: Mapping[str, str]
    reasons: Mapping[str, str]
    unknown: int

    @property
    def without(self) -> str:
        """How many patients are in no level, in words; "" if all are in one."""
        return f"{plural(self.unknown, 'patient')} without a level left out" if self.unknown else ""

    @property
    def levels(self) -> list[str]:
        """All levels, in order."""
        return list(dict.fromkeys(self.counts["level"]))

    @property
    def causes(self) -> tuple[int, ...]:
        """Statuses that happened in the rows, the event first."""
        seen = set(self.data["status"])
        return tuple(k for k in self.trial.causes if k in seen)

    @cached_property
    def separate(self) -> tuple[CoxPH, ...]:
        """The models with an effect a level: of the event, then of every competing event."""
        return tuple(self._model(tuple(self.effects.values()), k) for k in self.causes)

    def common(self, cause: int = 1) -> tuple[CoxPH, str]:
        """The model with one effect in all levels that have one, and its coefficient.

        Parameters
        ----------
        cause : int

        Returns
        -------
        tuple of CoxPH and str
        """
        term = f"{self.trial.treatment} everywhere".replace("`", "'")
        summed = self.data[list(self.effects.values())].sum(axis=1)
        return self._model((term,), cause, self.data.assign(**{term: summed})), term

    def _model(self, terms: tuple[str, ...], cause: int, data: pd.DataFrame | None = None) -> CoxPH:
        trial, data = self.trial, self.data if data is None else data
        right = [trial.adjust] if trial.adjust else []
        if self.column and data[_factor(self.column)].nunique() > 1:
            right.append(quoted(_factor(self.column)))
        formula = f"Surv(entry, exit, event) ~ {' + '.join([*right, *map(quoted, terms)])}"
        data = data.assign(event=(data["status"] == cause).astype(np.int64))
        spec = CoxPH(formula, data, ties=trial.ties, functions=trial.functions)
        lost = [term for term in terms if term not in spec.design.fixed.names]
        if lost:
            raise EstimationError(
                f"the effect of {trial.treatment} in {self.column or EVERYBODY} cannot be told "
                f"from what is adjusted for, {trial.adjust or 'the levels'}"
            )
        return spec

    def under_either(self, spec: CoxPH, label: str) -> list[pd.DataFrame]:
        """The patients of a level, all in the reference and all in the other arm.

        Parameters
        ----------
        spec : CoxPH
        label : str

        Returns
        -------
        list of DataFrame
        """
        rows = spec.data.iloc[spec.design.rows]
        rows = rows[np.asarray(rows[_factor(self.column)] == label, dtype=bool)]
        return [rows.assign(**{self.effects[label]: arm}) for arm in (-HALF, HALF)]


def fitted(spec: CoxPH) -> SurvivalEstimate:
    """The maximum of the likelihood, or of Firth's with fewer than five events a coefficient.

    Parameters
    ----------
    spec : CoxPH

    Returns
    -------
    SurvivalEstimate
    """
    few = spec.design.n_events < PER_COEFFICIENT * len(spec.design.fixed.names)
    return spec.fit(penalty="firth" if few else None)  # type: ignore[return-value]
