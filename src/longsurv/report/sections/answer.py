"""The question, and the answer in a few sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.estimands.changes import adjusted_p_values
from longsurv.report import sentences, sentences_answer, sentences_mortality
from longsurv.report.sections.common import (
    change_words,
    compared_words,
    hazard_answers,
    of_comparisons,
)
from longsurv.report.sections.headline import Headline, began, headline
from longsurv.report.sections.markers import marker_sentences
from longsurv.report.sections.mortality import reasons
from longsurv.report.sections.mortality_part import (
    answer_of,
    comparison,
    penalty_sentence,
)
from longsurv.report.sections.mortality_target import begun_late
from longsurv.report.sections.paragraph import paragraph
from longsurv.report.sections.titles import TITLES
from longsurv.report.sentences import Answer
from longsurv.study.lead import Lead, clear_of_none, leads
from longsurv.study.marker_stages import ADJUSTMENTS, AdjustedPart
from longsurv.study.tables import mortality as tables
from longsurv.study.tables.survival import event_counts
from longsurv.study.terms import covariates_of, modifiers_of, treatment_terms
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import listed, plural

if TYPE_CHECKING:
    from longsurv.study import StudyResults

NOT_ADJUSTED = "The difference in change is not adjusted for the baseline value"
RISK_NOTES = {
    "crude": (
        "of the cumulative incidence, crude, by Miettinen and Nurminen's interval, and by"
        " independent beta-binomial posteriors under Jeffreys' prior"
    ),
    "incidence": (
        "of the cumulative incidence, crude, by Aalen and Johansen, and from the posterior of"
        " piecewise-constant hazards"
    ),
    "standardised": (
        "of the cumulative incidence, predicted by a Cox model of every kind of event for every"
        " patient under either treatment and averaged, by Firth's penalty, and under the weak prior"
    ),
}


@dataclass(frozen=True)
class ShortAnswer:
    """What the reader learns first: a few words, three rows, a paragraph; then the same at length.

    Attributes
    ----------
    question : str
    caution : tuple of str
        What the comparison cannot show.
    headline : Headline
    table : DisplayTable
    paragraph_title, paragraph : str
        In the style of a manuscript's results, to be pasted.
    mortality : tuple of str
        The answer about the outcome in full sentences.
    leading, markers : tuple of str
        About the markers: why the adjusted difference leads and what it changes, where it does;
        and what the trajectories say.
    """

    caution: tuple[str, ...]
    headline: Headline
    table: DisplayTable
    paragraph_title: str
    paragraph: str
    question: str
    mortality: tuple[str, ...]
    leading: tuple[str, ...]
    markers: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it, in order."""
        return (
            *self.caution, *self.headline.sentences, *self.mortality, *self.leading,
            *self.markers,
        )  # fmt: skip


@dataclass(frozen=True)
class Opening:
    """What a document shows of it: what its tables and paragraph say is not said again at length.

    Attributes
    ----------
    apart : tuple of str
        About the outcome, what the table has no row for.
    question_title, question : str
    leading : tuple of str
        Why the adjusted difference of the markers leads and what it changes, where it does.
    """

    caution: tuple[str, ...]
    headline: Headline
    table: DisplayTable
    apart: tuple[str, ...]
    paragraph_title: str
    paragraph: str
    question_title: str
    question: str
    leading: tuple[str, ...]


def build(results: StudyResults) -> Opening:
    """What the template of this section shows."""
    found = short_answer(results)
    leading = found.leading
    if leading and results.part_of(ADJUSTMENTS, AdjustedPart()).reason:
        # The section on the markers says why.
        leading = (f"{NOT_ADJUSTED}; why not stands under {TITLES['markers']}.",)
    return Opening(
        found.caution, found.headline, found.table, tuple(apart(results)), found.paragraph_title,
        found.paragraph, f"The question{' and what answers it' * bool(leading)}",
        found.question, leading,
    )  # fmt: skip


def short_answer(results: StudyResults) -> ShortAnswer:
    """The question and the short answer, from the results."""
    cohort = results.cohort
    groups, event = listed(list(map(str, cohort.groups))), cohort.event_name
    changes = (
        f", and in the change over time of {plural(len(results.markers), 'marker')}"
        if results.markers
        else ""
    )
    question = f"Do the groups {groups} differ in {event}{changes}?"
    return ShortAnswer(
        caution=(caution(results),),
        headline=headline(results),
        table=summary_table(results),
        paragraph_title="To paste into a manuscript",
        paragraph=paragraph(results),
        question=question,
        mortality=tuple(mortality_sentences(results)),
        leading=tuple(
            of_comparisons(
                (compared_words(lead.change, cohort.schema.time_unit), text)
                for lead in leads(results)
                for text in leading_sentences(results, lead)
            )
        ),
        markers=tuple(marker_sentences(results)),
    )


