"""Coefficients of a study's models, and which levels of which variable they compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from longsurv.cohort import Cohort
from longsurv.design import SurvivalDesign
from longsurv.design.formula import parse
from longsurv.design.terms import terms
from longsurv.results.assemble import TableDesign
from longsurv.study.model_result import ModelResult

if TYPE_CHECKING:
    from longsurv.design import FixedDesign
    from longsurv.results import Estimate, Posterior


def fixed_of(result: Estimate | Posterior) -> FixedDesign:
    """The fixed effects of an answer about one table."""
    return cast(TableDesign, result.design).fixed


def treatment_terms(model: ModelResult, cohort: Cohort) -> dict[str, str]:
    """Treatment level to the term that compares it with the reference, in the mortality model."""
    name = cohort.schema.treatment
    columns: tuple[str, ...] = ()
    for result in model.answers.values():
        columns = tuple(fixed_of(result).variables.get(name, ()))
    found = {}
    for level in cohort.groups[1:]:
        for column in columns:
            if column.endswith(f"[T.{level}]") or column.endswith(f"[{level}]"):
                found[str(level)] = column
    return found


def covariates_of(model: ModelResult, cohort: Cohort) -> list[str]:
    """What the mortality model's answer about the treatment is adjusted for: its other columns.

    Columns of its strata among them, and each by its label or its own name, whatever its
    transformation.
    """
    found: dict[str, None] = {}
    for result in model.answers.values():
        design = cast(SurvivalDesign, result.design)
        strata = design.strata
        found |= dict.fromkeys(design.fixed.variables)
        found |= dict.fromkeys(strata.columns if strata is not None else ())
    return [cohort.labels.get(c, c) for c in found if c != cohort.schema.treatment]


def modifiers_of(model: ModelResult, cohort: Cohort) -> list[str]:
    """Columns that the treatment's effect depends on in the mortality model: its interactions."""
    treatment = cohort.schema.treatment
    found: dict[str, None] = {}
    for term in terms(parse(model.formula).fixed):
        columns = dict.fromkeys(column for factor in term.factors for column in factor.columns)
        if treatment in columns:
            found |= columns
    return [name for name in found if name != treatment]


def crossed_with(term: str, cohort: Cohort) -> tuple[str, str]:
    """Treatment level in a coefficient's name, and what it is multiplied with; "" for nothing."""
    for level in map(str, cohort.groups[1:]):
        name = f"{cohort.schema.treatment}[T.{level}]"
        if term.endswith(f":{name}"):
            return level, term.removesuffix(f":{name}")
        if term.startswith(f"{name}:"):
            return level, term.removeprefix(f"{name}:")
        if term == name:
            return level, ""
    return str(cohort.groups[-1]), ""


def level_of(term: str) -> tuple[str, str] | None:
    """Variable and level of a coefficient that compares a level with the first; else None."""
    variable, bracket, level = term.partition("[T.")
    return (variable, level.removesuffix("]")) if bracket else None
