"""Everything that was understood of some tables, before any of it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from longsurv.cohort.problems import show_list
from longsurv.draft.guess import Guess
from longsurv.draft.kinds_of_end import with_ends_apart
from longsurv.draft.links import linked
from longsurv.draft.measured import FoundMarker, find_markers, two_ways
from longsurv.draft.names import says
from longsurv.draft.outcome import find_episodes, find_outcome
from longsurv.draft.patient import find_patients
from longsurv.draft.people import Field, patient_fields
from longsurv.draft.raw import RawTable
from longsurv.draft.series import Series, find_series
from longsurv.draft.sheet import Sheet, read_sheets
from longsurv.draft.status import Outcome
from longsurv.draft.treatment import Treatment, find_treatment
from longsurv.errors import DataError
from longsurv.words import plural, verb


@dataclass(frozen=True)
class Understanding:
    """What the tables mean.

    Attributes
    ----------
    sheets : list of Sheet
        Tables with a column of patients.
    fields : list of Field
        Columns with one value a patient.
    treatment : Treatment or None
    outcome : Outcome
    series : list of Series
    markers : list of FoundMarker
    guesses : list of Guess
    """

    sheets: list[Sheet]
    fields: list[Field]
    treatment: Treatment | None
    outcome: Outcome
    series: list[Series]
    markers: list[FoundMarker]
    guesses: list[Guess] = field(default_factory=list)

    def guess(self, about: str) -> Guess | None:
        """The guess about something, None if there is none.

        Parameters
        ----------
        about : str

        Returns
        -------
        Guess or None
        """
        return next((g for g in self.guesses if g.about == about), None)

    def doubts(self, about: str) -> bool:
        """Whether something is doubtful or was not found.

        Parameters
        ----------
        about : str

        Returns
        -------
        bool
        """
        guess = self.guess(about)
        return guess is None or guess.sureness == "doubtful" or not guess.value

    def doubting(self, about: str, why: str) -> Understanding:
        """The same with one guess made doubtful.

        Parameters
        ----------
        about : str
        why : str

        Returns
        -------
        Understanding
        """
        guesses = [
            replace(g, sureness="doubtful", reason=f"{g.reason}; but {why}")
            if g.about == about
            else g
            for g in self.guesses
        ]
        return replace(self, guesses=guesses)

    @property
    def complete(self) -> bool:
        """Whether everything that a study file must say is at least likely."""
        needed = ["patient", "treatment", "reference", "time", "status"]
        if self.series or (self.outcome.stop is None and any(s.repeats for s in self.sheets)):
            needed.append("measurements")
        if any(part.shape != "columns" for part in self.series):
            needed.append("measurement time")
        held = any(marker.held for marker in self.markers)
        return not held and not any(self.doubts(about) for about in needed)


def understand(tables: Sequence[RawTable]) -> Understanding:
    """Read the tables and guess what everything in them is.

    Raises
    ------
    DataError
        If no table has a column that could identify patients.
    """
    sheets, guesses = find_patients(read_sheets(linked(tables)))
    sheets = [with_ends_apart(sheet) for sheet in sheets]
    short = [table for table in tables if len(table.frame) < 2]
    if not sheets and len(short) == len(tables):
        raise DataError(
            [
                f"{table.name}: {plural(len(table.frame), 'row')} below the column names;"
                " a study takes rows of several patients"
                for table in short
            ]
        )
    if not sheets:
        raise DataError(
            "no column that could identify patients was found in "
            + ", ".join(table.name for table in tables)
        )
    series, of_series = find_series(sheets)
    taken = set().union(*(part.taken for part in series))
    fields = patient_fields(sheets, taken)
    varying = [name for s in sheets for name in s.columns if s.varies(name)]
    treatment, of_treatment = find_treatment(fields, varying)
    used = [treatment.field.name] if treatment is not None else []
    outcome, of_outcome = find_outcome(fields, used)
    untold = outcome.status is None and outcome.mark is None and outcome.death is None
    if outcome.exit is None and untold:
        episodes = find_episodes(sheets)
        if episodes is not None:
            outcome, of_outcome = episodes
    if outcome.status is None and outcome.mark is None and outcome.death is None:
        of_series = _of_several_ends(of_series, varying)
    # What is surely the time of the measurements is no time of a patient's end.
    times = [g.value for g in of_series if g.about == "measurement time" and g.sureness == "sure"]
    of_outcome = _with_stays(of_outcome, [name for name in varying if name not in times])
    if series and outcome == Outcome():
        of_outcome = _measured_alone(of_outcome)
    guesses = _resting_on(guesses, [*of_treatment, *of_outcome, *of_series])
    found = find_markers(series)
    guesses += [
        Guess(f"unit of {m.name}", m.unit, m.unit_reason, "doubtful", m.unit_choices)
        for m in found
        if m.mixed
    ]
    guesses += [
        Guess(f"numbers of {m.name}", m.unclear, two_ways(m.unclear), "doubtful")
        for m in found
        if m.unclear
    ]
    return Understanding(sheets, fields, treatment, outcome, series, found, guesses)


def _resting_on(patient: Sequence[Guess], others: Sequence[Guess]) -> list[Guess]:
    """All guesses; none of them is surer than who the patients are."""
    if any(guess.value and guess.sureness == "doubtful" for guess in patient):
        others = [
            replace(guess, sureness="likely") if guess.sureness == "sure" else guess
            for guess in others
        ]
    return [*patient, *others]


def _of_several_ends(guesses: Sequence[Guess], varying: Sequence[str]) -> list[Guess]:
    """Doubt a time of measurements that may be that of several ends: of two eyes, of relapses."""
    ends = [name for name in varying if says(name, "status") >= 2]
    return [
        replace(
            guess,
            sureness="doubtful",
            choices=(*guess.choices, f"the time of {show_list(ends, 3)}, which varies beside it"),
        )
        if ends and guess.about == "measurement time" and says(guess.value, "exit") == 3
        else guess
        for guess in guesses
    ]


def _with_stays(guesses: Sequence[Guess], varying: Sequence[str]) -> list[Guess]:
    """Say, of what was not found, which columns could be it but for several values a patient."""
    roles = {
        "time": ("exit", "zero date", "end date", "death date"),
        "status": ("status", "death date"),
    }
    told = []
    for guess in guesses:
        words = roles.get(guess.about, ())
        several = [name for name in varying if any(says(name, role) >= 2 for role in words)]
        if not guess.value and several:
            has = verb(len(several), "has", "have")
            reason = (
                f"{guess.reason}; {show_list(several, 5)} may, but {has} several values in some"
                " patients: keep one row of each, such as the first stay or the rows of one event"
            )
            guess = replace(guess, reason=reason)
        told.append(guess)
    return told


def _measured_alone(guesses: Sequence[Guess]) -> list[Guess]:
    """Say what is left to do where nothing could be an outcome."""
    if any("several values" in guess.reason for guess in guesses):
        return list(guesses)
    way = (
        "; a study follows patients to an event or to an end. If there is none, longsurv.models.LMM"
        " and GLMM take the measurements alone, in Python"
    )
    return [replace(g, reason=g.reason + way) if g.about == "time" else g for g in guesses]


def covariates(found: Understanding) -> list[Field]:
    """Age and sex, where they are complete."""
    chosen = []
    for one in found.fields:
        column = one.column
        wanted = says(one.name, "age") == 3 or says(one.name, "sex") == 3
        whole = column.kind in ("number", "text") and not column.words and not column.units
        few = column.kind == "number" or column.distinct <= 4
        named = bool(np.all(one.sheet.owner >= 0))
        if wanted and whole and few and named and column.distinct >= 2:
            chosen.append(one)
    return chosen