def risk_differences(results: StudyResults) -> tuple[dict[str, Answer], str]:
    """The difference of the risks in percentage points by both engines, and how it was made."""
    rows, way = tables.risk_differences(results)
    return {engine: answer_of(row, ratio=False) for engine, row in rows.items()}, way or ""


def summary_table(results: StudyResults) -> DisplayTable:
    """Both answers to both questions, in as many rows as there are comparisons."""
    cohort = results.cohort
    rows: list[dict[str, str]] = []
    modifiers = modifiers_of(results.mortality, cohort)
    adjusted = sentences.adjusted_for(covariates_of(results.mortality, cohort))
    terms = {} if modifiers else treatment_terms(results.mortality, cohort)
    for level, term in terms.items():
        answers = hazard_answers(results.mortality, term)
        ml, bayes = answers.get("ml"), answers.get("bayes")
        rows.append(
            {
                "what": f"Hazard ratio of {cohort.event_name}, {level} against {cohort.groups[0]}"
                + f", {adjusted}" * bool(adjusted),
                "ml": ml.text if ml else "not estimated",
                "p": numbers.p_value(ml.p_value) if ml else "",
                "bayes": bayes.text if bayes else "not estimated",
                "lower": numbers.probability(1 - bayes.prob_positive) if bayes else "",
            }
        )
    told = [its for its in results.each if "methods" in its.parts]
    for its in told:
        differences, _ = risk_differences(its)
        ml, bayes = differences.get("ml"), differences.get("bayes")
        asked = comparison(its, its.parts["methods"])
        rows.append(
            {
                "what": f"Difference in the {asked.risk}, {asked.group} minus {asked.reference},"
                f" {f'{adjusted}, ' * bool(its.parts['methods']['adjust'])}percentage points",
                "ml": ml.text if ml else "not estimated",
                "p": "",
                "bayes": bayes.text if bayes else "not estimated",
                "lower": numbers.probability(1 - bayes.prob_positive) if bayes else "",
            }
        )
    rows += _marker_rows(results)
    columns = [
        Column("", "what", numeric=False),
        Column("Maximum likelihood (95 % CI)", "ml"),
        Column("p", "p"),
        Column("Bayes (95 % CrI)", "bayes"),
        Column("P(lower)", "lower"),
    ]
    note = (
        "CI: confidence interval. CrI: equal-tailed credible interval. P(lower): posterior"
        " probability of a ratio below 1 or a difference below 0. After correction: p < 0.05 by the"
        " false discovery rate over the markers."
    )
    if told:
        note += f" Difference of risks: {RISK_NOTES[risk_differences(told[0])[1]]}."
    return display(
        pd.DataFrame(rows, columns=["what", "ml", "p", "bayes", "lower"]),
        "The two answers in brief",
        columns,
        note,
    )


def _marker_rows(results: StudyResults) -> list[dict[str, str]]:
    """Of each comparison: how many markers the analysis that leads tells apart."""
    found, several = [], len(leads(results)) > 1
    for lead in leads(results):
        counts = {}
        for engine, part in lead.table.groupby("engine"):
            answered = part[part["estimate"].notna()]
            counts[engine] = f"{int(clear_of_none(answered).sum())} of {len(answered)}"
        left = len(lead.surviving(lead.kind))
        if lead.answered(lead.kind) > 1:
            counts["ml"] += f" ({left or 'none'} after correction)"
        words = change_words(lead.change.start, lead.change.end, results.cohort.schema.time_unit)
        which = f" ({lead.change.level}, {words})" if several else ""
        how = ", adjusted for the baseline value" if lead.adjusted else ""
        found.append(
            {
                "what": "Differences in change with an interval clear of no difference"
                f"{how}{which}",
                "ml": counts.get("ml", ""),
                "p": "",
                "bayes": counts.get("bayes", ""),
                "lower": "",
            }
        )
    return found


