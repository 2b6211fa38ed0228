"""What was not seen: early deaths that the study left out, and confounders nobody measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from longsurv import numbers
from longsurv.figures import tipping
from longsurv.records import Record
from longsurv.report import sentences_unseen
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part, comparison
from longsurv.report.sentences_mortality import Compared
from longsurv.report.sentences_unseen import Tipping
from longsurv.study.tables.mortality import lost_patients, patients_in
from longsurv.words import counted, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

FURTHER = 4  # unseen deaths in the worse arm for which the sentence says what they change


def tipping_part(results: StudyResults) -> Part | None:
    """Unseen deaths and unmeasured confounding; None if that stage did not run or failed."""
    part = results.parts.get("tipping")
    if part is None:
        return None
    asked = comparison(results, part)
    events, n, reference_events, reference_n = part["counts"]
    lost = lost_patients(results, part["group"], part["reference"])
    counted = (
        f"{plural(lost, 'patient')} whose follow-up ended before"
        f" {numbers.plain(part['horizon'])} {results.cohort.schema.time_unit}"
        f" {'counts' if lost == 1 else 'count'} here as without the event."
        if lost
        else ""
    )
    ratio = _ratio(events / n, reference_events / reference_n)
    left = "".join(
        f" {sentences_unseen.left_early(count, label, asked)}"
        for label, count in _left(results, part).items()
    )
    counted = f"{counted}{left}".strip()
    texts = [
        _why(results, asked),
        sentences_unseen.tipping(asked, tipping_of(part["points"], part["threshold"])),
    ]
    confounded = (
        ""
        if results.cohort.randomised
        else sentences_unseen.e_value(asked, ratio, part["e_value"], part["e_limit"])
    )
    return Part("What was not seen", (*texts, counted, _picture(part["grid"], asked), confounded))


def tipping_of(points: pd.DataFrame, threshold: float) -> Tipping | None:
    """The tipping points that the sentence names; None if the observed risks are equal."""
    if points.empty:
        return None
    first = points.iloc[0]
    more = points[points["extra_in_worse"] == FURTHER]
    reverse = float(first["to_reverse"])
    known = not more.empty and math.isfinite(reverse)
    further = (FURTHER, int(more["to_reverse"].iloc[0])) if known else None
    return Tipping(
        first["better_arm"] == "group", reverse, int(first["to_unconvince"]),
        threshold, further,
    )  # fmt: skip


def _left(results: StudyResults, part: Record) -> dict[str, int]:
    """Patients of the two groups who left by each competing event before the horizon."""
    data = patients_in(results, part["group"], part["reference"])
    schema, early = results.cohort.schema, data["exit"] < float(part["horizon"])
    found = {
        label: int((early & (data["status"] == code)).sum())
        for code, label in enumerate(schema.competing, 2)
    }
    return {label: count for label, count in found.items() if count}


def _why(results: StudyResults, asked: Compared) -> str:
    schema, many = results.cohort.schema, f"{counted(asked.event)}s"
    entry = float(results.cohort.survival_data()["entry"].min())
    if entry > 0:
        others = "".join(f" and patients gone by {label}" for label in schema.competing)
        return (
            f"Nobody was at risk before {numbers.plain(entry)} {schema.time_unit}: earlier"
            f" {many}{others} are in neither group, and how many there were in each is not"
            f" known. The figure adds the {many} back, so many to either group."
        )
    return f"The figure adds {many} that the study may not have seen, so many to either group."


def _picture(grid: pd.DataFrame, asked: Compared) -> Picture:
    def draw(width: float) -> Axes:
        return tipping(
            grid, group=asked.group, reference=asked.reference, event=asked.event, width=width
        )

    cells = grid.set_index(["extra", "extra_reference"])["prob_benefit"]
    most = int(grid["extra"].max())
    said = [
        f"{name} {numbers.probability(float(cells.loc[at]))}"
        for name, at in (
            ("as observed", (0, 0)),
            (f"with {most} unseen in {asked.group}", (most, 0)),
            (f"with {most} unseen in {asked.reference}", (0, most)),
        )
    ]
    caption = (
        f"Posterior probability that the {asked.risk} is lower in {asked.group}, by the number of"
        f" {counted(asked.event)}s nobody saw in either group (independent Beta(0.5, 0.5) priors)."
    )
    label = f"Probability that the {asked.risk} is lower in {asked.group}: {', '.join(said)}."
    return Picture("tipping", draw, label, caption)


def _ratio(risk: float, reference: float) -> float:
    if reference == 0:
        return math.nan if risk == 0 else math.inf
    return risk / reference
