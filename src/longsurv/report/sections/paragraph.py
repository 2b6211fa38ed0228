"""A paragraph in the style of a manuscript's results, every number from the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv import numbers
from longsurv.report import sentences, sentences_answer
from longsurv.report.sections.common import change_words, hazard_answers
from longsurv.report.sections.headline import BESIDE, given, told
from longsurv.report.sections.mortality_target import begun_late, emulated
from longsurv.study.lead import Lead, leads
from longsurv.study.tables.survival import event_counts
from longsurv.study.terms import covariates_of, modifiers_of, treatment_terms
from longsurv.words import capital, listed, plural

if TYPE_CHECKING:
    from longsurv.report.sentences import Answer
    from longsurv.study import StudyResults


def paragraph(results: StudyResults) -> str:
    """Who was compared, how many had the event, by how much the groups differ, and what of it.

    Parameters
    ----------
    results : StudyResults
    """
    found = [_patients(results), _outcome(results), *_hazards(results)]
    found += [_changes(lead, results.cohort.schema.time_unit) for lead in leads(results)]
    found.append(_limits(results))
    return " ".join(text for text in found if text)


def _patients(results: StudyResults) -> str:
    cohort = results.cohort
    groups = listed([f"{n:,} {level}" for level, n in cohort.n_by_group.items()])
    how = "were randomised" if cohort.randomised else "were included"
    text = f"{plural(len(cohort.patients), 'patient')} ({groups}) {how}."
    if cohort.reconstructed:
        text = f"In reconstructed data, {text[:1].lower()}{text[1:]}"
    return text


def _outcome(results: StudyResults) -> str:
    cohort, event = results.cohort, results.cohort.event_name
    schema = cohort.schema
    counts = event_counts(cohort.survival_data(), schema.treatment, list(map(str, cohort.groups)))
    parts = [
        f"{r['events']:,} of {r['patients']:,} ({numbers.percent(r['events'], r['patients'])}) in"
        f" {r['group']}"
        for r in counts.to_dict("records")
    ]
    when = sentences.by_when(schema.horizon, schema.time_unit)
    condition = f" {given(results)}" if given(results) else ""
    text = f"{capital(event)} {when}{condition} occurred in {listed(parts)}"
    differences = []
    for its in results.each:
        risks = told(its)
        if risks is None:
            continue
        adjusted = its.parts["methods"]["adjust"]
        how = f"standardised, {_adjusted_for(results)}, " if adjusted else ""
        differences.append(
            f"{risks.group} minus {risks.reference},"
            f" {how}{risks.difference.point} percentage points, 95 % confidence interval"
            f" {risks.difference.interval}"
        )
    if not differences:
        return f"{text}."
    return f"{text} (difference in cumulative incidence, {'; '.join(differences)})."


def _adjusted_for(results: StudyResults) -> str:
    return sentences.adjusted_for(covariates_of(results.mortality, results.cohort))


def _hazards(results: StudyResults) -> list[str]:
    cohort, model = results.cohort, results.mortality
    if modifiers_of(model, cohort):
        return []
    qualified = f", {_adjusted_for(results)}" if _adjusted_for(results) else ""
    found = []
    for level, term in treatment_terms(model, cohort).items():
        answers = hazard_answers(model, term)
        parts = [*_likelihood(answers.get("ml")), *_posterior(answers.get("bayes"), results, term)]
        if parts:
            found.append(
                f"The hazard ratio of {cohort.event_name}, {level} against"
                f" {cohort.groups[0]}{qualified}, was {'; '.join(parts)}."
            )
    return found


def _likelihood(answer: Answer | None) -> list[str]:
    if answer is None or answer.separated:
        return []
    p = numbers.p_value(answer.p_value)
    return [
        f"{answer.point} (95 % confidence interval {answer.interval}; p"
        f" {p if p[0] in '<>' else f'= {p}'})"
    ]


def _posterior(answer: Answer | None, results: StudyResults, term: str) -> list[str]:
    post = results.mortality.post
    if answer is None or post is None:
        return []
    prior = post.stack.describe().get(term, "")
    under = f" under a {prior} prior of its logarithm" if prior else ""
    return [f"{answer.point} (posterior median{under}, 95 % credible interval {answer.interval})"]


def _changes(lead: Lead, unit: str) -> str:
    total = lead.answered(lead.kind)
    if not total:
        return ""
    how = "Adjusted for the baseline value, " if lead.adjusted else ""
    kept = lead.surviving(lead.kind)
    text = (
        f"{sentences_answer.count(len(kept)) if kept else 'none'} of"
        f" {plural(total, 'difference in change', 'differences in change')}"
        f" {change_words(lead.change.start, lead.change.end, unit)} between {lead.change.level} and"
        f" {lead.change.reference} kept p < 0.05 by the false discovery rate"
    )
    if total == 1:  # nothing to correct for
        sign = "<" if kept else sentences_answer.NOT_BELOW
        where = change_words(lead.change.start, lead.change.end, unit)
        text = (
            f"the difference in change {where} between {lead.change.level} and"
            f" {lead.change.reference} had p {sign} 0.05"
        )
    which = f" ({listed(kept)})" if kept else ""
    beside = [
        f"{BESIDE[kind]} {len(lead.surviving(kind))}" for kind in lead.tables if kind != lead.kind
    ]
    if unknown := lead.unanswered(lead.kind):
        beside.append(f"{sentences_answer.count(unknown)} could not be estimated")
    others = f"; {listed(beside)}" if beside else ""
    return f"{how}{text if how else capital(text)}{which}{others}."


def _limits(results: StudyResults) -> str:
    if results.cohort.randomised:
        return begun_late(results)
    formed = sentences_answer.not_randomised(results.cohort.randomised)
    limits = f"{formed}, and the differences are associations."
    return " ".join(text for text in (limits, begun_late(results), emulated(results)) if text)
