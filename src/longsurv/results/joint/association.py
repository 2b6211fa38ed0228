"""Associations in words: what a change of a marker's curve does to the hazard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.design.expression import logarithm_of
from longsurv.design.joint import JointDesign

DOUBLING = {"log": np.log(2.0), "log2": 1.0, "log10": np.log10(2.0)}
OfTerm = Callable[[str, float], float]
type Scale = Literal["unit", "sd", "doubling"]
SMALL, LARGE = 0.1, 10.0
"""SDs of a link between which one unit of it is a change that patients differ by."""
LEAST, MOST = 1e-3, 1e3
"""Hazard ratios beyond these are told as such."""


@dataclass(frozen=True)
class LinkChange:
    """A change of a link in which an association is told.

    Attributes
    ----------
    term : str
    words : str
        What changes, and by how much.
    hazard : str
    size : float
    scale : {"unit", "sd", "doubling"}
    column : str or None
        Of an interaction: what the ratio of hazard ratios is of.
    """

    term: str
    words: str
    hazard: str
    size: float
    scale: Scale
    column: str | None = None


def changes(design: JointDesign, link_sd: dict[str, float]) -> list[LinkChange]:
    """All of them: per unit, per SD and, for a logged marker, per doubling.

    The unit is the power of ten nearest to the SD where one is far from it.
    """
    out = []
    for cause in design.causes:
        hazard = f"the hazard of {cause.name}" if cause.suffix else "the hazard"
        for one in cause.associations:
            marker = design.markers[one.marker]
            of = f" of {marker.name}" if marker.prefix else ""
            what = {
                "value": f"current value{of}",
                "slope": f"current slope{of} per unit of {design.time}",
                "area": f"area under the curve{of}",
            }[one.kind]
            sd = link_sd[one.base]
            unit = 1.0 if SMALL <= sd <= LARGE else 10.0 ** round(math.log10(sd))
            head = "one unit" if unit == 1.0 else f"{unit:g}"
            told: list[tuple[str, float, Scale]] = [(f"{head} more of the {what}", unit, "unit")]
            if one.column is None:
                told.append((f"one SD ({sd:.3g}) more of the {what}", sd, "sd"))
            logarithm = logarithm_of(marker.design.formula.response)
            if logarithm is not None and one.kind == "value":
                by = DOUBLING[logarithm[0]]
                told.append((f"a doubling of {logarithm[1]}", by, "doubling"))
            for words, size, scale in told:
                if one.column is not None:
                    words = f"{words} (ratio of hazard ratios, {one.column})"
                out.append(LinkChange(one.term, words, hazard, float(size), scale, one.column))
    return out


def association_table(
    told: list[LinkChange], low: OfTerm, mid: OfTerm, high: OfTerm
) -> pd.DataFrame:
    """Hazard ratios in words, from functions of (term, size) for their logs and limits."""
    records = []
    for one in told:
        with np.errstate(over="ignore"):
            ratios = [float(np.exp(f(one.term, one.size))) for f in (mid, low, high)]
        records.append((one.term, one.words, *ratios, _sentence(one, ratios)))
    columns = ["term", "change", "hazard_ratio", "conf_low", "conf_high", "words"]
    return pd.DataFrame(records, columns=columns)


def _sentence(one: LinkChange, ratios: list[float]) -> str:
    if math.isnan(ratios[0]):
        return f"The data do not determine what {one.words} does to {one.hazard}."
    text = f"{_ratio(ratios[0])} ({_ratio(ratios[1])} to {_ratio(ratios[2])})"
    if one.column is None:
        return f"{one.words[0].upper()}{one.words[1:]} multiplies {one.hazard} by {text}."
    change = one.words.split(" (ratio of hazard ratios")[0]
    return (
        f"The factor by which {change} multiplies {one.hazard} is itself multiplied by {text} for "
        f"{one.column}: a ratio of hazard ratios."
    )


def _ratio(value: float) -> str:
    """A hazard ratio with two decimals, or as many digits as a small one needs."""
    if math.isnan(value):
        return "unknown"
    if value < LEAST or value > MOST:
        return f"less than {LEAST:g}" if value < LEAST else f"more than {MOST:,.0f}"
    return f"{value:.2f}" if value >= SMALL else f"{value:.2g}"
