"""How the effect in the levels of one column is estimated, tested and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from longsurv.analyses.mortality.arms import Comparison
from longsurv.analyses.mortality.drawn_incidence import CoxDraws
from longsurv.analyses.mortality.effect import undetermined
from longsurv.analyses.mortality.rows import LIMITS, Row, attempt, row_of
from longsurv.analyses.mortality.standardised_incidence import (
    drawn_under,
    incidence_under,
)
from longsurv.analyses.mortality.subgroup_interaction import interactions
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
from longsurv.records import Fields
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

type Asked = tuple[str, Comparison]
"""A level, and the two arms compared in it."""
type ByLevel = dict[Asked, list[Row]]


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

    def frequentist(self, split: Split) -> tuple[ByLevel, list[Fields]]:
        """Rows by level and comparison, and the tests that all levels are alike.

        Parameters
        ----------
        split : Split
        """
        blanks = self._blanks(split, "frequentist", "Cox")
        rows = self._silent(split, blanks)
        test: Fields = {"column": split.column, "levels": len(split.effects), "method": ""}
        if not split.effects:
            return rows, [test | {"note": "no level has an answer"}]
        try:
            fits = [fitted(spec) for spec in split.separate]
        except LongsurvError as error:
            why = str(error)
            return _all_silent(rows, blanks, why), [test | {"note": why}]
        for asked in blanks.keys() - rows.keys():
            hazard, risk = (row._replace(method=fits[0].method) for row in blanks[asked])
            rows[asked] = [
                *attempt(partial(self._ratio, fits[0], split, asked, hazard), hazard),
                *attempt(partial(self._risk, fits, split, asked, risk), risk),
            ]
        return rows, [test | found for found in interactions(fits[0], split)]

    def _ratio(self, fit: SurvivalEstimate, split: Split, asked: Asked, blank: Row) -> list[Row]:
        why = self._why(split, asked)
        row = fit.contrast(_combination(split, asked), self.level).iloc[0]
        if why or math.isnan(row["estimate"]):
            raise EstimationError(why or " ".join(fit.flags) or "the data do not determine it")
        with np.errstate(over="ignore"):
            return [blank.filled({name: float(np.exp(row[name])) for name in LIMITS})]

    def _risk(
        self, fits: Sequence[SurvivalEstimate], split: Split, asked: Asked, blank: Row
    ) -> list[Row]:
        frames = split.under_either(split.separate[0], *asked)
        table = incidence_under(fits, frames, ARMS, self.trial.horizon, level=self.level)
        return [blank.filled(table.set_index("term").loc["risk difference"])]

    def bayes(self, split: Split) -> tuple[ByLevel, ShrunkenSubgroups | None]:
        """Rows by level and comparison, and the posterior that they are from; None for all
        patients together.

        Parameters
        ----------
        split : Split
        """
        method = SHRUNKEN if split.column else f"posterior, {MEAN}"
        blanks = self._blanks(split, "bayes", method)
        rows = self._silent(split, blanks)
        if not split.effects:
            return rows, None
        asked_of = [asked for asked in blanks if asked not in rows]
        try:
            reasons = {asked: self._why(split, asked) for asked in asked_of}
            known = {level for (level, _), why in reasons.items() if not why}
            if not known or (split.column and len(known) < 2):
                raise EstimationError(
                    f"{plural(len(known), 'level')} of {split.column or 'all'} can have an "
                    "effect: there is no other to draw it towards"
                )
            posts = [self._posterior(split, cause) for cause in split.causes]
            some = [CoxDraws.of(post).thinned(FOR_RISKS) for post in posts]
        except LongsurvError as error:
            return _all_silent(rows, blanks, str(error)), None
        for asked in asked_of:
            hazard, risk = blanks[asked]
            if reasons[asked]:
                reason = f"the posterior is that of the other levels: {reasons[asked]}"
                rows[asked] = [row.silent(reason) for row in (hazard, risk)]
                continue
            found = split.effects[asked[0]]
            places = [posts[0].names.index(term) for term in found.terms]
            log_hr = posts[0].coefficients[..., places] @ found.weights(asked[1])
            low, middle, high = np.exp(np.quantile(log_hr, tails(self.level)))
            hazard = hazard._replace(
                estimate=float(middle), conf_low=float(low), conf_high=float(high),
                prob_benefit=float((log_hr < 0).mean()),
            )  # fmt: skip
            rows[asked] = [
                hazard, *attempt(partial(self._drawn_risk, some, split, asked, risk), risk)
            ]  # fmt: skip
        first = posts[0]
        return rows, first if isinstance(first, ShrunkenSubgroups) else None

    def _posterior(self, split: Split, cause: int) -> ShrunkenSubgroups | SurvivalPosterior:
        draws = self.draws if cause == 1 else min(self.draws, FOR_RISKS // self.chains + 1)
        how = {"draws": draws, "chains": self.chains, "seed": self.seed + cause - 1}
        if split.column:
            return shrink(split, cause, **how)
        spec = split.separate[split.causes.index(cause)]
        return cast(
            "SurvivalPosterior", spec.sample(priors=dict.fromkeys(split.terms, MEAN), **how)
        )

    def _drawn_risk(
        self, posts: Sequence[CoxDraws], split: Split, asked: Asked, blank: Row
    ) -> list[Row]:
        frames = split.under_either(split.separate[0], *asked)
        risks = drawn_under(posts, frames, self.trial.horizon)
        table = of_draws(risks, ARMS, self.level).set_index("term")
        found = table.loc["risk difference"]
        return [blank.filled(found)]

    def _why(self, split: Split, asked: Asked) -> str:
        """Why the data say nothing about the effect in a level; empty if they do."""
        (level, one), spec = asked, split.separate[0]
        found = split.effects[level]
        if len(self.trial.arms) == 2:
            return undetermined(spec, found.terms[0])
        return undetermined(spec, f"{one.words} in {level}", _combination(split, asked))

    def _blanks(self, split: Split, engine: str, method: str) -> ByLevel:
        return {
            (level, one): [row_of(quantity, method, engine, "") for quantity in QUANTITIES]
            for level in split.levels
            for one in self.trial.comparisons
        }

    def _silent(self, split: Split, blanks: ByLevel) -> ByLevel:
        """Rows of levels that cannot have an answer."""
        reasons = {asked: split.absent(*asked) for asked in blanks}
        return {
            asked: [row.silent(why) for row in blanks[asked]]
            for asked, why in reasons.items()
            if why
        }


def _combination(split: Split, asked: Asked) -> np.ndarray:
    """The log hazard ratio of two arms in a level, of all coefficients, shape (p,)."""
    found, names = split.effects[asked[0]], split.separate[0].design.fixed.names
    weights = np.zeros(len(names))
    weights[[names.index(term) for term in found.terms]] = found.weights(asked[1])
    return weights


def _all_silent(rows: ByLevel, blanks: ByLevel, why: str) -> ByLevel:
    left = blanks.keys() - rows.keys()
    return rows | {asked: [row.silent(why) for row in blanks[asked]] for asked in left}
