"""One question, every method: hazard ratio and risk difference side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.estimands.number_needed import number_needed_to_treat
from longsurv.figures import method_forest
from longsurv.records import Record
from longsurv.report import sentences_mortality
from longsurv.report.sections.common import Picture, footnoted
from longsurv.report.sections.mortality_part import Part, answer_of, comparison, prior_text
from longsurv.report.sentences import Answer
from longsurv.report.sentences_mortality import Compared
from longsurv.study.tables.mortality import beside_headline, headline_methods
from longsurv.study.terms import covariates_of
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import NO_ANSWER, capital, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

KINDS = ("Simple", "Exact", "From a model", "Bayes")
_KINDS = {"simple": "Simple", "exact": "Exact", "model": "From a model"}
_ENGINES = {"frequentist": "Frequentist", "bayes": "Bayes"}
TOLD_FIRST = ("weak", "Jeffreys")
_FROM_BOTH = {  # short enough for a figure
    f"{curve}, mover": f"{curve}, from both risks" for curve in ("Kaplan-Meier", "Aalen-Johansen")
}


def methods_part(results: StudyResults) -> Part | None:
    """Every method's answer; None if that stage did not run or failed."""
    part = results.parts.get("methods")
    if part is None:
        return None
    table, asked = _unsaid(part["table"], results), comparison(results, part)
    # Answers under the other priors stand together, in the part that is about priors.
    elsewhere = "priors" in results.parts
    covariates = covariates_of(results.mortality, results.cohort) if part["adjust"] else []
    items: list[str | Picture | DisplayTable] = [introduction(covariates, elsewhere)]
    tables: list[DisplayTable] = []
    for quantity in ("hazard ratio", "risk difference"):
        rows = arranged(table, quantity)
        rows = voting(rows) if elsewhere else rows
        headline = headline_methods(results, quantity)
        rows = rows.assign(
            beside=[
                beside_headline(row, headline, part["adjust"]) for row in rows.to_dict("records")
            ]
        )
        answers = [answer for answer in voting(rows)["answer"] if not math.isnan(answer.estimate)]
        unanswered = int((~rows["answered"]).sum())
        items.append(sentences_mortality.methods_range(quantity, answers, unanswered, asked))
        if answers:
            items.append(_forest(rows, quantity, asked))
        told = any(table.rows for table in tables)
        tables.append(_table(rows, quantity, asked, told))
    return Part("Every method", tuple(items), (*tables, _others(table, asked, elsewhere)))


def _unsaid(table: pd.DataFrame, results: StudyResults) -> pd.DataFrame:
    """The rows without the notes that the verdicts on the fits remark."""
    remarked = {
        remark.rstrip(".")
        for (model, _), verdict in results.verdicts.items() if model == results.mortality.name
        for remark in verdict.remarks
    }  # fmt: skip
    return table.assign(note=table["note"].where(~table["note"].str.rstrip(".").isin(remarked), ""))


