"""Markers that deaths cut short: every estimand of every marker, by both engines.

The question arises where patients died by the end of a phase in which markers are compared: they
have no value there, and none is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.study.bench import Bench
from longsurv.study.joint_stage import JOINT, JointPart
from longsurv.study.marker_stages import NO_PHASES

if TYPE_CHECKING:
    from longsurv.estimands.changes import Change
    from longsurv.estimands.truncation import Composite
    from longsurv.results.joint.estimate import JointEstimate
    from longsurv.results.joint.posterior import JointPosterior
    from longsurv.study.model_result import ModelResult
    from longsurv.study.plan import Plan

TRUNCATED = "truncated"
WORST = "worst"
COLUMNS = [
    "marker", "label", "unit", "level", "reference", "start", "end", "estimand", "estimand_label",
    "question", "assumes", "quantity", "engine", "method", "estimate", "conf_low", "conf_high",
    "p_value", "prob_benefit", "n", "deaths", "notes", "reason",
]  # fmt: skip
NOBODY = (
    "Nobody in the data died by the end of a phase in which markers are compared: no marker is cut"
    " short there."
)


@dataclass(frozen=True)
class TruncatedPart:
    """Every marker by every estimand.

    Attributes
    ----------
    table : DataFrame
        `DeathAnswers.table` of every marker and comparison.
    died : mapping of (str, str) to (int, int)
        By group and phase, how many patients had died by its end, of how many.
    reason : str
        Why the question does not arise; empty if it does.
    """

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    died: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    reason: str = ""


def compare_truncated(bench: Bench) -> TruncatedPart:
    """Every estimand of every marker that deaths cut short."""
    from longsurv.estimands.truncation import Composite, deaths_of

    study = bench.study
    if study.change_variable != "phase":
        return TruncatedPart(reason=NO_PHASES.format(what="Death as an outcome of the markers"))
    markers: Mapping[str, ModelResult] = bench.parts["markers"]
    try:
        deaths_of(study.cohort)
    except LongsurvError as error:
        return TruncatedPart(reason=str(error))
    joints: JointPart = bench.parts.get(JOINT) or JointPart({})
    tables: list[pd.DataFrame] = []
    died: dict[tuple[str, str], tuple[int, int]] = {}
    for change in study.contrasts:
        cut = {name: Composite.of(study.cohort, name, change) for name in markers}
        if not any(one.deaths for one in cut.values()):
            continue
        died |= _died(next(iter(cut.values())))
        for name, composite in cut.items():
            joint = joints.results.get(name)
            tables.append(
                bench.keep(
                    "a marker and death",
                    [name, change, composite.patients, study.trajectory, joint is not None],
                    partial(
                        _of_marker,
                        study,
                        change,
                        markers[name],
                        None if joint is None else joint.model,
                    ),
                )
            )
            bench.step(study.cohort.markers[name].label, 1 / (len(markers) * len(study.contrasts)))
    if not tables:
        return TruncatedPart(reason=NOBODY)
    return TruncatedPart(pd.concat(tables, ignore_index=True)[COLUMNS], died)


def _died(composite: Composite) -> dict[tuple[str, str], tuple[int, int]]:
    """How many of each group had died by the end of the phase, measured or not."""
    table, change, found = composite.patients, composite.change, {}
    for mine, group in ((True, change.level), (False, change.reference)):
        dead = table.loc[table["treated"] == mine, "died"].notna()
        found[str(group), str(change.end)] = (int(dead.sum()), len(dead))
    return found


def _of_marker(
    study: Plan, change: Change, model: ModelResult, joint: ModelResult | None
) -> pd.DataFrame:
    from longsurv.analyses.markers.death import DeathInMarkers

    sampling = study.sampling
    spec = DeathInMarkers(
        study.cohort, model.name, change, trajectory=study.models.trajectory,
        beyond_limit=study.models.beyond_limit,
    )  # fmt: skip
    fit = spec.fit(
        unadjusted=model.fit, joint=cast("JointEstimate | None", joint and joint.fit),
        seed=sampling.seed,
    )  # fmt: skip
    post = spec.sample(
        draws=sampling.draws, chains=sampling.chains, seed=sampling.seed, unadjusted=model.post,
        joint=cast("JointPosterior | None", joint and joint.post),
    )  # fmt: skip
    table = fit.and_also(post).table
    words = table.select_dtypes(exclude="number").columns
    return table.astype(dict.fromkeys(words, str))


def leading(study: Plan) -> Literal["while alive", "worst"]:
    """Which estimand leads in the report, as the study says."""
    return "worst" if study.models.death_in_markers == WORST else "while alive"


def seconds_of_truncated(study: Plan) -> float:
    """Roughly how long `compare_truncated` takes."""
    if study.change_variable != "phase":
        return 0.0
    draws = study.sampling.chains * study.sampling.draws
    people, each = len(study.cohort.patients), 0.4
    return len(study.contrasts) * len(study.cohort.endpoints) * (each + 1e-8 * draws * people)
