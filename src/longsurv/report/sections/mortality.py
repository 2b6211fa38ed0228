"""Survival by group, the hazard ratio by both engines, and how far the answer can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.estimands.survival_by_group import numbers_at_risk, risk_times, survival_curves
from longsurv.figures import forest, kaplan_meier
from longsurv.records import Record
from longsurv.report import sentences, sentences_mortality
from longsurv.report.sections.common import (
    ENGINE_NAMES,
    Picture,
    hazard_answers,
    unit_one,
)
from longsurv.report.sections.mortality_adjusted import adjusted_part
from longsurv.report.sections.mortality_arms import arms_part
from longsurv.report.sections.mortality_carried import carried_part
from longsurv.report.sections.mortality_competing import competing_part
from longsurv.report.sections.mortality_methods import methods_part
from longsurv.report.sections.mortality_part import Part, is_penalised, penalty_sentence
from longsurv.report.sections.mortality_priors import priors_part
from longsurv.report.sections.mortality_subgroups import subgroups_part
from longsurv.report.sections.mortality_target import target_part
from longsurv.report.sections.mortality_tipping import tipping_part
from longsurv.study.adjusted_curves import CURVES
from longsurv.study.subgroup_stage import SUBGROUPS
from longsurv.study.tables.survival import event_counts, median_times
from longsurv.study.terms import covariates_of, level_of, modifiers_of, treatment_terms
from longsurv.study.unanswered import unanswered
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.figures.place import Where
    from longsurv.study import StudyResults

PARTS = (
    arms_part, carried_part, adjusted_part, competing_part, methods_part, priors_part, tipping_part,
    subgroups_part, target_part,
)  # fmt: skip
OF_ALL_ARMS = frozenset({arms_part, carried_part, target_part})
"""Parts that are not of one comparison of two arms."""
STAGES = {
    CURVES: "the curves of groups made alike",
    "carried": "the hazard ratio adjusted for what the events carry",
    "competing": "the cumulative incidences",
    "methods": "the answers of every method",
    "priors": "the answers under several priors",
    "tipping": "what unseen events would change",
    SUBGROUPS: "the effect in subgroups",
    "target": "the emulated trial",
}


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    data = results.cohort.survival_data()
    return {
        "text": text(results, data),
        "kaplan_meier": survival_picture(results),
        "counts": _counts(results, data),
        "hazards_title": "Hazard ratios",
        "penalty": penalty_sentence(results),
        "warning": sentences.few_events(int(data["event"].sum()), results.cohort.event_name),
        "forest": None if _drawn_below(results) else _forest(results),
        "hazards": hazards(results),
        "compatible": compatible(results),
        "reason": " ".join(reasons(results)),
        "parts": parts(results),
        "missing": missing(results),
    }


def parts(results: StudyResults) -> list[Part]:
    """The parts of the section; of several arms those about two are there for each comparison."""
    found, compared = [], results.compared
    for make in PARTS:
        if len(compared) < 2 or make in OF_ALL_ARMS:
            found += [make(results)]
            continue
        for place, (one, its) in enumerate(compared.items()):
            part = make(its)
            found += [part and part.of_comparison(one, place)]
    return [part for part in found if part is not None]


def compatible(results: StudyResults) -> list[str]:
    """Of each comparison whether its intervals leave the direction open."""
    model, cohort = results.mortality, results.cohort
    terms = {} if modifiers_of(model, cohort) else treatment_terms(model, cohort)
    several = results.tables["hazard_ratios"]["term"].nunique() > 1
    found = []
    for level, term in terms.items():
        answers = hazard_answers(model, term)
        said = sentences.compatible(answers.get("ml"), answers.get("bayes"))
        of = f"{level} against {cohort.groups[0]}: " if several else ""
        found += [f"{of}{said[:1].lower()}{said[1:]}" if of else said] if said else []
    return found


def reasons(results: StudyResults) -> list[str]:
    """Why an engine has no answer about the hazard, or none for some coefficients."""
    model = results.mortality
    found = [f"{ENGINE_NAMES[engine]}: {reason}" for engine, reason in model.reasons.items()]
    for engine, result in model.answers.items():
        why = dict.fromkeys(unanswered(result, row) for _, row in result.tidy().iterrows())
        found += [f"{ENGINE_NAMES[engine]}: {reason.rstrip('.')}." for reason in why if reason]
    return found


def missing(results: StudyResults) -> list[str]:
    """Why there is no answer to a part's question, the parts of one reason together."""
    by_reason: dict[str, list[str]] = {}
    several = {one: its for one, its in results.compared.items() if its is not results}
    for stage, name in STAGES.items():
        if stage in results.failures:
            by_reason.setdefault(results.failures[stage], []).append(name)
        for one, its in several.items():
            if stage in its.failures:
                of = f"{name}, {one.words}"
                by_reason.setdefault(its.failures[stage], []).append(of)
    return [
        f"Not estimated: {listed(names)}. Reason: {reason}." for reason, names in by_reason.items()
    ]


