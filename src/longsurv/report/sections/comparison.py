"""`longsurv.compare` of the two engines: the treatment's terms first, then every coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv.report import numbers, sentences
from longsurv.report.tables.display import EMPTY, Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, Any]:
    """What the template of this section shows."""
    table = results.tables["comparison"]
    if table.empty:
        return {"text": ["No model has an answer from both engines."], "main": EMPTY, "all": EMPTY}
    main = table[[_is_main(term, results) for term in table["term"]]]
    columns = [
        Column("Model", "label", numeric=False),
        Column("Term", "term", numeric=False),
        Column("Maximum likelihood (95 % CI)", lambda row: _interval(row, "ml")),
        Column("Bayes (95 % CrI)", lambda row: _interval(row, "bayes")),
        Column("Overlap", lambda row: numbers.fixed(row["overlap"], 2)),
        Column("Verdict", "verdict", numeric=False),
        Column("Why", "reason", numeric=False),
    ]
    note = ("Coefficients on the scale of the model: logarithms for hazards and for markers analysed as"
            " logarithms. Overlap: the part the two intervals share of what they cover together.")
    return {
        "text": [summary(table)],
        "main": display(main, "Where the treatment enters", columns, note),
        "all": display(table, "Every coefficient", columns),
    }


def summary(table: pd.DataFrame) -> str:
    """How many coefficients the engines agree on, and how many of each disagreement."""
    counts = table["verdict"].value_counts()
    agree = int(counts.get("agree", 0))
    others = [f"{verdict}: {n}" for verdict, n in counts.items() if verdict != "agree"]
    text = f"The two engines agree on {agree} of {sentences.plural(len(table), 'coefficient')}"
    return text + (f" ({'; '.join(others)})." if others else ".")


def _is_main(term: str, results: StudyResults) -> bool:
    """Whether a term is the treatment's in the mortality model, or an interaction with it."""
    return results.cohort.schema.treatment in term


def _interval(row: dict, engine: str) -> str:
    values = (row[f"{part}_{engine}"] for part in ("estimate", "conf_low", "conf_high"))
    return numbers.difference(*(float(v) for v in values))
