"""The difference in change of every marker by both engines, on scales a reader can use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from longsurv.estimands.changes import (
    CORRECTED,
    adjusted_p_values,
    baseline_sd,
    difference_in_change,
)
from longsurv.numbers import exponential
from longsurv.study.unanswered import unanswered

if TYPE_CHECKING:
    from longsurv.estimands.changes import Contrasting
    from longsurv.faults import Faults
    from longsurv.study.model_result import ModelResult
    from longsurv.study.plan import Plan

COLUMNS = [
    "marker", "label", "unit", "direction", "level", "start", "end", "engine", "scale", "estimate",
    "conf_low", "conf_high", "std_estimate", "std_low", "std_high", "p_value", "p_holm", "p_fdr",
    "prob_positive", "mcse", "reason",
]  # fmt: skip


def changes_table(study: Plan, markers: Mapping[str, ModelResult], faults: Faults) -> pd.DataFrame:
    """One row a marker, comparison and engine; see `StudyResults.changes` for the columns.

    Parameters
    ----------
    study : Plan
    markers : mapping of str to ModelResult
        Every marker's model, by its name.
    faults : Faults
        Where a comparison that fails unexpectedly is written down.
    """
    rows = [row for model in markers.values() for row in _rows(study, model, faults)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    ml = table["engine"] == "ml"
    for column, method in CORRECTED.items():
        table.loc[ml, column] = adjusted_p_values(table.loc[ml, "p_value"].tolist(), method)
    return table


def _rows(study: Plan, model: ModelResult, faults: Faults) -> list[dict[str, object]]:
    marker, schema = study.cohort.markers[model.name], study.cohort.schema
    spread = baseline_sd(model.data, schema.patient, schema.time)
    log = marker.transform == "log"
    rows = []
    for change in study.contrasts:
        for engine in ("ml", "bayes"):
            row: dict[str, object] = {
                "marker": model.name,
                "label": marker.label,
                "unit": marker.unit,
                "direction": marker.direction,
                "level": str(change.level),
                "start": change.start,
                "end": change.end,
                "engine": engine,
                "scale": "ratio" if log else "difference",
                "reason": model.reasons.get(engine, ""),
            }
            result = model.answers.get(engine)
            if result is not None:
                table, reason = faults.attempt(
                    f"{marker.label}, difference in change, {engine}",
                    partial(difference_in_change, cast("Contrasting", result), change, model.data),
                )
                if table is None:
                    row["reason"] = reason
                elif why := unanswered(result, table.iloc[0]):
                    row["reason"] = why
                else:
                    row |= _values(table.iloc[0], spread, log)
            rows.append(row)
    return rows


def _values(tidy: pd.Series, spread: float, log: bool) -> dict[str, float]:
    """One tidy contrast on the scale readers see, and in standard deviations."""
    raw = {name: float(tidy[name]) for name in ("estimate", "conf_low", "conf_high")}
    shown = {name: exponential(v) if log else v for name, v in raw.items()}
    standard = {
        "std_" + name.removeprefix("conf_"): v / spread if spread > 0 else np.nan
        for name, v in raw.items()
    }
    return {
        **shown,
        **standard,
        "p_value": float(tidy.get("p_value", np.nan)),
        "prob_positive": float(tidy.get("prob_positive", np.nan)),
        # Of a ratio, by the delta method.
        "mcse": float(tidy.get("mcse_mean", np.nan)) * (shown["estimate"] if log else 1.0),
    }
