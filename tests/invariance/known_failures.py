# ruff: noqa: E501
"""Cells that do not hold yet: what is seen, and what is right. They are strict xfails."""

from __future__ import annotations

MOVES: dict[tuple[str, str], str] = {
    (
        "GLMM, bernoulli",
        "rename",
    ): "FormulaError: the group of '(1 | `Patient No`)' must be a column name, or nested ones as in site/id, got '`Patient No`'",
    ("GLMM, bernoulli", "unused level"): "flags: 2 for 1",
    (
        "GLMM, ordinal",
        "rename",
    ): "FormulaError: the group of '(1 | `Patient No`)' must be a column name, or nested ones as in site/id, got '`Patient No`'",
    (
        "GLMM, censored",
        "rename",
    ): "FormulaError: the group of '(1 | `Patient No`)' must be a column name, or nested ones as in site/id, got '`Patient No`'",
    (
        "GLMM, student",
        "rename",
    ): "FormulaError: the group of '(1 | `Patient No`)' must be a column name, or nested ones as in site/id, got '`Patient No`'",
    (
        "GLMM, bernoulli, posterior",
        "shift time",
    ): "log evidence: -107.87609 for -101.08954 (and 10 more)",
    (
        "GLMM, bernoulli, posterior",
        "shift covariate",
    ): "log evidence: -104.54861 for -101.08954 (and 9 more)",
    (
        "GLMM, bernoulli, posterior",
        "swap groups",
    ): "log evidence: -100.95038 for -101.08954 (and 9 more)",
    (
        "GLMM, ordinal, posterior",
        "shift time",
    ): "log evidence: -156.96026 for -149.63763 (and 10 more)",
    (
        "GLMM, ordinal, posterior",
        "shift covariate",
    ): "log evidence: -153.12445 for -149.63763 (and 9 more)",
    (
        "GLMM, ordinal, posterior",
        "swap groups",
    ): "log evidence: -149.50062 for -149.63763 (and 7 more)",
    (
        "GLMM, censored, posterior",
        "shift time",
    ): "log evidence: -159.93547 for -153.14883 (and 10 more)",
    ("GLMM, censored, posterior", "shift covariate"): "log evidence: -156.63828 for -153.14883",
    (
        "GLMM, censored, posterior",
        "scale response",
    ): "log evidence: 351.26658 for 351.1173 (and 6 more)",
    (
        "GLMM, censored, posterior",
        "swap groups",
    ): "log evidence: -153.13407 for -153.14883 (and 2 more)",
    (
        "GLMM, student, posterior",
        "shift time",
    ): "log evidence: -180.16151 for -167.15568 (and 10 more)",
    ("GLMM, student, posterior", "shift covariate"): "log evidence: -170.64492 for -167.15568",
    (
        "GLMM, student, posterior",
        "scale response",
    ): "log evidence: 489.08721 for 489.08107 (and 1 more)",
    (
        "GLMM, student, posterior",
        "swap groups",
    ): "log evidence: -167.16589 for -167.15568 (and 1 more)",
    ("Linear", "shift time"): "ok: 0 for 1",
    (
        "JointModel, area, piecewise",
        "shift time",
    ): "ValueError: could not broadcast input array from shape (4,2) into shape (4,)",
    ("survival_table", "round times"): "A 0: survival: 0.95454545 for 0.95238095 (and 9 more)",
    ("survival_table", "unused level"): "DataError: no patients in the group nobody",
    ("incidence_table", "round times"): "A 0: estimate: 0.045454545 for 0.047619048 (and 14 more)",
    ("incidence_table", "unused level"): "DataError: no patients in the group nobody",
    (
        "incidence_difference",
        "round times",
    ): "risk of A: estimate: 0.45032051 for 0.44695827 (and 11 more)",
    ("incidence_difference", "unused level"): "DataError: no patients in the group nobody",
    ("incidence_posterior", "unused level"): "DataError: no patients in the group nobody",
    ("log_rank_table", "round times"): "asymptotic: z: -1.176956 for -1.1340922 (and 8 more)",
    ("log_rank_table", "unused level"): "DataError: no patients in the group nobody",
    ("gray_test", "round times"): "statistic: 1.5987311 for 1.4874283 (and 1 more)",
    ("gray_test", "unused level"): "DataError: no patients in the group nobody",
    (
        "restricted_mean_table",
        "round times",
    ): "mean of A: estimate: 6.6869658 for 6.7105958 (and 13 more)",
    ("restricted_mean_table", "unused level"): "DataError: no patients in the group nobody",
    ("concordance", "round times"): "C: 0.59656652 for 0.59264498 (and 1 more)",
    ("overlap weights", "unused level"): "drawn e: spread: 0.011972288 for 0.011701734",
    (
        "standardised, weibull",
        "rename",
    ): "FormulaError: write Surv(time, event) or Surv(entry, exit, event) with column names; got 'Surv(`last day`, `died?`)' in 'Surv(`last day`, `died?`) ~ `",
    ("difference_in_change", "shift time"): "conf_low: 0.86282745 for 0.74450053 (and 3 more)",
    (
        "difference_in_change",
        "rename",
    ): "FormulaError: the group of '(`day of stay` | `Patient No`)' must be a column name, or nested ones as in site/id, got '`Patient No`'",
    (
        "difference_in_change",
        "unused level",
    ): "EstimationError: the difference in change needs 'week:arm[T.1]', which the data cannot tell from the other terms: is there a measurement of every grou",
    (
        "Mortality",
        "round times",
    ): "hazard ratio, exact given the risk sets: estimate: -0.73876762 for -0.71797897 (and 28 more)",
}
MOVES_IN_STUDIES: dict[tuple[str, str], str] = {}
"""Cells that hold for one case and not for every generated one."""