def voting(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a method: priors are none, so a posterior counts once, under the prior told first.

    Parameters
    ----------
    rows : DataFrame
        Of the table of every method, those of one quantity.

    Returns
    -------
    DataFrame
    """
    first = rows["prior_id"].isin(["", *TOLD_FIRST])
    named = rows.loc[first, "method_id"]
    others = ~first & ~rows["method_id"].isin(named)
    return rows[first | (others & ~rows["method_id"].duplicated())]


def introduction(covariates: Sequence[str], elsewhere: bool) -> str:
    """What counts as a method."""
    others = "; the others stand below" if elsewhere else ""
    adjusted = f" Those called adjusted are so for {listed(covariates)}." if covariates else ""
    return f"Priors are no methods: the first told counts{others}.{adjusted}"


def kind(row: Record) -> str:
    """Which of `KINDS` the method of a row is."""
    return "Bayes" if row["engine"] == "bayes" else _KINDS[row["approach"]]


def short_name(row: Record) -> str:
    """A method's name for a figure: the prior by its name, without what every row shares."""
    if row["prior_id"] and row["approach"] == "model":
        adjusted = " adjusted" if row["adjusted_for"] else ""
        sites = ", sites" if row["world"] == "site" else ""
        return f"Cox{adjusted}{sites}, {row['prior_id']} prior"
    if row["prior_id"] and not row["prior"]:
        return _typeset(f"{row['method_id']}, {row['prior_id']} prior")
    return _FROM_BOTH.get(row["method_id"]) or _method_text(row)


def arranged(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of one quantity by kind of method, with an `answer` and its text each."""
    rows = table[table["quantity"] == quantity].reset_index(drop=True)
    records = rows.to_dict("records")
    rows = rows.assign(
        section=[kind(row) for row in records],
        row=[short_name(row) for row in records],
        series=rows["engine"].map(_ENGINES),
        answer=[answer_of(row, ratio=row["scale"] == "ratio") for row in records],
        note=rows["note"].fillna(""),
    )
    rows = rows.sort_values("section", key=lambda c: c.map(KINDS.index), kind="stable")
    return rows.reset_index(drop=True)


def _forest(rows: pd.DataFrame, quantity: str, asked: Compared) -> Picture:
    ratio = _is_ratio(rows)
    answers: list[Answer] = rows["answer"].tolist()
    drawn = rows[["section", "row", "series"]].assign(
        estimate=[a.estimate for a in answers],
        conf_low=[a.low for a in answers],
        conf_high=[a.high for a in answers],
        text=[a.text for a in answers],
    )
    what = "hazard" if ratio else "risk"
    xlabel = "Hazard ratio (logarithmic axis)" if ratio else "Risk difference (percentage points)"

    def draw(width: float) -> Axes:
        return method_forest(
            drawn, xlabel=xlabel, log=ratio, width=width,
            text_heading="95 % interval",
            left_label=f"lower {what} in {_short(asked.group)}",
            right_label=f"higher {what} in {_short(asked.group)}",
        )  # fmt: skip

    said = "; ".join(
        f"{row}: {answer.text if not math.isnan(answer.estimate) else NO_ANSWER}"
        for row, answer in zip(drawn["row"], answers, strict=True)
    )
    label = f"{quantity.capitalize()} of {asked.group} against {asked.reference} by {len(rows)} methods: {said}."  # noqa: E501
    caption = f"{quantity.capitalize()} by every method, with 95 % intervals."
    caption += " At an arrow the interval goes on." * ratio
    return Picture(f"methods-{quantity.replace(' ', '-')}", draw, label, caption)


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _table(rows: pd.DataFrame, quantity: str, asked: Compared, told: bool) -> DisplayTable:
    """The answers of one quantity; `told` where a table before says what stands beside what."""
    unit = "" if _is_ratio(rows) else ", percentage points"
    rows, remarks = _marked(rows)
    columns = [
        Column("Method", _marked_text, numeric=False),
        Column(f"{quantity.capitalize()} (95 % interval)", _text),
        Column("p", lambda row: _p(row["p_value"])),
        Column("P(lower)", lambda row: _probability(row["prob_benefit"])),
        *([Column("Number needed to treat (95 % interval)", _needed)] if unit else []),
        Column("Beside the first answer", "beside", numeric=False),
    ]
    note = (
        f"P(lower): posterior probability that the {'hazard' if not unit else 'risk'} of"
        f" {asked.event} is lower in {asked.group}."
    )
    if not told:
        note += (
            " Beside the first answer: another quantity (other covariates, a world without"
            " competing events, other patients, patients of one site) or assumption."
        )
    if not unit:
        note += " Bayes: the posterior median of the hazard ratio."
    else:
        note += (
            " Number needed to treat: one over the difference, were it treatment's doing, for one"
            " patient to benefit (NNTB) or to be harmed (NNTH). Where the interval of the"
            " difference holds 0, that of the number passes through infinity, at which nobody"
            " benefits and nobody is harmed (Altman)."
        )
    caption = (
        f"{quantity.capitalize()} of {asked.group} against {asked.reference}{unit}, every method"
    )
    name = f"methods_{quantity.replace(' ', '_')}"
    return display(rows, caption, columns, f"{note} {remarks}".rstrip(), name=name)


def _marked(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows with the mark of what is remarked on each, and the remarks."""
    marks, note = footnoted([_note(row) for row in rows.to_dict("records")])
    return rows.assign(mark=marks), note


def _marked_text(row: Record) -> str:
    return f"{_method_text(row)}{row['mark']}"


def _others(table: pd.DataFrame, asked: Compared, elsewhere: bool) -> DisplayTable:
    """The quantities that are not in the two figures, and the tests."""
    rest = table[~table["quantity"].isin(["hazard ratio", "risk difference"])]
    parts = [arranged(rest, quantity) for quantity in rest["quantity"].unique()]
    parts = [voting(part) for part in parts] if elsewhere else parts
    rows = pd.concat(parts, ignore_index=True) if parts else rest
    named = rows["quantity"].map(_quantity)
    rows = rows.assign(first=named.where(~named.duplicated(), ""))

    def text(row: Record) -> str:
        if row["scale"] == "test":
            return ""
        if row["scale"] == "ratio":
            return _text(row)
        values = (row["estimate"], row["conf_low"], row["conf_high"])
        return "" if math.isnan(values[0]) else numbers.difference(*values)

    rows, remarks = _marked(rows)
    columns = [
        Column("Quantity", "first", numeric=False),
        Column("Method", _marked_text, numeric=False),
        Column("Estimate (95 % interval)", text),
        Column("p", lambda row: _p(row["p_value"])),
        Column("P(better)", lambda row: _probability(row["prob_benefit"])),
    ]
    note = (
        f"Of {asked.group} against {asked.reference}. P(better): posterior probability of a lower"
        f" risk, or a longer time, in {asked.group}."
    )
    if elsewhere:
        note += " Under other priors: mortality_methods.csv of longsurv report --folder."
    note = f"{note} {remarks}".rstrip()
    return display(rows, "Other quantities and tests", columns, note, name="methods_others")


def _quantity(quantity: str) -> str:
    return "Test of no difference" if quantity == "no difference" else quantity.capitalize()


def _is_ratio(rows: pd.DataFrame) -> bool:
    return bool((rows["scale"] == "ratio").all())


def _method_text(row: Record) -> str:
    prior = row["prior"]
    return _typeset(row["method"].replace(prior, prior_text(prior)) if prior else row["method"])


def _typeset(name: str) -> str:
    return capital(name.replace("2 x 2, ", "2 \N{MULTIPLICATION SIGN} 2, "))


def _text(row: Record) -> str:
    answer: Answer = row["answer"]
    return NO_ANSWER if math.isnan(answer.estimate) else answer.text


def _needed(row: Record) -> str:
    """Of the answers that are told first; any other's is one over its difference, too."""
    if row["beside"] != "the headline":
        return ""
    limits = (row["estimate"], row["conf_low"], row["conf_high"])
    if math.isnan(limits[0]):
        return ""
    # a posterior's mean can lie outside its equal-tailed interval, which then says nothing of it
    inside = limits[1] <= limits[0] <= limits[2]
    return str(number_needed_to_treat(*(limits if inside else limits[:1])))


def _p(value: float) -> str:
    return "" if math.isnan(value) else numbers.p_value(value)


def _probability(value: float) -> str:
    return "" if math.isnan(value) else numbers.probability(value)


def _note(row: Record) -> str:
    if row["method_id"] == "overlap weights" and not row["adjusted_for"]:
        # The note tells a programmer which argument to give.
        return "The mortality model names no covariates"
    return capital(row["note"])
