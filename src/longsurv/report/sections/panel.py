"""All markers together: corrections for multiplicity, and effects shrunken by family."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.shrinkage import shrinkage
from longsurv.report import sentences_markers as sentences
from longsurv.report.sections.common import NUMBERS_BELOW, Picture, compared_words
from longsurv.report.sentences import Answer
from longsurv.report.tables.shrinkage import (
    families_display,
    left_out_display,
    shrunken_display,
)
from longsurv.study.marker_stages import PANEL, ShrunkenChange, ShrunkenPart
from longsurv.study.tables.shrinkage import families_table, shrunken_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

TITLE = "Multiplicity and shrinkage"
_NO_FAMILY = (
    "Nothing is shrunken: that needs a family of at least three markers with an answer and a better"
    " direction (family and direction under its [markers.NAME] in the study file). The p-values"
    " corrected for multiplicity stand in the table of differences in change."
)


def build(results: StudyResults) -> dict[str, object]:
    """What the template shows: text, then figure and tables of each comparison."""
    part: ShrunkenPart = results.part_of(PANEL, ShrunkenPart())
    if part.reason:
        return {"title": TITLE, "text": [part.reason], "comparisons": []}
    return {
        "title": TITLE,
        "text": [] if all(one.families.empty for one in part.changes) else [_opening(results)],
        "comparisons": [_comparison(results, one, k) for k, one in enumerate(part.changes)],
    }


def _opening(results: StudyResults) -> str:
    return (
        f"Among {len(results.markers)} markers some may differ by chance alone. The corrected"
        " p-values above guard against that one marker at a time; the hierarchical model instead"
        " takes the markers of a family together and draws each towards their common mean, the more"
        " so the less its own values say. It takes the markers of a patient as independent given"
        " their effects: where they move together, a family's mean is less certain than it says."
    )


def _comparison(results: StudyResults, one: ShrunkenChange, k: int) -> dict[str, object]:
    table = shrunken_table(results, one)
    families = families_table(one, table)
    several = len(results.study.contrasts) > 1
    which = compared_words(one.change, results.cohort.schema.time_unit) * several
    return {
        "text": summary(one, table, families, several),
        "picture": _picture(one, table, families, k) if len(families) else None,
        "table": shrunken_display(table).of(which),
        "families": families_display(families).of(which),
        "left_out": left_out_display(table).of(which),
    }


def summary(
    one: ShrunkenChange, table: pd.DataFrame, families: pd.DataFrame, several: bool = False
) -> list[str]:
    """What the families have in common, and what shrinking did."""
    change = one.change
    found = [f"{change.level} against {change.reference}, {change.start} to {change.end}."]
    found = found if several else []
    if families.empty:
        return [*found, _NO_FAMILY]
    if one.warning:
        found.append(f"Shrunken effects: {one.warning}")
    level, reference = str(change.level), str(change.reference)
    for k, row in enumerate(families.to_dict("records")):
        mean = Answer(
            row["mean"], row["mean_low"], row["mean_high"], prob_positive=row["prob_benefit"]
        )
        found.append(
            sentences.family_mean(
                row["family"], row["markers"], mean, level, reference, again=k > 0
            )
        )
    shown = table[table["estimate_shrunken"].notna()]
    alone, shrunken = (
        {
            row["label"]: Answer(
                *(row[f"{c}_{kind}"] for c in ("estimate", "conf_low", "conf_high"))
            )
            for row in shown.to_dict("records")
        }
        for kind in ("bayes", "shrunken")
    )
    return [*found, sentences.shrinkage_summary(alone, shrunken)]


def _picture(one: ShrunkenChange, table: pd.DataFrame, families: pd.DataFrame, k: int) -> Picture:
    change = one.change
    caption = (
        "Posterior difference in change of each marker on its own (filled) and drawn towards the"
        " mean of its family (open), in standard deviations of its first value, with 95 % credible"
        f" intervals. Right of zero: better in {change.level}."
    )
    means = "; ".join(
        f"{row['family']} mean {row['mean']:.2f} SD" for row in families.to_dict("records")
    )
    label = (
        f"Effects of {int(table['estimate_shrunken'].notna().sum())} markers on their own and"
        f" shrunken by family ({means})."
    )
    draw = partial(
        _draw, table, families, left=f"better in {change.reference}",
        right=f"better in {change.level}",
    )  # fmt: skip
    return Picture(f"shrinkage-{k}", draw, label, caption, beside=NUMBERS_BELOW)


def _draw(
    table: pd.DataFrame, families: pd.DataFrame, width: float, *, left: str, right: str
) -> Axes:
    return shrinkage(table, families, width=width, left_label=left, right_label=right)
