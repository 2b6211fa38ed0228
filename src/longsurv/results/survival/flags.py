"""What the results of every model of times share: which intervals, and what readers must know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from longsurv.design.hazard import HazardDesign
from longsurv.design.weights import are_counts
from longsurv.errors import LongsurvError
from longsurv.inference import Optimum
from longsurv.inference.profile import Profile, lacking_curvature
from longsurv.inference.scoring import Scored
from longsurv.results.contrasts import label
from longsurv.words import plural, verb

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign


def needs_robust(design: SurvivalDesign) -> bool:
    """Whether rows are dependent, or weights cannot be counts of patients."""
    weights = design.weights
    return design.cluster is not None or not (weights is None or are_counts(weights))


def interval_kind(intervals: str | None, penalty: str | None, robust: bool) -> str:
    """ "wald" or "profile": what was asked for, else profile for Firth's penalty.

    Raises
    ------
    LongsurvError
        For profile intervals where the covariance has to be robust.
    """
    if robust and intervals == "profile":
        raise LongsurvError(
            "profile intervals take the rows for independent; with cluster() or weights that are "
            "not whole numbers intervals are 'wald', from the robust covariance"
        )
    return intervals or ("profile" if penalty == "firth" and not robust else "wald")


def profile_of(density: Scored, optimum: Optimum, penalty: str | None) -> Profile:
    """The profile of a likelihood, whose information lacks the curvature of Firth's penalty."""
    if penalty is None:
        return Profile(density, optimum, np.zeros_like(optimum.hessian))
    return Profile(density, optimum, lacking_curvature(density, optimum))


def separation_flag(
    names: tuple[str, ...],
    direction: np.ndarray | None,
    likelihood: str,
    lost: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """What to say of a likelihood without a maximum; `direction` is where it keeps increasing.

    `lost` are coefficients of which the data determine combinations at most.
    """
    if direction is None:
        return ()
    moving = np.flatnonzero(direction)
    if any(names[j] in lost for j in moving):
        what = f"the coefficients move along a combination of {', '.join(lost)}"
    elif len(moving) == 1:
        way = "rises" if direction[moving[0]] > 0 else "falls"
        what = f"the coefficient of {names[moving[0]]} {way}"
    else:
        what = f"the coefficients move along {label(np.round(direction, 3), names)}"
    return (
        f"Separated groups: the {likelihood} has no maximum, it keeps increasing as {what} "
        "without end. Firth's penalised likelihood was maximised instead, which has one.",
    )


class WithLimits(Protocol):
    """What is used of a fit with profile intervals, or without."""

    @property
    def design(self) -> SurvivalDesign:
        """The arrays of the model."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Those that the data do not determine."""

    @property
    def profile(self) -> object | None:
        """The profile likelihood, where intervals are its."""

    def profile_limits(self, weights: np.ndarray) -> tuple[float, float]:
        """The 95 % interval of a combination of coefficients, weights (p,)."""


def limits_flag(fit: WithLimits) -> tuple[str, ...]:
    """What to say of profile intervals that never end, or else of too few events for others."""
    if fit.profile is None:
        return few_events_flag(fit.design)
    return tuple(
        f"The data set no {limit} limit to the coefficient of {term}: the profile likelihood never "
        "falls far enough."
        for term, row in zip(fit.names, np.eye(len(fit.names)), strict=True)
        if term not in fit.undetermined
        for limit, side in zip(("lower", "upper"), fit.profile_limits(row), strict=True)
        if np.isinf(side)
    )


def few_events_flag(design: SurvivalDesign) -> tuple[str, ...]:
    """What to say of fewer than ten events a coefficient."""
    events, p = design.n_events, max(len(design.fixed.names), 1)
    if events >= 10 * p:
        return ()
    return (
        f"There {'is 1 event' if events == 1 else f'are {events} events'} for {p} "
        f"coefficient{'s' if p > 1 else ''}: normal intervals "
        "and p values are unreliable below about 10 events a coefficient.",
    )


def weightless_flag(design: SurvivalDesign) -> tuple[str, ...]:
    """What to say of rows that weigh nothing."""
    if not design.n_weightless:
        return ()
    return (
        f"{plural(design.n_weightless, 'row')} of weight 0 "
        f"{verb(design.n_weightless, 'was', 'were')} left out.",
    )


def powers_flag(design: SurvivalDesign) -> tuple[str, ...]:
    """What to say of weights and clusters in a posterior."""
    if design.weights is None and design.cluster is None:
        return ()
    return (
        "Case weights act as powers of the likelihood, and rows of one cluster count as "
        "independent: the posterior has no robust covariance.",
    )


def changing_flag(hazard: HazardDesign) -> tuple[str, ...]:
    """What to say of hazard ratios that change with time."""
    if not hazard.varying:
        return ()
    terms = ", ".join(hazard.survival.fixed.names[j] for j in hazard.varying)
    return (
        f"The log hazard ratio of {terms} changes with log time: the coefficient is that at time "
        f"{hazard.baseline.unit:g}; hazard_ratio(times) gives others.",
    )


def smoothing_flag(smoothing: float | None) -> tuple[str, ...]:
    """What to say of a spline whose smoothing was estimated."""
    if smoothing is None:
        return ()
    if smoothing == 0.0:
        return (
            "The smoothing left nothing of the spline: the data do not tell the baseline hazard "
            "from a constant one.",
        )
    return (
        "Standard errors take the smoothing of the baseline (SD of the change of the log hazard "
        f"over follow-up {smoothing:.3g}) as given.",
    )


def fitted_by(design: SurvivalDesign, ties: str, firth: bool, profile: bool, robust: bool) -> str:
    """How a model was fitted, in words."""
    words = f"partial likelihood, {ties.capitalize()} ties, {plural(design.n_events, 'event')}"
    if firth:
        words = "Firth's penalised " + words
    return words + ", profile intervals" * profile + ", robust covariance" * robust
