"""Rows of the methods that weight patients by their propensity for treatment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.rows import Question, Row, World, attempt, row_of
from longsurv.estimands.adjusted_curves import weighted_comparison
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.targets import ATE, OVERLAP
from longsurv.estimands.weighting import (
    TargetName,
    overlap_weights,
    propensity_weights,
    weighted_difference,
)


def weighted_rows(ask: Question, adjust: str) -> list[Row]:
    """Rows of weighted risks and mean times; without covariates one, which says why."""
    among, whole = f", among {OVERLAP.who}", f", among {ATE.who}"
    if ask.arms > 2:
        among = f", among patients who might have been in any of {ask.arms} arms"
        whole += f" of {ask.arms} arms"
    left = ", others having left by competing events" if ask.competing else ""
    mean = f"mean time alive to {ask.end}, {ask.group} less {ask.reference}{among}"
    if ask.competing:
        mean += ", were there no competing events"

    def blank(quantity: str, method_id: str, method: str, estimand: str, world: World = "") -> Row:
        return row_of(
            quantity, method, "frequentist", estimand, method_id=method_id, approach="model",
            adjusted_for=adjust, world=world,
        )  # fmt: skip

    risk, time = "risk difference", "restricted mean difference"
    proportions, curves, robust, means = (
        blank(risk, "overlap weights", "overlap weights", ask.risks(among), "overlap"),
        blank(
            risk,
            "inverse probability weights",
            "inverse probability weights",
            ask.risks(f"{left}{whole}"),
        ),
        blank(risk, "doubly robust", "doubly robust (AIPW)", ask.risks(f"{left}{whole}")),
        blank(time, "overlap weights, mean time", "overlap weights, Kaplan-Meier", mean, "overlap"),
    )
    if not adjust:
        # One row says it of all of them.
        return [proportions.silent("name the covariates that decided treatment with adjust=")]

    def by_curves(row: Row, target: TargetName, quantity: str) -> list[Row]:
        weights = propensity_weights(ask.weighted, ask.treatment, adjust, target=target)
        found = weighted_comparison(weights, ask.weighted, ask.horizon, level=ask.level)
        return [_filled(ask, row, found, quantity)]

    def by_both() -> list[Row]:
        weights = propensity_weights(ask.weighted, ask.treatment, adjust)
        found = doubly_robust_risk(weights, ask.weighted, ask.horizon, level=ask.level)
        return [_filled(ask, robust, found, "risk difference")]

    return [
        *attempt(lambda: _of_proportions(ask, proportions, adjust), proportions),
        *attempt(lambda: by_curves(curves, "ATE", "risk difference"), curves),
        *attempt(by_both, robust),
        *attempt(lambda: by_curves(means, "overlap", "mean time difference"), means),
    ]


def _of_proportions(ask: Question, row: Row, adjust: str) -> list[Row]:
    data = ask.weighted
    died = (data["status"] == 1).to_numpy(dtype=float)
    died[((data["status"] == 0) & (data["exit"] < ask.horizon)).to_numpy()] = np.nan
    weights = overlap_weights(data, ask.treatment, adjust)
    found = weighted_difference(weights, died, level=ask.level)
    return [_filled(ask, row, found, "difference", ask.late)]


def _filled(ask: Question, row: Row, table: pd.DataFrame, quantity: str, more: str = "") -> Row:
    if "comparison" in table:
        table = table[table["comparison"] == f"{ask.group} - {ask.reference}"]
    found = table.set_index("quantity").loc[quantity]
    note = "; ".join(part for part in (str(found["note"]), more) if part)
    return row.filled({str(k): v for k, v in found.items() if k != "note"}, note)
