"""The study's tables as plain DataFrames, for notebooks, for export and for the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.generalised import GeneralisedDesign
from longsurv.estimands import simple
from longsurv.numbers import exponential
from longsurv.study.tables import markers
from longsurv.study.tables.baseline import baseline_table
from longsurv.study.tables.mortality import arm_ratios_table, stage_table
from longsurv.study.unanswered import unanswered

if TYPE_CHECKING:
    from longsurv.results import Estimate, Posterior
    from longsurv.study.found import Found
    from longsurv.study.model_result import ModelResult


def study_tables(results: Found) -> dict[str, pd.DataFrame]:
    """Every table, by name, in the order of the report."""
    cohort = results.cohort
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "flow": lambda: cohort.flow,
        "baseline": lambda: _baseline(results),
        "measurements": lambda: _measurements(results),
        "simple_baseline": lambda: _endpoints(simple.baseline_differences(cohort), results),
        "simple_changes": lambda: _endpoints(simple.within_group_changes(cohort), results),
        "simple_mortality": lambda: simple.mortality_table(cohort),
        "changes": lambda: results.changes,
        "adjustments": lambda: markers.adjusted_changes_table(results),
        "shrunken": lambda: markers.shrunken_effects_table(results),
        "scores": lambda: markers.all_scores_table(results),
        "truncated": lambda: markers.truncated_table(results),
        "imputed": lambda: markers.imputed_table(results),
        "hazard_ratios": lambda: _hazard_ratios(results.mortality),
        **({"arm_ratios": lambda: arm_ratios_table(results)} if len(results.compared) > 1 else {}),
        "mortality_methods": lambda: stage_table(results, "methods", "table"),
        "prior_grid": lambda: stage_table(results, "priors", "table"),
        "cumulative_incidence": lambda: stage_table(results, "competing", "table"),
        "tipping": lambda: stage_table(results, "tipping", "grid"),
        "comparison": lambda: _comparison(results),
        "convergence": lambda: _convergence(results),
        "checks": lambda: _checks(results),
        "priors": lambda: _priors(results),
        "models": lambda: _models(results),
        "not_estimated": lambda: _missing(results),
        "versions": lambda: pd.DataFrame(
            list(results.versions.items()), columns=["package", "version"]
        ),
    }
    found = {}
    for name, make in makers.items():
        table, reason = results.faults.attempt(f"Table {name!r}", make)
        found[name] = pd.DataFrame({"reason": [reason]}) if table is None else table
    return found


def _missing(results: Found) -> pd.DataFrame:
    """Every answer that was asked for and is none."""
    return pd.DataFrame(list(results.missing.items()), columns=["what", "reason"])


def model_label(results: Found, name: str) -> str:
    """What a reader calls a model: the marker's label, or "Mortality"."""
    markers = results.cohort.markers
    return markers[name].label if name in results.markers else "Mortality"


def _endpoints(table: pd.DataFrame, results: Found) -> pd.DataFrame:
    return table[table["marker"].isin(list(results.markers))].reset_index(drop=True)


def _baseline(results: Found) -> pd.DataFrame:
    """Covariates, then the first value of every endpoint."""
    cohort = results.cohort
    schema = cohort.schema
    patients = cohort.patients
    names, logarithmic = list(schema.covariates), []
    labels: dict[str, str] = {}
    units: dict[str, str] = {}
    for name, marker in cohort.markers.items():
        if name not in results.markers:
            continue
        data = cohort.marker_data(name)
        if schema.phases:
            data = data[data["phase"] == schema.phases[0].name]
        first = data.sort_values(schema.time).drop_duplicates(schema.patient)
        column = f"marker:{name}"  # cannot be the name of a covariate in a formula
        values = first.set_index(schema.patient)["value"]
        patients[column] = patients[schema.patient].map(values)
        names.append(column)
        labels[column] = marker.label
        units[column] = marker.unit
        if marker.transform == "log":
            logarithmic.append(column)
    labels |= {name: cohort.label(name) for name in schema.covariates}
    return baseline_table(
        patients,
        schema.treatment,
        [str(g) for g in cohort.groups],
        names,
        labels=labels,
        units=units,
        logarithmic=logarithmic,
    )


