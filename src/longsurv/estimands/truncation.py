"""Markers truncated by death: what may be asked, and a marker and death as one outcome.

A marker after death does not exist; it is not missing. Which question is asked of it has to be
said, and each needs an assumption of its own (`ESTIMANDS`).

    alive      the mean change among the living: two groups of survivors, who may be unlike
    worst      death is the worst value of all, the sooner the worse; the living by the marker
    joint      the marker's curve as if it went on after death, from a joint model
    survivors  the difference among those who would live in either group, within bounds

ICH E9(R1) (2019) calls the first three the while on treatment, the composite and the hypothetical
strategy, and the last principal stratification. Kurland et al. (2009), Stat Sci 24:211-222 (what
follows from each); Lachin (1999), Control Clin Trials 20:408-422 (worst ranks); Zhang & Rubin
(2003), J Educ Behav Stat 28:353-368, and Lee (2009), Rev Econ Stud 76:1071-1102 (bounds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from longsurv.arguments import check_methods, checked
from longsurv.cohort import Cohort
from longsurv.cohort.labels import death_codes
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.baseline_adjusted import ComparedRows, later_phases
from longsurv.estimands.changes import Change
from longsurv.estimands.worst_rank import worst_ranks
from longsurv.times import snapped
from longsurv.words import listed, plural, verb

type Outcome = Literal["change", "value"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DeathEstimand:
    """What is asked of a marker that deaths cut short.

    In words with {level}, {reference}, {start}, {end}, {what} (the change or the value) and
    {kept} (the group whose patients are taken to live more often).
    """

    label: str
    question: str
    assumes: str


ESTIMANDS: Mapping[str, DeathEstimand] = MappingProxyType(
    {
        "alive": DeathEstimand(
            "While alive",
            "Among patients while they were alive, how much further did the marker move from"
            " {start} to {end} in {level} than in {reference}?",
            "the living of the two groups may be compared, though who is among them is itself an"
            " outcome; values missing while alive are missing at random",
        ),
        "worst": DeathEstimand(
            "Death as the worst outcome",
            "Of a patient of {level} and one of {reference}, which fares better by {end}: alive"
            " before dead, dead later before sooner, and alive with the better {what}?",
            "any {what} of the marker is better than death; patients alive without a value would"
            " have been like those with one in their group",
        ),
        "joint": DeathEstimand(
            "As if nobody died",
            "Had the markers of the dead gone on as they went while alive, how much further would"
            " the mean have moved from {start} to {end} in {level} than in {reference}?",
            "the joint model holds: the marker's curve, and how the hazard of death follows it",
        ),
        "survivors": DeathEstimand(
            "Who would survive in either group",
            "Among patients who would be alive at {end} in either group, how much further did the"
            " marker move in {level} than in {reference}?",
            "patients are in their group as if by chance, and nobody who is alive in the other"
            " group would have died in {kept}; a sensitivity analysis, within bounds",
        ),
    }
)


@checked
def deaths_of(cohort: Cohort, deaths: tuple[str, ...] | None = None) -> tuple[int, ...]:
    """Codes of the outcomes that are death.

    Parameters
    ----------
    cohort : Cohort
    deaths : tuple of str, optional
        The event by its name, or competing events by theirs; by default those that are called
        death.

    Raises
    ------
    LongsurvError
        For an outcome there is not, or if no outcome is called death and none is named.
    """
    labels = [cohort.event_name, *cohort.schema.competing]
    if deaths is None:
        found = death_codes(cohort.schema)
        if not found:
            raise LongsurvError(
                f"which outcome is death? This study has {listed(list(map(repr, labels)))}; name"
                f" what is, as deaths=({labels[0]!r},)"
            )
        return found
    unknown = [name for name in deaths if name not in labels]
    if unknown or not deaths:
        raise LongsurvError(f"deaths are among the outcomes {labels}, not {list(deaths)}")
    return tuple(labels.index(name) + 1 for name in deaths)


def dead_by(people: pd.DataFrame, codes: tuple[int, ...], end: float) -> NDArray[np.bool_]:
    """Who had died by a time, shape (n,).

    Parameters
    ----------
    people : DataFrame
        As `Cohort.survival_data` gives them: exit, status.
    codes : tuple of int
        The statuses that are death, as of `deaths_of`.
    end : float
    """
    exit = people["exit"].to_numpy(dtype=float)
    found: NDArray[np.bool_] = np.isin(people["status"], codes) & (exit <= snapped(end, exit))
    return found


@check_methods
@dataclass(frozen=True, eq=False)
class Composite:
    """A marker and death as one outcome of each patient of two groups.

    Attributes
    ----------
    change : Change
    outcome : {"change", "value"}
        What of the marker the living are compared by, on its analysis scale.
    until : float
        Deaths up to this time count.
    patients : DataFrame
        patient, treated, died (time of a death until then, else NaN), value (of who is alive; NaN
        if not measured), measured (whether there was a value, also of who died).
    censored : int
        Values beyond a detection limit, taken at the limit.
    entered : float
        When the first patient came under observation.
    lost : int
        Patients whose follow-up ended before `until` otherwise than by death.
    unmeasured : str
        Which group has nothing but values beyond a limit at an end of the change; empty if none.
    """

    change: Change
    outcome: Outcome
    until: float
    patients: pd.DataFrame
    censored: int
    entered: float
    lost: int = 0
    unmeasured: str = ""

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        marker: str,
        change: Change,
        *,
        deaths: tuple[str, ...] | None = None,
        outcome: Outcome = "change",
        until: float | None = None,
    ) -> Composite:
        """Of one marker of a cohort.

        Parameters
        ----------
        cohort : Cohort
        marker : str
        change : Change
            Between two phases.
        deaths : tuple of str, optional
            As for `deaths_of`.
        outcome : {"change", "value"}
            The change from the start, or the value at the end.
        until : float, optional
            Deaths up to this time count; by default those up to the end of the last phase of the
            change, or of follow-up.

        Raises
        ------
        LongsurvError
            If the change is not one between phases and groups of the cohort, no outcome is known
            to be death, or `until` is before that phase or after follow-up.
        """
        later_phases(cohort, change)
        codes, schema = deaths_of(cohort, deaths), cohort.schema
        phase = next(phase for phase in schema.phases if phase.name == change.end)
        horizon = np.inf if schema.horizon is None else float(schema.horizon)
        end = min(phase.last, horizon) if until is None else float(until)
        if until is not None and not phase.first <= end <= horizon:
            raise LongsurvError(
                f"until={until:g} has to be at or after the beginning of {change.end!r}"
                f" ({phase.first:g})"
                + (f" and within follow-up ({horizon:g})" if np.isfinite(horizon) else "")
            )
        people, compared = cohort.survival_data(), ComparedRows.of(cohort, marker, change)
        people = people[people[change.treatment].isin([change.level, change.reference])]
        exit, dead = people["exit"].to_numpy(dtype=float), dead_by(people, codes, end)
        known = compared.patients.reindex(people[schema.patient])
        value = (known["end"] - (known["start"] if outcome == "change" else 0.0)).to_numpy(float)
        table = pd.DataFrame(
            {
                "patient": people[schema.patient].to_numpy(),
                "treated": (people[change.treatment] == change.level).to_numpy(),
                "died": np.where(dead, exit, np.nan),
                "value": np.where(dead, np.nan, value),
                "measured": np.isfinite(value),
            }
        )
        entered = float(people["entry"].min()) if len(people) else 0.0
        lost = int((~dead & (exit < snapped(end, exit))).sum())
        return cls(
            change, outcome, end, table, compared.censored, entered, lost, compared.unmeasured
        )

    @cached_property
    def used(self) -> pd.DataFrame:
        """The patients who died or have a value."""
        table = self.patients
        return table[table["died"].notna() | table["value"].notna()].reset_index(drop=True)

    @property
    def n(self) -> int:
        """Of these."""
        return len(self.used)

    @property
    def deaths(self) -> int:
        """Of the dead among them."""
        return int(self.used["died"].notna().sum())

    def ranks(self, better: Literal["lower", "higher"]) -> NDArray[np.int64]:
        """Places of `used` among all outcomes, the worst 0.

        Parameters
        ----------
        better : {"lower", "higher"}
        """
        return worst_ranks(self.used["value"].to_numpy(), self.used["died"].to_numpy(), better)

    @property
    def notes(self) -> tuple[str, ...]:
        """Who is left out, and what is to be known of the deaths."""
        change, table = self.change, self.patients
        found = []
        absent = table[table["died"].isna() & table["value"].isna()]
        if len(absent):
            where = [
                f"{int((absent['treated'] == mine).sum())} in {group}"
                for mine, group in ((True, change.level), (False, change.reference))
            ]
            lacking = "a change" if self.outcome == "change" else f"a value at {change.end}"
            found.append(f"left out: alive without {lacking}, {' and '.join(where)}")
        before = int((table["died"].notna() & table["measured"]).sum())
        if before:
            found.append(
                f"{before} of the dead {verb(before, 'was', 'were')} measured before death, and"
                f" {verb(before, 'counts', 'count')} as dead"
            )
        if self.lost:
            found.append(
                f"{plural(self.lost, 'patient')} {verb(self.lost, 'was', 'were')} followed alive to"
                f" before {self.until:g} only, and {verb(self.lost, 'counts', 'count')} as alive"
            )
        if not self.deaths:
            why = f"no death up to {self.until:g} is in the data"
            late = f", since patients came under observation at {self.entered:g} or later"
            found.append(why + (late if self.entered >= self.until else ""))
        if self.censored:
            found.append(
                f"{plural(self.censored, 'value')} beyond the detection limit"
                f" {verb(self.censored, 'is', 'are')} taken at it"
            )
        return tuple(found)


@checked
def survivor_bounds(
    value: Floats,
    alive: NDArray[np.bool_],
    treated: NDArray[np.bool_],
    weights: Floats,
    *,
    kept: bool,
) -> tuple[Floats, Floats]:
    """Bounds of the difference in means among those who would be alive in either group.

    With `kept` true, nobody who is alive in the reference would have died in the group. Then the
    living of the reference are all of this kind, and those of the group are a mixture in which the
    kind has the share s0 / s1, of the shares alive: at worst its highest values, at best its
    lowest, or the reverse.

    Parameters
    ----------
    value : ndarray, shape (n,)
        Of the marker; NaN for the dead and for who was not measured.
    alive, treated : ndarray of bool, shape (n,)
    weights : ndarray, shape (draws, n)
        Of the patients, a row a draw; all 1 for the estimate.
    kept : bool
        The group, and not the reference, is the one in which more live.

    Returns
    -------
    low, high : ndarray, shape (draws,)
        Mean of the group minus that of the reference. Where the shares alive in a draw are the
        other way round, nothing is cut off.

    Raises
    ------
    DataError
        If nobody of a group is alive and measured, or all values are the same.
    """
    seen = alive & np.isfinite(value)
    for mine in (True, False):
        if not (seen & (treated == mine)).any():
            raise DataError(
                "nobody of a group is alive and measured: there are no survivors to compare"
            )
    if np.ptp(value[seen]) == 0:
        raise DataError("every value of the living is the same: there is nothing to compare")
    many, few = (treated, ~treated) if kept else (~treated, treated)
    share = [weights[:, alive & g].sum(axis=1) / weights[:, g].sum(axis=1) for g in (many, few)]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.minimum(1.0, share[1] / share[0])
        order = np.argsort(value[seen & many], kind="stable")
        of_many, mass = value[seen & many][order], weights[:, seen & many][:, order]
        plain = weights[:, seen & few]
        of_few = plain @ value[seen & few] / plain.sum(axis=1)
        lowest = _trimmed(of_many, mass, part)
        highest = -_trimmed(-of_many[::-1], mass[:, ::-1], part)
    if kept:
        return lowest - of_few, highest - of_few
    return of_few - highest, of_few - lowest


def _trimmed(value: Floats, mass: Floats, part: Floats) -> Floats:
    """Mean of the lowest part of sorted values, a row a draw; the last value counts in part."""
    total = np.cumsum(mass, axis=1)
    wanted = (part * total[:, -1])[:, None]
    taken = np.clip(wanted - (total - mass), 0.0, mass)
    mean: Floats = taken @ value / taken.sum(axis=1)
    return mean
