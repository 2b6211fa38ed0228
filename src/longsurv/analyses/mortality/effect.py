"""One effect of a Cox model: its coefficient, and whether the data say anything about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv.errors import LongsurvError
from longsurv.inference import identify
from longsurv.likelihood.cox.existence import within_risk_sets

if TYPE_CHECKING:
    from longsurv.models import CoxPH


def coefficient(spec: CoxPH, treatment: str) -> str:
    """Name of the one coefficient of a variable of two levels.

    Raises
    ------
    LongsurvError
        If it has none or several (an interaction is another).
    """
    fixed = spec.design.fixed
    found = [c for c in fixed.variables.get(treatment, ()) if c in fixed.names]
    # an interaction makes the main effect that at 0 of the other variable
    found += [c for c in fixed.names if ":" in c and set(c.split(":")) & set(found)]
    if len(found) != 1:
        raise LongsurvError(
            f"{treatment!r} needs exactly one coefficient of its own; it has {found} "
            f"of {fixed.names}"
        )
    return found[0]


def undetermined(spec: CoxPH, term: str) -> str:
    """Say why the partial likelihood says nothing about a coefficient; "" if it does.

    It depends on differences of covariates within risk sets only. Directions in which no risk set
    differs are those of no information at all, which is as good to see at 0 as anywhere, and
    better than at a maximum that separated groups may not have.
    """
    j = spec.design.fixed.names.index(term)
    information, rounding = within_risk_sets(spec.statistics)
    if identify(information, rounding=rounding).flat.determined[j]:
        return ""
    events = spec.design.n_events
    whenever = "the only event" if events == 1 else f"each of the {events} events"
    if not information[j, j] > rounding[j]:
        return f"at {whenever} everybody still at risk was in one group"
    return f"among those at risk at {whenever} {term} cannot be told from the other covariates"
