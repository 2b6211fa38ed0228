"""Who died and who left by another way: cumulative incidence by group."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.estimands.survival_by_group import incidence_curves, risk_times
from longsurv.figures import incidence
from longsurv.records import Record
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part, answer_of, comparison
from longsurv.report.sentences import Answer
from longsurv.report.sentences_mortality import Compared
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import NO_ANSWER, capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

_ENGINES = {"frequentist": "Aalen-Johansen", "bayes": "Bayes"}
_HAZARD_RATIOS = {
    "cause-specific hazard ratio": "Cause-specific",
    "subdistribution hazard ratio": "Subdistribution",
}
"""What each is called in a table of hazard ratios."""


def competing_part(results: StudyResults) -> Part | None:
    """Cumulative incidence of every cause; None without competing events or that stage."""
    part = results.parts.get("competing")
    if part is None or not results.cohort.schema.competing:
        return None
    asked, event = comparison(results, part), results.cohort.event_name
    table = part["table"].assign(cause=part["table"]["cause"].replace("event", event))
    items: tuple[str | Picture | DisplayTable, ...] = (
        _picture(results, asked, event),
        _table(table, asked),
    )
    return Part("Competing events", items, (_hazards(table, asked),))


def difference(table: pd.DataFrame, cause: str, engine: str) -> Answer | None:
    """The difference in one cause's incidence in percentage points, with Gray's p-value."""
    rows = table[(table["cause"] == cause) & (table["engine"] == engine)]
    found = rows[rows["quantity"] == "risk difference"]
    if found.empty or math.isnan(found["estimate"].iloc[0]):
        return None
    row: Record = {str(k): v for k, v in found.iloc[0].items()}
    gray = rows.loc[rows["quantity"] == "no difference", "p_value"]
    return answer_of({**row, "p_value": gray.iloc[0] if len(gray) else math.nan}, ratio=False)


def _picture(results: StudyResults, asked: Compared, event: str) -> Picture:
    schema, data = results.cohort.schema, results.cohort.survival_data()
    groups = [asked.reference, asked.group]
    causes = {event: 1, **{label: code for code, label in enumerate(schema.competing, 2)}}
    curves = incidence_curves(data, schema.treatment, groups, causes)
    curves["cause"] = curves["cause"].map(capital)
    start, end = float(curves["time"].min()), float(schema.horizon or curves["time"].max())
    ticks = risk_times(start, end, schema.time_unit, most=5)
    since = f" since {schema.time_zero}" if schema.time_zero else ""

    def draw(width: float) -> Axes:
        return incidence(
            curves, groups=groups, xlabel=f"{schema.time_unit.capitalize()}{since}", ticks=ticks,
            width=width,
        )  # fmt: skip

    last = curves.sort_values("time").groupby(["cause", "group"], sort=False)["estimate"].last()
    ends = "; ".join(
        f"{cause}, {group}: {100 * value:.1f} %" for (cause, group), value in last.items()
    )
    caption = (
        "Cumulative incidence of each first event by group (Aalen-Johansen), with pointwise 95 %"
        " bands."
    )
    return Picture("incidence", draw, f"Cumulative incidence at the end: {ends}.", caption)


def _table(table: pd.DataFrame, asked: Compared) -> DisplayTable:
    rows = []
    for cause in table["cause"].unique():
        for engine, name in _ENGINES.items():
            mine = table[(table["cause"] == cause) & (table["engine"] == engine)]
            by = mine.drop_duplicates("quantity").set_index("quantity")
            answer = difference(table, cause, engine)
            reasons = mine.loc[~mine["answered"], "note"]
            rows.append(
                {
                    "cause": capital(cause), "engine": name,
                    "reference": _risk(by, asked.reference), "group": _risk(by, asked.group),
                    "difference": answer.text if answer else NO_ANSWER,
                    "p": answer.p_value if answer and engine == "frequentist" else math.nan,
                    "lower": 1 - answer.prob_positive if answer else math.nan,
                    "reason": " ".join(dict.fromkeys(reasons)),
                }
            )  # fmt: skip
    found = pd.DataFrame(rows)
    columns = [
        Column("Outcome", "cause", numeric=False),
        Column("Engine", "engine", numeric=False),
        Column(f"Risk in {asked.reference}, %", "reference"),
        Column(f"Risk in {asked.group}, %", "group"),
        Column("Difference, percentage points (95 % interval)", "difference"),
        Column("p (Gray)", lambda row: "" if math.isnan(row["p"]) else numbers.p_value(row["p"])),
        Column("P(lower)", lambda row: _probability(row["lower"])),
    ]
    if found["reason"].ne("").any():
        columns.append(Column("Remark", "reason", numeric=False, prose=True))
    note = (
        "Limits of the Aalen-Johansen difference from those of the two risks (Zou and Donner);"
        " Bayes: piecewise-constant hazards of every cause. P(lower): posterior probability of a"
        f" lower incidence in {asked.group}; whether lower is better depends on the outcome."
    )
    return display(found, f"Cumulative incidence {asked.when}", columns, note)


def _hazards(table: pd.DataFrame, asked: Compared) -> DisplayTable:
    """Both hazard ratios of every cause."""
    rows = table[table["quantity"].isin(_HAZARD_RATIOS)].assign(
        outcome=lambda d: d["cause"].map(capital)
    )
    columns = [
        Column("Outcome", "outcome", numeric=False),
        Column("Hazard ratio", lambda row: _HAZARD_RATIOS[row["quantity"]], numeric=False),
        Column(
            "Estimate (95 % interval)",
            lambda row: (
                numbers.ratio(*(float(row[c]) for c in ("estimate", "conf_low", "conf_high")))
                if row["answered"]
                else NO_ANSWER
            ),
        ),
        Column("p", lambda row: numbers.p_value(row["p_value"]) if row["answered"] else ""),
        Column("Remark", "note", numeric=False, prose=True),
    ]  # fmt: skip
    note = (
        f"Of {asked.group} against {asked.reference}. Cause-specific: the rate among those to whom"
        " nothing has happened yet, for what causes an outcome. Subdistribution (Fine and Gray):"
        " which way the cumulative incidence moves, for what to expect; it also moves where only a"
        " competing outcome's rate does."
    )
    caption = "Hazard ratios of every outcome: two questions"
    return display(rows, caption, columns, note, name="competing_hazards")


def _risk(rows: pd.DataFrame, group: str) -> str:
    name = f"risk of {group}"
    if name not in rows.index:
        return numbers.MISSING
    low, high = (100 * float(rows.loc[name, c]) for c in ("conf_low", "conf_high"))
    return numbers.difference(100 * float(rows.loc[name, "estimate"]), low, high)


def _probability(value: float) -> str:
    return "" if math.isnan(value) else numbers.probability(value)
