"""One question, every method: does mortality differ between two groups, or each of several pairs?

The methods differ in what they estimate, in what they assume and in whether they can answer at all
with five deaths. Side by side they show how much of an answer is the data's. A method that cannot
answer has a row with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.effect import coefficient, priors_of, undetermined
from longsurv.analyses.mortality.failure_times import failure_time_rows
from longsurv.analyses.mortality.methods_table import (
    QUANTITIES,
    ComparedArms,
    MortalityMethods,
)
from longsurv.analyses.mortality.model_free import model_free_rows
from longsurv.analyses.mortality.rows import (
    LIMITS,
    SCALES,
    Question,
    Row,
    attempt,
    row_of,
)
from longsurv.analyses.mortality.site_rows import site_rows
from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.estimands.follow_up import two_groups
from longsurv.estimands.standardised import SurvivalResult, risk_difference
from longsurv.estimands.treatments import levels_of
from longsurv.priors import TREATMENT, Prior, as_normal

if TYPE_CHECKING:
    from longsurv.models import CoxPH

type Penalty = Literal["firth"] | None
type Intervals = Literal["wald", "profile"]

FITS: tuple[tuple[str, Penalty, Intervals], ...] = (
    ("Wald", None, "wald"),
    ("likelihood ratio", None, "profile"),
    ("Firth, profile", "firth", "profile"),
)
"""How a Cox model is fitted, by the method's name."""
STANDARDISED = ("risk difference", "risk ratio", "odds ratio")


@checked
def mortality_methods(
    data: pd.DataFrame,
    treatment: str,
    horizon: float,
    spec: CoxPH,
    *,
    adjusted: CoxPH | None = None,
    adjust: str = "",
    priors: Mapping[str, Prior] = TREATMENT,
    draws: int = 1000,
    seed: int = 1,
    level: float = 0.95,
    unit: str = "",
    with_sites: CoxPH | None = None,
    all_arms: pd.DataFrame | None = None,
) -> MortalityMethods:
    """Compare the mortality of two groups by every method there is.

    `longsurv.analyses.Mortality(...).methods()` calls it with the models it needs.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`, follow-up ended at the horizon: "entry", "exit", "event",
        "status" and the treatment. Of both groups, and nobody else.
    treatment : str
        Column of two levels, the reference first.
    horizon : float
        Time of the risks, in the unit of the data.
    spec : CoxPH
        Model with the treatment only: of these data, or of a study of several arms, whose
        reference level is the reference here.
    adjusted : CoxPH, optional
        Model with the treatment, first, and covariates.
    adjust : str
        The covariates of `adjusted`, a right-hand side; also of the overlap weights.
    priors : mapping of str to Normal, StudentT or Mixture
        Of the treatment's log hazard ratio, by name.
    draws, seed : int
        Of the posteriors and of the tests by random permutation.
    level : float
    unit : str
        Of the times, for the sentences.
    with_sites : CoxPH, optional
        Model with the treatment, first, the covariates and an effect of the site.
    all_arms : DataFrame, optional
        The data of all arms of a study of several, which weights make alike; as `data`.

    Returns
    -------
    MortalityMethods

    Raises
    ------
    DataError
        If the data are not the follow-up of two groups. A method that fails on them does not raise.
    """
    group, mine, reference, others = two_groups(data, treatment)
    if levels_of(spec.data[treatment])[0] != reference:
        raise LongsurvError(f"the reference of the model is not that of the data, {reference!r}")
    dead = (int((side.status == 1).sum()) for side in (mine, others))
    counts = Counts(next(dead), len(mine), next(dead), len(others))
    ask = Question(
        data, treatment, float(horizon), group, reference, counts, draws, seed, level, unit,
        arms=int(spec.data[treatment].nunique()), everyone=all_arms,
    )  # fmt: skip
    rows = _cox_rows(ask, spec, "", priors)
    if adjusted is not None:
        rows += _cox_rows(ask, adjusted, adjust, priors)
    if with_sites is not None:
        rows += site_rows(ask, with_sites, adjust)
    rows += model_free_rows(ask, adjust)
    rows += failure_time_rows(ask, spec, "")
    if adjusted is not None:
        rows += failure_time_rows(ask, adjusted, adjust)
    rows = sorted((row.checked() for row in rows), key=lambda row: QUANTITIES.index(row.quantity))
    compared = (ComparedArms(group, reference, counts),)
    return MortalityMethods(pd.DataFrame(rows), treatment, float(horizon), level, compared)


