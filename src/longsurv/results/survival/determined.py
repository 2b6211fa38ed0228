"""What those at risk at the events of a Cox model can tell of its coefficients, and what not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from longsurv.inference import Flat, identify
from longsurv.inference.identify import LOADS
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import within_risk_sets
from longsurv.results.assemble import undetermined_flag
from longsurv.results.reference import NormalReference

if TYPE_CHECKING:
    from longsurv.results.estimate import Estimate

UNSEEN = "A robust covariance sees nothing of groups without events, and would be far too small;"
INDEPENDENT = "without clusters, and with weights of whole numbers, there are profile intervals."
ALONE = "Those still at risk at each event do not differ in it."


def flat_directions(data: cox.CoxData) -> Flat:
    """Directions of the coefficients in which those at risk at an event never differ."""
    information, rounding = within_risk_sets(data)
    return identify(information, rounding=rounding).flat


def seen_by_robust[E: Estimate](fit: E, known: Callable[[], Flat], instead: str) -> E:
    """A fit with a robust covariance, without what that cannot answer of separated groups.

    Nobody in a group without events moves the estimate much, whatever happens to the others: the
    sum of squared influences says that the coefficient is known, and knows nothing of it. Profile
    intervals of Firth's likelihood do, and take the rows for independent.

    Parameters
    ----------
    fit : SurvivalEstimate, HazardEstimate or FineGrayEstimate
    known : callable
        The directions that are not determined anyway.
    instead : str
        What has an answer, in words.
    """
    separated, before = fit.optimum.separated, fit.undetermined
    if fit.reference.method != "robust" or separated is None:
        return fit
    reference = cast("NormalReference", fit.reference)
    fit = replace(fit, reference=replace(reference, flat=known().also(separated)))
    further = [name for name in fit.undetermined if name not in before]
    return replace(fit, flags=(*fit.flags, *undetermined_flag(further, f"{UNSEEN} {instead}")))


def nothing(events: int, names: Sequence[str]) -> str:
    """Why a model of which nothing can be estimated has no estimate."""
    when = "the only event" if events == 1 else f"each of the {events} events"
    return f"those still at risk at {when} do not differ in {', '.join(names)}"


def why_flat(flat: Flat | None) -> str:
    """Why some coefficients are not determined; nothing where all are."""
    if flat is None or not flat:
        return ""
    scaled = np.abs(flat.directions / flat.scale[:, None])
    alone = bool(((scaled > LOADS * scaled.max(axis=0)).sum(axis=0) == 1).all())
    if alone:
        return ALONE
    return "Those still at risk at each event differ in them only in step, or not at all."


def prior_flags(names: tuple[str, ...], data: cox.CoxData) -> tuple[str, ...]:
    """Which part of a posterior is its prior, because the likelihood is flat or monotone there."""
    flat = flat_directions(data)
    lost = [name for name, known in zip(names, flat.determined, strict=True) if not known]
    if not lost:
        return _unbounded_flag(names, data)
    what, its = ", ".join(lost), "its posterior is its prior"
    why = why_flat(flat)
    if why != ALONE:
        what, its = f"a combination of {what}", "there the posterior is the prior"
    return (f"The data say nothing about {what}: {its}. {why}",)


def _unbounded_flag(names: tuple[str, ...], data: cox.CoxData) -> tuple[str, ...]:
    direction = cox.separation(data)
    if direction is None:
        return ()
    moving = ", ".join(names[j] for j in np.flatnonzero(direction))
    return (
        f"Separated groups: the likelihood sets no limit to {moving} on one side, where the "
        "posterior ends by its prior alone.",
    )
