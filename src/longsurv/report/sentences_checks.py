"""Sentences about whether the answers can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from longsurv import numbers
from longsurv.words import listed, plural

LOW = 0.05
"""p values below this are named."""
PER_TERM = 10
"""Events a coefficient below which a test of proportional hazards hardly sees anything."""


def independent(compared: int, apart: int, largest: Mapping[str, float], without: int) -> str:
    """What other libraries say of the same rows.

    Parameters
    ----------
    compared, apart : int
        Numbers compared, and those further apart than they may be.
    largest : mapping of str to float
        The largest relative difference by library.
    without : int
        Answers that another library could not give.
    """
    if not compared:
        return "No answer could be compared with another library's; the table says why."
    by = listed([f"{library} {value:.0e}" for library, value in largest.items()])
    verdict = (
        "all agree within their tolerance" if not apart
        else f"{plural(apart, 'number')} {'do' if apart > 1 else 'does'} not agree"
    )  # fmt: skip
    text = (
        f"{plural(compared, 'number')} of this report {'were' if compared > 1 else 'was'} worked"
        f" out again by other libraries from the same rows: {verdict} (largest relative difference:"
        f" {by})."
    )
    if without:
        text += (
            f" {plural(without, 'answer')} {'have' if without > 1 else 'has'} no counterpart there;"
            " the table says why."
        )
    return text


def no_independent_check(reason: str) -> str:
    """Why nothing was compared.

    Parameters
    ----------
    reason : str
    """
    return f"The answers could not be compared with other libraries'. {reason.rstrip('.')}."


def not_criticised(reason: str) -> str:
    """Why no model was held against its data.

    Parameters
    ----------
    reason : str
    """
    return f"The models could not be held against the data. {reason.rstrip('.')}."


def residuals(models: int, quantiles: Sequence[str], spread: Sequence[str], most: int) -> str:
    """How many marker models have residuals within their bands.

    Parameters
    ----------
    models : int
    quantiles, spread : sequence of str
        Models whose quantiles, and whose mean or spread over the fitted values, leave theirs.
    most : int
        Names that are told.
    """
    text = f"Residuals of {plural(models, 'marker model')} against bands of 95 %: "
    parts = [
        f"{what} {'leave' if what == 'quantiles' else 'leaves'} theirs in {_told(names, most)}"
        for what, names in (("quantiles", quantiles), ("mean or spread", spread)) if names
    ]  # fmt: skip
    return text + (f"{'; '.join(parts)}." if parts else "all within theirs.")


def replicates(models: int, statistics: int, outside: Sequence[str], most: int) -> str:
    """How many statistics of the data lie among those of replicated data.

    Parameters
    ----------
    models, statistics : int
    outside : sequence of str
        Those that do not.
    most : int
        Names that are told.
    """
    text = f"Data replicated from {plural(models, 'posterior')}: "
    if not outside:
        return f"{text}all {statistics} statistics of the data lie within their 95 % intervals."
    return (
        f"{text}{statistics - len(outside)} of {statistics} statistics of the data lie within their"
        f" 95 % intervals; outside: {_told(outside, most)}."
    )


def proportional(p_value: float, events: int, terms: int, changing: Sequence[str]) -> str:
    """What the test of proportional hazards says.

    Parameters
    ----------
    p_value : float
        Of all coefficients together; NaN where there is no test.
    events, terms : int
    changing : sequence of str
        Coefficients with a low p value.
    """
    if math.isnan(p_value):
        return (
            f"Proportional hazards cannot be tested: {plural(events, 'event')} are too few, or at"
            " too few times."
        )
    p = numbers.p_value(p_value)
    equals = p if p[0] in "<>" else f"= {p}"
    text = f"Proportional hazards: p {equals} (Schoenfeld residuals)"
    if changing:
        return f"{text}; the hazard ratio of {listed(changing)} seems to change over time."
    if events < PER_TERM * terms:
        return f"{text}; with {plural(events, 'event')} the test can hardly see a change."
    return f"{text}; no sign of a change over time."


def straight(tests: Sequence[tuple[str, float, float]]) -> str:
    """What the tests of straight lines say.

    Parameters
    ----------
    tests : sequence of (str, float, float)
        Covariate, p value and that corrected by Holm's method, the lowest first.
    """
    if not tests:
        return "Linearity: no straight line could be tested against a bend."
    low = [test for test in tests if test[1] < LOW]
    text = f"Linearity: of {plural(len(tests), 'straight line')} "
    name, p_value, holm = tests[0]
    p, corrected = numbers.p_value(p_value), numbers.p_value(holm)
    lowest = f"lowest p: {p}, {corrected} after Holm's correction" if len(tests) > 1 else f"p: {p}"
    if not low:
        return f"{text}none is better bent ({lowest})."
    fit = "fits" if len(low) == 1 else "fit"
    return f"{text}{len(low)} {fit} better bent at p < {LOW:g}, most {name} ({lowest})."


def no_lines() -> str:
    """Where no number enters a model as a straight line."""
    return "Linearity: no covariate enters a model as a straight line."


def _told(names: Sequence[str], most: int) -> str:
    """How many, and the first of them by name."""
    if len(names) <= most:
        return listed(list(names))
    return f"{len(names)} ({', '.join(names[:most])} and others)"
