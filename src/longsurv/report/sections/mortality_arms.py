"""Hazard ratios of several arms, with intervals that hold for all comparisons together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv import numbers
from longsurv.report import sentences_mortality
from longsurv.report.sections.mortality_part import Part
from longsurv.tables.display import Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults

TITLE = "All comparisons together"


def arms_part(results: StudyResults) -> Part | None:
    """The table of the comparisons; None where there is one, or without a mortality model."""
    table = results.tables.get("arm_ratios")
    if table is None:
        return None
    if "reason" in table:
        return Part(TITLE, (sentences_mortality.not_together(table["reason"].iloc[0]),))
    columns = [
        Column("Comparison", lambda row: _against(row["comparison"], results), numeric=False),
        Column(
            "Hazard ratio (95 % interval)",
            lambda row: numbers.ratio(row["estimate"], row["conf_low"], row["conf_high"]),
        ),
        Column(
            "With an interval of all together",
            lambda row: numbers.ratio(
                row["estimate"], row["simultaneous_low"], row["simultaneous_high"]
            ),
        ),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
        Column("p, all together", lambda row: numbers.p_value(row["p_simultaneous"])),
        Column("p, Holm", lambda row: numbers.p_value(row["p_holm"])),
    ]
    how = sentences_mortality.together(results.study.models.compare_arms == "pairwise")
    return Part(TITLE, (), (display(table, TITLE, columns, how, name="arm-ratios"),))


def _against(comparison: str, results: StudyResults) -> str:
    """ "high against control" of "high - control"."""
    named = {one.name: one.words for one in results.compared}
    return named[comparison]
