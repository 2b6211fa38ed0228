"""Mortality adjusted for as many covariates as the events carry, in the order they are named.

A Cox model with few events for each coefficient is biased away from no effect and its intervals are
too short. Five events a coefficient are the least that simulations have found tolerable
(Vittinghoff and McCulloch 2007, Am J Epidemiol 165:710-718), so a coefficient besides the
treatment's is allowed for every five events, and all are estimated by Firth's penalty. Which
covariates those are is settled by the order in which they are named, before the data are seen: no
test and no fit chooses among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.design.names import quoted
from longsurv.errors import LongsurvError
from longsurv.tables.notebook import Readable
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.models import CoxPH

PER_COEFFICIENT = 5  # events
COLUMNS = ["term", "engine", "estimate", "conf_low", "conf_high", "p_value", "prob_positive"]


@dataclass(frozen=True, eq=False)
class Carried(Readable):
    """The hazard ratio adjusted for what the events carry.

    Attributes
    ----------
    covariates : tuple of str
        Adjusted for, in order.
    left_out : tuple of str
        Named after them.
    events, patients : int
        In the rows with all those covariates.
    table : DataFrame
        `COLUMNS`, hazard ratios: a row a coefficient of the treatment and way of estimating it:
        "ml", "firth", "bayes" (the median). Where the likelihood has no maximum "ml" is Firth's.
    reason : str
        Why there is no answer; empty if there is one.
    """

    read_as: ClassVar[tuple[str, ...]] = ("covariates", "left_out", "table", "reason")

    covariates: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    events: int = 0
    patients: int = 0
    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS), repr=False)
    reason: str = ""


def carried_covariates(
    data: pd.DataFrame, covariates: Sequence[str], events: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The covariates that so many events carry, and those left out.

    Parameters
    ----------
    data : DataFrame
        A row a patient.
    covariates : sequence of str
        In order of importance; the first that is too many ends the list.
    events : int

    Returns
    -------
    carried, left_out : tuple of str
    """
    room, carried = events // PER_COEFFICIENT, []
    for name in covariates:
        room -= coefficients(data[name])
        if room < 0:
            break
        carried.append(name)
    return tuple(carried), tuple(covariates[len(carried) :])


def coefficients(column: pd.Series) -> int:
    """How many coefficients a covariate has: one, or one less than its levels."""
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return 1 if numeric else max(column.nunique() - 1, 1)


def adjusted_for_what_is_carried(
    data: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 1,
    level: float = 0.95,
) -> Carried:
    """Firth's estimate and the default posterior, adjusted for what the events carry.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`.
    treatment : str
    covariates : sequence of str
        Columns, in order of importance.
    draws, seed : int
        Of the posterior.
    level : float
        Of the intervals.

    Returns
    -------
    Carried
        With the reason where nothing can be adjusted for.
    """
    from longsurv.models import CoxPH

    if not covariates:
        return Carried(reason="the study names no covariates of the patients")
    events = int(data["event"].sum())
    chosen, left_out = carried_covariates(data, covariates, events)
    if not chosen:
        first = coefficients(data[covariates[0]])
        why = (
            f"{plural(events, 'event')} carry no covariate beside the treatment: {covariates[0]}"
            f" has {plural(first, 'coefficient')}, and a coefficient needs {PER_COEFFICIENT} events"
        )
        return Carried(left_out=left_out, events=events, patients=len(data), reason=why)
    whole = data.dropna(subset=list(chosen))
    seen, n = int(whole["event"].sum()), len(whole)
    right = " + ".join(map(quoted, (treatment, *chosen)))
    try:
        spec = CoxPH(f"Surv(entry, exit, event) ~ {right}", data=whole)
        table = _answers(spec, treatment, draws, seed, level)
    except LongsurvError as error:
        return Carried(chosen, left_out, seen, n, reason=str(error))
    return Carried(chosen, left_out, seen, n, table)


def _answers(spec: CoxPH, treatment: str, draws: int, seed: int, level: float) -> pd.DataFrame:
    """Hazard ratios of every level of the treatment by both engines."""
    post = spec.sample(draws=draws, seed=seed)
    parts = []
    for engine, result in (
        ("ml", spec.fit()), ("firth", spec.fit(penalty="firth")), ("bayes", post),
    ):  # fmt: skip
        tidy = result.tidy(level)
        tidy = tidy[tidy["term"].isin(spec.design.fixed.variables.get(treatment, ()))]
        if engine == "bayes":
            tidy = tidy.assign(estimate=[np.median(post.draw(term)) for term in tidy["term"]])
        limits = {name: np.exp(tidy[name]) for name in ("estimate", "conf_low", "conf_high")}
        parts.append(tidy.assign(engine=engine, **limits))
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)
