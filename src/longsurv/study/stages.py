"""The stages of a run, in order.

A new analysis is a function of a `Bench` and an entry in `STAGES`:

    def fit_joint(bench: Bench) -> dict[str, ModelResult]:
        study, markers = bench.study, bench.parts["markers"]     # what came before
        ...
        answer = bench.fit(spec)                                 # stored as soon as it is done
        bench.step("1 of 4: Bilirubin", 1 / 4)                   # a part of this stage is done
        return {...}

    Stage("joint", "Joint models", fit_joint, seconds=lambda study: 20.0, quick=False),

What it returns is `results.parts["joint"]`. An error it raises ends only this stage and becomes
`results.failures["joint"]`, for the section to say what could not be estimated and why; the
traceback of one that nobody expected goes to the log beside the report.
`bench.fit` and `bench.sample` reuse stored answers, `bench.keep` does so for anything else that is
slow; whatever goes through them survives an interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.study import marker_stages as asked
from longsurv.study.adjusted_curves import (
    CURVES,
    draw_adjusted_curves,
    seconds_of_adjusted_curves,
)
from longsurv.study.bench import Bench
from longsurv.study.beyond import BEYOND, fit_beyond, seconds_of_beyond
from longsurv.study.criticism import CRITICISM, criticise, seconds_of_criticism
from longsurv.study.deaths import (
    CARRIED,
    adjust_for_what_is_carried,
    compare_incidences,
    compare_methods,
    compare_priors,
    seconds_of_carried,
    seconds_of_incidences,
    seconds_of_methods,
    seconds_of_priors,
    seconds_of_tipping,
    tip_answer,
)
from longsurv.study.imputed_stage import IMPUTED, impute_missing, seconds_of_imputed
from longsurv.study.independent import (
    INDEPENDENT,
    check_independently,
    seconds_of_independent,
)
from longsurv.study.joint_stage import JOINT, fit_joint, seconds_of_joint
from longsurv.study.model_result import MORTALITY, ModelResult
from longsurv.study.subgroup_stage import SUBGROUPS, compare_subgroups, seconds_of_subgroups
from longsurv.study.target_stage import emulate_trial, seconds_of_target
from longsurv.study.truncated_stage import (
    TRUNCATED,
    compare_truncated,
    seconds_of_truncated,
)

if TYPE_CHECKING:
    from longsurv.study.plan import Plan


type Pieces = Mapping[str, Callable[[Bench], object]]
"""Work of a stage by name, each apart from the others."""


def whole(study: Plan) -> Pieces:
    """No pieces: a stage is one.

    Parameters
    ----------
    study : Plan
    """
    return {}


def nothing(study: Plan, reason: str) -> None:
    """What most stages leave behind where they failed.

    Parameters
    ----------
    study : Plan
    reason : str
        Why the stage failed.
    """


@dataclass(frozen=True)
class Stage:
    """One part of a run.

    Parameters
    ----------
    key : str
        Where its result is found: `results.parts[key]`.
    title : str
        What is shown while it runs.
    run : callable
        Does the work, given a `Bench`.
    seconds : callable
        Takes the study and returns roughly how long the stage takes on an ordinary computer, for
        the time left.
    quick : bool
        Whether a quick run has it too.
    instead : callable
        Takes the study and the reason, and returns what later stages and the report are given where
        this one failed; None where they do without.
    needs : bool
        Whether it reads what stages before it returned. One that does not may be run by another
        process (`longsurv.study.helpers`).
    pieces : callable
        Takes the study and returns what other processes may do of a stage that is long: by name,
        functions of a `Bench` that leave what they find in its store. The stage calls `Bench.turn`
        before it does the same. One with pieces is not done by another process as a whole.
    """

    key: str
    title: str
    run: Callable[[Bench], object]
    seconds: Callable[[Plan], float]
    quick: bool = True
    instead: Callable[[Plan, str], object] = nothing
    needs: bool = False
    pieces: Callable[[Plan], Pieces] = whole


def fit_markers(bench: Bench) -> Mapping[str, ModelResult]:
    """The trajectory of every marker that is an endpoint, by name."""
    found, endpoints = {}, bench.study.cohort.endpoints
    for k, (name, marker) in enumerate(endpoints.items(), 1):
        bench.turn(name)
        found[name] = fit_marker(bench, name)
        bench.step(f"{k} of {len(endpoints)}: {marker.label}", 1 / len(endpoints))
    return MappingProxyType(found)


def fit_marker(bench: Bench, name: str) -> ModelResult:
    """The trajectory of one marker."""
    study, data = bench.study, bench.study.marker_data(name)
    model = study.trajectory_model(data)
    reason = unusable(data, study.cohort.schema.patient)
    if reason:
        why = {"ml": reason, "bayes": reason}
        return ModelResult(name, model.formula, data, reasons=why)
    return bench.answers(name, model, data)


def marker_by_marker(study: Plan) -> Pieces:
    """The markers, each a piece."""
    return {name: partial(fit_marker, name=name) for name in study.cohort.endpoints}


def no_markers(study: Plan, reason: str) -> Mapping[str, ModelResult]:
    """Every marker without an answer, for this reason."""
    why, rows = {"ml": reason, "bayes": reason}, study.marker_data
    return MappingProxyType({
        name: ModelResult(name, study.trajectory_model(rows(name)).formula, rows(name), reasons=why)
        for name in study.cohort.endpoints
    })  # fmt: skip


def no_mortality(study: Plan, reason: str) -> ModelResult:
    """The mortality model without an answer, for this reason."""
    why, data = {"ml": reason, "bayes": reason}, study.cohort.survival_data()
    return ModelResult(MORTALITY, study.mortality_formula, data, reasons=why)


def unusable(data: pd.DataFrame, patient: str) -> str:
    """Why no trajectory model can say anything about these rows; empty if one may."""
    if data.empty:
        return "there are no values"
    if data["y"].nunique() == 1:
        return "every value is the same: nothing varies that a model could explain"
    if not data[patient].duplicated().any():
        return "no patient has a second value: there is no change to estimate"
    return ""


def fit_mortality(bench: Bench) -> ModelResult:
    """The hazard of the event."""
    from longsurv.models import CoxPH

    study = bench.study
    return bench.model(MORTALITY, study.mortality_formula, study.cohort.survival_data(), CoxPH)


def _of_markers(study: Plan) -> float:
    """Seconds for the markers: libraries loaded, then fits and gradients of the sampler."""
    draws = study.sampling.chains * (study.sampling.draws + 300)
    rows = len(study.cohort.measurements)
    return 2.0 + 4e-4 * draws * len(study.cohort.endpoints) + 2e-7 * draws * rows


def _of_mortality(study: Plan) -> float:
    draws = study.sampling.chains * (study.sampling.draws + 300)
    return 0.2 + draws * (1e-4 + 1e-7 * len(study.cohort.patients))


STAGES: tuple[Stage, ...] = (
    Stage(
        "markers",
        "Trajectories of the markers",
        fit_markers,
        _of_markers,
        instead=no_markers,
        pieces=marker_by_marker,
    ),
    Stage(
        asked.ADJUSTMENTS,
        "Markers adjusted for where the groups began",
        asked.fit_adjustments,
        asked.seconds_of_adjustments,
        needs=True,
    ),
    Stage(BEYOND, "Values beyond a limit", fit_beyond, seconds_of_beyond, quick=False),
    Stage(
        IMPUTED,
        "Missing values imputed",
        impute_missing,
        seconds_of_imputed,
        quick=False,
    ),
    Stage(
        asked.PANEL,
        "All markers together",
        asked.shrink_effects,
        asked.seconds_of_panel,
        quick=False,
        needs=True,
    ),
    Stage(
        asked.SCORES,
        "Scores with a cut-off",
        asked.fit_scores,
        asked.seconds_of_scores,
        quick=False,
        pieces=asked.score_models,
    ),
    Stage(MORTALITY, "Mortality", fit_mortality, _of_mortality, instead=no_mortality),
    Stage(
        CARRIED,
        "Mortality adjusted for what its events carry",
        adjust_for_what_is_carried,
        seconds_of_carried,
        quick=False,
    ),
    Stage(
        CURVES,
        "Curves of groups made alike",
        draw_adjusted_curves,
        seconds_of_adjusted_curves,
        quick=False,
    ),
    Stage("methods", "Mortality by every method", compare_methods, seconds_of_methods),
    Stage("priors", "Mortality under several priors", compare_priors, seconds_of_priors),
    Stage("competing", "Competing events", compare_incidences, seconds_of_incidences),
    Stage("tipping", "Unseen deaths", tip_answer, seconds_of_tipping),
    Stage(
        SUBGROUPS,
        "Subgroups",
        compare_subgroups,
        seconds_of_subgroups,
        quick=False,
    ),
    Stage("target", "A trial emulated", emulate_trial, seconds_of_target, quick=False),
    Stage(
        INDEPENDENT,
        "The same by other libraries",
        check_independently,
        seconds_of_independent,
        quick=False,
        needs=True,
    ),
    Stage(JOINT, "Markers and outcome together", fit_joint, seconds_of_joint, quick=False),
    Stage(
        TRUNCATED,
        "Deaths and the markers",
        compare_truncated,
        seconds_of_truncated,
        quick=False,
        needs=True,
    ),
    Stage(
        CRITICISM,
        "Whether the models describe the data",
        criticise,
        seconds_of_criticism,
        quick=False,
        needs=True,
    ),
)
