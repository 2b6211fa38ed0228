"""Items of the reporting guidelines, and where this report answers them.

BARG: Kruschke (2021), Nat Hum Behav 5:1282-1291. STROBE, cohort studies: von Elm et al. (2007),
Lancet 370:1453-1457. CONSORT: Schulz, Altman and Moher (2010), BMJ 340:c332. The items are named in
our own words. An item says which table or section answers it; where the output at hand holds none
of those, or there is none, the authors have to write it, and the report says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Between a heading and what stands under it.
UNDER = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


class Location(NamedTuple):
    """Where something of an output stands: its section, and what names it there."""

    section: str
    part: str = ""


@dataclass(frozen=True)
class Evidence:
    """What answers an item, if it is there.

    Parameters
    ----------
    place : str
        Name of a table or figure, id of a section, or "section.field" for one thing in it.
    what : str
        What is found there; empty where its heading says it.
    """

    place: str
    what: str = ""


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
    places : tuple of Location
        Of this output; none where the item is the authors' to write.
    what : str
    """

    item: Item
    places: tuple[Location, ...]
    what: str

    def where(self, told: Collection[Location] = ()) -> str:
        """Headings and captions, a section's together after its title.

        Parameters
        ----------
        told : collection of Location
            Those that have been named with their section; their captions are enough.

        Returns
        -------
        str
        """
        parts: dict[str, list[str]] = {}
        known = [place.part for place in self.places if place.part and place in told]
        for place in self.places:
            if not place.part or place not in told:
                parts.setdefault(place.section, []).extend([place.part] if place.part else [])
        new = [
            f"{section}{UNDER}{'; '.join(named)}" if named else section
            for section, named in parts.items()
        ]
        return "; ".join([*known, *new])


def answered(items: Sequence[Item], shown: Mapping[str, Location]) -> list[Answered]:
    """Each item with the places of this output that answer it.

    Parameters
    ----------
    items : sequence of Item
    shown : mapping of str to Location
        Of everything in this output: see `content.shown`.
    """
    found = []
    for item in items:
        there = [evidence for evidence in item.evidence if evidence.place in shown]
        places = tuple(dict.fromkeys(shown[evidence.place] for evidence in there))
        what = "; ".join(dict.fromkeys(evidence.what for evidence in there if evidence.what))
        found.append(Answered(item, places, what))
    return found


_FLOW = Evidence("cohort.flow")
_BASELINE = Evidence("baseline")
_FIT = (
    Evidence("quantiles", "residuals of the markers' models"), Evidence("residual-bands"),
    Evidence("hazards-over-time"), Evidence("proportional"), Evidence("linearity"),
)  # fmt: skip
_MODELS = Evidence("models")
_CHANGES = Evidence("changes")
_HAZARDS = Evidence("hazards")
_ADJUSTED = Evidence("adjustments", "unadjusted and adjusted side by side")
_METHODS = Evidence("methods_risk_difference")
_COUNTS = Evidence("counts")
_PRIORS_AFTER = Evidence("priors_after")
_UNSEEN = Evidence("tipping")
_ANSWER = Evidence("answer")
_CAUTION = Evidence("answer.caution", "what the groups' assignment does not allow")

BARG = (
    Item("Preamble", "Why Bayesian, and the question", (
        Evidence("answer", "the question; why Bayesian is yours to write"),
    )),
    Item("1.A", "Variables", (Evidence("measurements"), _BASELINE)),
    Item("1.B", "Likelihood and parameters", (
        Evidence("equations"), _MODELS,
    )),
    Item("1.C", "Prior distributions", (Evidence("priors"),)),
    Item("1.D", "Prior predictive check", (
        Evidence("priors_before", "of the treatment's effect on mortality only"),
    )),
    Item("2.A", "Software", (Evidence("methods.facts", "versions"),)),
    Item("2.B", "Convergence of the chains", (
        Evidence("verdicts", "R-hat; divergences and E-BFMI are in the verdict"),
    )),
    Item("2.C", "Resolution of the chains", (Evidence("verdicts", "effective sample sizes"),)),
    Item("3.A", "Posterior predictive check", (
        Evidence("replicates"), Evidence("replicated"),
    )),
    Item("3.B", "Summary of the posterior", (_CHANGES, Evidence("adjustments"), _HAZARDS)),
    Item("4", "Decisions", (
        Evidence("priors_after", "probabilities of effects of stated sizes, without a rule"),
    )),
    Item("5.A", "Sensitivity to vague priors", (
        Evidence("explorer", "any normal prior, by the reader"),
        Evidence("priors_after", "a nearly flat one among those named"),
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
    Item("7", "Variables", (Evidence("measurements"), _BASELINE)),
    Item("8", "Sources and measurement"),
    Item("9", "Bias", (_ADJUSTED, Evidence("adjusted-curves"))),
    Item("10", "Study size"),
    Item("11", "Quantitative variables", (Evidence("measurements", "scales of analysis"),)),
    Item("12", "Statistical methods", (
        _MODELS, *_FIT, Evidence("priors"),
        Evidence("methods.missing", "how missing values were handled"),
    )),
    Item("13", "Participants, numbers", (_FLOW,)),
    Item("14", "Descriptive data", (_BASELINE,)),
    Item("15", "Outcome data", (_COUNTS,)),
    Item("16", "Main results", (_CHANGES, _HAZARDS, Evidence("adjustments"))),
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
        _MODELS, *_FIT, Evidence("priors"),
        Evidence("methods.missing", "how missing values were handled"),
    )),
    Item("13", "Participant flow", (
        Evidence("cohort.flow", "from the files to the models; screening is yours to write"),
    )),
    Item("14", "Recruitment"),
    Item("15", "Baseline data", (_BASELINE,)),
    Item("16", "Numbers analysed", (_COUNTS, Evidence("measurements"))),
    Item("17", "Outcomes and estimation", (
        _CHANGES, _HAZARDS,
        Evidence("methods_risk_difference"), Evidence("methods_others"),
    )),
    Item("18", "Ancillary analyses", (_METHODS, _PRIORS_AFTER, _UNSEEN, _ADJUSTED)),
    Item("19", "Harms"),
    Item("20", "Limitations", (_CAUTION,)),
    Item("21-22", "Generalisability, interpretation"),
    Item("23-25", "Registration, protocol, funding"),
)  # fmt: skip
