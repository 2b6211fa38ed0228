"""The event by the horizon asked of every method: the stages of a run about mortality.

Each stage returns plain tables by way of the store, of a study of several arms those of every
comparison with the reference. What cannot be done at all (no horizon) ends the stage with the
reason; a method that cannot answer is a row with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.comparisons import ByComparison, comparisons, of_each, only_comparison
from longsurv.study.model_result import MORTALITY
from longsurv.study.plan import Plan, model_seed

if TYPE_CHECKING:
    from longsurv.analyses import Mortality
    from longsurv.analyses.mortality.arms import Comparison
    from longsurv.estimands.counts import Counts
    from longsurv.priors import Prior

CARRIED = "carried"  # the stage that adjusts for what the events carry
TIPPING = 8  # unseen deaths in either arm that are always tried
MOST_TIPPING = 24  # and at most, where it takes more to reverse the difference
CONVINCING = 0.8
CHAINS = 4


def compare_methods(bench: Bench) -> Record | ByComparison:
    """Every method's answer about mortality.

    Returns
    -------
    mapping, or ByComparison of them
        "table" (`MortalityMethods.table`), "standardised" (`Mortality.standardised`; empty where
        the mortality model names no covariates), "group", "reference", "horizon", "counts" (events
        and patients of the group, then of the reference), "adjust".
    """

    def compute(asked: Mortality) -> Record:
        draws, seed = draws_of(bench.study), seed_of(bench.study)
        found = asked.methods(draws=draws, seed=seed)
        standardised = pd.DataFrame()
        if asked.adjust:
            standardised = asked.standardised(draws=draws, seed=seed)
        return {"table": found.table, "standardised": standardised}

    return kept_of(bench, "methods", compute)


def compare_priors(bench: Bench) -> Record | ByComparison:
    """The treatment's effect under every named prior.

    Returns
    -------
    mapping, or ByComparison of them
        "table" (`PriorGrid.table`), "draws" (log hazard ratio, a column a prior), "baseline_risk"
        and "no_risks" (`PriorGrid`), "group", "reference", "horizon", "counts", "adjust".
    """

    def compute(asked: Mortality) -> Record:
        grid = asked.prior_grid(
            named_priors(bench.study),
            draws=draws_of(bench.study),
            chains=CHAINS,
            seed=seed_of(bench.study),
        )
        draws = {name: np.ravel(post.draw(grid.term)) for name, post in grid.posteriors.items()}
        return {
            "table": grid.table, "draws": pd.DataFrame(draws), "baseline_risk": grid.baseline_risk,
            "no_risks": grid.no_risks,
        }  # fmt: skip

    return kept_of(bench, "priors", compute, *map(str, named_priors(bench.study).values()))


def named_priors(study: Plan) -> dict[str, Prior]:
    """The usual priors of the treatment's log hazard ratio, and those that the study names."""
    from longsurv.priors import TREATMENT, Mixture, Normal, from_interval

    found: dict[str, Prior] = dict(TREATMENT)
    for one in study.priors:
        trials = from_interval(
            one.ratio, one.low, one.high, outcome=one.outcome, baseline_risk=one.baseline_risk
        )
        vague = Normal(0.0, 1.0)
        weights = (1.0 - one.robust, one.robust)
        found[one.name] = Mixture((trials, vague), weights) if one.robust else trials
    return found


def compare_incidences(bench: Bench) -> Record | ByComparison:
    """The cumulative incidence of every cause.

    Returns
    -------
    mapping, or ByComparison of them
        "table" (`CompetingEvents.table`), "group", "reference", "horizon", "counts", "adjust".
    """

    def compute(asked: Mortality) -> Record:
        return {"table": asked.competing(seed=seed_of(bench.study)).table}

    return kept_of(bench, "competing", compute)


def tip_answer(bench: Bench) -> Record | ByComparison:
    """How many unseen deaths, or how strong a confounder, would change the answer.

    Returns
    -------
    mapping, or ByComparison of them
        "grid" (`tipping_grid`), "points" (`tipping_points`; empty if the risks are equal),
        "e_value" (of the risk ratio), "e_limit" (of its score interval; both NaN if the ratio is
        not defined), "threshold", "group", "reference", "horizon", "counts", "adjust".
    """

    def compute(asked: Mortality) -> Record:
        from longsurv.estimands.tipping import tipping_grid, tipping_points
        from longsurv.estimands.two_by_two import two_by_two

        counts, most, points = asked.counts, TIPPING, pd.DataFrame()
        if counts.risk != counts.reference_risk:
            points = tipping_points(counts, TIPPING, threshold=CONVINCING)
            reverse = float(points["to_reverse"].iloc[0])
            if np.isfinite(reverse):
                most = int(np.clip(reverse + 2, TIPPING, MOST_TIPPING))
        compared = two_by_two(*_in_order(counts)).set_index("quantity")
        return {
            "grid": tipping_grid(counts, most, threshold=CONVINCING), "points": points,
            "threshold": CONVINCING,
            "e_value": float(compared.loc["E-value", "estimate"]),
            "e_limit": float(compared.loc["E-value", "conf_low"]),
        }  # fmt: skip

    return kept_of(bench, "tipping", compute)


