"""The markers: trajectories, difference in change, and what is asked of them beyond that."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.figures import forest
from longsurv.records import Record
from longsurv.report import sentences
from longsurv.report.sections import (
    adjustments,
    beyond,
    imputed,
    panel,
    scores,
    trajectories,
    truncated,
)
from longsurv.report.sections.common import (
    ENGINE_NAMES,
    Picture,
    change_answer,
    change_words,
    of_comparisons,
    role_column,
    unit_one,
    with_unit,
)
from longsurv.study.lead import leads
from longsurv.tables.display import EMPTY, Column, DisplayTable, display
from longsurv.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.figures.place import Where
    from longsurv.study import StudyResults

IN_TABLE = "The table of differences in change has every number."
_SECTIONS = {
    "lower": "Lower is better",
    "higher": "Higher is better",
    None: "No better direction stated",
}


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    if not results.markers:
        return {"none": "The study has no markers.", "parts": []}
    adjusted = any(one.adjusted for one in leads(results))
    first = ("adjustments", "change") if adjusted else ("change", "adjustments")
    change = {
        "title": "Difference in change, not adjusted" if adjusted else "Difference in change",
        "text": [
            _meaning(results),
            *([] if adjusted else [_of_whom(results)]),
            *marker_sentences(results),
        ],
        # The figure and the table of adjustments have the same.
        "forest": None if adjusted and _repeated(results) else forest_picture(results),
        "changes": EMPTY if adjusted and _repeated(results) else changes(results),
        "failed": failed(results),
    }
    more = (_of_whom(results),) if adjusted else ()
    parts = {"change": change, "adjustments": adjustments.build(results, more)}
    deaths = {"truncated": truncated.build(results)}
    return {
        "none": "",
        "adjusted_first": adjusted,  # the analysis that answers the question leads
        **(deaths if deaths["truncated"]["leads"] else {}),
        "trajectories": {"title": "Trajectories", **trajectories.build(results)},
        **{name: parts[name] for name in first},
        "beyond": beyond.build(results),
        "imputed": imputed.build(results),
        **deaths,
        "panel": panel.build(results),
        "scores": scores.build(results),
    }


def marker_sentences(results: StudyResults) -> list[str]:
    """How many markers changed differently, for each comparison of groups."""
    changes, unit = results.changes, results.cohort.schema.time_unit
    found = []
    several_ends = changes["end"].nunique() > 1
    for level, part in changes.groupby("level", sort=False):
        ml, bayes = part[part["engine"] == "ml"], part[part["engine"] == "bayes"]
        labels = [
            f"{row['label']} ({change_words(row['start'], row['end'], unit)})"
            if several_ends
            else row["label"]
            for _, row in ml.iterrows()
        ]
        said = sentences.changes_summary(
            labels,
            [change_answer(row) for _, row in ml.iterrows()],
            [change_answer(row) for _, row in bayes.iterrows()],
            ml["p_holm"].tolist(),
            ml["p_fdr"].tolist(),
            str(level),
            int(changes["p_holm"].notna().sum()),
        )
        found += [(f"{level} against {results.cohort.groups[0]}", text) for text in said]
    return of_comparisons(found) or ["The study has no markers."]


def _repeated(results: StudyResults) -> bool:
    """Whether the table of adjustments, which has the same answers, leaves none of them out.

    Its probabilities are those of the better direction, which not every marker need have.
    """
    return bool(results.changes["direction"].notna().all())


def _meaning(results: StudyResults) -> str:
    reference, *levels = map(str, results.cohort.groups)
    against = (
        f"{levels[0]} minus {reference}" if len(levels) == 1 else f"each group minus {reference}"
    )
    change = results.changes
    unit = results.cohort.schema.time_unit
    words = (
        change_words(change["start"].iloc[0], change["end"].iloc[0], unit) if len(change) else ""
    )
    return (
        f"The difference in change ({against}; change {words}), not adjusted for where the groups"
        " started. For markers analysed as logarithms it is a ratio: 0.5 means that the fold change"
        " in one group is half that in the other."
    )


def _of_whom(results: StudyResults) -> str:
    """What the answers about markers are conditional on."""
    entry = float(results.cohort.survival_data()["entry"].min())
    return sentences.markers_of(entry, results.cohort.schema.time_unit)


def _row_label(row: pd.Series, results: StudyResults, *, unit: bool = False) -> str:
    changes = results.changes
    extra = []
    if changes["level"].nunique() > 1:
        extra.append(row["level"])
    if changes["end"].nunique() > 1:
        extra.append(f"to {row['end']}")
    label = with_unit(row["label"], row["unit"] if unit and row["scale"] == "difference" else "")
    return label + (f", {', '.join(extra)}" if extra else "")


def changes_forest(results: StudyResults, width: float = 760, ax: Where = None) -> Axes:
    """Forest plot of every marker's difference in change by both engines, in baseline SDs."""
    changes, cohort = results.changes, results.cohort
    table = pd.DataFrame(
        {
            "section": [_SECTIONS[d if d == d else None] for d in changes["direction"]],
            "row": [_row_label(row, results) for _, row in changes.iterrows()],
            "series": changes["engine"].map(ENGINE_NAMES),
            "estimate": changes["std_estimate"],
            "conf_low": changes["std_low"],
            "conf_high": changes["std_high"],
            "text": [_natural(row, with_scale=True) for _, row in changes.iterrows()],
        }
    )
    order = {title: k for k, title in enumerate(_SECTIONS.values())}
    table = table.sort_values("section", key=lambda c: c.map(order), kind="stable")
    levels = [str(g) for g in cohort.groups[1:]]
    group = levels[0] if len(levels) == 1 else "the group"
    phases = isinstance(changes["start"].iloc[0], str)
    per = "" if phases else f" per {unit_one(cohort.schema.time_unit)}"
    return forest(
        table,
        xlabel=f"Difference in change, baseline SD{per}",
        width=width,
        text_heading="As measured (95 % interval)",
        left_label=f"lower in {group}",
        right_label=f"higher in {group}",
        ax=ax,
    )


