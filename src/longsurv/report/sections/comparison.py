"""`longsurv.compare` of the two engines: the treatment's terms first, then every coefficient."""

from __future__ import annotations

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


AGREE = "agree"
BOTH = "Maximum likelihood; Bayes"
_WHY = Column(
    "Why", lambda row: "" if row["verdict"] == AGREE else row["reason"], numeric=False, prose=True
)


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    table = results.tables["comparison"]
    if table.empty:
        return {
            "text": ["No model has an answer from both engines."],
            "agreement": None,
            "main": EMPTY,
            "differing": EMPTY,
            "all": [],
        }
    quantities = _quantities(results)
    names = [quantities.get((row["model"], row["term"])) for row in table.to_dict("records")]
    main = table.assign(quantity=names)[[name is not None for name in names]]
    others = table[[name is None for name in names]]
    verdict = [
        Column("Overlap", lambda row: numbers.fixed(row["overlap"], 2)),
        Column("Verdict", "verdict", numeric=False),
    ]
    note = (
        "The answers themselves stand in the tables of differences in change and of hazard ratios."
        " Overlap: the part the two intervals share of what they cover together."
        " Verdicts: agree; prior pulls (taking the prior out removes most of the difference);"
        " boundary (a variance estimated as zero); asymptotics (the likelihood is not normal"
        " around its maximum); no answer (one of the two has none, or none that can be relied on)."
    )
    return {
        "text": [summary(table)],
        "main": display(
            main,
            "Differences in change of the markers, and the log hazard ratio",
            [Column("Quantity", "quantity", numeric=False), *verdict, _WHY],
            note,
            name="comparison",
        ),
        "agreement": _agreement(table, names),
        "differing": _differing(others, verdict),
        "all": _others(others),
    }


def _differing(table: pd.DataFrame, verdict: list[Column]) -> DisplayTable:
    """The other coefficients on which the engines do not agree; a model is named once."""
    rows = table[table["verdict"] != AGREE]
    rows = rows.assign(label=rows["label"].where(~rows["label"].duplicated(), ""))
    columns = [
        Column("Model", "label", numeric=False),
        Column("Term", "term", numeric=False),
        Column("Maximum likelihood (95 % CI)", lambda row: _shown(row, "ml").text),
        Column("Bayes (95 % CrI)", lambda row: _shown(row, "bayes").text),
        *verdict,
    ]
    note = (
        "On the scale of the model: logarithms for hazards and for markers analysed as logarithms."
        " The reasons are in comparison.csv, which longsurv report --folder writes."
    )
    caption = "Other coefficients on which the two differ"
    return display(rows, caption, columns, note, name="differing")


def _others(table: pd.DataFrame) -> list[DisplayTable]:
    """Every coefficient that the table of quantities leaves out, without its intervals.

    A table for the models that share their terms: a row a model, a column a term.
    """
    terms = table.groupby("label", sort=False)["term"].agg(tuple)
    found = []
    for names in dict.fromkeys(terms):
        labels = list(terms.index[[own == names for own in terms]])
        rows = table[table["label"].isin(labels)]
        rows = rows.assign(
            both=[
                f"{_shown(row, 'ml').point}; {_shown(row, 'bayes').point}"
                for row in rows.to_dict("records")
            ]
        )
        if len(labels) == 1:
            columns = [Column("Term", "term", numeric=False), Column(BOTH, "both")]
            caption = f"Every other coefficient: {labels[0]}"
        else:
            rows = rows.pivot(index="label", columns="term", values="both")
            rows = rows.loc[labels].reset_index()
            columns = [Column("Model", "label", numeric=False)]
            columns += [Column(name, name) for name in names]
            caption = "Every other coefficient of the marker models"
        note = f"{BOTH}, on the scale of the model. Intervals are in comparison.csv."
        found.append(display(rows, caption, columns, note, name="coefficients"))
    return found


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
    agree = int(counts.get(AGREE, 0))
    others = [f"{verdict}: {n}" for verdict, n in counts.items() if verdict != AGREE]
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


def _shown(row: Record, engine: str) -> numbers.Shown:
    point, low, high = (
        float(row[f"{part}_{engine}"]) for part in ("estimate", "conf_low", "conf_high")
    )
    return numbers.shown_difference(point, low, high)
