"""The difference in change adjusted for where the groups began, as part of the markers' section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.adjustments import adjustments
from longsurv.records import Record
from longsurv.report import sentences_markers as sentences
from longsurv.report.sections import regression
from longsurv.report.sections.common import Picture, compared_words, role_column
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
    which = compared_words(change, results.cohort.schema.time_unit)
    said = [*summary(change, table), *([line[0]] if line else [])]
    return {
        "text": [f"{which}: {said[0][:1].lower()}{said[0][1:]}", *said[1:]] if several else said,
        "line": line[1] if line else None,
        "picture": _picture(change, table, k),
        "table": adjustments_display(
            table, "Difference in change under each adjustment", role_column(results)
        ).of(which * several),
        "remarks": remarks(table).of(which * several),
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


def remarks(table: pd.DataFrame) -> DisplayTable:
    """Notes and reasons, each once, with the answers they are about; those that differ in their
    numbers only are one remark, and the numbers stand beside the markers.

    Parameters
    ----------
    table : DataFrame
        label, adjustment_label, notes and reason of each answer.
    """
    about: dict[str, dict[str, list[tuple[str, str]]]] = {}  # to adjustment to markers and notes
    for row in table.to_dict("records"):
        said = [*row["notes"].split("; "), f"not estimated: {row['reason']}" * bool(row["reason"])]
        for note in filter(None, said):
            kinds = about.setdefault(_without_numbers(note), {})
            named = kinds.setdefault(row["adjustment_label"], [])
            named += [(row["label"], note)] if (row["label"], note) not in named else []
    every = table["adjustment_label"].nunique()
    rows = []
    for kinds in about.values():
        together: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for kind, named in kinds.items():
            together.setdefault(tuple(named), []).append(kind)
        for alike, of in together.items():
            who = "All" if len(of) == every else listed(of)
            rows.append((who, *_remark(alike)))
    columns = [
        Column("Adjustment", "adjustment", numeric=False),
        Column("Remark", "note", numeric=False, prose=True),
        Column("Markers", "markers", numeric=False, prose=True),
    ]
    frame = pd.DataFrame(rows, columns=["adjustment", "note", "markers"])
    note = f"In brackets: the numbers that are {_GAP} in the remark."
    note *= bool(frame["note"].str.contains(_GAP, regex=False).any())
    return display(frame, "Remarks on the adjusted answers", columns, note, name="remarks")


_NUMBER = re.compile(r"\d[\d,.]*\d|\d")
_GAP = "\N{HORIZONTAL ELLIPSIS}"
_ONE = {"is": "are", "was": "were", "has": "have", "lies": "lie", "enters": "enter", "its": "their",
        "value": "values", "patient": "patients"}  # fmt: skip


def _without_numbers(note: str) -> str:
    """What notes that differ in their numbers only have in common."""
    return " ".join(_ONE.get(word, word) for word in _NUMBER.sub(_GAP, note).split())


def _remark(named: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """One remark for notes of one kind, and their markers with the numbers that differ."""
    found = [_NUMBER.findall(note) for _, note in named]
    apart = [len(set(at)) > 1 for at in zip(*found, strict=True)]
    numbers: dict[str, list[str]] = {}
    for (label, _), own in zip(named, found, strict=True):
        differing = ", ".join(number for number, one in zip(own, apart, strict=True) if one)
        numbers.setdefault(label, []).append(differing)
    # In the words of the one with the most, which are of several.
    most = max(range(len(named)), key=lambda k: [(len(number), number) for number in found[k]])
    gaps = iter(apart)
    text = _NUMBER.sub(lambda number: _GAP if next(gaps) else number.group(), named[most][1])
    return text, ", ".join(
        f"{label} ({'; '.join(dict.fromkeys(own))})" if any(own) else label
        for label, own in numbers.items()
    )
