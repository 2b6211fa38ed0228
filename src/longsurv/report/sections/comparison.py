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
from longsurv.words import capital, plural, verb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults


AGREE = "agree"
BOTH = "Maximum likelihood; Bayes"
VERDICTS = {
    "prior pulls": ("*", "taking the prior out removes most of the difference"),
    "boundary": ("\N{DAGGER}", "a variance estimated as zero"),
    "asymptotics": ("\N{DOUBLE DAGGER}", "the likelihood is not normal around its maximum"),
    "no answer": ("\N{SECTION SIGN}", "one of the two has none, or none that can be relied on"),
}
"""Each verdict but agreement: the mark of a coefficient, and what it means."""
_WHY = Column("Why", "reason", numeric=False, prose=True)


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    table = results.tables["comparison"]
    if table.empty:
        return {
            "text": ["No model has an answer from both engines."],
            "agreement": None,
            "main": EMPTY,
            "all": [],
        }
    quantities = _quantities(results)
    names = [quantities.get((row["model"], row["term"])) for row in table.to_dict("records")]
    main = table.assign(quantity=names)[[name is not None for name in names]]
    others = table[[name is None for name in names]]
    return {
        "text": [" ".join(text for text in (summary(table), compared(main)) if text)],
        "main": _differing(main),
        "agreement": _agreement(table, names),
        "all": _others(others),
    }


def compared(main: pd.DataFrame) -> str:
    """How many of the coefficients that compare the groups agree, and how far.

    Parameters
    ----------
    main : DataFrame
        Their rows of `StudyResults.tables["comparison"]`.
    """
    alike = main[main["verdict"] == AGREE]
    if len(main) < 2:
        return ""
    least = numbers.fixed(float(alike["overlap"].min()), 2) if len(alike) else ""
    shared = (
        f": their intervals share at least {least} of what both cover together" if least else ""
    )
    each = len(alike) if len(alike) < len(main) else "all"
    return f"Of the {len(main)} that compare the groups {each} agree{shared}."


def _meanings(verdicts: pd.Series, *, marked: bool) -> str:
    """What the verdicts that there are mean."""
    found = [
        f"{f'{mark} ' * marked}{verdict}: {meaning}"
        for verdict, (mark, meaning) in VERDICTS.items() if verdict in set(verdicts)
    ]  # fmt: skip
    return f"{capital('; '.join(found))}." if found else ""


def _differing(main: pd.DataFrame) -> DisplayTable:
    """What compares the groups and differs; the answers themselves stand where they are asked."""
    rows = main[main["verdict"] != AGREE]
    columns = [
        Column("Quantity", "quantity", numeric=False),
        Column("Overlap", lambda row: numbers.fixed(row["overlap"], 2)),
        Column("Verdict", "verdict", numeric=False),
        _WHY,
    ]
    note = f"Overlap: the shared part of both intervals. {_meanings(rows['verdict'], marked=False)}"
    caption = "Comparisons of the groups on which the two differ"
    return display(rows, caption, columns, note.rstrip(), name="comparison")


def _others(table: pd.DataFrame) -> list[DisplayTable]:
    """Every other coefficient without its intervals, marked where the two engines differ.

    A table for the models that share their terms: a row a model, a column a term.
    """
    note = (
        f"{BOTH}, on the scale of the model. {_meanings(table['verdict'], marked=True)}".rstrip()
        + " Intervals and reasons: comparison.csv of longsurv report --folder."
    )
    terms = table.groupby("label", sort=False)["term"].agg(tuple)
    found: list[DisplayTable] = []
    for names in dict.fromkeys(terms):
        labels = list(terms.index[[own == names for own in terms]])
        rows = table[table["label"].isin(labels)]
        rows = rows.assign(
            both=[
                f"{_shown(row, 'ml').point}; {_shown(row, 'bayes').point}"
                f"{VERDICTS.get(row['verdict'], ('',))[0]}"
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
        # The first says what holds of all of them.
        found.append(display(rows, caption, columns, "" if found else note, name="coefficients"))
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