def mortality_sentences(results: StudyResults) -> list[str]:
    """Crude counts, and the hazard ratio both ways."""
    cohort, model = results.cohort, results.mortality
    schema, data = cohort.schema, cohort.survival_data()
    groups = [str(g) for g in cohort.groups]
    counts = event_counts(data, schema.treatment, groups)
    rows = [(r["group"], r["events"], r["patients"]) for r in counts.to_dict("records")]
    found = [
        sentences.counts(
            rows, sentences.by_when(schema.horizon, schema.time_unit), cohort.event_name
        )
    ]
    terms, event = treatment_terms(model, cohort), cohort.event_name
    covariates = covariates_of(model, cohort)
    for level, term in {} if modifiers_of(model, cohort) else terms.items():
        answers = hazard_answers(model, term)
        if answers:
            found.append(
                sentences.hazard(
                    level, groups[0], answers.get("ml"), answers.get("bayes"), event, covariates
                )
            )
    found += apart(results)
    found.append(penalty_sentence(results))
    for its in results.each:
        differences, _ = risk_differences(its)
        if not differences:
            continue
        part = its.parts["methods"]
        asked = comparison(its, part)
        qualified = sentences.adjusted_for(covariates)
        adjusted = f"{asked.risk}, {qualified}," if part["adjust"] else ""
        found.append(
            sentences_mortality.risk_difference(
                asked, differences.get("ml"), differences.get("bayes"), of=adjusted
            )
        )
    return [sentence for sentence in found if sentence]


def apart(results: StudyResults) -> list[str]:
    """What no row of the table can say: why there is no hazard ratio, or none for all, and how many
    comparisons there are."""
    model, cohort = results.mortality, results.cohort
    terms, modifiers = treatment_terms(model, cohort), modifiers_of(model, cohort)
    found = []
    if not terms:
        why = " ".join(dict.fromkeys(model.reasons.values()))
        found.append(f"The hazard ratio could not be estimated. {why}".strip())
    if modifiers:
        found += [sentences.depends_on(level, cohort.event_name, modifiers) for level in terms]
    lacking = False
    for level, term in {} if modifiers else terms.items():
        answers = hazard_answers(model, term)
        ml = answers.get("ml")
        lacking |= len(answers) < 2
        if not answers or (ml is not None and ml.separated):
            reference, event = str(cohort.groups[0]), cohort.event_name
            covariates = covariates_of(model, cohort)
            found.append(sentences.hazard(level, reference, ml, None, event, covariates))
    found += [f"Not estimated. {reason}" for reason in reasons(results)] if lacking else []
    found.append(_several(results))
    return [sentence for sentence in found if sentence]


def _several(results: StudyResults) -> str:
    """How many comparisons there are, and the hazard ratios' p-values corrected for that."""
    compared = list(results.compared)
    terms = treatment_terms(results.mortality, results.cohort)
    if len(compared) < 2 or modifiers_of(results.mortality, results.cohort):
        return ""
    if results.study.models.compare_arms == "pairwise":
        table = results.tables["arm_ratios"]
        known = () if "reason" in table else table["p_holm"]
        names = [one.words for one in compared]
        return sentences_mortality.several(len(compared), "", dict(zip(names, known, strict=False)))
    p_values = [
        answer.p_value
        if (answer := hazard_answers(results.mortality, term).get("ml"))
        else math.nan
        for term in terms.values()
    ]
    corrected = adjusted_p_values(p_values, "holm")
    return sentences_mortality.several(
        len(compared), str(compared[0].reference), dict(zip(terms, corrected, strict=True))
    )


def leading_sentences(results: StudyResults, lead: Lead) -> list[str]:
    """Why the adjusted difference leads, and what it changes; nothing where none leads."""
    if lead.reason:
        return [f"{NOT_ADJUSTED}. {lead.reason}"]
    if not lead.adjusted:
        return []
    return [
        sentences_answer.leads_because(str(lead.change.start), results.cohort.randomised),
        sentences_answer.sides(lead.dropped, lead.gained, began(results, lead)),
        sentences_answer.ERROR_IN_BASELINE,
    ]


def caution(results: StudyResults) -> str:
    """What the comparison cannot show."""
    if results.cohort.randomised:
        return begun_late(results)
    formed = sentences_answer.not_randomised(results.cohort.randomised)
    unknown = "; if not, a" if results.cohort.randomised is None else ". A"
    chosen = (
        f"{formed}{unknown} difference between them is an association: it may come from what made"
        " clinicians treat some patients and not others."
    )
    return f"{chosen} {begun_late(results)}".rstrip()
