"""What is wrong with a study's formulas, known before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from longsurv.analyses.markers.sites import named_in as has_name
from longsurv.cohort.covariates import late_covariates
from longsurv.cohort.problems import show, show_list
from longsurv.errors import FormulaError
from longsurv.study.sites import site_problems

if TYPE_CHECKING:
    import pandas as pd

    from longsurv.analyses.markers.responses import MarkerResponse
    from longsurv.inference.specification import TableSpecification
    from longsurv.study.plan import Plan

OUTCOME = ("entry", "exit", "event", "status")
"""Columns that `Cohort.survival_data` makes of the outcome."""


def covariate_problems(study: Plan) -> list[str]:
    """Covariates that hold the outcome, or what was measured after a patient's entry."""
    models = study.models
    problems = late_covariates(study.cohort, models.mortality)
    schema = study.cohort.schema
    own = {*OUTCOME, *schema.outcome_columns}
    for key, formula in _formulas(study):
        known = study.cohort.covariates
        # A marker's rows have the time of measurement, which a follow-up time may share its name.
        names = own if key == "mortality" else own - {schema.time}
        found = [name for name in named_in(formula, names) if name not in known]
        if found:
            problems.append(
                f"[models] {key} = {show(formula)} has {show_list(found)} as a covariate, which is "
                "the outcome itself: what happens later cannot explain it. Leave it out"
            )
    return problems


def _formulas(study: Plan) -> list[tuple[str, str]]:
    """The formulas that the study uses, by their keys: without markers, that of the event."""
    models = study.models
    used = [("mortality", models.mortality)]
    if study.cohort.markers:
        used.append(("trajectory", models.trajectory))
    if models.joint:
        used.append(("joint_trajectory", models.joint_trajectory))
    return used


def formula_problems(study: Plan) -> list[str]:
    """Everything wrong with the formulas, held against the data but without fitting."""
    problems = covariate_problems(study)
    if problems:
        return problems
    if problems := site_problems(study.cohort):
        return problems
    models, schema = study.models, study.cohort.schema
    for key, formula in _formulas(study):
        if not named_in(formula, [schema.treatment]):
            problems.append(
                f"[models] {key} = {show(formula)} does not have the treatment, "
                f"{show(schema.treatment)}: there would be no difference between the groups to "
                "estimate. Add it"
            )
    by = models.residual_by
    if by and by not in study.cohort.covariates:
        problems.append(
            f"[models] residual_by = {show(by)} is no column of the patients that the study reads; "
            f"it has {show_list(study.cohort.covariates)}"
        )
    if models.death_in_markers == "worst" and study.change_variable != "phase":
        problems.append(
            '[models] death_in_markers = "worst" compares patients by the end of a phase, and the'
            f" trajectory {show(models.trajectory)} has none: describe [phases] and use phase in it"
        )
    if study.change_variable == "phase" and len(schema.phases) < 2:
        problems.append(
            f"[models] trajectory = {show(models.trajectory)} compares phases, and the study has "
            f"{len(schema.phases) or 'none'}: describe two or more in [phases], or use the "
            f"measurement time, {show(schema.time)}"
        )
    if models.joint and named_in(models.joint_trajectory, ["phase"]):
        problems.append(
            f"[models] joint_trajectory = {show(models.joint_trajectory)} has phase: the hazard "
            f"depends on the curve between measurements, so use the time, {show(schema.time)}"
        )
    problems += _nothing_seen(study)
    return [*_unreadable(study), *problems]


def _nothing_seen(study: Plan) -> list[str]:
    """Markers without a single value seen, and phases in which nothing was measured."""
    rows = study.cohort.measurements
    seen = set(rows["marker"][(rows["censored"] == "none").to_numpy()].unique())
    problems = [
        f"every value of the marker {show(name)} is beyond a limit, so nothing is known of it; "
        "check its lower_limit and unit, or leave it out"
        for name in study.cohort.markers
        if name not in seen and (rows["marker"] == name).any()
    ]
    measured, time = set(rows["phase"].unique()), rows[study.cohort.schema.time]
    problems += [
        f"nothing was measured in the phase {show(phase.name)} ({phase.first:g} to "
        f"{phase.last:g}); the times go from {time.min():g} to {time.max():g}. Correct the phase "
        "or leave it out"
        for phase in study.cohort.schema.phases
        if phase.name not in measured and len(rows)
    ]
    return problems


def named_in(formula: str, names: Iterable[str]) -> list[str]:
    """Which of some names a formula's text has, as whole words or between back-quotes."""
    return [name for name in sorted(set(names)) if has_name(formula, name)]


def _unreadable(study: Plan) -> list[str]:
    """Formulas of which no design can be made, in words."""
    from longsurv.models import LMM, CoxPH

    specs: list[TableSpecification[object, object]] = [
        CoxPH(study.mortality_formula, data=study.cohort.survival_data())
    ]
    for name in study.models.joint[:1]:
        formula = f"y ~ {study.models.joint_trajectory}"
        specs.append(LMM(formula, data=study.cohort.marker_data(name)))
    found = list(_unreadable_trajectories(study))
    for spec in specs:
        try:
            _ = spec.design
        except FormulaError as error:
            found.append(str(error))
    return found


def _unreadable_trajectories(study: Plan) -> Iterator[str]:
    """What is wrong with the trajectory in a marker of each kind, of which all are alike."""
    kinds: dict[MarkerResponse, pd.DataFrame] = {}
    for name in study.cohort.endpoints:
        data = study.marker_data(name)
        if (data["censored"] == "none").any():  # of others `_nothing_seen` says it
            kinds.setdefault(study.response(data), data)
    for response, data in kinds.items():
        try:
            _ = study.trajectory_model(data, response).design
        except FormulaError as error:
            yield f"{error}{response.instead}"
            return
