"""The answer before all else: risks, what would change them, what is left, why to doubt it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from longsurv.priors import MOSTLY_PRIOR
from longsurv.report import sentences, sentences_answer
from longsurv.report.sections import truncated
from longsurv.report.sections.common import change_answer, change_words, hazard_answers
from longsurv.report.sections.mortality_part import answer_of
from longsurv.report.sections.mortality_target import emulated
from longsurv.report.sentences_answer import Risks
from longsurv.study.lead import Lead, began_apart, leads
from longsurv.study.tables.mortality import (
    crude_difference,
    risk_differences,
    told_risks,
    why_untold,
)
from longsurv.study.terms import covariates_of, treatment_terms
from longsurv.words import capital, listed, plural

if TYPE_CHECKING:
    from longsurv.study import StudyResults

ENOUGH = 10  # events, from which on few are no reason for doubt
IMBALANCE = 0.1  # standardised difference beyond which groups are often called unlike
BESIDE = {"unadjusted": "unadjusted", "baseline": "adjusted for baseline",
          "overlap": "overlap-weighted", "clda": "common baseline"}  # fmt: skip


@dataclass(frozen=True)
class Headline:
    """What stands first, in at most some ninety words.

    Attributes
    ----------
    risks : str
        Of both groups, per 100.
    change : str
        What would change the answer.
    markers : tuple of str
        A sentence a comparison.
    conclusion : str
    doubts : str
    """

    risks: str
    change: str
    markers: tuple[str, ...]
    conclusion: str
    doubts: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it, in order."""
        found = (self.risks, self.change, *self.markers, self.conclusion, self.doubts)
        return tuple(text for text in found if text)

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The same in three: the outcome, the markers, and what to make of them."""
        parts = ((self.risks, self.change), self.markers, (self.conclusion, self.doubts))
        joined = (" ".join(text for text in part if text) for part in parts)
        return tuple(text for text in joined if text)


def headline(results: StudyResults) -> Headline:
    """What the results say in a few words.

    Parameters
    ----------
    results : StudyResults
    """
    risks, *others = [(told(its), its) for its in results.each]
    first, change = _risks(results, risks[0]), _change(risks[1], risks[0])
    if others:  # a difference, what would change it, then the next
        texts = [first, change]
        for one, its in others:
            texts += [sentences_answer.absolute(one) if one else "", _change(its, one)]
        first, change = " ".join(filter(None, texts)), ""
    return Headline(
        risks=first,
        change=change,
        markers=(*truncated.headlines(results), *_markers(results)),
        conclusion=emulated(results) or _conclusion(results),
        doubts=sentences_answer.doubts(doubts(results)),
    )


def _conclusion(results: StudyResults) -> str:
    """What the data say about the event; of several comparisons which one it is of."""
    randomised, several = results.cohort.randomised, len(results.compared) > 1
    said: dict[str, list[str]] = {}
    pairs = results.study.models.compare_arms == "pairwise"
    names = [one.words if pairs else str(one.group) for one in results.compared] or [""]
    for name, its in zip(names, results.each, strict=True):
        risks, why = told(its), why_untold(its) or its.failures.get("methods", "")
        text = sentences_answer.conclusion(risks, randomised, why)
        elsewhere = risks and replace(risks, group="")
        named = not pairs and sentences_answer.conclusion(elsewhere, randomised, why) != text
        said.setdefault(text, []).extend([] if named or not several else [name])
    return " ".join(
        f"{listed(groups)}: {text[:1].lower()}{text[1:]}" if groups else text
        for text, groups in said.items()
    )


def told(results: StudyResults) -> Risks | None:
    """The risks by maximum likelihood in the report's words; None where there are none."""
    found = told_risks(results)
    if found is None:
        return None
    unit, beside = results.cohort.schema.time_unit, risk_differences(results)[0].get("bayes")
    return Risks(
        found.group, found.reference, results.cohort.event_name,
        sentences.by_when(found.horizon, unit), _observed(results), found.risk,
        found.reference_risk, answer_of(found.difference, ratio=False), found.events,
        answer_of(beside, ratio=False) if beside else None,
    )  # fmt: skip


def given(results: StudyResults) -> str:
    """What the risks are conditional on: "if still observed at 7 days"; empty if on nothing."""
    observed = _observed(results)
    return f"if still {observed}" if observed else ""


def _observed(results: StudyResults) -> str:
    entry = float(results.cohort.survival_data()["entry"].min())
    return sentences.observed_at(entry, results.cohort.schema.time_unit)


