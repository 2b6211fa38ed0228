"""How much data an answer rests on: patients, the groups they are in, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd

    from longsurv.design.groupings import Grouping
    from longsurv.design.joint import JointCause


@runtime_checkable
class Grouped(Protocol):
    """A design of measurements of patients, who may be nested in other groups."""

    @property
    def terms(self) -> tuple[Grouping, ...]:
        """Patients and what they are nested in."""


@runtime_checkable
class Followed(Protocol):
    """A design of patients followed until an event."""

    @property
    def n_events(self) -> int:
        """Number of events."""


@runtime_checkable
class Linked(Protocol):
    """A design of both."""

    group_name: str
    labels: pd.Index
    causes: tuple[JointCause, ...]


def counts(design: object) -> list[tuple[str, int]]:
    """Names and numbers of a design, as ("Groups of patient", 41) and ("Events", 5)."""
    if isinstance(design, Grouped):
        return [(f"Groups of {grouping.name}", len(grouping.labels)) for grouping in design.terms]
    if isinstance(design, Followed):
        return [("Events", design.n_events)]
    if isinstance(design, Linked):
        several = len(design.causes) > 1
        of = [f"Events ({cause.name})" if several else "Events" for cause in design.causes]
        events = [int(cause.status.sum()) for cause in design.causes]
        return [
            (f"Groups of {design.group_name}", len(design.labels)),
            *zip(of, events, strict=True),
        ]
    return []
