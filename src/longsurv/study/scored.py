"""Which measurements of a score reach its cut-off, and what a model of it can say."""

from __future__ import annotations

import pandas as pd

from longsurv.cohort.columns import CENSORED
from longsurv.cohort.cutoff import at_or_above
from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.merging import NOTHING, Merged, label_of
from longsurv.study.model_result import ModelResult


def reaches(data: pd.DataFrame, cutoff: float) -> pd.Series:
    """Of rows of `Cohort.marker_data`, whether the value is at or above the cut-off.

    Parameters
    ----------
    data : DataFrame
        With the columns value and censored.
    cutoff : float
    """
    codes = pd.Index(CENSORED).get_indexer(data["censored"].astype(object))
    return pd.Series(at_or_above(data["value"].to_numpy(), codes, cutoff), index=data.index)


def lowest_reaching(data: pd.DataFrame, cutoff: float) -> float:
    """The lowest value of rows of `Cohort.marker_data` that is at the cut-off or above.

    Parameters
    ----------
    data : DataFrame
    cutoff : float
    """
    return float(min(v for v in data["value"].dropna() if v >= cutoff))


def merged_categories(model: ModelResult) -> Merged:
    """Which categories are one in a model of a score.

    Parameters
    ----------
    model : ModelResult
    """
    designs = (answer.design for answer in model.answers.values())
    return next((d.merged for d in designs if isinstance(d, GeneralisedDesign)), NOTHING)


def merged_words(model: ModelResult) -> tuple[str, ...]:
    """Which they are, in sentences.

    Parameters
    ----------
    model : ModelResult
    """
    designs = (answer.design for answer in model.answers.values())
    return next((d.merged_words for d in designs if isinstance(d, GeneralisedDesign)), ())


def quantities(
    model: ModelResult, kind: str, share: tuple[str, ...], cutoff: float
) -> tuple[str, ...]:
    """What a model of a score has: of merged categories no mean, and a share only if the cut-off
    is not between two that are one.

    Parameters
    ----------
    model : ModelResult
    kind : {"binary", "ordinal"}
    share : tuple of str
        ("share",) where some values reach the cut-off and some do not.
    cutoff : float
    """
    if kind == "binary":
        return share
    merged = merged_categories(model)
    first = label_of(lowest_reaching(model.data, cutoff)) if share else ""
    held = share if merged.of(first)[0] == first else ()
    return held if merged else (*held, "mean")
