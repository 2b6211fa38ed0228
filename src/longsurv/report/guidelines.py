"""Which section of the report answers which item of two reporting guidelines.

BARG: Kruschke (2021), Nat Hum Behav 5:1282-1291. STROBE, cohort studies: von Elm et al. (2007),
Lancet 370:1453-1457. The items are named in our own words; an empty section means that the report
cannot know the answer, and the authors have to write it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One item of a guideline.

    Parameters
    ----------
    number : str
        As the guideline counts.
    name : str
    section : str
        Id of the section that answers it; empty if the authors have to.
    what : str
        What is there, or what is left to write.
    """

    number: str
    name: str
    section: str
    what: str


BARG = (
    Item("Preamble", "Why Bayesian, and the question", "answer", "the question and both answers"),
    Item("1.A", "Variables", "cohort", "covariates, markers, units, transformations"),
    Item("1.B", "Likelihood and parameters", "methods", "formula and family of every model"),
    Item("1.C", "Prior distributions", "methods", "every prior, model by model"),
    Item("1.D", "Prior predictive check", "mortality", "the risks each prior implies before data"),
    Item("2.A", "Software", "methods", "versions of all packages"),
    Item("2.B", "Convergence of the chains", "checks", "R-hat, divergences, E-BFMI of every fit"),
    Item("2.C", "Resolution of the chains", "checks", "effective sample sizes"),
    Item("3.A", "Posterior predictive check", "checks", "residual checks of every model"),
    Item("3.B", "Summary of the posterior", "markers", "estimates and equal-tailed intervals"),
    Item("4", "Decisions", "mortality", "probabilities of effects of stated sizes; no rule"),
    Item("5.A", "Sensitivity to vague priors", "explorer", "any normal prior, by the reader"),
    Item("5.B", "Sensitivity to informed priors", "mortality", "a grid of named priors"),
    Item("6", "Reproducibility", "methods", "seed, hash of the data, versions"),
)

STROBE = (
    Item("1", "Title and abstract", "answer", "question, data and answers in short"),
    Item("2-3", "Background and objectives", "", "the authors' to write"),
    Item("4-5", "Design, setting, dates", "", "the authors' to write"),
    Item("6", "Participants", "cohort", "flow from the files to the models"),
    Item("7", "Variables", "cohort", "outcome, markers, covariates"),
    Item("8", "Sources and measurement", "", "assays and detection limits: the authors' to write"),
    Item("9", "Bias", "markers", "adjustments for where the groups started"),
    Item("10", "Study size", "", "`longsurv simulate` says what such a cohort can show"),
    Item("11", "Quantitative variables", "methods", "scales and transformations"),
    Item("12", "Statistical methods", "methods", "models, priors, multiplicity, missing values"),
    Item("13", "Participants, numbers", "cohort", "numbers at each stage with reasons"),
    Item("14", "Descriptive data", "cohort", "baseline table with missing values"),
    Item("15", "Outcome data", "mortality", "events and time at risk by group"),
    Item("16", "Main results", "answer", "estimates with intervals, adjusted and not"),
    Item("17", "Other analyses", "mortality", "sensitivity to priors, methods, unseen patients"),
    Item("18", "Key results", "answer", "both answers in a paragraph"),
    Item("19", "Limitations", "answer", "what the groups' assignment and few events allow"),
    Item("20-21", "Interpretation, generalisability", "", "the authors' to write"),
    Item("22", "Funding", "", "the authors' to write"),
)
