"""What every method of comparing mortality is asked, and a row for its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.records import Record
from longsurv.words import NO_ANSWER

type Scale = Literal["ratio", "risk", "time", "test"]
type Approach = Literal["simple", "exact", "model"]
type World = Literal["", "net", "overlap", "site"]

SCALES: Mapping[str, Scale] = {
    "hazard ratio": "ratio",
    "risk difference": "risk",
    "risk ratio": "ratio",
    "odds ratio": "ratio",
    "restricted mean difference": "time",
    "time ratio": "ratio",
    "no difference": "test",
}
"""Every quantity, in the order of the table, and what its estimate is."""

IDS = (
    "method_id", "approach", "prior_id", "prior", "adjusted_for", "scale", "answered", "world",
)  # fmt: skip
"""Columns that tell rows apart for a program; no table shows them."""

LIMITS = ("estimate", "conf_low", "conf_high")


class Row(NamedTuple):
    """One method's answer; what it does not give is NaN.

    The fields from `method_id` on (`IDS`) say what `method` and `note` say in words: the method
    but for its prior, covariates and quantity; what it rests on; the name of a prior, and its
    density if it is of the effect; the covariates; what the estimate is; whether there is one; and
    what it is about: the patients as they are (""), a world without competing events ("net"),
    patients who might have been in either group ("overlap"), or patients of one site ("site").
    """

    quantity: str
    method: str
    engine: str
    estimand: str
    estimate: float = math.nan
    conf_low: float = math.nan
    conf_high: float = math.nan
    p_value: float = math.nan
    prob_benefit: float = math.nan
    note: str = ""
    method_id: str = ""
    approach: Approach = "simple"
    prior_id: str = ""
    prior: str = ""
    adjusted_for: str = ""
    scale: Scale = "ratio"
    answered: bool = True
    world: World = ""

    def filled(self, found: Record, note: str = "") -> Row:
        """The row with the numbers of another table's row.

        Parameters
        ----------
        found : mapping of str to float
            The other row.
        note : str

        Returns
        -------
        Row
        """
        names = (*LIMITS, "p_value", "prob_benefit")
        numbers: Record = {name: float(found[name]) for name in names if name in found}
        return self._replace(note=note, **numbers)

    def silent(self, why: str) -> Row:
        """The row without numbers and with the reason.

        Parameters
        ----------
        why : str

        Returns
        -------
        Row
        """
        names = (*LIMITS, "p_value", "prob_benefit")
        nothing: Record = dict.fromkeys(names, math.nan)
        return self._replace(note=f"{NO_ANSWER}: {why}", answered=False, **nothing)

    def checked(self) -> Row:
        """No infinite estimate, no ratio of 0 without limits, no empty row without a reason."""
        if not self.answered:
            return self
        row, bare = self, math.isnan(self.conf_low) or math.isnan(self.conf_high)
        ratio = row.scale == "ratio"
        if math.isinf(row.estimate) or (ratio and row.estimate == 0 and bare):
            row = row._replace(estimate=math.nan)
        if bare and math.isnan(row.p_value):
            return row.silent(row.note or "not defined for these data")
        open_side = "upper" if math.isinf(row.conf_high) else "lower"
        if ratio and (row.conf_low == 0 or math.isinf(row.conf_high)):
            note = f"the data set no {open_side} limit"
            if row.conf_low == 0 and math.isinf(row.conf_high):
                return row.silent(row.note or "the data set no limits")
            return row._replace(note=note)
        return row


@dataclass(frozen=True, eq=False)
class Question:
    """What every method is asked.

    Attributes
    ----------
    data : DataFrame
        Follow-up of the patients, ended at the horizon.
    treatment : str
    horizon : float
    group, reference : hashable
    counts : Counts
    draws, seed : int
    level : float
    unit : str
        Of the times, in words; empty if it is not known.
    arms : int
        Of the study. Models of the hazard are of all of them, and weights make all of them alike;
        other methods are of the two compared.
    everyone : DataFrame, optional
        The follow-up of all arms, where there are more than two.
    """

    data: pd.DataFrame
    treatment: str
    horizon: float
    group: Hashable
    reference: Hashable
    counts: Counts
    draws: int
    seed: int
    level: float
    unit: str = ""
    arms: int = 2
    everyone: pd.DataFrame | None = None

    @property
    def weighted(self) -> pd.DataFrame:
        """The follow-up of all arms, which weights make alike."""
        return self.data if self.everyone is None else self.everyone

    @property
    def in_one_model(self) -> str:
        """That a model is of all arms, in words; empty where there are two."""
        return f", in one model of all {self.arms} arms" if self.arms > 2 else ""

    def when(self, time: float) -> str:
        """A time with its unit, where that is known.

        Parameters
        ----------
        time : float
        """
        return f"{time:g} {self.unit}".rstrip()

    @property
    def end(self) -> str:
        """The horizon in words."""
        return self.when(self.horizon)

    @property
    def single(self) -> pd.DataFrame:
        """The data with competing events as censoring."""
        return self.data.assign(status=(self.data["status"] == 1).astype(int))

    @property
    def competing(self) -> bool:
        """Whether there are competing events."""
        return bool((self.data["status"] > 1).any())

    @property
    def without_competing(self) -> World:
        """The world of a method that takes competing events for censoring."""
        return "net" if self.competing else ""

    @property
    def lost(self) -> int:
        """Patients censored before the horizon."""
        return int(((self.data["status"] == 0) & (self.data["exit"] < self.horizon)).sum())

    @property
    def late(self) -> str:
        """Who entered late, whom a proportion counts as if seen from the first entry on."""
        entry = self.data["entry"].to_numpy(dtype=float)
        n, first = int((entry > entry.min()).sum()), float(entry.min())
        return f"{n} entered after {self.when(first)} and count as if from then on" if n else ""

    def hazards(self, more: str = "") -> str:
        """The comparison of hazards in words.

        Parameters
        ----------
        more : str
            What follows the sentence.

        Returns
        -------
        str
        """
        cause = ", competing events as censoring" if self.competing else ""
        return f"hazard of the event, {self.group} relative to {self.reference}{more}{cause}"

    def risks(self, more: str = "") -> str:
        """The comparison of risks in words.

        Parameters
        ----------
        more : str
            What follows the sentence.

        Returns
        -------
        str
        """
        return f"event by {self.end}, {self.group} against {self.reference}{more}"

    def nobody(self) -> str:
        """The groups without an event, in words; empty if both have some."""
        c = self.counts
        sides = ((self.group, c.events), (self.reference, c.reference_events))
        none = [str(name) for name, events in sides if events == 0]
        return f"no event in {' or '.join(none)}" if none else ""


def row_of(
    quantity: str, method: str, engine: str, estimand: str, *, method_id: str = "",
    approach: Approach = "simple", prior_id: str = "", prior: str = "", adjusted_for: str = "",
    world: World = "",
) -> Row:  # fmt: skip
    """A row without numbers yet; a method goes by its name unless it has a shorter one."""
    return Row(
        quantity, method, engine, estimand, method_id=method_id or method, approach=approach,
        prior_id=prior_id, prior=prior, adjusted_for=adjusted_for, scale=SCALES[quantity],
        world=world,
    )  # fmt: skip


def attempt(make: Callable[[], list[Row]], *otherwise: Row) -> list[Row]:
    """The rows, or rows that say why there are none."""
    try:
        return make()
    except LongsurvError as error:
        return [row.silent(str(error)) for row in otherwise]
