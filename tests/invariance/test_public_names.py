"""Every public model, analysis and function of estimands and diagnostics is in the tables."""

from __future__ import annotations

import inspect
import pkgutil
from fnmatch import fnmatchcase
from importlib import import_module

import pytest
from invariance.analyses import ANALYSES
from invariance.families import FAMILIES, NAMED
from invariance.reach import reached

import longsurv
from longsurv import analyses, diagnostics, estimands, models

PACKAGES = ("analyses", "diagnostics", "estimands", "models")
"""Listed by their own names below."""
COVERED = {name for one in (*FAMILIES, *ANALYSES) for name in one.covers}

REASONS = {
    "DataError": "an error", "EstimationError": "an error", "FormulaError": "an error",
    "LongsurvError": "an error", "Estimate": "a result, read by every family",
    "Posterior": "a result, read by every family", "__version__": "text",
    "priors": "distributions, of no data",
    "scores": "sums of points with cut-offs in fixed units", "example_path": "a path",
    "draft": "drafts a study file, and estimates nothing",
    "operating_characteristics": "simulates the analyses that are here",
    "pool": "of tables of estimates, in the units they have",
    "next_trial": "simulates trials from a Cox posterior, which is here",
    "compare": "sets two results side by side", "lrt": "twice a difference of log-likelihoods",
    "information_criteria": "log-likelihoods, and densities of units left out, of results",
    "analyses.CovariateImputation": "its own test moves and spoils its data",
    "Study": "runs the analyses that are here", "read_cohort": "reads files; Cohort is here",
    "read_study": "reads files; Cohort is here",
    "scan": "reads files; tests/design/scanned holds its fits to those of rows in memory",
    **dict.fromkeys(
        ("analyses.power_prior", "analyses.commensurate_prior", "analyses.HistoricalPrior"),
        "of draws of a Cox posterior, which is here",
    ),
    "analyses.TargetTrialAnswer": "what TargetTrial, which is here, answers with",
}  # fmt: skip
NOT_MOVED = {
    "estimands.joint_rows.histories": "rows of a joint model's design, for predictions",
    "estimands.number_needed.number_needed_to_treat": "of a difference and its limits",
    "estimands.prediction_measures.*": "of predicted risks and outcomes, without units",
    "estimands.prediction_folds.*": "of refitted joint models, which are here",
    "estimands.prediction_quality.*": "of refitted joint models, which are here",
    "estimands.survival_by_group.*": "what is drawn of kaplan_meier, which is here",
    "estimands.tipping.tipping_grid": "of four counts, as tipping_points",
    "diagnostics.convergence.headings": "words",
    "diagnostics.convergence.of_estimate": "of an optimum, read by every family's `diagnose`",
    "diagnostics.influence.tidy": "puts what `influence` found into a table",
    "diagnostics.joint_checks.cox_snell_curve": "Kaplan-Meier of residuals, which are here",
    "diagnostics.joint_replicates.*": "random replicates of a joint model's design",
    "diagnostics.linearity.*": "refits of the families, which are here, with a square besides",
    "diagnostics.residuals.*": "means and quantiles of scaled residuals, which are here",
}
"""Functions that no family of the table of invariances comes to, and why."""
NOT_SPOILED = NOT_MOVED | {
    "estimands.two_by_two.two_by_two": "two_by_two_rows as a table; Mortality has those rows",
    "estimands.changes.mean_curves": "contrasts of a mixed model, whose fits are here",
    "estimands.joint_effects.*": "of a joint model's fit, and those are here",
    "estimands.joint_incidence.*": "of a joint model's fit, through joint_effects",
    "estimands.joint_worlds.*": "of a joint model's fit, through joint_effects",
    "estimands.joint_rows.*": "rows of a joint model's design",
    "estimands.simple.*": "medians, ranks and counts, defined wherever a group has rows",
    "estimands.standardised.restricted_mean_difference": "as risk_difference, which is here",
    "estimands.start_stop.start_stop": "arranges rows and estimates nothing",
    "diagnostics.clusters.*": "rows of a fit's design",
    "diagnostics.influence.*": "refits of mixed models, whose fits are here",
    "diagnostics.joint_*": "of a joint model's fit, and those are here",
    "diagnostics.quantile_residuals.*": "of a mixed model's fit, and those are here",
    "diagnostics.residuals.*": "of a mixed model's fit, and those are here",
}
"""The same of the table of data that do not determine an answer."""


def names() -> list[str]:
    """Public names of the package and its models."""
    found = [name for name in longsurv.__all__ if name not in PACKAGES]
    found += [f"models.{name}" for name in models.__all__]
    return found + [f"analyses.{name}" for name in analyses.__all__]


def functions() -> list[str]:
    """Public functions of estimands and diagnostics, as "estimands.gray.gray_test"."""
    found = []
    for package in (estimands, diagnostics):
        for info in pkgutil.iter_modules(package.__path__):
            module = import_module(f"{package.__name__}.{info.name}")
            found += [
                f"{module.__name__.removeprefix('longsurv.')}.{name}"
                for name, value in vars(module).items()
                if inspect.isfunction(value)
                and value.__module__ == module.__name__
                and not name.startswith("_")
            ]
    return found


@pytest.mark.parametrize("name", names())
def test_every_public_name_is_in_a_table_or_has_a_reason_not_to_be(name: str) -> None:
    held = any(one == name or one.startswith(name + ".") for one in COVERED)
    assert held != (name in REASONS), name


@pytest.mark.parametrize(
    ("table", "reasons"),
    [([f.answer for f in FAMILIES], NOT_MOVED), ([a.run for a in ANALYSES], NOT_SPOILED)],
    ids=["invariances", "undetermined"],
)
def test_every_public_function_is_in_both_tables_or_has_a_reason_not_to_be(
    table: list, reasons: dict[str, str]
) -> None:
    known = functions()  # which imports them all
    run = {name.removeprefix("longsurv.") for name in reached(table)}
    missing = [name for name in known if name not in run]
    assert [n for n in missing if not any(fnmatchcase(n, p) for p in reasons)] == []
    assert [p for p in reasons if not any(fnmatchcase(n, p) for n in missing)] == []


def test_a_function_that_no_code_names_is_not_reached() -> None:
    assert "longsurv.estimands.gray.gray_test" in reached([NAMED["gray_test"].answer])
    assert "longsurv.estimands.gray.gray_test" not in reached([NAMED["LMM"].answer])
