"""The patients of a mortality study by the levels of one column, and the Cox models of them.

    h_i(t) = h_0(t) exp(x_i' b + gamma_g + theta_g' a_i)

for patient i of level g: gamma_g is the level's own hazard halfway between the arms, x_i what is
adjusted for, and theta_g' a_i how the hazard of the patient's arm differs from that. Of two arms
a_i is -1/2 in the reference and 1/2 in the other, theta_g the log hazard ratio. Of k arms a_i are
k - 1 orthogonal contrasts of length sqrt(1/2), so that independent theta_g of one variance v give
every log hazard ratio of two arms the variance v, whichever arm is called the reference.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.arms import Comparison
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


def arm_contrasts(count: int) -> np.ndarray:
    """How arms are coded: columns that are orthogonal, sum to 0 and have sums of squares of 1/2.

    Of two arms -1/2 and 1/2, so that neither is the one priors are about.

    Parameters
    ----------
    count : int
        Of the arms.

    Returns
    -------
    ndarray, shape (count, count - 1)
    """
    codes = np.zeros((count, count - 1))
    for j in range(1, count):
        codes[:j, j - 1], codes[j, j - 1] = -1.0, j
        codes[:, j - 1] /= np.sqrt(2.0 * j * (j + 1))
    return codes


@dataclass(frozen=True, eq=False)
class LevelEffects:
    """The effects of the arms in one level.

    Attributes
    ----------
    terms : tuple of str
        Their coefficients.
    arms : tuple of hashable
        The arms that patients of the level are in.
    codes : ndarray, shape (arms, terms)
        What each arm has in the coefficients' columns.
    shares : ndarray, shape (terms, k - 1)
        The coefficients that effects alike in all levels have here, in terms of those of all arms.
    """

    terms: tuple[str, ...]
    arms: tuple[Hashable, ...]
    codes: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, name: str, there: Sequence[Hashable], arms: Sequence[Hashable]) -> LevelEffects:
        """Those of a level that has some of the arms.

        Parameters
        ----------
        name : str
            What its coefficients are called.
        there, arms : sequence of hashable
            The arms of its patients, two or more, and all arms.
        """
        codes, every = arm_contrasts(len(there)), arm_contrasts(len(arms))
        shares = 2.0 * codes.T @ every[[list(arms).index(arm) for arm in there]]
        one = codes.shape[1] == 1
        terms = [name if one else f"{name}, {j}" for j in range(1, codes.shape[1] + 1)]
        return cls(tuple(terms), tuple(there), codes, shares)

    def has(self, comparison: Comparison) -> bool:
        """Whether patients of the level are in both arms compared.

        Parameters
        ----------
        comparison : Comparison
        """
        return comparison.group in self.arms and comparison.reference in self.arms

    def weights(self, comparison: Comparison) -> np.ndarray:
        """The log hazard ratio of two arms as a combination of the coefficients, shape (terms,).

        Parameters
        ----------
        comparison : Comparison
        """
        found: np.ndarray = self.of_arm(comparison.group) - self.of_arm(comparison.reference)
        return found

    def of_arm(self, arm: Hashable) -> np.ndarray:
        """What an arm has in the coefficients' columns, shape (terms,).

        Parameters
        ----------
        arm : hashable
        """
        row: np.ndarray = self.codes[self.arms.index(arm)]
        return row


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
    arms : tuple of hashable
        Its levels, the reference first.
    comparisons : tuple of Comparison
        Which of them are compared.
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
    arms: tuple[Hashable, ...]
    comparisons: tuple[Comparison, ...]
    horizon: float
    adjust: str
    causes: tuple[int, ...]
    ties: Ties
    functions: Functions | None

    def in_arm(self, arm: Hashable) -> np.ndarray:
        """Who is in an arm, shape (n,).

        Parameters
        ----------
        arm : hashable
        """
        return np.asarray(self.data[self.treatment] == arm, dtype=bool)

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
        codes, sides, able = {}, {arm: self.in_arm(arm) for arm in self.arms}, {}
        for label in level.cat.categories:
            inside = np.asarray(level == label, dtype=bool)
            for arm, side in sides.items():
                mine = inside & side
                row = (column, label, str(arm), int(mine.sum()), int((mine & happened).sum()))
                counts.append(row)
            there = [arm for arm, side in sides.items() if (inside & side).any()]
            events, patients = int((inside & happened).sum()), plural(int(inside.sum()), "patient")
            if not events:
                reasons[label] = f"no event in its {patients}"
                continue
            kept |= inside  # without an event a level's likelihood is at its top without the level
            if len(there) == 1:
                reasons[label] = f"its {patients} are all in {there[0]}"
                continue
            able[label] = there
        arms = tuple(arm for arm in self.arms if any(arm in there for there in able.values()))
        for label, there in able.items():
            inside = np.asarray(level == label, dtype=bool)
            term = f"{self.treatment} in {column} {label}" if column else f"{self.treatment} arm"
            found = LevelEffects.of(term.replace("`", "'"), there, arms)
            effects[label] = found
            for j, name in enumerate(found.terms):
                of_arm = [np.where(sides[arm], found.of_arm(arm)[j], 0.0) for arm in there]
                codes[name] = np.where(inside, np.sum(of_arm, axis=0), 0.0)
        data = self.data.assign(**codes, **{_factor(column): level})[kept].reset_index(drop=True)
        columns = ["column", "level", "arm", "patients", "events"]
        return Split(
            self, column, data, pd.DataFrame(counts, columns=columns), effects, reasons,
            int(level.isna().sum()), arms,
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
    effects : mapping of str to LevelEffects
        Of each level that may have an answer.
    reasons : mapping of str to str
        Why each other level has none.
    unknown : int
        Patients whose level is missing.
    arms : tuple of hashable
        Those that some level with an event has beside another.
    """

    trial: Trial
    column: str
    data: pd.DataFrame
    counts: pd.DataFrame
    effects: Mapping[str, LevelEffects]
    reasons: Mapping[str, str]
    unknown: int
    arms: tuple[Hashable, ...]

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

    @property
    def terms(self) -> tuple[str, ...]:
        """The coefficients of all levels' effects."""
        return tuple(term for found in self.effects.values() for term in found.terms)

    @property
    def shares(self) -> np.ndarray:
        """What effects alike in all levels are in these coefficients, shape (terms, k - 1)."""
        return np.vstack([found.shares for found in self.effects.values()])

    def absent(self, label: str, comparison: Comparison) -> str:
        """Why a level's patients cannot have an answer to a comparison; "" if they may.

        Parameters
        ----------
        label : str
        comparison : Comparison
        """
        if label in self.reasons:
            return self.reasons[label]
        there = self.effects[label].arms
        lost = [arm for arm in (comparison.reference, comparison.group) if arm not in there]
        return f"none of its patients is in {' or in '.join(map(str, lost))}" if lost else ""

    @cached_property
    def separate(self) -> tuple[CoxPH, ...]:
        """The models with an effect a level: of the event, then of every competing event."""
        return tuple(self._model(self.terms, k) for k in self.causes)

    def common(self, cause: int = 1) -> tuple[CoxPH, tuple[str, ...]]:
        """The model with the same effects in all levels that have one, and their coefficients.

        Parameters
        ----------
        cause : int

        Returns
        -------
        tuple of CoxPH and tuple of str
        """
        if np.linalg.matrix_rank(self.shares) < self.shares.shape[1]:
            raise EstimationError(
                f"some arms of {self.trial.treatment} are in no level of {self.column} together "
                "with others, so their effects have no common mean"
            )
        term = f"{self.trial.treatment} everywhere".replace("`", "'")
        columns = self.data[list(self.terms)].to_numpy() @ self.shares
        one = columns.shape[1] == 1
        made = {
            term if one else f"{term}, {j}": column for j, column in enumerate(columns.T, start=1)
        }
        terms = tuple(made)
        return self._model(terms, cause, self.data.assign(**made)), terms

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

    def under_either(self, spec: CoxPH, label: str, comparison: Comparison) -> list[pd.DataFrame]:
        """The patients of a level, all in the reference and all in the other arm.

        Parameters
        ----------
        spec : CoxPH
        label : str
        comparison : Comparison

        Returns
        -------
        list of DataFrame
        """
        rows = spec.data.iloc[spec.design.rows]
        rows = rows[np.asarray(rows[_factor(self.column)] == label, dtype=bool)]
        found = self.effects[label]
        return [
            rows.assign(**dict(zip(found.terms, found.of_arm(arm), strict=True)))
            for arm in (comparison.reference, comparison.group)
        ]


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
