"""The same answers by other libraries, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences_checks
from longsurv.report.sections.priors import DAGGER
from longsurv.study.independent import INDEPENDENT, at_the_limit, worst
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import capital

if TYPE_CHECKING:
    from longsurv.study import StudyResults

TITLE = "The same by other libraries"
ALIKE = 3
"""Models from which on those of which the same is asked stand in a table of their own."""
RELATIVE = (
    "Relative difference: to the other library's number, or to its standard error (of a probability"
    " 0.01) where that is larger; at most 1e-8 where both use one formula, 1e-4 where both search"
    " for a maximum (1e-3 for a standard deviation, and where ties are broken at random)."
)


def build(results: StudyResults) -> dict[str, object]:
    """A sentence, and the table behind a fold."""
    table = results.parts.get(INDEPENDENT)
    if table is None:
        why = results.failures.get(INDEPENDENT, "")
        text = sentences_checks.no_independent_check(why) if why else ""
        return {"title": TITLE, "text": [text] if text else [], "tables": []}
    compared = table[table["theirs"].notna()]
    text = sentences_checks.independent(
        len(compared), int((~compared["within"]).sum()), worst(table), len(table) - len(compared)
    )
    alike, others = _parted(table)
    tables = [_table(others)] if len(others) else []
    limited = {f"{m.label}, {at_the_limit()}": m.label for m in results.cohort.markers.values()}
    tables += [
        _side_by_side(rows, limited, k == 0 and others.empty) for k, rows in enumerate(alike)
    ]
    return {"title": TITLE, "text": [text], "tables": tables}


def _parted(table: pd.DataFrame) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Rows of models of which the same is asked, and agree; and the others."""
    asked = table.groupby(["library", "what"], sort=False).agg(
        quantities=("quantity", tuple), within=("within", "all")
    )
    groups = asked[asked["within"]].groupby(["library", "quantities"], sort=False).groups
    found, together = [], pd.Series(False, table.index)
    for (library, _), models in groups.items():
        names = {what for _, what in models}
        if len(names) >= ALIKE:
            own = (table["library"] == library) & table["what"].isin(names)
            found.append(table[own])
            together |= own
    return found, table[~together]


def _side_by_side(table: pd.DataFrame, limited: Mapping[str, str], alone: bool) -> DisplayTable:
    """A row a model, its quantities one beside the other; those of `limited` have a dagger."""
    library = str(table["library"].iloc[0])
    by = {what: part.set_index("quantity") for what, part in table.groupby("what", sort=False)}

    def cell(column: str, quantity: str, write: Callable[[float], str]) -> Callable[[Record], str]:
        return lambda row: write(float(by[row["what"]].loc[quantity, column]))

    def name(row: Record) -> str:
        marker = limited.get(row["what"])
        return f"{marker}{DAGGER}" if marker else row["what"]

    columns = [Column("Model", name, numeric=False)]
    for quantity in table["quantity"].unique():
        columns += [
            Column(f"{capital(quantity)}: longsurv", cell("ours", quantity, _number)),
            Column(library, cell("theirs", quantity, _number)),
            Column("Relative difference", cell("difference", quantity, _difference)),
        ]
    note = f"{DAGGER} {at_the_limit()}." if table["what"].isin(limited).any() else ""
    why = _why(table)
    rows = table[["what"]].drop_duplicates()
    note = " ".join(text for text in (note, RELATIVE * alone, why) if text)
    return display(rows, f"Models beside those of {library}", columns, note, name="independent")


def _why(table: pd.DataFrame) -> str:
    """Why libraries may differ: what holds of every row of one is said once."""
    reasons = table[table["theirs"].notna() & (table["reason"] != "")]
    why = [
        f"{library}: {'; '.join(dict.fromkeys(part))}"
        for library, part in reasons.groupby("library", sort=False)["reason"]
    ]
    return f"Why they may differ: {'. '.join(why)}." if why else ""


def _table(table: pd.DataFrame) -> DisplayTable:
    columns = [
        Column("Of", "of", numeric=False),
        Column("Quantity", "quantity", numeric=False),
        Column("longsurv", lambda row: _number(row["ours"])),
        Column("Other", lambda row: _number(row["theirs"])),
        Column("Relative difference", lambda row: _difference(row["difference"])),
    ]
    if not table["within"].all():
        columns.append(Column("Remark", _remark, numeric=False, prose=True))
    note = f"{RELATIVE} {_why(table)}".rstrip()
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