def _measurements(results: Found) -> pd.DataFrame:
    cohort = results.cohort
    rows = []
    for name, model in results.markers.items():
        marker, data = cohort.markers[name], model.data
        rows.append(
            {
                "marker": name,
                "label": marker.label,
                "unit": marker.unit,
                "scale": "logarithm" if marker.transform == "log" else "as measured",
                "patients": data[cohort.schema.patient].nunique(),
                "values": len(data),
                "outside": len(cohort.marker_data(name)) - len(data),
                "censored": int((data["censored"] != "none").sum()),
            }
        )
    columns = ["marker", "label", "unit", "scale", "patients", "values", "outside", "censored"]
    return pd.DataFrame(rows, columns=columns)


def _hazard_ratios(model: ModelResult) -> pd.DataFrame:
    """Every term of the mortality model on the ratio scale, by both engines."""
    parts = []
    for engine, result in model.answers.items():
        tidy = result.tidy()
        if result.engine == "bayes":
            tidy["estimate"] = [np.median(result.draw(term)) for term in tidy["term"]]
        exponentials = {c: tidy[c].map(exponential) for c in ("estimate", "conf_low", "conf_high")}
        remark = [unanswered(result, row) for _, row in tidy.iterrows()]
        parts.append(tidy.assign(engine=engine, remark=remark, **exponentials))
    columns = [
        "term", "engine", "estimate", "conf_low", "conf_high", "p_value", "prob_positive", "remark",
    ]  # fmt: skip
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    order = {term: k for k, term in enumerate(dict.fromkeys(table["term"]))}
    return table.sort_values("term", key=lambda c: c.map(order), kind="stable", ignore_index=True)


def _comparison(results: Found) -> pd.DataFrame:
    """`longsurv.compare` of every model both engines answered."""
    from longsurv.compare import compare

    parts = []
    for name, model in results.models.items():
        if model.fit is not None and model.post is not None:
            table = compare(model.fit, model.post)
            table.insert(0, "model", name)
            table.insert(1, "label", model_label(results, name))
            parts.append(table)
    return (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["model", "label"])
    )


def _convergence(results: Found) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for label, model in results.all_models:
        for engine in ("ml", "bayes"):
            row = {
                "model": model.name,
                "label": label,
                "engine": engine,
                "seconds": model.seconds.get(engine, np.nan),
            }
            result = model.answers.get(engine)
            if result is None:
                reason = model.reasons.get(engine, "")
                rows.append(
                    {**row, "ok": False, "words": f"Not estimated: {reason}", "remarked": True}
                )
                continue
            verdict = results.verdicts[model.name, engine]
            values = verdict.checks.set_index("check")["value"]
            rows.append(
                {
                    **row,
                    "ok": verdict.ok,
                    "words": verdict.words,
                    "remarked": bool({*result.flags} - {*_counted(result.design)}),
                    "r_hat": values.get("largest R-hat", np.nan),
                    "ess": values.get("smallest effective sample size", np.nan),
                    "exact": "error of the quadrature" in values.index,
                }
            )
    columns = [
        "model", "label", "engine", "ok", "words", "remarked", "r_hat", "ess", "exact", "seconds",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(exact=table["exact"].eq(True))


def _counted(design: object) -> tuple[str, ...]:
    """What is said of values beyond a limit, which the table of measurements counts."""
    return design.notes if isinstance(design, GeneralisedDesign) and not design.levels else ()


def _checks(results: Found) -> pd.DataFrame:
    """The numbers behind every verdict."""
    parts = [
        results.verdicts[model.name, engine].checks.assign(
            model=model.name, label=label, engine=engine
        )
        for label, model in results.all_models
        for engine in model.answers
    ]
    columns = ["model", "label", "engine", "check", "value", "limit", "ok"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _priors(results: Found) -> pd.DataFrame:
    rows = [
        (model.name, label, term, prior)
        for label, model in results.all_models
        if model.post is not None
        for term, prior in model.post.stack.describe().items()
    ]
    return pd.DataFrame(rows, columns=["model", "label", "parameter", "prior"])


def _models(results: Found) -> pd.DataFrame:
    rows = []
    for label, model in results.all_models:
        method = {engine: _method(result) for engine, result in model.answers.items()}
        rows.append(
            (
                model.name,
                label,
                model.formula,
                method.get("ml", ""),
                method.get("bayes", ""),
            )
        )
    return pd.DataFrame(rows, columns=["model", "label", "formula", "ml", "bayes"])


def _method(result: Estimate | Posterior) -> str:
    """How a fit was made, with its small-sample reference distribution if it has one."""
    small = getattr(getattr(result, "reference", None), "method", "normal")
    plain = small in ("normal", "robust")
    return str(result.method) if plain else f"{result.method}, {small}"
