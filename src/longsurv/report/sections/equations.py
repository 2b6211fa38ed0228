"""The models of a study, written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.study.beyond import BEYOND, counted_beyond
from longsurv.study.lead import leads
from longsurv.study.marker_stages import ScorePart
from longsurv.tables.display import Column, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults
    from longsurv.tables.display import DisplayTable

EQUATIONS = {
    "mixed": (
        "Linear mixed model",
        "y = x'β + z'b + e",
        "x and z are the terms of the formula; b is normal around 0 with covariance D, one a"
        " patient; e is normal around 0 with variance σ²",
    ),
    "baseline": (
        "Adjusted for the baseline value",
        "y₁ = μ + β y₀ + δ g + e",
        "y₀ is the value at first, y₁ a later one; g is 1 in the group and 0 in the reference; δ is"
        " the answer",
    ),
    "beyond": (
        "Censored likelihood",
        "P(y < limit) = Φ((limit - x'β - z'b) / \N{GREEK SMALL LETTER SIGMA})",
        "in place of the density, for a value below a limit; the rest as in the mixed model",
    ),
    "binary": (
        "Score beyond its cut-off",
        "logit P(y = 1) = x'β + z'b",
        "b as in the mixed model",
    ),
    "ordinal": (
        "Score by category",
        "logit P(y ≤ k) = θₖ - x'β - z'b",
        "the thresholds θ are in order; proportional odds",
    ),
    "cox": (
        "Cox model",
        "h(t) = h₀(t) exp(x'β)",
        "h₀ is left free; a competing event ends time at risk",
    ),
    "joint": (
        "Joint model",
        "h(t) = h₀(t) exp(x'β + λ m(t))",
        "m is the marker's own curve, the mean of its mixed model with the patient's b; log h₀ is"
        " smooth",
    ),
}


def _words(kind: str, results: StudyResults) -> str:
    """What is what in a model of this study."""
    words = EQUATIONS[kind][2]
    sites, by_group = results.cohort.schema.site is not None, results.study.models.residual_by
    if kind == "mixed" and sites:
        words = words.replace("one a patient", "one a patient, and one a site")
    if kind == "mixed" and by_group:
        words = words.replace("with variance σ²", "with a variance σ² for each group")
    if kind == "baseline" and sites:
        words += "; each site has an effect of its own besides, normal around 0"
    return words


def has_beyond(results: StudyResults) -> bool:
    """Whether a model of values beyond a limit was fitted, as the main analysis or beside it."""
    beside = results.parts.get(BEYOND)
    return bool(counted_beyond(results)) or (beside is not None and not beside.empty)


def build(results: StudyResults) -> DisplayTable:
    """Those that were fitted."""
    scores = results.part_of("scores", ScorePart()).scores
    there = {"cox", *(kind for score in scores for kind in score.models)}
    there |= {"mixed"} if results.markers else set()
    there |= {"baseline"} if any(lead.adjusted for lead in leads(results)) else set()
    there |= {BEYOND} if has_beyond(results) else set()
    there |= {"joint"} if getattr(results.parts.get("joint"), "results", None) else set()
    rows = [(*text[:2], _words(kind, results)) for kind, text in EQUATIONS.items() if kind in there]
    columns = [
        Column("Model", "model", numeric=False),
        Column("Equation", "equation", numeric=False),
        Column("In which", "words", numeric=False, prose=True),
    ]
    frame = pd.DataFrame(rows, columns=["model", "equation", "words"])
    return display(frame, "The models written out", columns, name="equations")
