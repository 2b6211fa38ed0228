"""Convergence verdicts of every fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longsurv.report import numbers, sentences
from longsurv.report.sections.common import ENGINE_NAMES
from longsurv.report.tables.display import Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, Any]:
    """What the template of this section shows."""
    table = results.tables["convergence"]
    failed = [f"{row['label']} ({ENGINE_NAMES[row['engine']]})"
              for row in table.to_dict("records") if not row["ok"]]
    columns = [
        Column("Model", "label", numeric=False),
        Column("Engine", lambda row: ENGINE_NAMES[row["engine"]], numeric=False),
        Column("Passed", lambda row: "yes" if row["ok"] else "NO", numeric=False),
        Column("Verdict", "words", numeric=False),
        Column("Largest R-hat", lambda row: _fixed(row["r_hat"], 3)),
        Column("Smallest ESS", lambda row: _fixed(row["ess"], 0)),
        Column("Time", lambda row: numbers.seconds(row["seconds"])),
    ]
    note = ("R-hat compares chains (1 is perfect, below 1.01 wanted); ESS is the effective number of"
            " independent draws (above 400 wanted). Maximum likelihood is judged by its gradient,"
            " curvature and boundaries.")
    return {
        "text": [sentences.convergence(failed, len(table))],
        "verdicts": display(table, "Verdict on every fit", columns, note),
    }


def _fixed(value: float, places: int) -> str:
    return "" if value != value else numbers.fixed(value, places)