def text(results: StudyResults, data: pd.DataFrame) -> list[str]:
    """What is estimated, and what competing events do to it."""
    schema, event = results.cohort.schema, results.cohort.event_name
    entry = float(data["entry"].min())
    found = [sentences.estimand(event, schema.horizon, entry or None, schema.time_unit)]
    for code, label in enumerate(schema.competing, 2):
        count = int((data["status"] == code).sum())
        found.append(sentences.competing(label, count, event))
    found.append(sentences_mortality.in_one_model(len(results.compared)))
    return [sentence for sentence in found if sentence]


def survival_picture(results: StudyResults, ax: Where = None) -> Picture:
    """Kaplan and Meier's curves of the groups."""
    data = results.cohort.survival_data()
    schema = results.cohort.schema
    groups = [str(g) for g in results.cohort.groups]
    curves = survival_curves(data, schema.treatment, groups)
    start, end = float(curves["time"].min()), schema.horizon or float(curves["time"].max())
    at_risk = numbers_at_risk(
        data, schema.treatment, groups, risk_times(start, float(end), schema.time_unit)
    )
    since = f" since {schema.time_zero}" if schema.time_zero else ""
    unit = schema.time_unit.capitalize()
    alive = "Survival probability" if results.cohort.event_name == "death" else "Free of the event"

    def draw(width: float) -> Axes:
        return kaplan_meier(
            curves,
            at_risk,
            groups=groups,
            xlabel=f"{unit}{since}",
            ylabel=alive,
            width=width,
            ax=ax,
        )

    last = curves.sort_values("time").groupby("group", sort=False).last()
    ends = "; ".join(f"{g} {numbers.number(last.loc[g, 'estimate'])}" for g in groups)
    caption = (
        "Kaplan-Meier estimate by group with pointwise 95 % confidence bands (log-log); upright"
        " ticks mark censoring; numbers at risk below."
    )
    return Picture("kaplan-meier", draw, f"Kaplan-Meier curves; at the end {ends}.", caption)


def _counts(results: StudyResults, data: pd.DataFrame) -> DisplayTable:
    cohort = results.cohort
    event, unit = cohort.event_name, cohort.schema.time_unit
    groups = [str(g) for g in cohort.groups]
    table = event_counts(data, cohort.schema.treatment, groups)
    table = table.merge(median_times(data, cohort.schema.treatment, groups), on="group")
    reached, since = bool(table["median"].notna().any()), float(data["entry"].min())
    competing = ", ".join(cohort.schema.competing)
    columns = [
        Column("Group", "group", numeric=False),
        Column("Patients", lambda row: f"{row['patients']:,}"),
        Column(
            "Deaths" if event == "death" else event.capitalize(), lambda row: f"{row['events']:,}"
        ),
        *(
            [Column(competing.capitalize(), lambda row: f"{row['competing']:,}")]
            if competing
            else []
        ),
        Column(
            f"{unit.capitalize()} at risk", lambda row: numbers.plain(round(row["time_at_risk"]))
        ),
        Column(
            f"Per 1,000 {unit}" if unit.startswith("day") else f"Per 100 {unit}",
            lambda row: _rate(row, 1000 if unit.startswith("day") else 100),
        ),
        Column(f"Median follow-up, {unit}", lambda row: _time(row["follow_up"])),
        *([Column(f"Median time to {event}, {unit} (95 % interval)", _median)] if reached else []),
    ]
    note = (
        f"Rate: {event}s per time at risk; one patient for one {unit_one(unit)} is one"
        f" {unit_one(unit)} at risk. "
        if event == "death"
        else ""
    )
    note += "Median follow-up by the reverse Kaplan-Meier method"
    note += f", counted from {unit_one(unit)} 0 as all times are." if since > 0 else "."
    if not reached:
        note += f" No group's curve came down to a half, so there is no median time to {event}."
    else:
        note += f" Median time to {event} from the Kaplan-Meier curve, limits by Brookmeyer and"
        note += " Crowley's method (log-log)."
    return display(table, "Events and time at risk", columns, note, name="counts")


def _time(value: float) -> str:
    return "not reached" if np.isnan(value) else numbers.number(value)


