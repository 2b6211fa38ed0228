"""The same answers by other libraries, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences_checks
from longsurv.study.independent import INDEPENDENT, worst
from longsurv.tables.display import EMPTY, Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults

TITLE = "The same by other libraries"


def build(results: StudyResults) -> dict[str, object]:
    """A sentence, and the table behind a fold."""
    table = results.parts.get(INDEPENDENT)
    if table is None:
        why = results.failures.get(INDEPENDENT, "")
        text = sentences_checks.no_independent_check(why) if why else ""
        return {"title": TITLE, "text": [text] if text else [], "table": EMPTY}
    compared = table[table["theirs"].notna()]
    text = sentences_checks.independent(
        len(compared), int((~compared["within"]).sum()), worst(table), len(table) - len(compared)
    )
    return {"title": TITLE, "text": [text], "table": _table(table)}


def _table(table: pd.DataFrame) -> object:
    columns = [
        Column("Of", "of", numeric=False),
        Column("Quantity", "quantity", numeric=False),
        Column("longsurv", lambda row: _number(row["ours"])),
        Column("Other", lambda row: _number(row["theirs"])),
        Column("Relative difference", lambda row: _difference(row["difference"])),
    ]
    compared = table["theirs"].notna()
    if not table["within"].all():
        columns.append(Column("Remark", _remark, numeric=False, prose=True))
    # What holds of every row of a library is said once, below.
    reasons = table[compared & (table["reason"] != "")]
    why = [
        f"{library}: {'; '.join(dict.fromkeys(part))}"
        for library, part in reasons.groupby("library", sort=False)["reason"]
    ]
    note = (
        "Relative difference: to the other library's number, or to its standard error (of a"
        " probability 0.01) where that is larger; at most 1e-8 where both use one formula,"
        " 1e-4 where both search for a maximum (1e-3 for a standard deviation, and where ties are"
        " broken at random)."
    )
    note += f" Why they may differ: {'. '.join(why)}." if why else ""
    # Each model, and its library, once.
    named = [f"{what} ({library})" for what, library in zip(table["what"], table["library"],
                                                            strict=True)]  # fmt: skip
    rows = table.assign(of=pd.Series(named, table.index).where(~table["what"].duplicated(), ""))
    return display(rows, "Answers beside those of other libraries", columns, note,
                   name="independent")  # fmt: skip


def _number(value: float) -> str:
    return numbers.MISSING if math.isnan(value) else numbers.number(value, 6)


def _difference(value: float) -> str:
    if math.isnan(value):
        return numbers.MISSING
    return "none" if value == 0 else f"{value:.0e}"


def _remark(row: Record) -> str:
    """What is wrong with a comparison; nothing where the two agree."""
    if math.isnan(row["theirs"]):
        return f"not compared: {row['reason']}"
    return "" if row["within"] else "NOT within its tolerance"
