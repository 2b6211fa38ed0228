"""`longsurv.compare` of the two engines: the treatment's terms first, then every coefficient."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.compare import SHIFT_LIMIT, WIDTH_LIMIT
from longsurv.errors import EstimationError
from longsurv.estimands.changes import contrast_weights
from longsurv.figures.agreement import agreement, drawable
from longsurv.records import Record
from longsurv.report.sections.common import Picture, change_words
from longsurv.study.terms import fixed_of, treatment_terms
from longsurv.tables.display import EMPTY, Column, DisplayTable, display
from longsurv.words import plural, verb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    table = results.tables["comparison"]
    if table.empty:
        return {
            "text": ["No model has an answer from both engines."],
            "agreement": None,
            "main": EMPTY,
            "all": EMPTY,
        }
    quantities = _quantities(results)
    names = [quantities.get((row["model"], row["term"])) for row in table.to_dict("records")]
    main = table.assign(quantity=names)[[name is not None for name in names]]
    answers = [
        Column("Maximum likelihood (95 % CI)", lambda row: _interval(row, "ml")),
        Column("Bayes (95 % CrI)", lambda row: _interval(row, "bayes")),
        Column("Overlap", lambda row: numbers.fixed(row["overlap"], 2)),
        Column("Verdict", "verdict", numeric=False),
    ]
    why = Column("Why", "reason", numeric=False, prose=True)
    if_not = replace(why, text=lambda row: "" if row["verdict"] == "agree" else row["reason"])
    note = (
        "On the scale of the model: logarithms for hazards and for markers analysed as"
        " logarithms. Overlap: the part the two intervals share of what they cover together."
        " Verdicts: agree; prior pulls (taking the prior out removes most of the difference);"
        " boundary (a variance estimated as zero); asymptotics (the likelihood is not normal"
        " around its maximum); no answer (one of the two has none, or none that can be relied on)."
    )
    return {
        "text": [summary(table)],
        "main": display(
            main,
            "Differences in change of the markers, and the log hazard ratio",
            [Column("Quantity", "quantity", numeric=False), *answers, if_not],
            note,
            name="comparison",
        ),
        "agreement": _agreement(table, names),
        "all": _others(table[[name is None for name in names]], answers),
    }


def _others(table: pd.DataFrame, answers: list[Column]) -> DisplayTable:
    """Every coefficient that the table of quantities leaves out; a model is named once."""
    rows = table.assign(
        label=table["label"].where(~table["label"].duplicated(), ""),
        verdict=table["verdict"].replace("agree", ""),
    )
    columns = [Column("Model", "label", numeric=False), Column("Term", "term", numeric=False)]
    note = (
        "Scale, overlap and verdicts as in the table of the differences in change; no verdict where"
        " the two agree. The reasons are in comparison.csv, which longsurv report --folder writes."
    )
    caption = "Every other coefficient of every model"
    return display(rows, caption, [*columns, *answers], note, name="coefficients")


def _agreement(table: pd.DataFrame, names: list[str | None]) -> Picture:
    label = [
        name or f"{row['label']}: {row['term']}"
        for name, row in zip(names, table.to_dict("records"), strict=True)
    ]
    points = table.assign(label=label)

    def draw(width: float) -> Axes:
        return agreement(points, shift_limit=SHIFT_LIMIT, width_limit=WIDTH_LIMIT, width=width)

    counts = table["verdict"].value_counts()
    alternative = "Agreement of the two engines: " + ", ".join(
        f"{verdict} {n}" for verdict, n in counts.items()
    )
    missing = int((~drawable(table)).sum())
    caption = (
        "Every coefficient of every model, both engines. Right of 1 the Bayesian interval is"
        " wider; above 0 its centre is higher. In the grey box the two agree."
        + (
            f" {plural(missing, 'coefficient')} of which one answer is none, or has no interval (a"
            f" variance at its boundary), {verb(missing, 'is', 'are')} not drawn."
            if missing
            else ""
        )
    )
    title = "Agreement of the two engines, every coefficient"
    return Picture("agreement", draw, f"{alternative}.", caption, title)


def summary(table: pd.DataFrame) -> str:
    """How many coefficients the engines agree on, and how many of each disagreement."""
    counts = table["verdict"].value_counts()
    agree = int(counts.get("agree", 0))
    others = [f"{verdict}: {n}" for verdict, n in counts.items() if verdict != "agree"]
    text = f"The two engines agree on {agree} of {plural(len(table), 'coefficient')}"
    return text + (f" ({'; '.join(others)})." if others else ".")


def _quantities(results: StudyResults) -> dict[tuple[str, str], str]:
    """Model and coefficient to what it says about the groups, in words; only those that do."""
    cohort, found = results.cohort, {}
    for level, term in treatment_terms(results.mortality, cohort).items():
        found["mortality", term] = f"Log hazard ratio ({level} against {cohort.groups[0]})"
    several_ends = results.changes["end"].nunique() > 1
    for name, model in results.markers.items():
        if model.fit is None:
            continue
        for change in results.study.contrasts:
            try:
                weights = contrast_weights(fixed_of(model.fit), change, model.data)
            except EstimationError:
                continue  # its reason stands among the markers not estimated
            if len(weights) == 1:
                words = change_words(change.start, change.end, cohort.schema.time_unit)
                extra = [words] if several_ends else []
                extra += [str(change.level)] if len(cohort.groups) > 2 else []
                label = cohort.markers[name].label
                found[name, next(iter(weights))] = label + (
                    f" ({', '.join(extra)})" if extra else ""
                )
    return found


def _interval(row: Record, engine: str) -> str:
    values = (row[f"{part}_{engine}"] for part in ("estimate", "conf_low", "conf_high"))
    return numbers.difference(*(float(v) for v in values))
