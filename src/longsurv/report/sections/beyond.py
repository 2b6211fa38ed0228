"""What taking values beyond a limit at the limit, and not as beyond it, does to the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences_markers
from longsurv.report.sections.common import change_answer, comparison_column, with_unit
from longsurv.report.sentences import Answer
from longsurv.study.beyond import BEYOND
from longsurv.tables.display import EMPTY, Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults
    from longsurv.tables.display import DisplayTable

TITLE = "Values beyond a limit of detection"


def build(results: StudyResults) -> dict[str, object]:
    """A sentence and a table, both empty where no value lies beyond a limit; or what failed."""
    table = results.parts.get(BEYOND)
    if why := results.failures.get(BEYOND):
        text = sentences_markers.beyond_not_counted(why)
        return {"title": TITLE, "text": [text], "table": EMPTY}
    if table is None or table.empty:
        return {"title": TITLE, "text": [], "table": EMPTY}
    most = table.sort_values("censored", kind="stable").iloc[-1].to_dict()
    main = _main(results, most)
    text = sentences_markers.beyond(
        most["label"], most["censored"], most["values"], main, change_answer(most), most["level"],
        most["taken"],
    )  # fmt: skip
    return {"title": TITLE, "text": [text], "table": _table(results, table)}


def _main(results: StudyResults, row: Record) -> Answer | None:
    """The main analysis's answer by maximum likelihood to what a row asks."""
    changes = results.changes
    chosen = (
        (changes["marker"] == row["marker"]) & (changes["engine"] == "ml")
        & (changes["level"] == row["level"]) & (changes["end"].astype(str) == row["end"])
    )  # fmt: skip
    return change_answer(changes[chosen].iloc[0].to_dict())


def _table(results: StudyResults, table: pd.DataFrame) -> DisplayTable:
    def text(answer: Answer | None) -> str:
        return "not estimated" if answer is None else answer.text

    taken = table["taken"].iloc[0]
    columns = [
        Column("Marker", lambda row: with_unit(row["label"], row["unit"]), numeric=False),
        *comparison_column(table),
        Column("Beyond a limit", lambda row: f"{row['censored']:,} of {row['values']:,}"),
        Column("Main analysis (95 % CI)", lambda row: text(_main(results, row))),
        Column(f"Values {taken} (95 % CI)", lambda row: text(change_answer(row))),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
        Column("Remark", "reason", numeric=False, prose=True),
    ]
    note = (
        "Difference in change, not adjusted, by maximum likelihood; a ratio for markers analysed as"
        f" logarithms. p: with the values {taken}."
    )
    caption = f"Values beyond a limit: in the main analysis, and taken {taken}"
    return display(table, caption, columns, note, name="beyond")
