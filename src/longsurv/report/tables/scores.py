"""Scores with a cut-off as the page shows them: shares, and differences in change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.study.tables.scores import CHANGE, MEAN, MODELS
from longsurv.tables.display import Column, DisplayTable, display


def shares_display(table: pd.DataFrame, caption: str) -> DisplayTable:
    """Shares beyond the cut-off by group and phase: observed, then by each model and engine."""
    shares = table[(table["what"] == MEAN) & (table["quantity"] == "share")]
    keys = ["level", "phase"]
    rows = shares.drop_duplicates(keys)[[*keys, "observed", "n"]]
    rows = rows.assign(first=~rows["level"].duplicated())
    by = shares.set_index([*keys, "model", "engine"]).sort_index()

    def answer(model: str, engine: str) -> Column:
        def text(row: Record) -> str:
            key = (row["level"], row["phase"], model, engine)
            return percentages(by.loc[key]) if key in by.index else numbers.MISSING

        kind = "CI" if engine == "ml" else "CrI"
        how = "maximum likelihood" if engine == "ml" else "Bayes"
        return Column(f"{MODELS[model].capitalize()}, {how} (95 % {kind})", text)

    columns = [
        Column("Group", lambda row: row["level"] if row["first"] else "", numeric=False),
        Column("Phase", "phase", numeric=False),
        Column("Observed", _observed),
        *(answer(model, engine) for model in MODELS for engine in ("ml", "bayes")),
    ]
    note = (
        "Models: expected shares, averaged over all patients. Observed: measurements at or above"
        " the cut-off, of all."
    )
    return display(rows, caption, columns, note)


def differences_display(table: pd.DataFrame, unit: str) -> DisplayTable:
    """Differences in change: shares in percentage points, the mean score in its unit."""
    found = table[table["what"] == CHANGE]
    keys = ["level", "phase", "quantity", "model"]
    rows = found.drop_duplicates(keys)[keys]
    several = rows[["level", "phase"]].drop_duplicates().shape[0] > 1
    by = found.set_index([*keys, "engine"], drop=False).sort_index()

    def of(row: Record, engine: str) -> pd.Series | None:
        key = (*(row[name] for name in keys), engine)
        return by.loc[key] if key in by.index else None

    def name(row: Record) -> str:
        what = "Share" if row["quantity"] == "share" else "Mean score"
        return what + (f", {row['level']}, to {row['phase']}" if several else "")

    def scale(row: Record) -> str:
        return "percentage points" if row["quantity"] == "share" else unit or "points"

    columns = [
        Column("Quantity", name, numeric=False),
        Column("Model", lambda row: MODELS[row["model"]], numeric=False),
        Column("Unit", scale, numeric=False),
        Column("Maximum likelihood (95 % CI)", lambda row: _difference(of(row, "ml"))),
        Column("p", lambda row: _one(of(row, "ml"), "p_value", numbers.p_value)),
        Column("Bayes (95 % CrI)", lambda row: _difference(of(row, "bayes"))),
        Column("P(lower)", lambda row: _one(of(row, "bayes"), "prob_positive", _lower)),
    ]
    return display(rows, "Difference in change of the score", columns, name="score_changes")


def percentages(row: pd.Series) -> str:
    """A share with its interval: "56 % (35 to 75)"."""
    values = [float(row[name]) for name in ("estimate", "conf_low", "conf_high")]
    if not np.isfinite(values).all():
        return numbers.MISSING
    estimate, low, high = (f"{100 * value:.0f}" for value in values)
    return f"{estimate}\N{NO-BREAK SPACE}% ({low} to {high})"


def points(row: pd.Series) -> tuple[float, float, float]:
    """Estimate and interval of a difference; that of a share in percentage points."""
    by = 100.0 if row["quantity"] == "share" else 1.0
    return by * float(row["estimate"]), by * float(row["conf_low"]), by * float(row["conf_high"])


def _observed(row: Record) -> str:
    if not row["n"]:
        return numbers.MISSING
    k, n = round(row["observed"] * row["n"]), int(row["n"])
    return f"{k} of {n} ({100 * row['observed']:.0f}\N{NO-BREAK SPACE}%)"


def _difference(row: pd.Series | None) -> str:
    if row is None:
        return numbers.MISSING
    values = points(row)
    return numbers.difference(*values) if np.isfinite(values[0]) else numbers.MISSING


def _one(row: pd.Series | None, name: str, text: Callable[[float], str]) -> str:
    return numbers.MISSING if row is None else text(float(row[name]))


def _lower(prob_positive: float) -> str:
    return numbers.probability(1.0 - prob_positive)
