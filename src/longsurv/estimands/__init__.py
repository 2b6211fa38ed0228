"""Quantities to estimate: changes, risks, survival differences, and what could bias them.

A marker's change
    Change                      which change of which marker, between which groups
    difference_in_change        the change under treatment less that without
    mean_curves                 fitted mean curves of the groups
    adjusted_p_values           Holm, FDR and others over many markers

Markers that deaths cut short
    worst_ranks                 a marker and death in one order, death the worst
    rank_comparison             probability index of two groups, and the rank test
    proportional_odds           odds of a better outcome, by likelihood
    odds_posterior              and its posterior

As published: tests without a model
    baseline_differences        groups compared at the first phase
    within_group_changes        each phase against the first, group by group
    mortality_table             deaths by the horizon, group by group

Two risks
    Counts                      events out of patients in two groups
    two_by_two                  difference, ratio and odds ratio of two risks by every method
    BetaBinomial                posterior of two risks
    odds_ratio_posteriors       the odds ratio under each of several priors
    number_needed_to_treat      of any difference of risks, its interval through infinity

Survival of two groups
    kaplan_meier                survival of one group
    survival_table              survival of every group at some times
    survival_quantiles          median survival and other quantiles
    follow_up_quantiles         median follow-up (reverse Kaplan-Meier)
    restricted_mean             mean time alive to a horizon, one group
    restricted_mean_table       and two groups compared
    log_rank                    the test and its parts
    log_rank_table              every version of the test, permutation and exact among them
    weighted_log_rank           early or late differences, in strata, and the largest
    permutation_test            two groups, exact where that is possible
    exact_hazard_ratio          hazard ratio with exact limits

Competing events
    cumulative_incidence        one cause in one group
    incidence_table             every cause in every group at some times
    incidence_difference        two groups compared at a time
    gray_test                   equal cumulative incidence in all groups
    incidence_posterior         two groups compared, by Bayes

From a fitted survival model
    risk_difference             standardised risks under two treatments
    restricted_mean_difference  standardised mean times alive under two treatments
    standardised_survival       standardised curves under two treatments

From a fitted joint model
    joint_effects               treatment's effect direct, by way of the markers, and overall
    prediction_quality          AUC, Brier score, calibration of dynamic predictions

Groups that differ
    propensity_weights          weights that make two groups like one population
    overlap_weights             those that balance them exactly
    weighted_difference         weighted means of two groups compared
    weighted_survival           weighted Kaplan-Meier curves
    weighted_incidence          weighted cumulative incidence, others competing
    weighted_comparison         weighted risks and mean times by a horizon
    doubly_robust_risk          risks right if either of two models is
    bayesian_bootstrap          and their posterior
    e_value                     the confounding that would explain an answer away

Deaths that were not seen
    Unseen                      what is assumed of patients that were not seen
    tipping_grid                the answer under every number of unseen deaths
    tipping_points              the fewest unseen deaths that change it

Rows for a survival model
    FollowUp                    times at risk and what happened, one group
    follow_up                   the same of all patients, from columns
    two_groups                  and of two groups
    landmark                    patients at risk at a day, with what was known then
    start_stop                  rows cut at every measurement
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv.lazy import lazily

if TYPE_CHECKING:
    from longsurv.estimands.aalen_johansen import cumulative_incidence
    from longsurv.estimands.adjusted_curves import (
        weighted_comparison,
        weighted_incidence,
        weighted_survival,
    )
    from longsurv.estimands.bayesian_bootstrap import bayesian_bootstrap
    from longsurv.estimands.binomial import BetaBinomial
    from longsurv.estimands.changes import (
        Change,
        adjusted_p_values,
        difference_in_change,
        mean_curves,
    )
    from longsurv.estimands.competing import incidence_difference, incidence_table
    from longsurv.estimands.counts import Counts
    from longsurv.estimands.doubly_robust import doubly_robust_risk
    from longsurv.estimands.evalues import e_value
    from longsurv.estimands.exact_hazard import exact_hazard_ratio
    from longsurv.estimands.follow_up import FollowUp, follow_up, two_groups
    from longsurv.estimands.gray import gray_test
    from longsurv.estimands.incidence_posterior import incidence_posterior
    from longsurv.estimands.joint_effects import joint_effects
    from longsurv.estimands.kaplan_meier import kaplan_meier, survival_table
    from longsurv.estimands.landmark import landmark
    from longsurv.estimands.log_odds import odds_ratio_posteriors
    from longsurv.estimands.log_rank import log_rank, log_rank_table, permutation_test
    from longsurv.estimands.number_needed import number_needed_to_treat
    from longsurv.estimands.prediction_quality import prediction_quality
    from longsurv.estimands.proportional_odds import odds_posterior, proportional_odds
    from longsurv.estimands.restricted_mean import restricted_mean, restricted_mean_table
    from longsurv.estimands.simple import (
        baseline_differences,
        mortality_table,
        within_group_changes,
    )
    from longsurv.estimands.standardised import restricted_mean_difference, risk_difference
    from longsurv.estimands.standardised_curves import standardised_survival
    from longsurv.estimands.start_stop import start_stop
    from longsurv.estimands.survival_times import follow_up_quantiles, survival_quantiles
    from longsurv.estimands.tipping import Unseen, tipping_grid, tipping_points
    from longsurv.estimands.two_by_two import two_by_two
    from longsurv.estimands.weighted_log_rank import weighted_log_rank
    from longsurv.estimands.weighting import (
        overlap_weights,
        propensity_weights,
        weighted_difference,
    )
    from longsurv.estimands.worst_rank import rank_comparison, worst_ranks

__all__ = [
    "BetaBinomial",
    "Change",
    "Counts",
    "FollowUp",
    "Unseen",
    "adjusted_p_values",
    "baseline_differences",
    "bayesian_bootstrap",
    "cumulative_incidence",
    "difference_in_change",
    "doubly_robust_risk",
    "e_value",
    "exact_hazard_ratio",
    "follow_up",
    "follow_up_quantiles",
    "gray_test",
    "incidence_difference",
    "incidence_posterior",
    "incidence_table",
    "joint_effects",
    "kaplan_meier",
    "landmark",
    "log_rank",
    "log_rank_table",
    "mean_curves",
    "mortality_table",
    "number_needed_to_treat",
    "odds_posterior",
    "odds_ratio_posteriors",
    "overlap_weights",
    "permutation_test",
    "prediction_quality",
    "propensity_weights",
    "proportional_odds",
    "rank_comparison",
    "restricted_mean",
    "restricted_mean_difference",
    "restricted_mean_table",
    "risk_difference",
    "standardised_survival",
    "start_stop",
    "survival_quantiles",
    "survival_table",
    "tipping_grid",
    "tipping_points",
    "two_by_two",
    "two_groups",
    "weighted_comparison",
    "weighted_difference",
    "weighted_incidence",
    "weighted_log_rank",
    "weighted_survival",
    "within_group_changes",
    "worst_ranks",
]

_MODULES = {
    "adjusted_curves": ("weighted_comparison", "weighted_incidence", "weighted_survival"),
    "bayesian_bootstrap": ("bayesian_bootstrap",),
    "binomial": ("BetaBinomial",),
    "changes": ("Change", "adjusted_p_values", "difference_in_change", "mean_curves"),
    "competing": ("cumulative_incidence", "incidence_difference", "incidence_table"),
    "counts": ("Counts",),
    "doubly_robust": ("doubly_robust_risk",),
    "evalues": ("e_value",),
    "exact_hazard": ("exact_hazard_ratio",),
    "follow_up": ("FollowUp", "follow_up", "two_groups"),
    "gray": ("gray_test",),
    "incidence_posterior": ("incidence_posterior",),
    "joint_effects": ("joint_effects",),
    "kaplan_meier": ("kaplan_meier", "survival_table"),
    "landmark": ("landmark",),
    "log_odds": ("odds_ratio_posteriors",),
    "log_rank": ("log_rank", "log_rank_table", "permutation_test"),
    "number_needed": ("number_needed_to_treat",),
    "prediction_quality": ("prediction_quality",),
    "proportional_odds": ("odds_posterior", "proportional_odds"),
    "restricted_mean": ("restricted_mean", "restricted_mean_table"),
    "simple": ("baseline_differences", "mortality_table", "within_group_changes"),
    "standardised": ("restricted_mean_difference", "risk_difference"),
    "standardised_curves": ("standardised_survival",),
    "start_stop": ("start_stop",),
    "survival_times": ("follow_up_quantiles", "survival_quantiles"),
    "tipping": ("Unseen", "tipping_grid", "tipping_points"),
    "two_by_two": ("two_by_two",),
    "weighted_log_rank": ("weighted_log_rank",),
    "weighting": ("overlap_weights", "propensity_weights", "weighted_difference"),
    "worst_rank": ("rank_comparison", "worst_ranks"),
}
"""The public names of each module."""

lazily(__name__, {n: f"{__name__}.{m}:{n}" for m, names in _MODULES.items() for n in names})
