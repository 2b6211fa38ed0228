"""The answers about mortality of a run: its tables, and the one difference of risks to tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import pandas as pd

from longsurv.records import Record

if TYPE_CHECKING:
    from longsurv.study.found import Found

type Way = Literal["crude", "incidence", "standardised"]

_TOLD: dict[Way, dict[str, tuple[str, str]]] = {
    "crude": {
        "ml": ("2 x 2, Miettinen-Nurminen", ""), "bayes": ("2 x 2, beta-binomial", "Jeffreys"),
    },
    "incidence": {
        "ml": ("Aalen-Johansen, mover", ""), "bayes": ("posterior of the hazards by cause", ""),
    },
    "standardised": {
        "ml": ("Cox, Firth, standardised", ""), "bayes": ("Cox posterior, standardised", "weak"),
    },
}  # fmt: skip
"""By engine the `method_id` and the `prior_id` of the difference to tell."""


def stage_table(results: Found, stage: str, name: str) -> pd.DataFrame:
    """A table a stage found, as it is shown; where it found none, the reason."""
    from longsurv.analyses.mortality import competing, rows

    hidden = {"methods": rows.IDS, "competing": competing.IDS}.get(stage, ())
    if stage in results.parts:
        table: pd.DataFrame = results.parts[stage][name]
        return table.drop(columns=list(hidden))
    return pd.DataFrame({"reason": [results.failures.get(stage, "not part of this run")]})


def lost_patients(results: Found) -> int:
    """Patients whose follow-up ended before the horizon, without any event."""
    data, horizon = results.cohort.survival_data(), results.cohort.schema.horizon
    if horizon is None:
        return 0
    return int(((data["status"] == 0) & (data["exit"] < horizon)).sum())


def risk_differences(results: Found) -> tuple[Mapping[str, Record], Way | None]:
    """The difference of the risks to tell: a row of every method's table by engine.

    Standardised over the cohort if the mortality model has covariates. Without them it is crude:
    Miettinen and Nurminen's interval and independent beta-binomials; where follow-up of some ended
    before the horizon, which these cannot take in, the difference of cumulative incidences.

    Returns
    -------
    rows : mapping of str to dict
        Engine to row; an engine without a finite estimate has none.
    way : {"crude", "incidence", "standardised"} or None
        Which of them it is; None if the methods were not run.
    """
    part = results.parts.get("methods")
    if part is None:
        return {}, None
    adjusted = bool(part["adjust"])
    way: Way = "standardised" if adjusted else "incidence" if lost_patients(results) else "crude"
    table = part["table"]
    table = table[(table["quantity"] == "risk difference")]
    table = table[(table["adjusted_for"] != "") == adjusted]
    found = {}
    for engine, (method, prior) in _TOLD[way].items():
        rows = table[(table["method_id"] == method) & (table["prior_id"] == prior)]
        if len(rows) and math.isfinite(rows["estimate"].iloc[0]):
            found[engine] = {str(k): v for k, v in rows.iloc[0].items()}
    return found, way
