"""Curves of the groups made alike, beside those observed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.estimands.survival_by_group import risk_times
from longsurv.figures import incidence
from longsurv.report import sentences, sentences_adjusted
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part
from longsurv.report.sentences_mortality import Compared
from longsurv.study.adjusted_curves import CURVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.records import Record
    from longsurv.study import StudyResults

TITLE = "Curves of groups made alike"
WAYS = {
    "observed": "As observed", "weighted": "Weighted", "standardised": "Standardised",
}  # fmt: skip


def adjusted_part(results: StudyResults) -> Part | None:
    """The risks as weighted and standardised, and their curves behind a fold; None without them."""
    part = results.parts.get(CURVES)
    if part is None:
        return None
    unit = results.cohort.schema.time_unit
    when = sentences.by_when(part["horizon"], unit)
    asked = Compared(part["group"], part["reference"], results.cohort.event_name, when)
    risks = risks_at_end(part)
    text = sentences_adjusted.adjusted_risks(
        asked, risks, part["weighted_for"], part["standardised_for"], part["effective"],
        bool(results.cohort.schema.competing),
    )  # fmt: skip
    missing = [
        f"{WAYS[way]}: not estimated. {reason.rstrip('.')}."
        for way, reason in part["reasons"].items()
    ]
    return Part(TITLE, (text, *missing), (_picture(results, part, asked, risks),))


def risks_at_end(part: Record) -> dict[str, tuple[float, float]]:
    """Way to the risks of the group and of the reference at the end, those there are.

    Parameters
    ----------
    part : mapping
        What the stage found.
    """
    last = part["table"].sort_values("time", kind="stable").groupby(["way", "group"]).last()
    found = {}
    for way in WAYS:
        pair = tuple(
            1.0 - float(last["estimate"].get((way, part[name]), math.nan))
            for name in ("group", "reference")
        )
        if all(map(math.isfinite, pair)):
            found[way] = (pair[0], pair[1])
    return found


def _picture(
    results: StudyResults, part: Record, asked: Compared, risks: dict[str, tuple[float, float]]
) -> Picture:
    schema = results.cohort.schema
    curves = curves_of(part["table"])
    start, end = float(curves["time"].min()), float(part["horizon"])
    since = f" since {schema.time_zero}" if schema.time_zero else ""
    ticks = risk_times(start, end, schema.time_unit, most=5)

    def draw(width: float) -> Axes:
        return incidence(
            curves, groups=[asked.reference, asked.group],
            xlabel=f"{schema.time_unit.capitalize()}{since}", ticks=ticks, width=width,
        )  # fmt: skip

    said = "; ".join(
        f"{WAYS[way].lower()}, {asked.group} {100 * one:.1f} %, {asked.reference}"
        f" {100 * other:.1f} %"
        for way, (one, other) in risks.items()
    )
    caption = (
        "Percentage with the event, competing events censored, with pointwise 95 % bands."
        f" Weighted: by overlap weights {of_arms(part['arms'])}from a propensity model."
        + " Standardised: averaged over all patients under a Cox model."
        * bool(part["standardised_for"])
    )
    label = f"Risks at the end: {said}."
    return Picture("adjusted-curves", draw, label, caption, "Curves of groups made alike, drawn")


def of_arms(arms: int) -> str:
    """That weights make more than the two groups alike, in words.

    Parameters
    ----------
    arms : int
        So many are weighted.
    """
    return f"of all {arms} arms " if arms > 2 else ""


def curves_of(table: pd.DataFrame) -> pd.DataFrame:
    """Survival as percentages with the event, the way as the panel.

    Parameters
    ----------
    table : DataFrame
        way, group, time, estimate, conf_low, conf_high.
    """
    turned = table.assign(
        cause=table["way"].map(WAYS), estimate=1.0 - table["estimate"],
        conf_low=1.0 - table["conf_high"], conf_high=1.0 - table["conf_low"],
    )  # fmt: skip
    return turned.dropna(subset=["estimate"])
