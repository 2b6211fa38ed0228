"""Markers and the outcome in one likelihood, and what ignoring one or the other would have said."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv import numbers
from longsurv.figures import forest
from longsurv.figures.prediction import prediction, time_ticks
from longsurv.report import sentences_joint
from longsurv.report.sections.common import (
    ENGINE_NAMES,
    Picture,
    unit_one,
    with_unit,
)
from longsurv.report.sections.mortality_part import Part
from longsurv.report.sections.titles import TITLES
from longsurv.report.sentences import Answer
from longsurv.study.joint_stage import JOINT, NONE_ASKED, SHOWN, JointResult
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import capital, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults


METHODS = {"ml": "maximum likelihood", "bayes": "Bayes"}


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    if JOINT in results.failures:
        return {"text": [results.failures[JOINT]], "parts": []}
    part = results.parts.get(JOINT)
    if part is None or part.reason:
        quick = results.quick and bool(results.study.models.joint)
        reason = "A quick run fits no joint model." if quick else NONE_ASKED
        return {"text": [reason], "parts": []}
    parts = [
        found
        for k, (name, result) in enumerate(part.results.items())
        for found in (_association(results, name, result, k), _prediction(results, name, result, k))
        if found is not None
    ]
    return {"text": [_opening(results)], "parts": parts}


def _opening(results: StudyResults) -> str:
    event = results.cohort.event_name
    competing = (
        " Competing events are taken as censoring." if results.cohort.schema.competing else ""
    )
    return (
        f"A marker is not measured after {event}, and those who die may have had another course:"
        f" the joint model estimates the marker's curve and the hazard of {event}, which depends on"
        " the curve's current value, from one likelihood."
        f"{competing} The association describes; it does not say what changing the marker would do."
    )


def _association(results: StudyResults, name: str, result: JointResult, position: int) -> Part:
    label, event = results.cohort.markers[name].label, results.cohort.event_name
    title = f"{label} and {event}"
    items: list[str | Picture | DisplayTable] = [_verdict(results, result)]
    more: tuple[DisplayTable, ...] = ()
    if result.association is None:
        reasons = [*result.model.reasons.values(), *result.missing.values()]
        items += [f"{label}: {reason}" for reason in dict.fromkeys(reasons)]
    else:
        table, change = told(result.association.table, label)
        answers = {m: _answer(row) for m, row in table.set_index("method_id").iterrows()}
        items += [f"{ENGINE_NAMES[e]}: not estimated. {r}" for e, r in result.model.reasons.items()]
        items += [
            sentences_joint.association(change, event, answers.get("ml"), answers.get("bayes")),
            result.association.words,
            _forest(label, change, table, position),
        ]
        more = (_methods(table, change),)
    items += _ignoring(results, name, result)
    return Part(title, tuple(item for item in items if item), more)


def _verdict(results: StudyResults, result: JointResult) -> str:
    """Which of its fits cannot be relied on, to stand before their numbers; empty if all can."""
    failed = [
        METHODS[engine]
        for engine in result.model.answers
        if not results.verdicts[result.model.name, engine].ok
    ]
    return (
        f"Not to be relied on as they stand: the numbers by {listed(failed)}, for the reasons"
        f" under \N{LEFT DOUBLE QUOTATION MARK}{TITLES['checks']}\N{RIGHT DOUBLE QUOTATION MARK}."
        if failed
        else ""
    )


def told(table: pd.DataFrame, label: str) -> tuple[pd.DataFrame, str]:
    """The change a reader understands best: a doubling, else one SD; and its name."""
    scale = next(scale for scale in ("doubling", "sd", "unit") if scale in set(table["scale"]))
    rows = table[table["scale"] == scale]
    size = float(rows["size"].iloc[0])
    if scale == "doubling":
        return rows, f"a doubling of {label}"
    by = f"one SD ({size:.3g})" if scale == "sd" else "one unit" if size == 1.0 else f"{size:g}"
    return rows, f"{by} more of the current {label}"


def _answer(row: pd.Series) -> Answer:
    return Answer(row["hazard_ratio"], row["conf_low"], row["conf_high"], ratio=True)


def _forest(label: str, change: str, table: pd.DataFrame, position: int) -> Picture:
    rows = pd.DataFrame(
        {
            "row": [capital(method) for method in table["method"]],
            "series": [ENGINE_NAMES["bayes" if m == "bayes" else "ml"] for m in table["method_id"]],
            "estimate": table["hazard_ratio"].to_numpy(),
            "conf_low": table["conf_low"].to_numpy(),
            "conf_high": table["conf_high"].to_numpy(),
            "text": [_answer(row).text for _, row in table.iterrows()],
        }
    )

    def draw(width: float) -> Axes:
        return forest(
            rows,
            xlabel=f"Hazard ratio for {change} (logarithmic axis)",
            log=True,
            width=width,
            text_heading="Hazard ratio (95 % interval)",
        )

    caption = (
        f"Hazard ratio for {change} by four methods, with 95 % intervals. The last value carried"
        " forward takes measurement error for nothing; two stages ignore the uncertainty of the"
        " curves."
    )
    words = "; ".join(f"{row['row']} {row['text']}" for row in rows.to_dict("records"))
    return Picture(f"association-{position}", draw, f"Hazard ratios: {words}.", caption)


def _methods(table: pd.DataFrame, change: str) -> DisplayTable:
    columns = [
        Column("Method", lambda row: capital(row["method"]), numeric=False),
        Column(
            "Hazard ratio (95 % interval)",
            lambda row: numbers.ratio(row["hazard_ratio"], row["conf_low"], row["conf_high"]),
        ),
    ]
    return display(table, f"{capital(change)}: the hazard ratio by four methods", columns)


def _ignoring(results: StudyResults, name: str, result: JointResult) -> list[str]:
    """The interaction of time and treatment, with and without the hazard."""
    marker, slopes = results.cohort.markers[name], result.slopes
    scale = ", on the logarithm" if marker.transform == "log" else ""
    found = []
    crossed = slopes[slopes["interaction"].astype(bool)]
    several = crossed["term"].nunique() > crossed["level"].nunique()
    for _, rows in crossed.groupby("term", sort=False):
        answers = {
            row["id"]: Answer(row["estimate"], row["conf_low"], row["conf_high"])
            for row in rows.to_dict("records")
        }
        if "alone" in answers and "ml" in answers:
            course = f"Difference in the course of {marker.label}{scale}"
            what = f"{course}, {_compared(rows.iloc[0], results, several)}"
            event = results.cohort.event_name
            found.append(sentences_joint.ignoring(what, answers["alone"], answers["ml"], event))
    return found


def _compared(row: pd.Series, results: StudyResults, several: bool) -> str:
    """Who is compared, and over what time."""
    schema, reference = results.cohort.schema, results.cohort.groups[0]
    per = (
        f"per {unit_one(schema.time_unit)}"
        if row["own_time"]
        else "in the time that the formula makes of it"
    )
    # A course of several pieces has a coefficient for each.
    part = f", {row['term']}" if several else ""
    return f"{row['level']} against {reference}, {per}{part}"


def _prediction(
    results: StudyResults, name: str, result: JointResult, position: int
) -> Part | None:
    found = result.prediction
    if found is None:
        return None
    cohort = results.cohort
    marker, schema = cohort.markers[name], cohort.schema
    end = float(found.table["time"].max())
    unit = schema.time_unit
    title = f"{marker.label}: prediction for three of those at risk"
    words, titles = [], {}
    named = results.study.show_patients
    order = found.table.sort_values(
        "rank", key=lambda ranks: ranks.map(list(SHOWN).index), kind="stable"
    )
    for patient, rows in order.groupby("patient", sort=False):
        last = rows.sort_values("time").iloc[-1]
        chances = (last["estimate"], last["conf_low"], last["conf_high"])
        until = f"to {numbers.plain(end)} {unit}"
        words.append(
            sentences_joint.predicted(
                str(last["rank"]), str(patient) if named else "", str(last["group"]), chances, until
            )
        )
        shown = str(patient) if named else capital(str(patient))
        titles[patient] = f"{shown}, {last['group']}"
    table = order.assign(title=order["patient"].map(titles))

    when = f"{numbers.plain(found.at)} {unit}"
    left = (
        f"Left of the line what was measured by {when} (black), right of it the predicted survival"
        if named
        else f"From what was measured by {when} (not shown), the predicted survival"
    )
    caption = f"{left} from there on with its 95 % credible interval (colour)."
    draw = partial(
        _draw,
        table,
        found.measured,
        at=found.at,
        ylabel=with_unit(marker.label, marker.unit),
        xlabel=unit.capitalize(),
        log=marker.transform == "log",
        ticks=time_ticks(end),
    )
    picture = Picture(f"prediction-{position}", draw, " ".join(words), caption)
    said = (found.note,) if found.note else ()
    return Part(title, (*words, *said, picture), aside=True)


def _draw(
    table: pd.DataFrame,
    measured: pd.DataFrame,
    width: float,
    **options: Any,  # any: those of `prediction`
) -> Axes:
    return prediction(table, measured, width=width, **options)