def _risks(results: StudyResults, risks: Risks | None) -> str:
    if risks is None:
        return ""
    text = sentences_answer.absolute(risks)
    role = results.study.aims.role(risks.event)
    return f"{capital(role)} outcome: {text[:1].lower()}{text[1:]}" if role == "primary" else text


def _change(results: StudyResults, risks: Risks | None) -> str:
    """What would turn the difference: the fewest unseen events, or leaving out the adjustment.

    Unseen events are counted in the crude table, so they speak of a crude difference only; and of
    none where the answer is that of an emulated trial.
    """
    found, part = told_risks(results), results.parts.get("tipping")
    if found is None or risks is None or emulated(results):
        return ""
    if found.way == "standardised":
        crude = crude_difference(results)
        if crude * risks.difference.estimate < 0:
            covariates = covariates_of(results.mortality, results.cohort)
            return sentences_answer.turns(sentences.adjusted_for(covariates))
        return ""
    if found.way != "crude" or part is None or part["points"].empty:
        return ""
    row = part["points"].iloc[0]
    better = part["group"] if row["better_arm"] == "group" else part["reference"]
    return sentences_answer.reversing(float(row["to_reverse"]), risks.event, better)


def _markers(results: StudyResults) -> list[str]:
    found, several = [], len(leads(results)) > 1
    for lead in leads(results):
        beside = [kind for kind in lead.tables if kind != lead.kind]
        text = sentences_answer.surviving(
            len(lead.surviving(lead.kind)), lead.answered(lead.kind), lead.adjusted,
            [(BESIDE[kind], len(lead.surviving(kind))) for kind in beside], lead.reason,
            lead.unanswered(lead.kind),
        )  # fmt: skip
        where = change_words(lead.change.start, lead.change.end, results.cohort.schema.time_unit)
        told = f"{lead.change.level}, {where}: {text[:1].lower()}{text[1:]}"
        found.append(told if several else text)
        found += _primary(results, lead, than=str(lead.change.reference) * several)
    return found


def _primary(results: StudyResults, lead: Lead, than: str) -> list[str]:
    """The primary outcome, where it is a marker; by Bayes where the likelihood has no maximum."""
    name, level = results.study.aims.primary, str(lead.change.level)
    of = {str(row["engine"]): row for _, row in lead.table.iterrows() if row["marker"] == name}
    if not of:
        return []
    for engine, only in (("ml", ""), ("bayes", "; by Bayes only")):
        answer = change_answer(of[engine]) if engine in of else None
        if answer is not None:
            label, unit = of[engine]["label"], of[engine]["unit"]
            told = sentences_answer.marker_answer(label, answer, level, unit, than)
            return [f"Primary outcome: {told}{only}."]
    label = next(iter(of.values()))["label"]
    return [f"Primary outcome: the difference in change of {label} could not be estimated."]


def doubts(results: StudyResults) -> list[str]:
    """Reasons to doubt the answer, each from the results."""
    cohort, found = results.cohort, []
    events = int(cohort.survival_data()["event"].sum())
    if events < ENOUGH:
        found.append("few events")
    terms = treatment_terms(results.mortality, cohort).values()
    if not any(hazard_answers(results.mortality, term) for term in terms):
        found.append("no hazard ratio")
    if results.study.target_trial is not None:
        found.append("delayed treatment")
    if not cohort.randomised:
        unsaid = cohort.randomised is None
        found.append("randomisation not stated" if unsaid else "no randomisation")
        apart = _apart(results)
        if apart:
            found.append(f"imbalance in {plural(apart, 'variable')}")
    if any(_is_priors(its) for its in results.each):
        found.append("the prior")
    if len(results.compared) > 1:
        found.append(f"{sentences_answer.count(len(results.compared))} comparisons")
    return found


def _is_priors(results: StudyResults) -> bool:
    """Whether the answer about the event is mostly the prior's, or its direction depends on it."""
    part = results.parts.get("priors")
    if part is None:
        return False
    table = part["table"]
    above = table["prob_positive"]
    mostly = bool((table["prior_share"] >= MOSTLY_PRIOR).any())
    return mostly or bool(above.min() <= 0.5 <= above.max())


def _apart(results: StudyResults) -> int:
    """How many markers and covariates had groups that began apart."""
    table = results.tables["baseline"]
    return int(table.loc[table["std_difference"].abs() > IMBALANCE, "variable"].nunique())


def began(results: StudyResults, lead: Lead) -> list[str]:
    """Markers that began apart in one comparison, higher or lower."""
    higher, lower = began_apart(results.tables["simple_baseline"], lead.change)
    return [*higher, *lower]
