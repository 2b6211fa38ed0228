"""How the effect in the levels of one column is estimated, tested and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from longsurv.analyses.mortality.drawn_incidence import CoxDraws
from longsurv.analyses.mortality.effect import undetermined
from longsurv.analyses.mortality.rows import LIMITS, Row, attempt, row_of
from longsurv.analyses.mortality.standardised_incidence import (
    drawn_under,
    incidence_under,
)
from longsurv.analyses.mortality.subgroup_shrinkage import (
    MEAN,
    SPREAD,
    ShrunkenSubgroups,
    shrink,
    tails,
)
from longsurv.analyses.mortality.subgroup_split import Split, Trial, fitted
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.standardised import of_draws
from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns
from longsurv.records import Fields
from longsurv.results.reference import chi2_p_value
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.results.survival.cox import SurvivalEstimate
    from longsurv.results.survival.cox_posterior import SurvivalPosterior

FOR_RISKS = 500
"""Draws that risks are averaged over: more take time and add no digit."""

type Quantity = Literal["hazard ratio", "risk difference"]

QUANTITIES: tuple[Quantity, ...] = ("hazard ratio", "risk difference")
SHRUNKEN = f"shrunken, mean {MEAN}, spread {SPREAD}"
ARMS = ("reference", "treated")

type ByLevel = dict[str, list[Row]]


@dataclass(frozen=True, eq=False)
class Answers:
    """How every column is answered.

    Attributes
    ----------
    trial : Trial
    draws, chains, seed : int
        Of the posteriors.
    level : float
        Of the intervals.
    """

    trial: Trial
    draws: int
    chains: int
    seed: int
    level: float

    def frequentist(self, split: Split) -> tuple[ByLevel, Fields]:
        """Rows by level, and the test that all are alike.

        Parameters
        ----------
        split : Split
        """
        blanks = {name: _blanks("frequentist", "Cox") for name in split.levels}
        test: Fields = {
            "column": split.column,
            "levels": len(split.effects),
            "method": "",
            "note": "",
        }
        rows = _silent(split, blanks)
        if not split.effects:
            return rows, test | {"note": "no level has an answer"}
        try:
            fits = [fitted(spec) for spec in split.separate]
        except LongsurvError as error:
            why = str(error)
            return _all_silent(rows, split, blanks, why), test | {"note": why}
        for name in split.effects:
            hazard, risk = (row._replace(method=fits[0].method) for row in blanks[name])
            rows[name] = [
                *attempt(partial(self._ratio, fits[0], split, name, hazard), hazard),
                *attempt(partial(self._risk, fits, split, name, risk), risk),
            ]
        return rows, test | _interaction(fits[0], list(split.effects.values()))

    def _ratio(self, fit: SurvivalEstimate, split: Split, name: str, blank: Row) -> list[Row]:
        why = _why(split, name)
        row = fit.tidy(self.level).set_index("term").loc[split.effects[name]]
        if why or math.isnan(row["estimate"]):
            raise EstimationError(why or " ".join(fit.flags) or "the data do not determine it")
        with np.errstate(over="ignore"):
            return [blank.filled({name: float(np.exp(row[name])) for name in LIMITS})]

    def _risk(
        self, fits: Sequence[SurvivalEstimate], split: Split, name: str, blank: Row
    ) -> list[Row]:
        frames = split.under_either(split.separate[0], name)
        table = incidence_under(fits, frames, ARMS, self.trial.horizon, level=self.level)
        return [blank.filled(table.set_index("term").loc["risk difference"])]

    def bayes(self, split: Split) -> tuple[ByLevel, ShrunkenSubgroups | None]:
        """Rows by level, and the posterior that they are from; None for all patients together.

        Parameters
        ----------
        split : Split
        """
        method = SHRUNKEN if split.column else f"posterior, {MEAN}"
        blanks = {name: _blanks("bayes", method) for name in split.levels}
        rows = _silent(split, blanks)
        if not split.effects:
            return rows, None
        try:
            known = [name for name in split.effects if not _why(split, name)]
            if not known or (split.column and len(known) < 2):
                raise EstimationError(
                    f"{plural(len(known), 'level')} of {split.column or 'all'} can have an "
                    "effect: there is no other to draw it towards"
                )
            posts = [self._posterior(split, cause) for cause in split.causes]
            some = [CoxDraws.of(post).thinned(FOR_RISKS) for post in posts]
        except LongsurvError as error:
            return _all_silent(rows, split, blanks, str(error)), None
        for name, term in split.effects.items():
            why = _why(split, name)
            if why:
                reason = f"the posterior is that of the other levels: {why}"
                rows[name] = [row.silent(reason) for row in blanks[name]]
                continue
            hazard, risk = blanks[name]
            log_hr = posts[0].coefficients[..., posts[0].names.index(term)]
            low, middle, high = np.exp(np.quantile(log_hr, tails(self.level)))
            hazard = hazard._replace(
                estimate=float(middle), conf_low=float(low), conf_high=float(high),
                prob_benefit=float((log_hr < 0).mean()),
            )  # fmt: skip
            make = partial(self._drawn_risk, some, split, name, risk)
            rows[name] = [hazard, *attempt(make, risk)]
        first = posts[0]
        return rows, first if isinstance(first, ShrunkenSubgroups) else None

    def _posterior(self, split: Split, cause: int) -> ShrunkenSubgroups | SurvivalPosterior:
        draws = self.draws if cause == 1 else min(self.draws, FOR_RISKS // self.chains + 1)
        how = {"draws": draws, "chains": self.chains, "seed": self.seed + cause - 1}
        if split.column:
            return shrink(split, cause, **how)
        spec = split.separate[split.causes.index(cause)]
        post = spec.sample(priors={split.effects[split.levels[0]]: MEAN}, **how)
        return cast("SurvivalPosterior", post)

    def _drawn_risk(
        self, posts: Sequence[CoxDraws], split: Split, name: str, blank: Row
    ) -> list[Row]:
        frames = split.under_either(split.separate[0], name)
        risks = drawn_under(posts, frames, self.trial.horizon)
        table = of_draws(risks, ARMS, self.level).set_index("term")
        found = table.loc["risk difference"]
        return [blank.filled(found)]


def _why(split: Split, name: str) -> str:
    """Why the data say nothing about the effect in a level; empty if they do."""
    return undetermined(split.separate[0], split.effects[name])


def _blanks(engine: str, method: str) -> list[Row]:
    return [row_of(quantity, method, engine, "") for quantity in QUANTITIES]


def _silent(split: Split, blanks: ByLevel) -> ByLevel:
    """Rows of levels that cannot have an answer."""
    return {
        name: [row.silent(split.reasons[name]) for row in blanks[name]] for name in split.reasons
    }


def _all_silent(rows: ByLevel, split: Split, blanks: ByLevel, why: str) -> ByLevel:
    return rows | {name: [row.silent(why) for row in blanks[name]] for name in split.effects}


def _interaction(fit: SurvivalEstimate, terms: Sequence[str]) -> Fields:
    """Twice the (penalised) log-likelihood that one effect in all levels loses.

    Under Firth's penalty that of the model with all effects is kept (Heinze and Schemper 2001).
    """
    free = [fit.names[int(j)] for j in fit.optimum.free]
    own = [free.index(term) for term in terms if term in free]
    firth = fit.penalty == "firth"
    method = f"likelihood ratio{', Firth' if firth else ''}"
    if len(own) < 2:
        return {"method": method, "note": "fewer than two levels have an answer"}
    data = columns(fit.data, fit.optimum.free)
    others = [j for j in range(len(free)) if j not in own]
    C = np.zeros((len(free), len(others) + 1))
    C[others, range(len(others))] = 1.0
    C[own, -1] = 1.0
    climbed = cox.firth_value_gradient_information if firth else cox.value_gradient_information

    def common(gamma: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient, information = climbed(data, C @ gamma)
        return value, C.T @ gradient, C.T @ information @ C

    start = np.linalg.lstsq(C, fit.coefficients[fit.optimum.free], rcond=None)[0]
    top = ascend(common, start, exact=not firth)
    if not top.converged:
        return {"method": method, "note": f"the model of one effect: {top.status}"}
    statistic = max(2.0 * (fit.optimum.value - top.value), 0.0)
    df = len(own) - 1
    return {
        "levels": len(own), "statistic": statistic, "df": df,
        "p_value": float(chi2_p_value(statistic, df)), "method": method,
    }  # fmt: skip
