"""Deaths out of patients in two groups: the data of a two-by-two table."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longsurv.arguments import checked_last
from longsurv.errors import DataError
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.cohort import Cohort


@checked_last
@dataclass(frozen=True)
class Counts:
    """Events out of patients in a group and in the reference group.

    Parameters
    ----------
    events, n : int
        Of the group.
    reference_events, reference_n : int
        Of the reference.

    Raises
    ------
    DataError
        Listing every count that is not a whole number, is negative, or exceeds its group.
    """

    events: int
    n: int
    reference_events: int
    reference_n: int

    def __post_init__(self) -> None:
        problems = []
        for side, events, n in (
            ("the group", self.events, self.n),
            ("the reference", self.reference_events, self.reference_n),
        ):
            if not (float(events).is_integer() and float(n).is_integer()):  # no inf, no NaN
                problems.append(f"{side}: expected whole numbers, got {events} events of {n}")
            elif n < 1:
                problems.append(
                    f"{side} has {plural(n, 'patient')}; a comparison needs someone in both"
                )
            elif not 0 <= events <= n:
                problems.append(f"{side}: {events} events is not between 0 and its {n} patients")
        if problems:
            raise DataError(problems)

    @classmethod
    def of(cls, cohort: Cohort, group: Hashable = None) -> Counts:
        """Count the events of a cohort by its horizon, in a group and in the reference.

        Who is censored or has a competing event first counts as having no event.

        Parameters
        ----------
        cohort : Cohort
        group : hashable, optional
            Treatment level; needed only if there are more than two.
        """
        reference, *others = cohort.groups
        if group is None and len(others) != 1:
            raise DataError(f"say which group to compare with {reference}: one of {others}")
        group = others[0] if group is None else group
        if group not in others:
            raise DataError(f"there is no group {group!r} besides the reference; there is {others}")
        data = cohort.survival_data()
        event = [data.loc[data[cohort.schema.treatment] == g, "event"] for g in (group, reference)]
        return cls(int(event[0].sum()), len(event[0]), int(event[1].sum()), len(event[1]))

    @property
    def risk(self) -> float:
        """Proportion with the event in the group."""
        return self.events / self.n

    @property
    def reference_risk(self) -> float:
        """Proportion with the event in the reference."""
        return self.reference_events / self.reference_n

    @property
    def table(self) -> list[list[int]]:
        """Events and others of the group, then of the reference."""
        return [
            [self.events, self.n - self.events],
            [self.reference_events, self.reference_n - self.reference_events],
        ]
