"""Every public model, analysis and module of estimands and diagnostics is in the tables."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest
from invariance.analyses import ANALYSES
from invariance.families import FAMILIES

import longsurv
from longsurv import diagnostics, estimands, models

PACKAGES = ("diagnostics", "estimands", "models")
"""Listed by their own names below."""
COVERED = {name for one in (*FAMILIES, *ANALYSES) for name in one.covers}

REASONS = {
    "DataError": "an error", "EstimationError": "an error", "FormulaError": "an error",
    "LongsurvError": "an error", "Estimate": "a result, read by every family",
    "Posterior": "a result, read by every family", "__version__": "text",
    "priors": "distributions, of no data",
    "scores": "sums of points with cut-offs in fixed units", "example_path": "a path",
    "compare": "sets two results side by side", "lrt": "twice a difference of log-likelihoods",
    "Study": "runs the analyses that are here", "read_cohort": "reads files; Cohort is here",
    "read_study": "reads files; Cohort is here",
    "estimands.binomial": "of four counts, through two_by_two",
    "estimands.log_odds": "of four counts, through two_by_two",
    "estimands.evalues": "of an estimate and its interval, through two_by_two",
    "estimands.intervals": "of an estimate and its standard error, through every table",
    "estimands.dynamic": "of a joint model's design and parameters",
    "estimands.joint_incidence": "of a joint model's design, through joint_effects",
    "estimands.joint_rows": "rows of a joint model's design, through joint_effects",
    "estimands.prediction_measures": "of predicted risks and outcomes, without units",
    "estimands.prediction_quality": "of refitted joint models, which are here",
    "diagnostics.convergence": "of an optimum or draws, read by every family",
    "diagnostics.joint_innovations": "of a joint model's design, through joint_checks",
    "diagnostics.joint_replicates": "random replicates of a joint model's design",
}  # fmt: skip


def names() -> list[str]:
    """Public names, and modules with public functions."""
    found = [name for name in longsurv.__all__ if name not in PACKAGES]
    found += [f"models.{name}" for name in models.__all__]
    for package in (estimands, diagnostics):
        for info in pkgutil.iter_modules(package.__path__):
            module = import_module(f"{package.__name__}.{info.name}")
            functions = [
                name
                for name, value in vars(module).items()
                if inspect.isfunction(value)
                and value.__module__ == module.__name__
                and not name.startswith("_")
            ]
            if functions:
                found.append(f"{package.__name__.removeprefix('longsurv.')}.{info.name}")
    return found


@pytest.mark.parametrize("name", names())
def test_every_public_name_is_in_a_table_or_has_a_reason_not_to_be(name: str) -> None:
    held = any(one == name or one.startswith(name + ".") for one in COVERED)
    assert held != (name in REASONS), name
