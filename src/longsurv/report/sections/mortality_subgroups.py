"""The effect on the event in subgroups, behind a fold, with the test of whether they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.subgroups import subgroup_forest, subgroup_rows
from longsurv.records import Record
from longsurv.report import sentences_subgroups
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part, comparison
from longsurv.report.sentences_mortality import Compared
from longsurv.study.subgroup_stage import SUBGROUPS
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.tables.subgroups import side_by_side
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

TITLE = "Subgroups"


def subgroups_part(results: StudyResults) -> Part | None:
    """The tests, and the effects behind a fold; None where the study names no subgroups."""
    part = results.parts.get(SUBGROUPS)
    if not part:
        return None
    asked = comparison(results, part)
    called = {name: results.cohort.label(name) for name in results.study.subgroups}
    said = [
        sentences_subgroups.compared(
            asked.event, called[row["column"]], int(row["levels"]), float(row["p_value"]),
            str(row["note"]),
        )
        for row in part["tests"].to_dict("records")
    ]  # fmt: skip
    trouble = [
        f"{called[name]}, shrunken: {words}" for name, words in dict(part["trouble"]).items()
    ]
    return Part(
        TITLE, (*said, sentences_subgroups.CAUTION, *trouble),
        more=(_picture(part, asked, called), _table(part, asked, called)),
    )  # fmt: skip


def _picture(part: Record, asked: Compared, called: Record) -> Picture:
    table, quantity = part["table"], "hazard ratio"
    table = table[table["quantity"] == quantity].replace({"column": called})

    def draw(width: float) -> Axes:
        return subgroup_forest(
            table, quantity, text_heading="Hazard ratio (95 % interval)", width=width,
            left_label=f"less {asked.event}", right_label=f"more {asked.event}",
        )  # fmt: skip

    overall = subgroup_rows(table, quantity)["text"].iloc[0]
    return Picture(
        SUBGROUPS, draw, f"Hazard ratios in subgroups; in all patients {overall}.",
        sentences_subgroups.of_figure(asked.group, asked.reference),
        title="Figure: hazard ratios in subgroups",
    )  # fmt: skip


def _table(part: Record, asked: Compared, called: Record) -> DisplayTable:
    arms = (asked.reference, asked.group)
    table = side_by_side(part["table"], part["counts"], arms)
    table["level"] = [
        f"{called[name]}: {level}" if name else capital(level)
        for name, level in zip(table["subgroups"], table["level"], strict=True)
    ]
    columns = [
        Column("Patients", "level", numeric=False),
        *(Column(f"{capital(asked.event)}, {arm}", f"events, {arm}") for arm in arms),
        *(Column(capital(name), name) for name in table if ", alone" in str(name)),
        *(Column(capital(name), name) for name in table if ", shrunken" in str(name)),
    ]  # fmt: skip
    note = sentences_subgroups.of_table(asked, part["adjust"], notes_of(part["table"], called))
    return display(table, "The effect in subgroups", columns, note, name=SUBGROUPS)


def notes_of(table: pd.DataFrame, called: Record) -> list[str]:
    """Why levels have no answer, each once."""
    silent = table[~table["answered"].astype(bool)].drop_duplicates(["column", "level", "note"])
    return [
        f"{called.get(row['column'], '')} {row['level']}: {row['note']}".strip()
        for row in silent.to_dict("records")
    ]
