"""The difference in change adjusted for where the groups began, as part of the markers' section."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.adjustments import adjustments
from longsurv.records import Record
from longsurv.report import sentences_markers as sentences
from longsurv.report.sections import regression
from longsurv.report.sections.common import Picture, role_column
from longsurv.report.sentences import Answer
from longsurv.report.tables.adjustments import adjustments_display
from longsurv.study import lead
from longsurv.study.marker_stages import ADJUSTMENTS, AdjustedPart
from longsurv.study.tables.adjustments import questions_table
from longsurv.tables.display import EMPTY, Column, DisplayTable, display
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.estimands.changes import Change
    from longsurv.study import StudyResults

TITLE = "Difference in change, adjusted for where the groups began"


def build(results: StudyResults, more: tuple[str, ...] = ()) -> dict[str, object]:
    """What the template shows: text, what each adjustment asks, then each comparison.

    Parameters
    ----------
    results : StudyResults
    more : tuple of str
        Sentences after the first.
    """
    part: AdjustedPart = results.part_of(ADJUSTMENTS, AdjustedPart())
    if part.reason:
        return {
            "title": TITLE,
            "text": [part.reason],
            "questions": EMPTY,
            "comparisons": [],
        }
    change, table = part.tables[0]
    return {
        "title": TITLE,
        "text": [began_apart(results, change), *more],
        "comparisons": [_comparison(results, part, k) for k in range(len(part.tables))],
        "questions": _questions(table),
    }


def began_apart(results: StudyResults, change: Change) -> str:
    """The paragraph on regression to the mean, with the markers that began apart."""
    higher, lower = lead.began_apart(results.tables["simple_baseline"], change)
    return sentences.regression_to_the_mean(
        str(change.level), str(change.reference), str(change.start), higher, lower
    )


def summary(change: Change, table: pd.DataFrame) -> list[str]:
    """How many intervals of maximum likelihood are clear under each adjustment."""
    ml = table[table["engine"] == "ml"]
    adjusted = {
        str(kind): {row["label"]: _answer(row) for row in part.to_dict("records")}
        for kind, part in ml.groupby("adjustment_label", sort=False)
    }
    return sentences.adjustments_summary(adjusted, str(change.level))


def _answer(row: Record) -> Answer | None:
    if row["estimate"] != row["estimate"]:
        return None
    return Answer(row["estimate"], row["conf_low"], row["conf_high"], row["scale"] == "ratio")


def _comparison(results: StudyResults, part: AdjustedPart, k: int) -> dict[str, object]:
    change, table = part.tables[k]
    line = regression.build(results, change, k)
    several = len(part.tables) > 1
    which = f": {change.level} against {change.reference}, {change.start} to {change.end}"
    return {
        "text": [*summary(change, table), *([line[0]] if line else [])],
        "line": line[1] if line else None,
        "picture": _picture(change, table, k),
        "table": adjustments_display(
            table,
            "Difference in change under each adjustment" + (which if several else ""),
            role_column(results),
        ),
        "remarks": _remarks(table),
    }


def _picture(change: Change, table: pd.DataFrame, k: int) -> Picture | None:
    if table["std_estimate"].isna().all():
        return None
    names = table["adjustment_label"].unique()
    caption = (
        "Difference in change of every marker under each adjustment, in standard deviations of its"
        " first value (of its logarithm for ratios), with 95 % intervals. Left of zero: the"
        f" marker fell further, or rose less, in {change.level}."
    )
    label = (
        f"Difference in change of {table['marker'].nunique()} markers,"
        f" {', '.join(name[:1].lower() + name[1:] for name in names)}, by both engines; the table"
        " below has every number."
    )
    draw = partial(
        _draw, table, left=f"lower in {change.level}", right=f"higher in {change.level}"
    )  # fmt: skip
    return Picture(f"adjustments-{k}", draw, label, caption)


def _draw(table: pd.DataFrame, width: float, *, left: str, right: str) -> Axes:
    return adjustments(table, width=width, left_label=left, right_label=right)


def _questions(table: pd.DataFrame) -> DisplayTable:
    columns = [
        Column("Adjustment", "label", numeric=False),
        Column("It asks", "question", numeric=False, prose=True),
        Column("It assumes that", "assumes", numeric=False, prose=True),
    ]
    return display(questions_table(table), "What each adjustment asks", columns)


def _remarks(table: pd.DataFrame) -> DisplayTable:
    """Notes and reasons, each once, with the answers they are about."""
    about: dict[str, dict[str, dict[str, None]]] = {}
    for row in table.to_dict("records"):
        said = [*row["notes"].split("; "), f"not estimated: {row['reason']}" * bool(row["reason"])]
        for note in said:
            if note:
                kinds = about.setdefault(note, {})
                kinds.setdefault(row["adjustment_label"], {})[row["label"]] = None
    together: dict[tuple[str, str], list[str]] = {}  # adjustments of which the same is said
    for note, kinds in about.items():
        for kind, labels in kinds.items():
            together.setdefault((", ".join(labels), note), []).append(kind)
    every = table["adjustment_label"].nunique()
    rows = [
        ("All" if len(kinds) == every else listed(kinds), labels, note)
        for (labels, note), kinds in together.items()
    ]
    columns = [
        Column("Adjustment", "adjustment", numeric=False),
        Column("Markers", "markers", numeric=False, prose=True),
        Column("Remark", "note", numeric=False, prose=True),
    ]
    frame = pd.DataFrame(rows, columns=["adjustment", "markers", "note"])
    return display(frame, "Remarks on the adjusted answers", columns, name="remarks")
