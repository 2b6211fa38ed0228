"""What is said of a marker that deaths cut short: one row an estimand, quantity and engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.cohort import Marker
from longsurv.estimands.changes import Change
from longsurv.estimands.truncation import ESTIMANDS, Outcome
from longsurv.tables.notebook import Readable

INDEX, ODDS = "probability index", "odds ratio"
LOWER, UPPER = "lower bound", "upper bound"


@dataclass(frozen=True)
class DeathAnswer:
    """One answer about a marker that deaths cut short.

    Attributes
    ----------
    estimand : str
        One of `longsurv.estimands.truncation.ESTIMANDS`.
    quantity : str
        "difference" or "ratio" (of changes), "probability index", "odds ratio", "lower bound",
        "upper bound".
    engine : {"ml", "bayes"}
    method : str
    estimate, conf_low, conf_high, p_value, prob_benefit : float
        NaN where there is none.
    n, deaths : int
        Patients used, and how many of them had died.
    kept : str
        The group whose patients are taken to live more often; of the survivors only.
    notes : tuple of str
    reason : str
        Why there is no answer; empty if there is one.
    """

    estimand: str
    quantity: str
    engine: str
    method: str = ""
    estimate: float = np.nan
    conf_low: float = np.nan
    conf_high: float = np.nan
    p_value: float = np.nan
    prob_benefit: float = np.nan
    n: int = 0
    deaths: int = 0
    kept: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""

    def words(self, change: Change, outcome: Outcome) -> dict[str, str]:
        """What is asked and what it assumes, in words for this change.

        Parameters
        ----------
        change : Change
        outcome : {"change", "value"}
        """
        of = {
            "level": change.level, "reference": change.reference, "start": change.start,
            "end": change.end, "what": outcome, "kept": self.kept or "one of them",
        }  # fmt: skip
        kind = ESTIMANDS[self.estimand]
        texts = {"question": kind.question, "assumes": kind.assumes}
        return {"label": kind.label} | {name: text.format(**of) for name, text in texts.items()}


@check_methods
@dataclass(frozen=True, repr=False, eq=False)
class DeathAnswers(Readable):
    """A marker and death, by every estimand: a row each.

    Attributes
    ----------
    marker : Marker
    change : Change
    outcome : {"change", "value"}
        What of the marker the living are ranked by.
    answers : tuple of DeathAnswer
    """

    marker: Marker
    change: Change
    outcome: Outcome
    answers: tuple[DeathAnswer, ...]

    read_as: ClassVar[tuple[str, ...]] = ("words", "tidy")
    no_plot: ClassVar[str] = "its answers are on several scales; summary() shows them"

    def and_also(self, other: DeathAnswers) -> DeathAnswers:
        """These answers and those of the other engine to the same question.

        Parameters
        ----------
        other : DeathAnswers
        """
        answers, engines = (*self.answers, *other.answers), ("ml", "bayes")
        order = list(dict.fromkeys((a.estimand, a.quantity) for a in answers))

        def place(a: DeathAnswer) -> tuple[int, int]:
            return order.index((a.estimand, a.quantity)), engines.index(a.engine)

        return replace(self, answers=tuple(sorted(answers, key=place)))

    def tidy(self) -> pd.DataFrame:
        """The numbers.

        Returns
        -------
        DataFrame
            estimand (its name here: "alive", "worst", "joint", "survivors"), quantity, engine,
            estimate, conf_low, conf_high (95 %), p_value, prob_benefit, n, deaths, reason.
        """
        names = [
            "estimand", "quantity", "engine", "estimate", "conf_low", "conf_high", "p_value",
            "prob_benefit", "n", "deaths", "reason",
        ]  # fmt: skip
        rows = [[getattr(a, name) for name in names] for a in self.answers]
        return pd.DataFrame(rows, columns=names)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The answers as a reader wants them.

        Returns
        -------
        DataFrame
            marker, label, unit, level, reference, start, end, estimand, estimand_label, question,
            assumes, quantity, engine, method, estimate, conf_low, conf_high, p_value, prob_benefit,
            n, deaths, notes, reason.
        """
        marker, change, rows = self.marker, self.change, []
        for a in self.answers:
            words = a.words(change, self.outcome)
            rows.append(
                {
                    "marker": marker.name, "label": marker.label, "unit": marker.unit,
                    "level": str(change.level), "reference": str(change.reference),
                    "start": str(change.start), "end": str(change.end), "estimand": a.estimand,
                    "estimand_label": words["label"], "question": words["question"],
                    "assumes": words["assumes"], "quantity": a.quantity, "engine": a.engine,
                    "method": a.method, "estimate": a.estimate, "conf_low": a.conf_low,
                    "conf_high": a.conf_high, "p_value": a.p_value, "prob_benefit": a.prob_benefit,
                    "n": a.n, "deaths": a.deaths, "notes": "; ".join(a.notes), "reason": a.reason,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def words(self) -> str:
        """Each question with what it assumes, and what must be known of the answers."""
        asked = {}
        for a in self.answers:
            said = a.words(self.change, self.outcome)
            asked[a.estimand] = f"{said['label']}: {said['question']} It assumes that"
            asked[a.estimand] += f" {said['assumes']}."
        notes = dict.fromkeys(note for a in self.answers for note in a.notes)
        known = f" Note: {'; '.join(notes)}." if notes else ""
        return " ".join(asked.values()) + known