def adjust_for_what_is_carried(bench: Bench) -> Record:
    """The hazard ratio adjusted for the covariates of the study, as many as the events carry.

    Returns
    -------
    mapping
        "covariates", "left_out", "events", "patients", "table", "reason", as in `Carried`; the
        names as readers know them.
    """
    from longsurv.analyses.mortality.carried import Carried, adjusted_for_what_is_carried

    study = bench.study
    schema, called = study.cohort.schema, study.cohort.labels
    data, names = study.cohort.survival_data(), list(schema.covariates)

    def compute() -> Record:
        if adjustment(study):
            found = Carried(reason="the mortality model of the study is adjusted already")
        else:
            found = adjusted_for_what_is_carried(
                data, schema.treatment, names, draws=draws_of(study), seed=seed_of(study)
            )
        return {f.name: getattr(found, f.name) for f in fields(found)}

    kept = bench.keep(
        "mortality: carried",
        (data, names, schema.treatment, study.models.mortality, draws_of(study), seed_of(study)),
        compute,
    )
    named = {k: tuple(called.get(c, c) for c in kept[k]) for k in ("covariates", "left_out")}
    return {**kept, **named}


def question(study: Plan, compared: Comparison | None = None) -> Mortality:
    """The study's question about mortality, with the covariates of its mortality model.

    Parameters
    ----------
    study : Plan
    compared : Comparison, optional
        Of the study's arms; by default the only one there is.

    Raises
    ------
    LongsurvError
        If it cannot be asked: none of several comparisons is named, there is no horizon, or the
        treatment's effect depends on something else.
    """
    from longsurv.analyses import Mortality

    one = only_comparison(study) if compared is None else compared
    if study.cohort.schema.horizon is None:
        raise LongsurvError(
            "risks need a time by which they are counted: name a horizon under [outcome]"
        )
    asked = Mortality(study.cohort, adjust=adjustment(study))
    if len(comparisons(study)) == 1:
        return asked
    return replace(asked, group=one.group, reference=one.reference)


def adjustment(study: Plan) -> str:
    """The mortality formula without the treatment: "" or the covariates, as "age + log(crp)".

    Raises
    ------
    LongsurvError
        If the formula cannot be read, or lets the treatment's effect depend on something else.
    """
    from longsurv.design.formula import parse
    from longsurv.design.names import quoted
    from longsurv.design.terms import columns_of, terms

    text, treatment = study.mortality_formula, study.cohort.schema.treatment
    others = []
    for term in terms(parse(text).fixed):
        used = columns_of((term,))
        if treatment not in used:
            others += [term] if used else []
        elif [factor.written for factor in term.factors] != [quoted(treatment)]:
            raise LongsurvError(
                f"the mortality model has {str(term)!r}: the effect of {treatment!r} depends on"
                " something else, and these methods compare the groups by one number"
            )
    return " + ".join(":".join(factor.written for factor in term.factors) for term in others)


def _asked(asked: Mortality) -> Record:
    one = asked.comparison
    return {
        "group": str(one.group), "reference": str(one.reference),
        "horizon": float(asked.horizon or 0.0), "counts": _in_order(asked.counts),
        "adjust": asked.adjust,
    }  # fmt: skip


def _in_order(counts: Counts) -> tuple[int, int, int, int]:
    return counts.events, counts.n, counts.reference_events, counts.reference_n


def kept_of(
    bench: Bench, name: str, compute: Callable[[Mortality], Record], *more: str
) -> Record | ByComparison:
    """What a stage about mortality computes of every comparison, from the store if it is there.

    Parameters
    ----------
    bench : Bench
    name : str
        Of the stage.
    compute : callable
        Takes the question of one comparison.
    more : str
        What else the answer depends on.

    Returns
    -------
    mapping, or ByComparison of them
        What was asked ("group", "reference", "horizon", "counts", "adjust"), and what is computed.
    """
    study = bench.study

    def answer(one: Comparison) -> Record:
        asked = question(study, one)
        which = () if len(comparisons(study)) == 1 else (one.name,)
        inputs = (
            study.cohort.survival_data(), list(study.cohort.schema.competing), asked.treatment,
            asked.horizon, asked.adjust, asked.site, draws_of(study), seed_of(study), *more, *which,
        )  # fmt: skip
        return bench.keep(f"mortality: {name}", inputs, lambda: {**_asked(asked), **compute(asked)})

    return of_each(study, answer)


def draws_of(study: Plan) -> int:
    """Of each of four chains, so that all of them are as many as the study's."""
    return -(-study.sampling.draws * study.sampling.chains // CHAINS)


def seed_of(study: Plan) -> int:
    """That of the mortality model: one posterior under one prior has one set of draws."""
    return model_seed(study.sampling.seed, MORTALITY)


def seconds_of_methods(study: Plan) -> float:
    """What `compare_methods` takes on an ordinary computer."""
    of_one = 1.5 + 1.2e-3 * study.sampling.draws * (2 if "+" in study.models.mortality else 1)
    return of_one * len(comparisons(study))


def seconds_of_priors(study: Plan) -> float:
    """What `compare_priors` takes."""
    of_one = 0.3 + 5e-4 * study.sampling.draws * study.sampling.chains
    return of_one * len(comparisons(study))


def seconds_of_incidences(study: Plan) -> float:
    """What `compare_incidences` takes."""
    return 0.4 * len(comparisons(study))


def seconds_of_tipping(study: Plan) -> float:
    """What `tip_answer` takes."""
    return 0.4 * len(comparisons(study))


def seconds_of_carried(study: Plan) -> float:
    """What `adjust_for_what_is_carried` takes."""
    return 0.3 + 2e-4 * study.sampling.draws * study.sampling.chains