def _median(row: Record) -> str:
    low, high = row["median_low"], row["median_high"]
    if np.isnan(row["median"]):
        return "not reached"
    ends = f"{_time(low)} to {'not reached' if np.isinf(high) else _time(high)}"
    return f"{_time(row['median'])} ({ends})"


def _rate(row: Record, per: float) -> str:
    return (
        numbers.number(per * row["events"] / row["time_at_risk"]) if row["time_at_risk"] > 0 else ""
    )


def term_label(term: str, results: StudyResults) -> str:
    """A coefficient's name as a reader would say it: "ivig against control"."""
    cohort = results.cohort
    for level, name in treatment_terms(results.mortality, cohort).items():
        if name == term:
            return f"{level} against {cohort.groups[0]}"
    compared = level_of(term)
    return ": ".join(compared) if compared else f"{term} (per unit)"


def _forest(results: StudyResults) -> Picture | None:
    answers = [
        (term_label(term, results), ENGINE_NAMES[engine], answer)
        for term in results.tables["hazard_ratios"]["term"].unique()
        for engine, answer in hazard_answers(results.mortality, term).items()
    ]
    if not answers:
        return None
    table = pd.DataFrame(
        [
            {
                "row": row,
                "series": series,
                "estimate": a.estimate,
                "conf_low": a.low,
                "conf_high": a.high,
                "text": a.text,
            }
            for row, series, a in answers
        ]
    )
    levels = [str(g) for g in results.cohort.groups[1:]]
    side = f" in {levels[0]}" if len(levels) == 1 and table["row"].nunique() == 1 else ""

    def draw(width: float) -> Axes:
        return forest(
            table,
            xlabel="Hazard ratio (logarithmic axis)",
            log=True,
            width=width,
            text_heading="Hazard ratio (95 % interval)",
            left_label=f"lower hazard{side}",
            right_label=f"higher hazard{side}",
        )

    caption = (
        f"Hazard ratios{_qualified(results)}, with 95 % intervals: {_interval(results)} confidence"
        " (filled) and equal-tailed credible (open)."
        + (" An arrow means that the interval goes on." if _cut(table) else "")
    )
    label = "; ".join(f"{row}, {series}: hazard ratio {a.text}" for row, series, a in answers) + "."
    return Picture("forest-hazards", draw, label, caption, "Hazard ratios, drawn")


def _drawn_below(results: StudyResults) -> bool:
    """Whether the figure of every method has the only hazard ratio that there is."""
    return "methods" in results.parts and results.tables["hazard_ratios"]["term"].nunique() == 1


def _interval(results: StudyResults) -> str:
    return "profile" if is_penalised(results) else "Wald"


def _likelihood(results: StudyResults) -> str:
    return "Firth's penalised partial" if is_penalised(results) else "partial"


def _qualified(results: StudyResults) -> str:
    covariates = covariates_of(results.mortality, results.cohort)
    return f", {sentences.adjusted_for(covariates)}" if covariates else ""


def _cut(table: pd.DataFrame) -> bool:
    ends = table[["conf_low", "conf_high"]].to_numpy(dtype=float)
    return bool(np.any((ends < 0.01) | (ends > 100)))


def hazards(results: StudyResults) -> DisplayTable:
    """Hazard ratios of every term, the prior beside the posterior it went into."""
    post = results.mortality.post
    priors = {} if post is None else post.stack.describe()
    columns = [
        Column("Comparison", lambda row: term_label(row["term"], results), numeric=False),
        Column("Engine", lambda row: ENGINE_NAMES[row["engine"]], numeric=False),
        Column(
            "Prior of the log hazard ratio",
            lambda row: priors.get(row["term"], "") if row["engine"] == "bayes" else "none",
            numeric=False,
        ),
        Column(
            "Hazard ratio (95 % interval)",
            lambda row: (
                "not estimated"
                if np.isnan(row["estimate"])
                else numbers.ratio(row["estimate"], row["conf_low"], row["conf_high"])
                + (" (see above)" if row["remark"] else "")
            ),
        ),
        Column("p", lambda row: numbers.p_value(row["p_value"]) if row["engine"] == "ml" else ""),
        Column(
            "P(HR < 1)",
            lambda row: (
                numbers.probability(1 - row["prob_positive"]) if row["engine"] == "bayes" else ""
            ),
        ),
    ]
    note = (
        f"Cox model{_qualified(results)}. Maximum ({_likelihood(results)}) likelihood with a"
        f" {_interval(results)} confidence interval; Bayes: the posterior median, with an"
        " equal-tailed credible interval."
    )
    if results.cohort.schema.competing:
        note += " Cause-specific hazards: competing events are censored."
    table = results.tables["hazard_ratios"]
    return display(table, "Hazard ratios, both answers", columns, note, name="hazards")
