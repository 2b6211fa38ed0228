"""Markers and the outcome together: joint models, and what they change.

A marker stops when a patient dies or leaves, so its curve and the hazard are estimated from one
likelihood. Beside it stand the answers that ignore one or the other: the mixed model alone, the
last value carried forward, two stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.model_result import ModelResult
from longsurv.study.terms import crossed_with
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from longsurv.models import JointModel
    from longsurv.results.joint.estimate import JointEstimate
    from longsurv.results.joint.posterior import JointPosterior
    from longsurv.study.plan import Plan

JOINT = "joint"
POINTS = 25
SHOWN = ("lowest", "middle", "highest")
NONE_ASKED = (
    "No joint model was asked for. With `joint = [...]` under [models] in the study file, the"
    " markers named there are modelled together with the outcome."
)


@dataclass(frozen=True)
class AssociationResults(Readable):
    """The association by several methods (see `longsurv.results.joint.association_check`).

    Attributes
    ----------
    table : DataFrame
        method, change, hazard_ratio, conf_low, conf_high, mcse, method_id, scale, size.
    contraction : float
    words : str
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame
    contraction: float
    words: str


@dataclass(frozen=True)
class Prediction:
    """Survival of example patients from a landmark on.

    Who they are, and what was measured of them, is there only in a study that shows patients.

    Attributes
    ----------
    at : float
        The landmark: what was measured until then is used.
    table : DataFrame
        patient (the identifier, or else the rank), group, rank (lowest, middle or highest survival
        predicted), time, estimate, conf_low, conf_high.
    measured : DataFrame
        patient, time, value: what was measured until then, as recorded; empty where patients are
        not shown.
    note : str
        That predictions end with follow-up, where the horizon is later.
    """

    at: float
    table: pd.DataFrame
    measured: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class JointResult:
    """One marker's joint model by both engines.

    Attributes
    ----------
    model : ModelResult
    association : AssociationResults or None
    slopes : DataFrame
        The marker's terms with the treatment, alone and jointly: answer ("mixed model alone",
        "joint model, maximum likelihood", "joint model, posterior"), its id ("alone", "ml",
        "bayes"), term, whether it is an interaction, estimate, conf_low, conf_high, mcse.
    prediction : Prediction or None
    missing : mapping of str to str
        What could not be done, and why.
    """

    model: ModelResult
    association: AssociationResults | None
    slopes: pd.DataFrame
    prediction: Prediction | None
    missing: Mapping[str, str]


@dataclass(frozen=True)
class JointPart:
    """Every joint model by marker; `reason` says why there is none."""

    results: Mapping[str, JointResult]
    reason: str = ""


def fit_joint(bench: Bench) -> JointPart:
    """The markers the study names, each with the outcome, by both engines."""
    names, known = bench.study.models.joint, bench.study.cohort.markers
    if not names:
        return JointPart(MappingProxyType({}), NONE_ASKED)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LongsurvError(
            f"joint models are asked for of {unknown}, no markers of the cohort; it has"
            f" {list(known)}"
        )
    found = {}
    for name in names:
        found[name] = _result(bench, name)
        bench.step(bench.study.cohort.markers[name].label, 1 / len(names))
    return JointPart(MappingProxyType(found))


def seconds_of_joint(study: Plan) -> float:
    """Seconds on an ordinary computer."""
    draws = study.sampling.chains * (study.sampling.draws + 300)
    return len(study.models.joint) * (
        1.0 + 2e-3 * draws + 1e-5 * draws * len(study.cohort.patients)
    )


def association_model(study: Plan, name: str) -> JointModel:
    """The joint model of one marker: its current value in the hazard of the outcome."""
    from longsurv.models import GLMM, LMM, CoxPH, JointModel

    cohort = study.cohort
    data = cohort.marker_data(name, followed=True)
    response = "log(value)" if cohort.markers[name].transform == "log" else "value"
    formula = f"{response} ~ {study.models.joint_trajectory}"
    marker = (
        GLMM(formula, data, family="censored", censored="censored")
        if (data["censored"] != "none").any()
        else LMM(formula, data)
    )
    event = CoxPH(study.mortality_formula, cohort.survival_data())
    return JointModel(marker, event, time=cohort.schema.time)


def _result(bench: Bench, name: str) -> JointResult:
    study = bench.study
    spec = association_model(study, name)
    model = bench.answers(f"{JOINT}: {name}", spec, study.cohort.marker_data(name, followed=True))
    missing: dict[str, str] = {}
    people, unit = study.cohort.survival_data(), study.cohort.schema.time_unit

    def tried[T](title: str, work: Callable[[], T]) -> T | None:
        kept, reason = bench.faults.attempt(
            f"{name}: {title}",
            lambda: bench.keep(title, {"joint": spec, "rows": people, "unit": unit}, work),
        )
        if reason:
            missing[title] = reason
        return kept

    association = prediction = None
    if model.post is not None:
        kept = tried("association by several methods", partial(_association, spec, model, unit))
        association = AssociationResults(**kept) if kept else None
        kept = tried(
            "prediction for patients",
            partial(_prediction, study, name, cast("JointPosterior", model.post)),
        )
        prediction = _with_patients(study, name, **kept) if kept else None
    return JointResult(
        model, association, _slopes(study, spec, model), prediction, MappingProxyType(missing)
    )


