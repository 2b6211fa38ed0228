"""Convergence verdicts of every fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv.report import numbers, sentences
from longsurv.report.sections.common import ENGINE_NAMES
from longsurv.report.tables.display import Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, Any]:
    """What the template of this section shows."""
    table = results.tables["convergence"]
    failed = [
        f"{row['label']} ({ENGINE_NAMES[row['engine']]})"
        for row in table.to_dict("records")
        if not row["ok"]
    ]
    ml = table[table["engine"] == "ml"].set_index("model")
    bayes = table[table["engine"] == "bayes"].set_index("model")
    columns = [
        Column("Model", "label", numeric=False),
        Column("Maximum likelihood", lambda row: _passed(ml.loc[row["model"]]), numeric=False),
        Column("Bayes", lambda row: _passed(bayes.loc[row["model"]]), numeric=False),
        Column("Largest R-hat", lambda row: _fixed(bayes.loc[row["model"], "r_hat"], 3)),
        Column("Smallest ESS", lambda row: _fixed(bayes.loc[row["model"], "ess"], 0)),
        Column(
            "Time, both",
            lambda row: numbers.seconds(
                ml.loc[row["model"], "seconds"] + bayes.loc[row["model"], "seconds"]
            ),
        ),
    ]
    note = (
        "R-hat compares chains (1 is perfect, below 1.01 wanted); ESS is the smallest effective"
        " number of independent draws (above 400 wanted); divergences and E-BFMI are checked too."
        " Maximum likelihood is judged by its gradient and curvature."
    )
    remarks = [
        Column("Model", "label", numeric=False),
        Column("Engine", lambda row: ENGINE_NAMES[row["engine"]], numeric=False),
        Column("Remark", "words", numeric=False, prose=True),
    ]
    return {
        "text": [sentences.convergence(failed, len(table))],
        "verdicts": display(ml.reset_index(), "Verdict on every fit", columns, note),
        "remarks": display(table[~table["ok"] | table["remarked"]], "Remarks", remarks),
    }


def _passed(row: pd.Series) -> str:
    return "passed" if row["ok"] else "NOT passed"


def _fixed(value: float, places: int) -> str:
    return "" if value != value else numbers.fixed(value, places)