def _cox_rows(ask: Question, spec: CoxPH, adjust: str, priors: Mapping[str, Prior]) -> list[Row]:
    """Rows of one Cox model: by maximum likelihood, by Firth's penalty, under each prior."""
    adjusting = (f", adjusted for {adjust}" if adjust else "") + ask.in_one_model
    name = "Cox adjusted" if adjust else "Cox"
    rows = []
    for method, penalty, intervals in FITS:
        blank = row_of(
            "hazard ratio", f"{name}, {method}", "frequentist", ask.hazards(adjusting),
            method_id=f"Cox, {method}", approach="model", adjusted_for=adjust,
        )  # fmt: skip
        rows += attempt(partial(_fitted, ask, blank, spec, penalty, intervals), blank)
    firth = row_of(
        "hazard ratio", f"{name}, Firth", "frequentist", "", method_id="Cox, Firth",
        approach="model", adjusted_for=adjust,
    )  # fmt: skip
    rows += _standardised(
        ask, lambda: _determined(ask, spec).fit(penalty="firth"), _averaged(ask, firth)
    )
    for label, prior in priors.items():
        blank = row_of(
            "hazard ratio", f"{name} posterior, {label} {prior}", "bayes", ask.hazards(adjusting),
            method_id="Cox posterior", approach="model", prior_id=label, prior=str(prior),
            adjusted_for=adjust,
        )  # fmt: skip
        rows += _posterior_rows(ask, spec, blank, prior)
    return rows


def _determined(ask: Question, spec: CoxPH) -> CoxPH:
    """The specification, if the data say something about the treatment's coefficient."""
    nothing = undetermined(spec, coefficient(spec, ask.treatment, ask.group))
    if nothing:
        raise EstimationError(nothing)
    return spec


def _fitted(
    ask: Question, blank: Row, spec: CoxPH, penalty: Penalty, intervals: Intervals
) -> list[Row]:
    term = coefficient(spec, ask.treatment, ask.group)
    fit = _determined(ask, spec).fit(penalty=penalty, intervals=intervals)
    if fit.penalty != penalty:  # separated groups, for which CoxPH goes on to Firth's penalty
        separated = next(flag for flag in fit.flags if flag.startswith("Separated"))
        why = ask.nobody() or separated.partition(". ")[0]
        return [blank.silent(f"{why}, so the likelihood has no maximum")]
    row = fit.tidy(ask.level).set_index("term").loc[term]
    with np.errstate(over="ignore"):
        limits = {name: float(np.exp(row[name])) for name in LIMITS}
    if math.isnan(limits["estimate"]):
        why = " ".join(fit.flags) or f"the data do not determine {term}"
        return [blank.silent(why)]
    few = next((flag for flag in fit.flags if "normal intervals" in flag), "")
    return [blank.filled({**limits, "p_value": row["p_value"]}, few.rstrip("."))]


def _posterior_rows(ask: Question, spec: CoxPH, blank: Row, prior: Prior) -> list[Row]:
    beyond = _averaged(ask, blank)

    def drawn() -> list[Row]:
        term = coefficient(spec, ask.treatment, ask.group)
        nothing = undetermined(spec, term)
        if nothing:
            raise EstimationError(f"the posterior is the prior: {nothing}")
        given = priors_of(spec, ask.treatment, prior)
        post = spec.sample(draws=ask.draws, seed=ask.seed, priors=given)
        log_hr = post.draw(term)
        tail = 0.5 - ask.level / 2
        low, middle, high = np.exp(np.quantile(log_hr, [tail, 0.5, 1 - tail]))
        share = min(float(log_hr.var() / as_normal(prior, log_hr)[1] ** 2), 1.0)
        row = blank._replace(
            estimate=float(middle), conf_low=float(low), conf_high=float(high),
            prob_benefit=float((log_hr < 0).mean()),
            note=f"the posterior's variance is {100 * share:.0f} % of the prior's",
        )  # fmt: skip
        return [row, *_standardised(ask, lambda: post, beyond)]

    return attempt(drawn, blank, *beyond)


def _averaged(ask: Question, blank: Row) -> list[Row]:
    """A row without numbers for each standardised quantity, from one for the hazard ratio."""
    return [
        blank._replace(
            quantity=quantity, scale=SCALES[quantity],
            method=f"{blank.method}, standardised", method_id=f"{blank.method_id}, standardised",
            estimand=ask.risks(
                f", predicted for every patient under either and averaged{ask.in_one_model}"
                + (", were there no competing events" if ask.competing else "")
            ),
            world=ask.without_competing,
        )
        for quantity in STANDARDISED
    ]  # fmt: skip


def _standardised(
    ask: Question, result: Callable[[], SurvivalResult], blanks: list[Row]
) -> list[Row]:
    """Those rows from a fit or a posterior, which `result` makes."""

    def made() -> list[Row]:
        found = risk_difference(
            result(), ask.treatment, ask.horizon, treated=ask.group, reference=ask.reference,
            level=ask.level,
        ).set_index("term")  # fmt: skip
        benefit = {}
        if "prob_benefit" in found:
            benefit["prob_benefit"] = found.loc["risk difference", "prob_benefit"]
        return [blank.filled({**found.loc[blank.quantity], **benefit}) for blank in blanks]

    return attempt(made, *blanks)
