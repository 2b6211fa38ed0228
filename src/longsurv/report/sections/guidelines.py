"""Which item of the reporting guidelines is answered where, in the output at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.report.guidelines import BARG, CONSORT, STROBE, YOURS, Item, answered
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults, shown: Mapping[str, str]) -> dict[str, object]:
    """What the template of this section shows."""
    name, items = (
        ("CONSORT 2010 (randomised trials)", CONSORT)
        if results.cohort.randomised
        else ("STROBE (cohort studies)", STROBE)
    )
    return {
        "text": [
            "What this report holds for each item, found by looking through it. No item is"
            " complete without what only the authors know."
        ],
        "tables": [_table("BARG (Bayesian analyses)", BARG, shown), _table(name, items, shown)],
    }


def _table(name: str, items: Sequence[Item], shown: Mapping[str, str]) -> DisplayTable:
    rows = pd.DataFrame(
        [
            (found.item.number, found.item.name, "; ".join(found.places) or YOURS, found.what)
            for found in answered(items, shown)
        ],
        columns=["number", "name", "places", "what"],
    )
    columns = [
        Column("Item", "number", numeric=False),
        Column("About", "name", numeric=False),
        Column("Where", "places", numeric=False, prose=True),
        Column("What is there", "what", numeric=False, prose=True),
    ]
    return display(rows, f"{name}: where each item is answered", columns, name="guideline")
