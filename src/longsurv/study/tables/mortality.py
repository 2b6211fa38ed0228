"""The answers about mortality of a run: its tables, and the one difference of risks to tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.records import Record
from longsurv.study.comparisons import ByComparison
from longsurv.words import NO_ANSWER

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
    from longsurv.analyses.mortality import competing, methods_table, rows

    hidden = {"methods": rows.IDS, "competing": competing.IDS}.get(stage, ())
    within = {"methods": methods_table.SAME_METHOD, "competing": competing.SAME_ANSWER}
    if stage in results.parts:
        part = results.parts[stage]
        several = isinstance(part, ByComparison)
        table: pd.DataFrame = part.table(name, within.get(stage, ())) if several else part[name]
        return table.drop(columns=list(hidden))
    return pd.DataFrame({"reason": [results.failures.get(stage, "not part of this run")]})


def arm_ratios_table(results: Found) -> pd.DataFrame:
    """Hazard ratios of the comparisons of several arms, with intervals that hold for all of them
    together; where there are none, the reason."""
    from longsurv.analyses.mortality.arm_ratios import arm_ratios

    model, study = results.mortality, results.study
    if model.fit is None:
        return pd.DataFrame({"reason": [model.reasons.get("ml", "not part of this run")]})
    try:
        return arm_ratios(
            model.fit, study.cohort.schema.treatment,
            list(map(str, study.cohort.groups)), study.models.compare_arms,
        )  # fmt: skip
    except LongsurvError as error:
        return pd.DataFrame({"reason": [str(error)]})


type Beside = Literal["the headline", "another quantity", "another assumption"]


def headline_methods(results: Found, quantity: str) -> frozenset[tuple[str, str]]:
    """`method_id` and `prior_id` of the answers that are told first.

    Parameters
    ----------
    results : Found
    quantity : {"hazard ratio", "risk difference"}
    """
    if quantity == "hazard ratio":
        firth = getattr(results.mortality.fit, "penalty", None) == "firth"
        own = "Cox, Firth, profile" if firth else "Cox, Wald"
        return frozenset({(own, ""), ("Cox posterior", "weak")})
    _, way = risk_differences(results)
    return frozenset(_TOLD[way].values()) if way else frozenset()


def beside_headline(row: Record, headline: frozenset[tuple[str, str]], adjusted_for: str) -> Beside:
    """Where a method's answer differs from the headline's, why it may.

    Another quantity: conditional on other covariates, in a world without competing events, or about
    other patients. Another assumption: of the interval, the model or the prior.

    Parameters
    ----------
    row : mapping
        Of the table of every method.
    headline : set of (str, str)
        Of `headline_methods`.
    adjusted_for : str
        The covariates of the mortality model, as in that column.
    """
    if row["world"] or row["adjusted_for"] != adjusted_for:
        return "another quantity"
    first = (row["method_id"], row["prior_id"]) in headline
    return "the headline" if first else "another assumption"


def patients_in(results: Found, *groups: str) -> pd.DataFrame:
    """Follow-up of the patients of some groups."""
    data = results.cohort.survival_data()
    chosen: pd.DataFrame = data[data[results.cohort.schema.treatment].astype(str).isin(groups)]
    return chosen


def lost_patients(results: Found, *groups: str) -> int:
    """Patients whose follow-up ended before the horizon, without any event.

    Parameters
    ----------
    results : Found
    *groups : str
        Whose patients are counted; those of all by default.
    """
    data, horizon = results.cohort.survival_data(), results.cohort.schema.horizon
    if groups:
        data = patients_in(results, *groups)
    if horizon is None:
        return 0
    return int(((data["status"] == 0) & (data["exit"] < horizon)).sum())


def risk_differences(results: Found) -> tuple[Mapping[str, Record], Way | None]:
    """The difference of the risks to tell: a row of every method's table by engine.

    Always of the cumulative incidence: the probability of the event by the horizon in a world where
    competing events happen as they do. Standardised over the cohort if the mortality model has
    covariates. Without them it is crude, which is the same where everybody is followed to the
    horizon or to an event: Miettinen and Nurminen's interval and independent beta-binomials; where
    follow-up of some ended before, it is read off the curves.

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
    if adjusted and _compete(results):
        return _standardised(part), way
    found = {engine: _row_told(part, way, engine) for engine in _TOLD[way]}
    return {engine: row for engine, row in found.items() if math.isfinite(row["estimate"])}, way