def _association(spec: JointModel, model: ModelResult, unit: str) -> Record:
    from longsurv.results.joint.association_check import association_check

    found = association_check(
        cast("JointEstimate | None", model.fit) or spec,
        posterior=cast("JointPosterior | None", model.post),
        unit=unit,
    )
    return {"table": found.table, "contraction": found.contraction, "words": found.words}


def _slopes(study: Plan, spec: JointModel, model: ModelResult) -> pd.DataFrame:
    """What the marker does in the treated, with and without the hazard in the likelihood."""
    treatment = study.cohort.schema.treatment
    if not model.answers:
        columns = [
            "term",
            "estimate",
            "conf_low",
            "conf_high",
            "mcse",
            "interaction",
            "answer",
            "id",
        ]
        return pd.DataFrame(columns=[*columns, "level", "own_time"])
    from longsurv.results.joint.association_methods import NAMES

    names: dict[str, str] = {"alone": "mixed model alone", **NAMES}
    tables = {"alone": spec.alone[0].tidy()}
    for engine, result in model.answers.items():
        tables[engine] = cast("JointEstimate | JointPosterior", result).tidy(component="marker")
    rows = []
    for key, tidy in tables.items():
        chosen = tidy[tidy["term"].str.contains(f"{treatment}[T.", regex=False)]
        chosen = chosen.assign(mcse=chosen.get("mcse_mean", np.nan))
        columns = ["term", "estimate", "conf_low", "conf_high", "mcse"]
        interaction = chosen["term"].str.contains(":", regex=False)
        rows.append(chosen[columns].assign(interaction=interaction, answer=names[key], id=key))
    table = pd.concat(rows, ignore_index=True)
    pairs = [crossed_with(term, study.cohort) for term in table["term"]]
    return table.assign(
        level=[level for level, _ in pairs],
        own_time=[time == study.cohort.schema.time for _, time in pairs],
    )


def _prediction(study: Plan, name: str, post: JointPosterior) -> Record:
    """Three patients still at risk at the landmark, from the lowest to the highest survival.

    They are given by their rank and their row in the cohort: nothing of a patient is stored.
    """
    schema = study.cohort.schema
    people, data = study.cohort.survival_data(), study.cohort.marker_data(name, followed=True)
    last_exit = float(people["exit"].max())
    end = min(schema.horizon or last_exit, last_exit)
    note = ""
    if schema.horizon and schema.horizon > last_exit:
        note = (
            f"Follow-up ended at {last_exit:g}, before the horizon of {schema.horizon:g}: nothing "
            "is known of the hazard after it, and predictions end there."
        )
    at = landmark_of(float(people["entry"].max()), end)
    entry = people.set_index(schema.patient)["entry"]
    early = data[data[schema.time] <= at].assign(entry=lambda d: d[schema.patient].map(entry))
    twice = early[schema.patient].value_counts()
    there = people.loc[people["exit"] > at, schema.patient]
    chosen = [p for p in there if twice.get(p, 0) >= 2] or [p for p in there if p in twice.index]
    if len(chosen) < len(SHOWN):
        raise LongsurvError(
            f"fewer than {len(SHOWN)} patients have a value and are at risk at {at:g}"
        )
    early = early[early[schema.patient].isin(chosen)]
    last = post.predict_survival(early, at=at, times=[end], draws=50)
    last = last.sort_values("estimate", kind="stable")[schema.patient].tolist()
    ranked = dict(zip(SHOWN, (last[0], last[len(last) // 2], last[-1]), strict=True))
    early = early[early[schema.patient].isin(ranked.values())]
    times = np.linspace(at, end, POINTS)
    table = post.predict_survival(early, at=at, times=times.tolist())
    rank = {patient: place for place, patient in ranked.items()}
    rows = {patient: row for row, patient in enumerate(people[schema.patient])}
    numbers = {c: table[c].to_numpy() for c in ("time", "estimate", "conf_low", "conf_high")}
    return {
        "at": at,
        "note": note,
        "table": pd.DataFrame({"rank": table[schema.patient].map(rank).to_numpy(), **numbers}),
        "rows": {place: rows[patient] for place, patient in ranked.items()},
    }


def _with_patients(
    study: Plan, name: str, at: float, note: str, table: pd.DataFrame, rows: Mapping[str, int]
) -> Prediction:
    """A prediction with each patient's group and, in a study that shows patients, all of them."""
    schema, data = study.cohort.schema, study.cohort.marker_data(name, followed=True)
    people = study.cohort.survival_data().iloc[[rows[place] for place in SHOWN]]
    who = dict(zip(SHOWN, people[schema.patient], strict=True))
    groups = dict(zip(SHOWN, people[schema.treatment].astype(str), strict=True))
    shown = {place: str(p) if study.show_patients else place for place, p in who.items()}
    early = data[(data[schema.time] <= at) & data[schema.patient].isin(list(who.values()))]
    if not study.show_patients:
        early = early.iloc[:0]
    return Prediction(
        at,
        table.assign(patient=table["rank"].map(shown), group=table["rank"].map(groups)),
        pd.DataFrame({
            "patient": early[schema.patient].astype(str).to_numpy(),
            "time": early[schema.time].to_numpy(dtype=float),
            "value": early["value"].to_numpy(dtype=float),
        }),
        note,
    )  # fmt: skip


def landmark_of(entry: float, end: float) -> float:
    """When the risk begins, or a quarter of the way if it begins at once."""
    return entry if entry > 0 else end / 4
