"""What is asked of data that do not determine an answer: the rows of the second table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from invariance import (
    families_cohort,
    families_groups,
    families_imputed,
    families_mixed,
    families_survival,
    families_trials,
    families_variants,
    families_windows,
)
from invariance.case import Case, Terms

from longsurv import priors as pr
from longsurv.analyses import BaselineAdjustment, Mortality, Panel
from longsurv.estimands import competing, exact_hazard, standardised, weighting
from longsurv.estimands.adjusted_curves import (
    weighted_comparison,
    weighted_incidence,
    weighted_survival,
)
from longsurv.estimands.changes import Change, difference_in_change
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.incidence_posterior import incidence_posterior
from longsurv.estimands.kaplan_meier import survival_table
from longsurv.estimands.log_rank import log_rank_table
from longsurv.estimands.restricted_mean import restricted_mean_table
from longsurv.estimands.standardised_curves import standardised_survival
from longsurv.estimands.survival_times import follow_up_quantiles, survival_quantiles
from longsurv.estimands.weighted_log_rank import weighted_log_rank
from longsurv.models import Hazard


@dataclass(frozen=True, eq=False)
class Analysis:
    """A name, a case of sound data, and what is run on it spoiled."""

    name: str
    make: Callable[[], Case]
    run: Callable[[Case], Any]
    covers: tuple[str, ...]

    def __repr__(self) -> str:
        return self.name


def _mixed(name: str) -> Callable[[Case], Any]:
    residual, _ = families_mixed.STRUCTURES[name]
    return lambda case: families_mixed.mixed_spec(case, residual).fit()


def _mixed_case(name: str) -> Callable[[], Case]:
    _, how = families_mixed.STRUCTURES[name]
    return lambda: _short(families_mixed.mixed_case(1, **{**how, "n": 21}))


def _short(case: Case) -> Case:
    """Main effects and the interaction of time and treatment; the points are not needed."""
    terms = case.formulas["model"]
    formulas = {"model": replace(terms, right=("{time} * {arm}", "{age}"))}
    return replace(case, tables={"rows": case["rows"]}, formulas=formulas)


def _generalised(kind: str, case: Case) -> Any:
    from longsurv.models import GLMM

    censored = case.columns["limit"] if kind == "censored" else None
    upper = case.columns["upper"] if kind == "censored" else None
    return GLMM(case.formula(), case["rows"], kind, censored=censored, nodes=7, upper=upper).fit()


def _survival_case() -> Case:
    case = families_survival.survival_case(1, right=("{arm}", "{age}"), without=("site", "stage"))
    return replace(case, tables={"rows": case["rows"].dropna()})


def _sites_case() -> Case:
    case = families_survival.sites_case(1, right=("{arm}", "{age}"))
    rows = case["rows"].dropna().drop(columns="stage")
    columns = {role: name for role, name in case.columns.items() if role != "stage"}
    return replace(case, tables={"rows": rows}, columns=columns)


def _competing_case() -> Case:
    case = families_survival.competing_case(1)
    formulas = {"model": replace(case.formulas["model"], right=("{arm}", "{age}"))}
    return replace(case, tables={"rows": case["rows"].dropna()}, formulas=formulas)


def _joint_case() -> Case:
    case = families_survival.joint_case(1)
    return replace(case, tables={k: t for k, t in case.tables.items() if k != "points"})


def _group_case() -> Case:
    return families_groups.group_case(1)


def _on_groups(function: Callable[..., Any], *more: Any, **named: Any) -> Callable[[Case], Any]:
    return lambda case: function(case["rows"], case.columns["arm"], *more, **named)


def _weighted(case: Case) -> Any:
    names = case.columns
    weights = weighting.overlap_weights(case["rows"], names["arm"], names["age"])
    return weighting.weighted_difference(weights, case["rows"][names["response"]])


def _weights(case: Case) -> Any:
    names = case.columns
    return weighting.propensity_weights(case["rows"], names["arm"], names["age"])


def _several(case: Case) -> Any:
    """Of the levels of a factor as arms."""
    names = case.columns
    weights = weighting.propensity_weights(case["rows"], names["stage"], names["age"])
    return weighted_comparison(weights, case["rows"], 14.0, compare="pairwise")


def _weighted_case() -> Case:
    return replace(families_groups.weighted_case(1), formulas={})


def _standardised(case: Case) -> Any:
    fit = families_survival._cox(case).fit()
    return standardised.risk_difference(fit, case.columns["arm"], 14.0, treated=1, reference=0)


def _standardised_curve(case: Case) -> Any:
    fit, arm = families_survival._cox(case).fit(), case.columns["arm"]
    return standardised_survival(fit, arm, [8.0, 14.0], treated=1, reference=0)


def _without_points(make: Callable[[int], Case]) -> Case:
    case = make(1)
    return replace(case, tables={k: t for k, t in case.tables.items() if k != "points"})


def _varying(kind: str, case: Case) -> Any:
    arm, patient = case.columns["arm"], case.columns["patient"]
    rows = case["rows"].dropna()
    return Hazard(case.formula(), rows, kind, time_varying=(arm,), patient=patient).fit()


def _between_visits(kind: str, case: Case) -> Any:
    rows = case["rows"]
    left, right = families_windows.windows(rows[case.columns["exit"]], rows[case.columns["event"]])
    right_side = case.formula().partition("~")[2]
    formula = f'Surv(seen, by, type="interval2") ~{right_side}'
    return Hazard(formula, rows.assign(seen=left, by=right), kind).fit()


def _changed(case: Case) -> Any:
    names, (start, end) = case.columns, case.moments
    change = Change(names["time"], start, end, names["arm"], case.order[1], case.order[0])
    return difference_in_change(families_mixed.mixed_spec(case).fit(), change, case["rows"])


def _cohort_case() -> Case:
    return families_cohort.cohort_case(1)


def _panel(case: Case) -> Any:
    right = f"phase * {case.columns['arm']} + (1 | {case.columns['patient']})"
    cohort, change = families_cohort.cohort_of(case), families_cohort.change_of(case)
    return Panel.from_cohort(cohort, right, change).fit().tidy()


def _adjusted(case: Case) -> Any:
    cohort, change = families_cohort.cohort_of(case), families_cohort.change_of(case)
    return BaselineAdjustment(cohort, "crp", change).fit().table


def _death(case: Case) -> Any:
    table = families_cohort.death_in(case).fit().table
    return table[table["estimand"] != "joint"]  # which needs another model's answer


def _mortality(case: Case) -> Any:
    study = Mortality(case["rows"], case.columns["arm"], 14.0)
    with families_cohort.around_the_mode():
        return study.methods(priors={"weak": pr.TREATMENT["weak"]}, draws=50).table


def _subgroups(case: Case) -> Any:
    study = Mortality(case["rows"], case.columns["arm"], 14.0)
    return study.subgroups([case.columns["stage"]], draws=50, chains=2).table


def _censored_terms(case: Case, special: tuple[str, ...] = ("(1 | {patient})",)) -> Case:
    return replace(case, tables={"rows": case["rows"]}, formulas={
        "model": Terms(case.formulas["model"].left, ("{time} * {arm}", "{age}"),
                       special)
    })  # fmt: skip


ANALYSES = (
    *(
        Analysis(f"LMM{name}", _mixed_case(name), _mixed(name), ("models.LMM",))
        for name in ("", ", nested", ", crossed", ", cs", ", unstructured")
    ),
    *(
        Analysis(
            f"GLMM, {kind}",
            partial(lambda k: _censored_terms(families_mixed.generalised_case(1, k)), kind),
            partial(_generalised, kind), ("models.GLMM",),
        )
        for kind in families_mixed.KINDS
    ),
    *(
        Analysis(
            f"GLMM, {kind}, {'crossed' if crossed else 'sites'}",
            partial(
                lambda k, crossed: _censored_terms(
                    families_mixed.generalised_case(1, k, sites=True, crossed=crossed),
                    ("(1 | {patient})", "(1 | {site})"),
                ),
                kind, crossed,
            ),
            partial(_generalised, kind), ("models.GLMM",),
        )
        for crossed, kinds in (
            (False, families_mixed.WITH_SITES), (True, families_mixed.CROSSING)
        )
        for kind in kinds
    ),
    Analysis("Linear", lambda: replace(_censored_terms(families_mixed.linear_case(1)), formulas={
                 "model": Terms("{response}", ("{arm}", "{age}"))}),
             lambda case: families_mixed.Linear(case.formula(), case["rows"],
                                                case.columns["patient"]).fit(), ("models.Linear",)),
    Analysis("CoxPH", _survival_case, lambda case: families_survival._cox(case).fit(),
             ("models.CoxPH",)),
    Analysis("CoxPH, sites", _sites_case, lambda case: families_survival._cox(case).fit(),
             ("models.CoxPH",)),
    Analysis("Hazard, sites", _sites_case,
             lambda case: families_survival._hazard(case, "weibull").fit(), ("models.Hazard",)),
    Analysis("FineGray", _competing_case,
             lambda case: families_survival.FineGray(case.formula(), case["rows"]).fit(),
             ("models.FineGray",)),
    *(
        Analysis(f"Hazard, {kind}", _survival_case,
                 partial(lambda k, case: families_survival._hazard(case, k).fit(), kind),
                 ("models.Hazard",))
        for kind in families_survival.BASELINES
    ),
    *(
        Analysis(f"Hazard between visits, {kind}", _survival_case, partial(_between_visits, kind),
                 ("models.Hazard",))
        for kind in families_survival.BASELINES
    ),
    *(
        Analysis(f"JointModel, {link}, {base}", _joint_case,
                 partial(lambda a, b, case: families_survival._joint(case, a, b).fit(), link, base),
                 ("models.JointModel", f"models.{link}"))
        for link, base in families_survival.JOINTS
    ),
    *(
        Analysis(f"Hazard, {kind}, time-varying",
                 partial(_without_points, families_variants.varying_case), partial(_varying, kind),
                 ("models.Hazard",))
        for kind in ("weibull", "mspline")
    ),
    *(
        Analysis(f"JointModel {name}", partial(_without_points, make),
                 partial(lambda how, case: families_variants.several_spec(case, **how).fit(), how),
                 ("models.JointModel",))
        for name, make, how in families_variants.JOINTS
    ),
    Analysis("difference_in_change", partial(_without_points, families_groups.change_case),
             _changed, ("estimands.changes.difference_in_change",)),
    Analysis("incidence_table", _group_case,
             _on_groups(competing.incidence_table, (6.0, 14.0)),
             ("estimands.competing.incidence_table",)),
    Analysis("survival_table", _group_case, _on_groups(survival_table, (6.0, 14.0)),
             ("estimands.kaplan_meier",)),
    Analysis("survival_quantiles", _group_case, _on_groups(survival_quantiles, (0.1,)),
             ("estimands.survival_times",)),
    Analysis("follow_up_quantiles", _group_case, _on_groups(follow_up_quantiles, (0.5,)),
             ("estimands.survival_times",)),
    Analysis("log_rank_table", _group_case, _on_groups(log_rank_table, draws=50),
             ("estimands.log_rank",)),
    Analysis("weighted_log_rank", _group_case, _on_groups(weighted_log_rank, draws=50),
             ("estimands.weighted_log_rank",)),
    Analysis("restricted_mean_table", _group_case,
             _on_groups(restricted_mean_table, 14.0),
             ("estimands.restricted_mean",)),
    Analysis("incidence_difference", _group_case,
             _on_groups(competing.incidence_difference, 14.0), ("estimands.competing",)),
    Analysis("incidence_posterior", _group_case,
             _on_groups(incidence_posterior, 14.0, draws=200),
             ("estimands.incidence_posterior",)),
    Analysis("exact_hazard_ratio", _group_case, _on_groups(exact_hazard.exact_hazard_ratio),
             ("estimands.exact_hazard",)),
    Analysis("weighted_difference", _weighted_case, _weighted, ("estimands.weighting",)),
    Analysis("weighted_comparison", _group_case,
             lambda case: weighted_comparison(_weights(case), case["rows"], 14.0),
             ("estimands.adjusted_curves",)),
    Analysis("weighted_comparison, several arms", _group_case, _several,
             ("estimands.several_arms",)),
    Analysis("weighted_incidence", _group_case,
             lambda case: weighted_incidence(_weights(case), case["rows"], (6.0, 14.0)),
             ("estimands.adjusted_curves",)),
    Analysis("weighted_survival", _group_case,
             lambda case: weighted_survival(_weights(case), case["rows"], (6.0, 14.0)),
             ("estimands.adjusted_curves",)),
    Analysis("doubly_robust_risk", _group_case,
             lambda case: doubly_robust_risk(_weights(case), case["rows"], 14.0),
             ("estimands.doubly_robust",)),
    Analysis("standardised_survival", _survival_case, _standardised_curve,
             ("estimands.standardised_curves",)),
    Analysis("risk_difference", _survival_case, _standardised, ("estimands.standardised",)),
    Analysis("Panel", _cohort_case, _panel, ("analyses.Panel",)),
    Analysis("BaselineAdjustment", _cohort_case, _adjusted, ("analyses.BaselineAdjustment",)),
    Analysis("DeathInMarkers", _cohort_case, _death, ("analyses.DeathInMarkers",)),
    Analysis("Mortality", _group_case, _mortality, ("analyses.Mortality",)),
    Analysis("Mortality, subgroups", _group_case, _subgroups, ("analyses.Mortality",)),
    Analysis("Imputation", lambda: families_imputed.imputed_case(1),
             families_imputed.imputed_means, ("Imputation",)),
    Analysis("Imputation, censored", lambda: families_imputed.limited_case(1),
             families_imputed.imputed_means, ("Imputation",)),
    Analysis("TargetTrial", lambda: families_trials.trial_case(1),
             lambda case: families_trials.trial_of(case).estimate(resamples=20).table,
             ("analyses.TargetTrial",)),
)  # fmt: skip
