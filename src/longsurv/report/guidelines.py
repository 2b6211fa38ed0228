"""Items of the reporting guidelines, and where this report answers them.

BARG: Kruschke (2021), Nat Hum Behav 5:1282-1291. STROBE, cohort studies: von Elm et al. (2007),
Lancet 370:1453-1457. CONSORT: Schulz, Altman and Moher (2010), BMJ 340:c332. The items are named in
our own words. An item says which table or section answers it; where the output at hand holds none
of those, or there is none, the authors have to write it, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

YOURS = "not in this report: yours to write"


@dataclass(frozen=True)
class Evidence:
    """What answers an item, if it is there.

    Parameters
    ----------
    place : str
        Name of a table or figure, id of a section, or "section.field" for one thing in it.
    what : str
        What is found there.
    """

    place: str
    what: str


@dataclass(frozen=True)
class Item:
    """One item of a guideline.

    Parameters
    ----------
    number : str
        As the guideline counts.
    name : str
    evidence : tuple of Evidence
        Everything that may answer it; empty where a report like this one cannot.
    """

    number: str
    name: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Answered:
    """An item with what this output holds about it.

    Attributes
    ----------
    item : Item
    places : tuple of str
        Headings and captions of this output; none where the item is the authors' to write.
    what : str
    """

    item: Item
    places: tuple[str, ...]
    what: str


def answered(items: Sequence[Item], shown: Mapping[str, str]) -> list[Answered]:
    """Each item with the places of this output that answer it.

    Parameters
    ----------
    items : sequence of Item
    shown : mapping of str to str
        Every place of this output to what stands above it: see `content.shown`.
    """
    found = []
    for item in items:
        there = [evidence for evidence in item.evidence if evidence.place in shown]
        places = tuple(dict.fromkeys(shown[evidence.place] for evidence in there))
        found.append(Answered(item, places, "; ".join(evidence.what for evidence in there)))
    return found


_FLOW = Evidence(
    "cohort.flow", "patients and measurements from the files to the models, with reasons"
)
_BASELINE = Evidence("baseline", "by group, with the number of missing values")
_FIT = (
    Evidence("quantiles", "quantiles of the markers' residuals"),
    Evidence("residual-bands", "their mean and spread over the fitted values"),
    Evidence("hazards-over-time", "proportional hazards, drawn"),
    Evidence("proportional", "and tested"),
    Evidence("linearity", "straight lines against bends"),
)
_MODELS = Evidence("models", "formula and method of every model")
_CHANGES = Evidence("changes", "differences in change with 95 % intervals")
_HAZARDS = Evidence("hazards", "hazard ratios with 95 % intervals")
_ADJUSTED = Evidence("adjustments", "unadjusted and adjusted side by side")
_METHODS = Evidence("methods_risk_difference", "the same question by every method")
_COUNTS = Evidence("counts", "events and time at risk by group")
_PRIORS_AFTER = Evidence("priors_after", "the treatment's effect on mortality under named priors")
_UNSEEN = Evidence("tipping", "deaths that nobody saw")
_ANSWER = Evidence("answer", "question, data and answers in short")
_CAUTION = Evidence("answer.caution", "what the groups' assignment does not allow")

BARG = (
    Item("Preamble", "Why Bayesian, and the question", (
        Evidence("answer", "the question and both answers; why Bayesian is yours to write"),
    )),
    Item("1.A", "Variables", (
        Evidence("measurements", "markers, units and scales"),
        Evidence("baseline", "covariates"),
    )),
    Item("1.B", "Likelihood and parameters", (
        Evidence("methods.text", "what each kind of model takes its response for"), _MODELS,
    )),
    Item("1.C", "Prior distributions", (Evidence("priors", "every prior, model by model"),)),
    Item("1.D", "Prior predictive check", (
        Evidence("priors_before", "of the treatment's effect on mortality only"),
    )),
    Item("2.A", "Software", (Evidence("methods.facts", "versions of all packages"),)),
    Item("2.B", "Convergence of the chains", (
        Evidence("verdicts", "R-hat, divergences and E-BFMI of every fit"),
    )),
    Item("2.C", "Resolution of the chains", (Evidence("verdicts", "effective sample sizes"),)),
    Item("3.A", "Posterior predictive check", (
        Evidence("replicates", "statistics of replicated data around those of the data"),
        Evidence("replicated", "the same in numbers"),
    )),
    Item("3.B", "Summary of the posterior", (_CHANGES, _HAZARDS)),
    Item("4", "Decisions", (
        Evidence("priors_after", "probabilities of effects of stated sizes, without a rule"),
    )),
    Item("5.A", "Sensitivity to vague priors", (
        Evidence("explorer", "any normal prior, by the reader"),
        Evidence("priors_after", "a nearly flat prior among those named"),
    )),
    Item("5.B", "Sensitivity to informed priors", (_PRIORS_AFTER,)),
    Item("6", "Reproducibility", (Evidence("methods.facts", "seed, hash of the data, versions"),)),
)  # fmt: skip

STROBE = (
    Item("1", "Title and abstract", (
        Evidence("answer", "results for an abstract; the abstract itself is yours to write"),
    )),
    Item("2-3", "Background and objectives"),
    Item("4-5", "Design, setting, dates"),
    Item("6", "Participants", (_FLOW,)),
    Item("7", "Variables", (
        Evidence("measurements", "markers and units"),
        Evidence("baseline", "covariates"),
    )),
    Item("8", "Sources and measurement"),
    Item("9", "Bias", (
        _ADJUSTED, Evidence("adjusted-curves", "survival of groups made alike"),
    )),
    Item("10", "Study size"),
    Item("11", "Quantitative variables", (
        Evidence("measurements", "the scale on which each marker was analysed"),
    )),
    Item("12", "Statistical methods", (
        _MODELS, *_FIT, Evidence("priors", "priors"),
        Evidence("methods.missing", "how missing values were handled, and what that assumes"),
    )),
    Item("13", "Participants, numbers", (_FLOW,)),
    Item("14", "Descriptive data", (_BASELINE,)),
    Item("15", "Outcome data", (_COUNTS,)),
    Item("16", "Main results", (_CHANGES, _HAZARDS, _ADJUSTED)),
    Item("17", "Other analyses", (_METHODS, _PRIORS_AFTER, _UNSEEN)),
    Item("18", "Key results", (_ANSWER,)),
    Item("19", "Limitations", (_CAUTION,)),
    Item("20-21", "Interpretation, generalisability"),
    Item("22", "Funding"),
)  # fmt: skip

CONSORT = (
    Item("1", "Title and abstract", (
        Evidence("answer", "results for an abstract; the abstract itself is yours to write"),
    )),
    Item("2", "Background and objectives"),
    Item("3-5", "Design, participants, interventions"),
    Item("6", "Outcomes", (Evidence("answer", "the outcomes analysed, not which were planned"),)),
    Item("7", "Sample size"),
    Item("8-11", "Randomisation, concealment, blinding"),
    Item("12", "Statistical methods", (
        _MODELS, *_FIT, Evidence("priors", "priors"),
        Evidence("methods.missing", "how missing values were handled, and what that assumes"),
    )),
    Item("13", "Participant flow", (
        Evidence("cohort.flow", "from the files to the models; screening is yours to write"),
    )),
    Item("14", "Recruitment"),
    Item("15", "Baseline data", (_BASELINE,)),
    Item("16", "Numbers analysed", (_COUNTS, Evidence("measurements", "values in each model"))),
    Item("17", "Outcomes and estimation", (
        _CHANGES, _HAZARDS,
        Evidence("methods_risk_difference", "absolute differences"),
        Evidence("methods_others", "relative ones"),
    )),
    Item("18", "Ancillary analyses", (_METHODS, _PRIORS_AFTER, _UNSEEN, _ADJUSTED)),
    Item("19", "Harms"),
    Item("20", "Limitations", (_CAUTION,)),
    Item("21-22", "Generalisability, interpretation"),
    Item("23-25", "Registration, protocol, funding"),
)  # fmt: skip
