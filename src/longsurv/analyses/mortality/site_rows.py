"""The hazard ratio between patients of one site: Cox's model with an effect of each, two rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from longsurv.analyses.mortality.effect import coefficient, priors_of, undetermined
from longsurv.analyses.mortality.rows import LIMITS, Question, Row, attempt, row_of
from longsurv.design.sites import Sites
from longsurv.errors import EstimationError
from longsurv.models.site_spread import check_told_apart
from longsurv.numbers import number
from longsurv.priors import TREATMENT
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.models import CoxPH
    from longsurv.results.survival.cox_sites import SitesEstimate


def site_rows(ask: Question, spec: CoxPH, adjust: str) -> list[Row]:
    """Rows of a Cox model with site effects: by maximum likelihood, and under the weak prior.

    Parameters
    ----------
    ask : Question
    spec : CoxPH
        With the treatment, first, the covariates and ``(1 | site)``.
    adjust : str
        Its covariates.

    Returns
    -------
    list of Row
        Without numbers and with the reason where the model has no answer.
    """
    name = f"Cox{' adjusted' if adjust else ''}, sites"
    prior = TREATMENT["weak"]
    adjusting = f", adjusted for {adjust}" if adjust else ""
    estimand = ask.hazards(f"{adjusting}, between patients of one site{ask.in_one_model}")
    blank = row_of(
        "hazard ratio", name, "frequentist", estimand, method_id="Cox, sites", approach="model",
        adjusted_for=adjust, world="site",
    )  # fmt: skip
    drawn = row_of(
        "hazard ratio", f"{name} posterior, weak {prior}", "bayes", estimand,
        method_id="Cox posterior, sites", approach="model", prior_id="weak", prior=str(prior),
        adjusted_for=adjust, world="site",
    )  # fmt: skip

    def fitted() -> list[Row]:
        fit = cast("SitesEstimate", spec.fit())
        row = fit.tidy(ask.level).set_index("term").loc[_term(ask, spec)]
        found = {limit: float(np.exp(row[limit])) for limit in LIMITS}
        note = f"{_count(spec)}, of standard deviation {number(float(fit.sd))}"
        return [blank.filled({**found, "p_value": row["p_value"]}, note)]

    def sampled() -> list[Row]:
        term = _term(ask, spec)
        check_told_apart(spec.formula, spec.design)  # else it is the prior's answer
        given = priors_of(spec, ask.treatment, prior)
        log_hr = spec.sample(draws=ask.draws, seed=ask.seed, priors=given).draw(term)
        tail = 0.5 - ask.level / 2
        low, middle, high = np.exp(np.quantile(log_hr, [tail, 0.5, 1 - tail]))
        found = {"estimate": middle, "conf_low": low, "conf_high": high,
                 "prob_benefit": float((log_hr < 0).mean())}  # fmt: skip
        return [drawn.filled(found, _count(spec))]

    return [*attempt(fitted, blank), *attempt(sampled, drawn)]


def _term(ask: Question, spec: CoxPH) -> str:
    term = coefficient(spec, ask.treatment, ask.group)
    if nothing := undetermined(spec, term):
        raise EstimationError(nothing)
    return term


def _count(spec: CoxPH) -> str:
    count = len(cast(Sites, spec.design.sites).labels)
    return f"effects of {plural(count, 'site')}"
