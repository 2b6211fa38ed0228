"""Missing values of markers: what it would take of them to change the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.figures.imputed import over_delta
from longsurv.records import Record
from longsurv.report import sentences_imputed as sentences
from longsurv.report.sections.common import Picture, change_answer, comparison_column, with_unit
from longsurv.study.imputed_stage import AT_RANDOM, IMPUTED, ImputedPart
from longsurv.tables.display import EMPTY, Column, display

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults
    from longsurv.tables.display import DisplayTable

TITLE = "If missing values were otherwise"
METHODS = {
    AT_RANDOM: "missing at random", "jump_to_reference": "jump to reference",
    "copy_increments": "copy increments", "copy_reference": "copy reference",
}  # fmt: skip


def build(results: StudyResults) -> dict[str, object]:
    """Sentences, a figure and a table, empty where nothing is missing; or what failed."""
    none: dict[str, object] = {"title": TITLE, "text": [], "picture": None, "table": EMPTY}
    if why := results.failures.get(IMPUTED):
        return {**none, "text": [sentences.not_imputed(why)]}
    part: ImputedPart | None = results.parts.get(IMPUTED)
    if part is None or part.table.empty:
        return none
    told = _told(results, part.table)
    first = told.iloc[0].to_dict()
    text = [
        sentences.lacking(
            first["label"],
            first["lacking"],
            first["wanted"],
            first["where"],
            not results.study.aims.named,
        )
    ]
    if first["limited"] and not first["reason"]:
        text.append(sentences.within_limits(first["limited"]))
    if first["reason"]:
        text.append(sentences.not_imputed(first["reason"], first["label"]))
        return {**none, "text": text, "table": _table(part.table)}
    shifted = told[told["assumption"] == AT_RANDOM]
    answers = {
        row["steps"]: answer
        for row in shifted.to_dict("records")
        if (answer := change_answer(row)) is not None
    }
    text.append(
        sentences.moved(first["level"], first["start"], first["end"], answers, first["tip"])
    )
    text += [
        sentences.as_reference(METHODS[row["assumption"]], answer)
        for row in told[told["assumption"] != AT_RANDOM].to_dict("records")
        if (answer := change_answer(row)) is not None
    ]
    picture = _picture(shifted, first, " ".join(text))
    return {**none, "text": text, "picture": picture, "table": _table(part.table)}


def _told(results: StudyResults, table: pd.DataFrame) -> pd.DataFrame:
    """The comparison that is told: of the primary outcome, or of what lacks most."""
    every = [rows for _, rows in table.groupby(["marker", "level", "end"], sort=False)]
    primary = results.study.aims.primary
    return next((rows for rows in every if rows["marker"].iloc[0] == primary), every[0])


def _picture(rows: pd.DataFrame, first: Record, said: str) -> Picture:
    ratio = first["scale"] == "ratio"
    tips = [] if first["tip"] != first["tip"] else [first["tip"]]
    label = with_unit(first["label"], "" if ratio else first["unit"])
    level = first["level"]

    def draw(width: float) -> Axes:
        return over_delta(
            rows.assign(delta=rows["steps"]),
            name=label,
            xlabel=f"Missing values of {level} moved by, baseline SDs", said=said,
            null=1.0 if ratio else 0.0, tips=tips, log=ratio, width=width,
        )  # fmt: skip

    caption = (
        f"{'Ratio' if ratio else 'Difference'} in change of {label} with its 95 % interval, over"
        f" how far the missing values of {level} lie from where the model expects them."
        + (" Dashed: where the interval reaches no difference." if tips else "")
    )
    return Picture("imputed", draw, said, caption, "The answer over the missing values")


def _table(table: pd.DataFrame) -> DisplayTable:
    shown = table.copy()
    shown["first"] = ~shown.duplicated(["marker", "level", "end"])
    columns = [
        Column("Marker", lambda row: row["label"] if row["first"] else "", numeric=False),
        *comparison_column(table),
        Column("Missing", lambda r: f"{r['lacking']:,} of {r['wanted']:,}" if r["first"] else ""),
        Column("Taken as", _assumed, numeric=False),
        Column("Difference in change (95 % CI)", _text),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
        Column("Information missing", _share),
        Column("Remark", "reason", numeric=False, prose=True),
    ]
    note = (
        "Missing: of patients alive with a value in another phase. Difference in change, not"
        " adjusted; a ratio for markers analysed as logarithms. Completed data sets are drawn from"
        " the mixed model's posterior, analysed by it and pooled by Rubin's rules. SD:"
        " between patients at baseline; in brackets what is added to the missing values of the"
        " group, or multiplied with them. Information missing: share of what complete data say."
    )
    return display(shown, "Missing values under several assumptions", columns, note, name=IMPUTED)


def _assumed(row: Record) -> str:
    """What is assumed of the missing values in a row."""
    if row["moved"] != row["moved"] or row["steps"] == 0.0:
        return METHODS[row["assumption"]]
    size = numbers.number(row["moved"])
    what = f"\N{MULTIPLICATION SIGN} {size}" if row["scale"] == "ratio" else size
    way = "higher" if row["steps"] > 0 else "lower"
    return f"{numbers.plain(abs(row['steps']))} SD {way} in {row['level']} ({what})"


def _text(row: Record) -> str:
    answer = change_answer(row)
    return "not estimated" if answer is None else answer.text


def _share(row: Record) -> str:
    return "" if row["fmi"] != row["fmi"] else f"{100.0 * row['fmi']:.0f} %"
