"""Associations in words: what a change of a marker's curve does to the hazard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.expression import logarithm_of
from longsurv.design.joint import JointDesign

DOUBLING = {"log": np.log(2.0), "log2": 1.0, "log10": np.log10(2.0)}
OfTerm = Callable[[str, float], float]


@dataclass(frozen=True)
class Change:
    """A change of a link in which an association is told."""

    term: str
    words: str
    hazard: str
    size: float


def changes(design: JointDesign, link_sd: dict[str, float]) -> list[Change]:
    """All of them: per unit, per SD and, for a logged marker, per doubling."""
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
            out.append(Change(one.term, f"one unit more of the {what}", hazard, 1.0))
            if one.column is None:
                sd = link_sd[one.term]
                words = f"one SD ({sd:.3g}) more of the {what}"
                out.append(Change(one.term, words, hazard, sd))
            logarithm = logarithm_of(marker.design.formula.response)
            if logarithm is not None and one.kind == "value":
                words = f"a doubling of {logarithm[1]}"
                out.append(Change(one.term, words, hazard, DOUBLING[logarithm[0]]))
    return out


def association_table(told: list[Change], low: OfTerm, mid: OfTerm, high: OfTerm) -> pd.DataFrame:
    """Hazard ratios in words, from functions of (term, size) for their logs and limits."""
    records = []
    for one in told:
        ratios = [float(np.exp(f(one.term, one.size))) for f in (mid, low, high)]
        sentence = (
            f"{one.words[0].upper()}{one.words[1:]} multiplies {one.hazard} by {ratios[0]:.2f} "
            f"({ratios[1]:.2f} to {ratios[2]:.2f})."
        )
        records.append((one.term, one.words, *ratios, sentence))
    columns = ["term", "change", "hazard_ratio", "conf_low", "conf_high", "words"]
    return pd.DataFrame(records, columns=columns)