def _row_told(part: Record, way: Way, engine: str) -> Record:
    """The row of every method's table whose difference is told, with or without an answer."""
    table, (method, prior) = part["table"], _TOLD[way][engine]
    table = table[table["quantity"] == "risk difference"]
    table = table[(table["adjusted_for"] != "") == bool(part["adjust"])]
    rows = table[(table["method_id"] == method) & (table["prior_id"] == prior)]
    if rows.empty:
        return {"estimate": math.nan, "note": ""}
    return {str(k): v for k, v in rows.iloc[0].items()}


def why_untold(results: Found) -> str:
    """Why there are no risks to tell by maximum likelihood; empty if there are, or none was asked.

    Parameters
    ----------
    results : Found
    """
    _, way = risk_differences(results)
    if way is None or told_risks(results) is not None:
        return ""
    part = results.parts["methods"]
    reasons: list[str] = []
    if way == "standardised":
        table = part["standardised"]
        reasons += table.loc[table["engine"] == "ml", "reason"].tolist()
    _, answerless, reason = str(_row_told(part, way, "ml")["note"]).partition(f"{NO_ANSWER}: ")
    return next((text for text in (*reasons, reason if answerless else "") if text), "")


def _compete(results: Found) -> bool:
    return bool((results.cohort.survival_data()["status"] > 1).any())


def _standardised(part: Record) -> dict[str, Record]:
    """The difference of the standardised cumulative incidences by engine."""
    table = part["standardised"]
    rows = table[(table["quantity"] == "risk difference") & table["estimate"].notna()]
    return {row["engine"]: row for row in rows.to_dict("records")}


@dataclass(frozen=True)
class ToldRisks:
    """The risks to tell: of either group, by maximum likelihood, between 0 and 1.

    Attributes
    ----------
    group, reference : str
    horizon : float
    risk, reference_risk : float
    difference : mapping
        The row of their difference, by the same method.
    events : int
        Of both groups together.
    way : {"crude", "incidence", "standardised"}
    """

    group: str
    reference: str
    horizon: float
    risk: float
    reference_risk: float
    difference: Record
    events: int
    way: Way


def told_risks(results: Found) -> ToldRisks | None:
    """The risks that belong to `risk_differences`; None where there are none."""
    rows, way = risk_differences(results)
    if way is None or "ml" not in rows:
        return None
    part = results.parts["methods"]
    events, n, reference_events, reference_n = part["counts"]
    risks = (events / n, reference_events / reference_n)
    if way == "incidence":
        risks = _incidences(results, part["group"], part["reference"])
    elif way == "standardised":
        risks = _of_groups(part["standardised"], "ml", part["group"], part["reference"])
    if not all(map(math.isfinite, risks)):
        return None
    return ToldRisks(
        part["group"], part["reference"], part["horizon"], *risks, rows["ml"],
        events + reference_events, way,
    )  # fmt: skip


def crude_difference(results: Found) -> float:
    """The difference of the crude cumulative incidences, group minus reference; NaN without one."""
    part = results.parts["methods"]
    risk, reference = _incidences(results, part["group"], part["reference"])
    return risk - reference


def _incidences(results: Found, *groups: str) -> tuple[float, float]:
    """The event's cumulative incidence in two groups; NaN without an answer."""
    part = results.parts.get("competing")
    if part is None:
        return math.nan, math.nan
    table = part["table"]
    table = table[table["cause"] == table["cause"].iloc[0]]
    return _of_groups(table, "frequentist", *groups)


def _of_groups(table: pd.DataFrame, engine: str, *groups: str) -> tuple[float, float]:
    """The risks of two groups in a table of risks; NaN without an answer."""
    if table.empty:
        return math.nan, math.nan
    table = table[table["engine"] == engine]
    risk, reference = (
        float(next(iter(table.loc[table["quantity"] == f"risk of {g}", "estimate"]), math.nan))
        for g in groups
    )
    return risk, reference
