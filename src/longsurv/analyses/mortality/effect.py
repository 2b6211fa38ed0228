"""One effect of a Cox model: its coefficient, and whether the data say anything about it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import identify
from longsurv.likelihood.cox.existence import within_risk_sets

if TYPE_CHECKING:
    from longsurv.models import CoxPH
    from longsurv.models.fine_gray import FineGray
    from longsurv.priors import Prior


def coefficients(spec: CoxPH | FineGray, treatment: str) -> list[str]:
    """Names of the coefficients of a variable, those of its products among them."""
    fixed = spec.design.fixed
    found = [c for c in fixed.variables.get(treatment, ()) if c in fixed.names]
    # an interaction makes the main effect that at 0 of the other variable
    return found + [c for c in fixed.names if ":" in c and set(c.split(":")) & set(found)]


def coefficient(spec: CoxPH, treatment: str, level: Hashable | None = None) -> str:
    """Name of the coefficient that compares a level of a variable with the first.

    Parameters
    ----------
    spec : CoxPH
    treatment : str
    level : hashable, optional
        Of a variable of several levels the one meant; one of two levels has one coefficient.

    Raises
    ------
    LongsurvError
        If it has none or several (an interaction is another).
    EstimationError
        If covariates that are left out of the model cannot be told from it.
    """
    fixed, found = spec.design.fixed, coefficients(spec, treatment)
    if len(found) > 1 and not any(":" in name for name in found):
        found = [name for name in found if name.endswith((f"[T.{level}]", f"[{level}]"))]
    if len(found) != 1:
        raise LongsurvError(
            f"{treatment!r} needs exactly one coefficient of its own; it has {found} "
            f"of {fixed.names}"
        )
    if others := fixed.stands_for(found[0]):
        raise EstimationError(
            f"{treatment} cannot be told from {', '.join(others)}: the covariates tell the groups"
            " apart, and there is no comparison adjusted for them"
        )
    return found[0]


def priors_of(spec: CoxPH, treatment: str, prior: Prior) -> dict[str, Prior]:
    """A prior of every arm's log hazard ratio against the reference, for `CoxPH.sample`.

    Of several arms the model's own prior is left to the model, which treats all arms alike,
    whichever is the reference. Any other is a belief about each arm's ratio by itself.

    Parameters
    ----------
    spec : CoxPH
    treatment : str
    prior : Prior
    """
    names, usual = coefficients(spec, treatment), spec.default_priors()
    if len(names) > 1 and all(usual.get(name) == prior for name in names):
        return {}
    return dict.fromkeys(names, prior)


def undetermined(spec: CoxPH, term: str, weights: np.ndarray | None = None) -> str:
    """Say why the partial likelihood says nothing about a coefficient; "" if it does.

    Or about a combination of coefficients, which `term` is then the name of.

    It depends on differences of covariates within risk sets only. Directions in which no risk set
    differs are those of no information at all, which is as good to see at 0 as anywhere, and
    better than at a maximum that separated groups may not have.
    """
    names = spec.design.fixed.names
    L = np.eye(len(names))[names.index(term)] if weights is None else weights
    information, rounding = within_risk_sets(spec.statistics)
    if identify(information, rounding=rounding).flat.estimable(L)[0]:
        return ""
    events = spec.design.n_events
    whenever = "the only event" if events == 1 else f"each of the {events} events"
    if not L @ information @ L > L**2 @ rounding:
        return f"at {whenever} everybody still at risk was in one group"
    return f"among those at risk at {whenever} {term} cannot be told from the other covariates"
