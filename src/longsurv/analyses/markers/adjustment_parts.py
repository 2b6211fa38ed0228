"""From models and weights to the answers of a baseline adjustment, with what must be said of
them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

import pandas as pd

from longsurv.analyses.markers.contrasts import AnswerSource, ModelContrast, WeightedContrast
from longsurv.analyses.markers.given_first import GivenFirst
from longsurv.design.generalised import GeneralisedDesign
from longsurv.estimands.baseline_adjusted import ComparedRows
from longsurv.estimands.propensity import PRIOR_SD
from longsurv.results.mixed.rows import PredictedMixed
from longsurv.words import plural, verb

BOOTSTRAP = (
    "Bayesian bootstrap: the prior of the patients' probabilities is the product of pi^(-1 - p/n),"
    f" that of a log odds ratio of treatment Normal(0, {PRIOR_SD} / SD)"
)


class AnswerParts(TypedDict, total=False):
    """What is said of an answer, or why there is none."""

    source: AnswerSource
    method: str
    balanced: str
    effective: str
    n: int
    notes: tuple[str, ...]
    reason: str


def model_parts(
    compared: ComparedRows, source: ModelContrast | GivenFirst, patient: str
) -> AnswerParts:
    """Source, method, n and notes of an answer read from a mixed model.

    Parameters
    ----------
    compared : ComparedRows
    source : ModelContrast or GivenFirst
    patient : str
        Column of the patients in the model's data.

    Raises
    ------
    LongsurvError
        If the model cannot give the contrast.
    """
    source.row(0.95)  # so that it fails here, where it becomes a reason
    result, fitted = source.result, cast(PredictedMixed, source.result)
    counted = isinstance(result.design, GeneralisedDesign)  # which says it of its limits itself
    used = fitted.spec.data[patient].iloc[fitted.design.rows]
    own = compared.patients.index
    kept = own[own.isin(used)]
    return {
        "source": source,
        "method": f"{result.spec.formula}; {result.method}",
        "n": len(kept),
        "notes": (*_notes(compared, kept, counted), *result.flags),
    }


def given_first_parts(compared: ComparedRows, source: GivenFirst, patient: str) -> AnswerParts:
    """The same of an answer given the first value that is read off a model of all visits.

    Parameters
    ----------
    compared : ComparedRows
    source : GivenFirst
    patient : str
        Column of the patients in the model's data.

    Raises
    ------
    LongsurvError
        If the model does not determine it.
    """
    found = model_parts(compared, source, patient)
    several = f" (mean of {source.count})" if source.count > 1 else ""
    note = f"given the first value{several}: the later one rises by {source.slope:.2g} a unit of it"
    return {
        **found,
        "method": f"{found['method']}; differences later and at first, less the regression",
        "notes": (note, *found["notes"]),
    }


def weighted_parts(
    compared: ComparedRows, source: WeightedContrast, labels: Mapping[str, str]
) -> AnswerParts:
    """The same, the covariates that are balanced and the sizes that weights leave, of an
    overlap-weighted answer.

    Parameters
    ----------
    compared : ComparedRows
    source : WeightedContrast
    labels : mapping of str to str
        Covariate to what readers call it, of those that have a label.
    """
    weights = source.weights
    names = [name.split("[")[0] for name in weights.names if name != "Intercept"]
    labels = {"baseline": "the first value", **labels}
    names = [labels.get(name, name) for name in names]
    balanced = ", ".join(dict.fromkeys(names))  # "infection" once, not its levels
    score = "Firth's logistic" if weights.propensity.method == "firth" else "logistic"
    engine = "sandwich variance" if source.draws is None else BOOTSTRAP
    sizes = ", ".join(
        f"{row['effective_n']:.1f} of {row['n']} in {row['group']}"
        for row in weights.effective_sample_size().to_dict("records")
    )
    notes = _notes(compared, compared.pairs.index)
    return {
        "source": source,
        "method": f"{score} regression of treatment on {balanced}; {engine}",
        "balanced": balanced,
        "effective": sizes,
        "n": len(weights.rows),
        "notes": (*notes, weights.note) if weights.note else tuple(notes),
    }


def _notes(compared: ComparedRows, kept: pd.Index, counted: bool = False) -> list[str]:
    """Patients left out, and values taken at the detection limit, unless they are counted."""
    notes = [compared.left_out(kept)]
    if compared.censored and not counted:
        notes.append(
            f"{compared.censored} of {plural(len(compared.rows), 'value')} "
            f"{verb(compared.censored, 'lies', 'lie')} beyond the detection limit and"
            f" {verb(compared.censored, 'is', 'are')} taken at it"
        )
    return [note for note in notes if note]
