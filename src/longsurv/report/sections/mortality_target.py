"""Treatment that begins after time zero: the emulated trial beside what else could be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.estimands.survival_by_group import risk_times
from longsurv.figures import incidence
from longsurv.records import Record
from longsurv.report import sentences, sentences_answer
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part
from longsurv.report.sentences import Answer
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import capital, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

TITLE = "A trial emulated"
GROUPS = ("do not begin", "begin")


def target_part(results: StudyResults) -> Part | None:
    """The emulated trial; why there is none; None where the study asks for none or it failed."""
    part = results.parts.get("target")
    if not part:
        return None
    if "reason" in part:
        return Part(TITLE, (part["reason"],))
    if "no_answer" in part:
        return Part(TITLE, (f"Not estimated: the emulated trial. Reason: {part['no_answer']}.",))
    unit = results.cohort.schema.time_unit
    return Part(
        TITLE,
        (
            part["words"], *part["warnings"], _picture(results, part),
            _answers(part["table"], results.cohort.event_name, part["horizon"], unit),
        ),
        more=(_protocol(part["protocol"]),),
    )  # fmt: skip


def begun_late(results: StudyResults) -> str:
    """What a treatment that begins after time zero does to the groups; empty if it is none."""
    if results.study.target_trial is None:
        return ""
    cohort = results.cohort
    reference, *levels = map(str, cohort.groups)
    since = cohort.schema.time_zero or "time zero"
    return sentences_answer.begun_late(listed(levels), reference, cohort.event_name, since)


def emulated(results: StudyResults) -> str:
    """The answer of the emulated trial in a sentence; that there is none where there is none."""
    settings, part = results.study.target_trial, results.parts.get("target") or {}
    if settings is None:
        return ""
    schema, event = results.cohort.schema, results.cohort.event_name
    when, found = sentences.by_when(schema.horizon, schema.time_unit), None
    if "answer" in part:
        found = Answer(*(100.0 * part["answer"][n] for n in ("estimate", "conf_low", "conf_high")))
        when = sentences.by_when(part["horizon"], schema.time_unit)
    grace = f"{numbers.plain(settings.grace)} {schema.time_unit}"
    return sentences_answer.emulated(found, event, when, grace, part.get("no_answer", ""))


def _answers(table: pd.DataFrame, event: str, horizon: float, unit: str) -> DisplayTable:
    chosen = ("risk difference", "difference in mean time without the event", "hazard ratio")
    rows = table[table["quantity"].isin(chosen) & table["estimate"].notna()]
    columns = [
        Column("Analysis", lambda row: capital(str(row["method"])), numeric=False),
        Column("Of beginning against not", _quantity, numeric=False),
        Column("Estimate (95 % interval)", _estimate),
        Column("But", "note", numeric=False, prose=True),
    ]
    note = (
        f"Risk of {event} by {numbers.plain(horizon)} {unit}, in percentage points; mean time in"
        f" {unit}. Clones: the emulated trial, with a bootstrap over patients."
    )
    return display(rows, "The emulated trial beside other analyses", columns, note, name="target")


def _quantity(row: Record) -> str:
    return capital(str(row["quantity"]))


def _estimate(row: Record) -> str:
    ends = [float(row[name]) for name in ("estimate", "conf_low", "conf_high")]
    if row["quantity"] == "hazard ratio":
        return numbers.ratio(*ends)
    by = 100.0 if row["quantity"] == "risk difference" else 1.0
    return numbers.difference(*(by * end for end in ends))


def _protocol(table: pd.DataFrame) -> DisplayTable:
    columns = [
        Column("Component", "component", numeric=False),
        Column("Target trial", "target_trial", numeric=False, prose=True),
        Column("Emulation", "emulation", numeric=False, prose=True),
    ]
    note = "The components that the TARGET statement asks to specify and to map to the data."
    return display(table, "The target trial and its emulation", columns, note, name="protocol")


def _picture(results: StudyResults, part: Record) -> Picture:
    event, unit = results.cohort.event_name, results.cohort.schema.time_unit
    curves, horizon = part["curves"].assign(cause=event), float(part["horizon"])
    ticks = risk_times(0.0, horizon, unit)

    def draw(width: float) -> Axes:
        return incidence(curves, groups=GROUPS, xlabel=unit.capitalize(), ticks=ticks, width=width)

    last = curves.sort_values("time").groupby("group")["estimate"].last()
    said = "; ".join(f"{name} {100 * last[name]:.0f} %" for name in GROUPS)
    caption = (
        f"Cumulative incidence of {event} under both strategies, by clones that are censored when"
        " their patient departs from them, and weighted; 95 % bootstrap bands."
    )
    return Picture("target", draw, f"Cumulative incidence of {event} at the end: {said}.", caption)
