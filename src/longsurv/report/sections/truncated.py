"""Markers that deaths cut short: what is asked of them, and what each question is answered by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences_truncated as sentences
from longsurv.report.sections.common import comparison_column, role_column
from longsurv.study.truncated_stage import TRUNCATED, TruncatedPart, leading
from longsurv.tables.display import EMPTY, Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults
    from longsurv.tables.display import DisplayTable

TITLE = "Deaths and the markers"
_QUANTITIES = {
    "difference": "difference in change", "ratio": "ratio of changes",
    "probability index": "P(better)", "odds ratio": "odds ratio, better",
    "lower bound": "at least", "upper bound": "at most",
}  # fmt: skip


def build(results: StudyResults) -> dict[str, object]:
    """Sentences and tables, empty where nobody died before a marker could be measured."""
    asked = leading(results.study) == "worst"
    none = {"title": TITLE, "leads": False, "text": [], "table": EMPTY, "questions": EMPTY}
    if why := results.failures.get(TRUNCATED):
        return {**none, "text": [sentences.not_compared(why)]}
    part: TruncatedPart | None = results.parts.get(TRUNCATED)
    if part is None or part.table.empty:
        reason = "It is not part of a quick run." if part is None else part.reason
        return {**none, "text": [sentences.not_compared(reason)]} if asked else none
    text = [sentences.died(part.died), *(_worst(results, part.table) if asked else [])]
    return {
        "title": TITLE,
        "leads": asked,
        "text": text,
        "table": _table(results, part.table),
        "questions": _questions(part.table),
    }


@dataclass(frozen=True)
class _Told:
    """The marker that is told of a comparison, why it is that one, and how many are clear."""

    row: pd.Series
    why: str
    counts: tuple[int, int]

    @property
    def names(self) -> tuple[str, str, str]:
        """Marker, group and reference."""
        return self.row["label"], self.row["level"], self.row["reference"]

    @property
    def shown(self) -> numbers.Shown:
        """The probability index and its interval."""
        row = self.row
        return numbers.shown_difference(row["estimate"], row["conf_low"], row["conf_high"], 2)


def _worst(results: StudyResults, table: pd.DataFrame) -> list[str]:
    """What the study asked first: who fares better, death being the worst."""
    found = []
    for rows in _compared(table):
        told = _told(results, rows)
        if told is None:
            found.append(sentences.not_compared(str(rows["reason"].iloc[0])))
            continue
        found.append(
            sentences.fares_better(
                *told.names, told.shown, told.row["p_value"], told.counts, told.why
            )
        )
    return found


def headlines(results: StudyResults) -> list[str]:
    """The same in brief, where the study says that it leads.

    Parameters
    ----------
    results : StudyResults
    """
    part: TruncatedPart | None = results.parts.get(TRUNCATED)
    if leading(results.study) != "worst" or part is None:
        return []
    every = (_told(results, rows) for rows in _compared(part.table))
    return [sentences.in_brief(*t.names, t.shown, t.counts) for t in every if t is not None]


def _compared(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The probability indices by maximum likelihood, a comparison each."""
    index = table[(table["quantity"] == "probability index") & (table["engine"] == "ml")]
    return [rows for _, rows in index.groupby(["level", "end"], sort=False)]


def _clear(rows: pd.DataFrame) -> int:
    """How many intervals are clear of no difference."""
    return int(((rows["conf_low"] > 0.5) | (rows["conf_high"] < 0.5)).sum())


def _told(results: StudyResults, rows: pd.DataFrame) -> _Told | None:
    """Of the primary outcome, or of the marker with the smallest p; None where none is known."""
    rows = rows[rows["estimate"].notna()]
    if rows.empty:
        return None
    counts = (_clear(rows), len(rows))
    primary = rows[rows["marker"] == results.study.aims.primary]
    if len(primary):
        return _Told(primary.iloc[0], "the primary outcome", counts)
    ordered = rows.assign(p=rows["p_value"].fillna(1.0)).sort_values("p", kind="stable")
    return _Told(ordered.iloc[0], "which has the smallest p", counts)


def _table(results: StudyResults, table: pd.DataFrame) -> DisplayTable:
    """A row a marker, estimand and quantity; those that nothing was asked of are left out."""
    keys = ["marker", "level", "end", "estimand", "quantity"]
    rows = []
    for _, both in table.groupby(keys, sort=False):
        of = {str(row["engine"]): row for row in both.to_dict("records")}
        if all(row["estimand"] == "joint" and row["reason"] for row in of.values()):
            continue
        rows.append({**of["ml"], "bayes": of["bayes"]})
    frame = pd.DataFrame(rows)
    frame["first"] = ~frame.duplicated(["marker", "level", "end"])
    columns = [
        Column("Marker", lambda row: row["label"] if row["first"] else "", numeric=False),
        *role_column(results),
        *comparison_column(frame),
        Column("Estimand", "estimand_label", numeric=False),
        Column("Quantity", lambda row: _QUANTITIES[row["quantity"]], numeric=False),
        Column("Maximum likelihood (95 % CI)", _answer),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
        Column("Bayes (95 % CrI)", lambda row: _answer(row["bayes"])),
        Column("P(benefit)", lambda row: numbers.probability(row["bayes"]["prob_benefit"])),
        Column("Patients (dead)", lambda r: f"{r['n']:,} ({r['deaths']:,})" if r["n"] else "-"),
        Column("Remark", lambda row: row["reason"] or row["notes"], numeric=False, prose=True),
    ]
    note = (
        "P(better): probability that a patient of the group fares better than one of the reference,"
        " ties counting one half; 0.5 is no difference. Odds ratio: of a better outcome, at every"
        " cut. At least, at most: bounds of the difference, or ratio, and the interval of each."
    )
    return display(frame, "Markers and death, by every estimand", columns, note, name="truncated")


def _answer(row: Record) -> str:
    if row["estimate"] != row["estimate"]:
        return "not estimated"
    shown = (row["estimate"], row["conf_low"], row["conf_high"])
    if row["quantity"] == "probability index":
        return numbers.shown_difference(*shown, places=2).text
    return numbers.ratio(*shown)


def _questions(table: pd.DataFrame) -> DisplayTable:
    """What each estimand asks, and what has to hold."""
    first = table[(table["marker"] == table["marker"].iloc[0]) & (table["engine"] == "ml")]
    asked = first.drop_duplicates(["question", "assumes"])
    columns = [
        Column("Estimand", "estimand_label", numeric=False),
        Column("It asks", "question", numeric=False, prose=True),
        Column("It assumes that", "assumes", numeric=False, prose=True),
    ]
    return display(asked, "What is asked of markers where patients died", columns,
                   name="truncated_questions")  # fmt: skip