def forest_picture(results: StudyResults, ax: Where = None) -> Picture | None:
    """The forest of every marker's difference in change; None where there is none."""
    changes = results.changes
    if changes.empty or changes["std_estimate"].isna().all():
        return None
    caption = (
        "Difference in change of every marker, in standard deviations of its first value (of its"
        " logarithm for ratios), with 95 % intervals."
        " As measured, markers analysed as logarithms have a ratio (\N{MULTIPLICATION SIGN}), the"
        " others a difference in their unit."
    )
    label = (
        f"Forest plot of the difference in change of {len(results.markers)} markers by both"
        " engines."
    )
    draw = partial(changes_forest, results, ax=ax)
    return Picture("forest-changes", draw, label, caption, beside=IN_TABLE)


def _natural(row: pd.Series, *, with_scale: bool = False) -> str:
    answer = change_answer(row)
    if answer is None:
        return "not estimated"
    if not with_scale:
        return answer.text
    return "\N{MULTIPLICATION SIGN}" + answer.text if answer.ratio else answer.text


def changes(results: StudyResults) -> DisplayTable:
    """One row a marker: both answers side by side, with the corrected p-values."""
    keys = ["marker", "level", "end"]
    table = results.changes
    ml = table[table["engine"] == "ml"].set_index(keys, drop=False)
    bayes = table[table["engine"] == "bayes"].set_index(keys, drop=False)
    rows = ml[keys].reset_index(drop=True)

    def of(part: pd.DataFrame, row: Record) -> pd.Series:
        return part.loc[tuple(row[k] for k in keys)]

    columns = [
        Column("Marker", lambda row: _row_label(of(ml, row), results, unit=True), numeric=False),
        *role_column(results),
        Column("Effect", lambda row: of(ml, row)["scale"], numeric=False),
        Column("Maximum likelihood (95 % CI)", lambda row: _natural(of(ml, row))),
        Column("p", lambda row: numbers.p_value(of(ml, row)["p_value"])),
        Column("p, Holm", lambda row: numbers.p_value(of(ml, row)["p_holm"])),
        Column("p, FDR", lambda row: numbers.p_value(of(ml, row)["p_fdr"])),
        Column("Bayes (95 % CrI)", lambda row: _natural(of(bayes, row))),
        Column("P(lower)", lambda row: _probability_lower(of(bayes, row))),
    ]
    note = (
        "CI: confidence interval. CrI: equal-tailed credible interval. Ratio: fold change over"
        " fold change. P(lower): posterior probability that the difference in change is negative,"
        " or the ratio below 1. Holm and FDR (Benjamini and Hochberg) correct for the"
        f" {plural(int(ml['p_value'].notna().sum()), 'comparison')} in this table."
    )
    return display(rows, "Difference in change, both answers", columns, note, name="changes")


def _probability_lower(row: pd.Series) -> str:
    value = row["prob_positive"]
    return numbers.MISSING if math.isnan(value) else numbers.probability(1 - value)


def failed(results: StudyResults) -> DisplayTable:
    """The answers there are none of, and why."""
    table = results.changes
    missing = table[table["estimate"].isna()].assign(engine=lambda t: t["engine"].map(ENGINE_NAMES))
    columns = [
        Column("Marker", "label", numeric=False),
        Column("Engine", "engine", numeric=False),
        Column("Why there is no answer", "reason", numeric=False, prose=True),
    ]
    return display(missing, "Not estimated", columns)
