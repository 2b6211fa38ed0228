"""The stage of a run that emulates the trial of a treatment which begins after time zero."""

from __future__ import annotations

import pandas as pd

from longsurv.errors import EstimationError
from longsurv.numbers import plain
from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.plan import Plan

RESAMPLES = 300


def emulate_trial(bench: Bench) -> Record | None:
    """The two strategies compared from time zero, beside other analyses.

    Returns
    -------
    mapping or None
        "table", "curves", "weights", "protocol", "flow" (`TargetTrialAnswer`), "words",
        "warnings", "horizon", "answer" (its difference of risks); only "reason" where there is
        nothing to emulate; only "no_answer" where the data give no answer to it, and why; None
        where the study file asks for no such trial.
    """
    study = bench.study
    settings = study.target_trial
    entry = float(study.cohort.survival_data()["entry"].max())
    if settings is None:
        late = entry > 0.0 and not study.cohort.randomised and _compares(study)
        return {"reason": nothing(study, entry)} if late else None
    from longsurv.analyses import TargetTrial

    trial = TargetTrial(
        study.cohort, settings.begun, settings.grace, adjust=settings.adjust,
        markers=settings.markers, eligible=settings.eligible,
    )  # fmt: skip

    def compute() -> Record:
        try:
            found = trial.estimate(resamples=RESAMPLES, seed=study.sampling.seed)
        except EstimationError as error:
            return {"no_answer": str(error)}
        return {
            "table": found.table, "curves": found.curves, "weights": found.weights,
            "protocol": found.protocol, "flow": found.flow, "words": found.words,
            "warnings": tuple(found.warnings), "horizon": float(found.horizon),
        }  # fmt: skip

    measured = {name: study.cohort.marker_data(name) for name in settings.markers}
    inputs = (
        study.cohort.survival_data(), *measured.values(), settings.begun, settings.grace,
        settings.adjust, list(settings.markers), settings.eligible or "", trial.horizon,
        study.sampling.seed,
    )  # fmt: skip
    kept = bench.keep("mortality: emulated trial", inputs, compute)
    return kept if "no_answer" in kept else {**kept, "answer": _difference(kept["table"])}


def _difference(table: pd.DataFrame) -> Record:
    """Estimate and limits of the emulated trial's difference of risks."""
    from longsurv.analyses.mortality.target_answer import METHOD

    chosen = (table["method"] == METHOD) & (table["quantity"] == "risk difference")
    row = table[chosen].iloc[0]
    return {name: float(row[name]) for name in ("estimate", "conf_low", "conf_high")}


def _compares(study: Plan) -> bool:
    """Whether the study compares the mortality of groups at all."""
    return len(study.cohort.groups) > 1 and study.cohort.schema.horizon is not None


def nothing(study: Plan, entry: float) -> str:
    """Why no trial from time zero can be emulated of a study with delayed entry."""
    schema = study.cohort.schema
    since = f" after {schema.time_zero}" if schema.time_zero else ""
    return (
        "A trial assigns treatment when it is decided on, and follows everybody from there. Here"
        f" risk begins at {plain(entry)} {schema.time_unit}{since}, so where treatment began"
        " earlier no such trial can be emulated: whom it could have saved or harmed by then was"
        " never enrolled."
    )


def seconds_of_target(study: Plan) -> float:
    """What `emulate_trial` takes on an ordinary computer."""
    return 0.1 if study.target_trial is None else 1.0 + 6e-3 * len(study.cohort.patients)
