"""How far the missing values of a marker would have to lie from what is assumed of them.

The mixed models use every value there is and take the others as missing at random. Here they are
imputed, those of one group are moved away, and the same difference in change is estimated from the
completed data; in a randomised study also with values as in the reference group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.cohort.labels import death_codes
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change, baseline_sd, contrast_weights
from longsurv.estimands.truncation import dead_by
from longsurv.numbers import exponential
from longsurv.study.marker_stages import NO_PHASES
from longsurv.study.plan import model_seed
from longsurv.words import listed

if TYPE_CHECKING:
    from longsurv.analyses.imputation.imputation import Imputation
    from longsurv.cohort import Cohort
    from longsurv.study.bench import Bench
    from longsurv.study.plan import Plan

IMPUTED = "imputed"
AT_RANDOM = "mar"
COMPLETED = 20
"""Data sets: with so many the standard error of a pooled estimate is within 1 % of that of ever so
many where a third of the information is missing (Rubin 1987, equation 4.2.3)."""
STEPS = np.linspace(-2.0, 2.0, 5)
"""By which values are moved, in standard deviations between patients at baseline: the answer is all
but linear in them."""
COLUMNS = [
    "marker", "label", "unit", "scale", "level", "reference", "start", "end", "assumption", "steps",
    "moved", "estimate", "conf_low", "conf_high", "p_value", "fmi", "lacking", "wanted", "where",
    "limited", "tip", "reason",
]  # fmt: skip


@dataclass(frozen=True)
class ImputedPart:
    """The difference in change under several assumptions on what is missing.

    Attributes
    ----------
    table : DataFrame
        `COLUMNS`: a row a marker, comparison and assumption; `assumption` is a method of
        `Imputation`, and `steps` says by how many standard deviations at baseline the values of
        `level` are moved, `moved` by how much, a factor on the scale "ratio". `where` says of which
        groups and phases values are missing, `limited` how many others are known by a limit only
        and drawn within it. `tip` is where, in these standard deviations and next to none, the
        interval changes between clear of no effect and not; NaN if it does not.
    reason : str
        Why the question does not arise; empty if it does.
    """

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    reason: str = ""


def impute_missing(bench: Bench) -> ImputedPart:
    """Impute what is missing of the markers that the study was made for, or, where it does not say,
    of the one that lacks most."""
    study = bench.study
    if study.change_variable != "phase":
        return ImputedPart(reason=NO_PHASES.format(what="The analysis of missing values"))
    holes = {name: with_holes(study, name) for name in study.cohort.endpoints}
    lacking = {name: int(data["y"].isna().sum()) for name, data in holes.items()}
    lacking = {name: count for name, count in lacking.items() if count}
    if not lacking:
        return ImputedPart(reason="No value of a marker is missing of a patient alive.")
    chosen = [name for name in lacking if study.aims.role(name) in ("primary", "secondary")]
    chosen = chosen or [max(lacking, key=lambda name: lacking[name])]
    tables = []
    for name in chosen:
        for change in study.contrasts:
            tables.append(
                bench.keep(
                    "missing values imputed",
                    [name, holes[name], change, study.trajectory],
                    partial(_of_marker, study, name, holes[name], change),
                )
            )
            share = 1 / (len(chosen) * len(study.contrasts))
            bench.step(study.cohort.markers[name].label, share)
    return ImputedPart(pd.concat(tables, ignore_index=True)[COLUMNS])


def with_holes(study: Plan, name: str) -> pd.DataFrame:
    """A marker's rows, and one without a value for each phase in which a patient has none.

    Of patients with a value in another phase; not of one who had died by the end of the phase.

    Parameters
    ----------
    study : Plan
    name : str
        Of the marker.

    Returns
    -------
    DataFrame
        As `Plan.marker_data`; the time of a row without a value is the median of the phase's.
    """
    cohort, data = study.cohort, study.marker_data(name)
    patient, time = cohort.schema.patient, cohort.schema.time
    times = data.groupby("phase", observed=True)[time].median()
    seen = set(zip(data[patient], data["phase"], strict=True))
    one = data.drop_duplicates(patient)
    died = _died(cohort)
    rows = [
        one[[(p, phase) not in seen and (p, phase) not in died for p in one[patient]]].assign(
            phase=phase, value=math.nan, y=math.nan, censored="none", **{time: times[phase]}
        )
        for phase in times.index
    ]
    whole = pd.concat([data, *(part for part in rows if len(part))], ignore_index=True)
    whole["phase"] = pd.Categorical(whole["phase"], list(times.index))
    return whole


def _died(cohort: Cohort) -> set[tuple[object, str]]:
    """Patients and the phases by whose end they had died."""
    people, schema = cohort.survival_data(), cohort.schema
    codes = death_codes(schema)
    return {
        (p, phase.name)
        for phase in schema.phases
        for p in people[schema.patient][dead_by(people, codes, phase.last)]
    }


def _of_marker(study: Plan, name: str, data: pd.DataFrame, change: Change) -> pd.DataFrame:
    """All rows of one marker and comparison."""
    marker, lacking = study.cohort.markers[name], data["y"].isna()
    log = marker.transform == "log"
    spread = baseline_sd(data[~lacking], study.cohort.schema.patient, study.cohort.schema.time)
    common = {
        "marker": name, "label": marker.label, "unit": marker.unit,
        "scale": "ratio" if log else "difference", "level": str(change.level),
        "reference": str(change.reference), "start": str(change.start), "end": str(change.end),
        "lacking": int(lacking.sum()), "wanted": len(data),
        "where": _where(data[lacking], change.treatment), "limited": _limited(study, data),
        "reason": "",
    }  # fmt: skip
    rows: list[dict[str, object]]
    try:
        found, tip = _answers(study, name, data, change, spread)
        rows = [{**_shown(row, log), "tip": tip} for row in found]
    except LongsurvError as error:
        rows = [{"assumption": AT_RANDOM, "reason": str(error)}]
    return pd.DataFrame([{**common, **row} for row in rows]).reindex(columns=COLUMNS)


def _limited(study: Plan, data: pd.DataFrame) -> int:
    """How many values are drawn within their limits: none where the study takes limits for them."""
    beyond = (data["censored"].astype(str) != "none") & data["y"].notna()
    return int(beyond.sum()) if study.models.beyond_limit == "censored" else 0


def _where(rows: pd.DataFrame, treatment: str) -> str:
    """How many values are missing, by group and phase."""
    counts = rows.groupby([treatment, "phase"], observed=True, sort=False).size()
    return listed([f"{count:,} at {phase} in {group}" for (group, phase), count in counts.items()])


def _answers(
    study: Plan, name: str, data: pd.DataFrame, change: Change, spread: float
) -> tuple[list[dict[str, object]], float]:
    """Pooled answers over steps and methods on the analysis scale, and where they tip."""
    from longsurv.analyses.imputation.imputation import Imputation
    from longsurv.analyses.imputation.strategies import STRATEGIES

    cohort = study.cohort
    phases = list(data["phase"].cat.categories)
    imputation: Imputation = Imputation(
        study.trajectory_model(data.assign(order=data["phase"].map(phases.index).astype(int))),
        n=COMPLETED,
        seed=model_seed(study.sampling.seed, f"{name}, imputed"),
        treatment=change.treatment, reference=change.reference, randomised=bool(cohort.randomised),
        visit="order",
    )  # fmt: skip

    # Completed data have the same rows: one design, and one contrast, for all of them.
    expected = imputation.expected()
    fit = study.linear_model(expected).fit()
    weights = contrast_weights(fit.design.fixed, change, expected)

    def analysis(completed: pd.DataFrame) -> pd.DataFrame:
        return fit.refit(completed["y"]).contrast(weights).assign(term="change")

    tipping = imputation.tipping_point(analysis, list(STEPS * spread), group=change.level)
    rows: list[dict[str, object]] = [
        {**row, "assumption": AT_RANDOM, "steps": step}
        for step, row in zip(STEPS, tipping.table.to_dict("records"), strict=True)
    ]
    for method, strategy in STRATEGIES.items() if cohort.randomised else ():
        if strategy.needs_reference:
            table = imputation.with_method(method).analyse(analysis).table
            rows.append({**table.iloc[0], "assumption": method, "steps": 0.0, "delta": 0.0})
    nearest = min(tipping.tips, key=abs, default=math.nan)
    return rows, nearest / spread


def _shown(row: Mapping[str, object], log: bool) -> dict[str, object]:
    """A row on the scale that readers see."""
    scaled = {"estimate": row["estimate"], "conf_low": row["conf_low"],
              "conf_high": row["conf_high"], "moved": row["delta"]}  # fmt: skip
    values = {key: float(str(value)) for key, value in scaled.items()}
    if log:
        values = {key: exponential(value) for key, value in values.items()}
    return {**values, **{key: row[key] for key in ("assumption", "steps", "p_value", "fmi")}}


def seconds_of_imputed(study: Plan) -> float:
    """Roughly how long `impute_missing` takes."""
    if study.change_variable != "phase":
        return 0.0
    named = sum(study.aims.role(n) in ("primary", "secondary") for n in study.cohort.endpoints)
    fits = COMPLETED * (len(STEPS) + 3 * bool(study.cohort.randomised))
    rows = len(study.cohort.measurements) / max(len(study.cohort.endpoints), 1)
    return 0.5 + max(named, 1) * len(study.contrasts) * fits * (0.01 + 4e-6 * rows)
