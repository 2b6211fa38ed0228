"""Coefficients of a study's models, and which levels of which variable they compare."""

from __future__ import annotations

from longsurv.cohort import Cohort
from longsurv.study.model_result import ModelResult


def treatment_terms(model: ModelResult, cohort: Cohort) -> dict[str, str]:
    """Treatment level to the term that compares it with the reference, in the mortality model."""
    name = cohort.schema.treatment
    columns: tuple[str, ...] = ()
    for result in model.answers.values():
        columns = tuple(result.design.fixed.variables.get(name, ()))
    found = {}
    for level in cohort.groups[1:]:
        for column in columns:
            if column.endswith(f"[T.{level}]") or column.endswith(f"[{level}]"):
                found[str(level)] = column
    return found


def level_of(term: str) -> tuple[str, str] | None:
    """Variable and level of a coefficient that compares a level with the first; else None."""
    variable, bracket, level = term.partition("[T.")
    return (variable, level.removesuffix("]")) if bracket else None
