"""Which item of the reporting guidelines is answered where, in the output at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.report.guidelines import BARG, CONSORT, STROBE, Item, Location, answered
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import listed

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults, shown: Mapping[str, Location]) -> dict[str, object]:
    """What the template of this section shows."""
    name, items = (
        ("CONSORT 2010 (randomised trials)", CONSORT)
        if results.cohort.randomised
        else ("STROBE (cohort studies)", STROBE)
    )
    return {
        "text": [
            "What this report holds for each item; none is complete without what only the authors"
            " know."
        ],
        "tables": [_table("BARG (Bayesian analyses)", BARG, shown), _table(name, items, shown)],
    }


def _table(name: str, items: Sequence[Item], shown: Mapping[str, Location]) -> DisplayTable:
    found = answered(items, shown)
    lines, told = [], set[Location]()
    for one in found:
        if one.places:
            lines.append((one.item.number, one.item.name, one.where(told), one.what))
            told.update(one.places)
    rows = pd.DataFrame(lines, columns=["number", "name", "places", "what"])
    yours = [f"{one.item.number} ({one.item.name.lower()})" for one in found if not one.places]
    note = f"Not in this report, and yours to write: {listed(yours)}." if yours else ""
    columns = [
        Column("Item", "number", numeric=False),
        Column("About", "name", numeric=False),
        Column("Where", "places", numeric=False, prose=True),
        Column("What is there", "what", numeric=False, prose=True),
    ]
    return display(rows, f"{name}: where each item is answered", columns, note, "guideline")
