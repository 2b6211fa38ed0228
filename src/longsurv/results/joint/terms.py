"""The terms of a joint model, by block, and where they are in its parameter vector."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from longsurv.design.joint import JointDesign
from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import chosen_marker
from longsurv.results.log_scale import Logarithm

type Component = Literal["fixed", "marker", "event", "baseline", "variance", "all"]


def component_terms(design: JointDesign) -> dict[str, tuple[str, ...]]:
    """Terms of each block of `tidy`."""
    marker, event = design.coefficient_names, design.event_names
    baseline, variance = design.baseline_names, design.variance_names
    return {
        "fixed": marker + event,
        "marker": marker,
        "event": event,
        "baseline": baseline,
        "variance": variance,
        "all": marker + event + baseline + variance,
    }


def hazard_base(component: Component, exponentiate: bool | Logarithm) -> float:
    """The natural logarithm of the base that a block's coefficients are logarithms to."""
    if component != "event" or exponentiate is not True:
        raise LongsurvError(
            "the coefficients of a joint model are on different scales; exponentiate=True is for"
            " component='event', whose are logarithms of hazard ratios"
        )
    return 1.0


def coefficients_of(design: JointDesign) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the coefficients and their positions in theta."""
    blocks = component_terms(design)
    names = blocks["fixed"] + blocks["baseline"]
    return names, np.array([design.theta_names.index(name) for name in names])


def marker_rows(
    design: JointDesign, newdata: pd.DataFrame | None, marker: str | None
) -> tuple[pd.DataFrame, np.ndarray, slice]:
    """Rows of a marker, their design, and where the marker's coefficients are in theta."""
    k = chosen_marker([one.name for one in design.markers], marker)
    one = design.markers[k]
    start = sum(len(m.coefficient_names) for m in design.markers[:k])
    at = slice(start, start + len(one.coefficient_names))
    if newdata is None:
        return one.measurements.iloc[one.design.rows], one.design.fixed.X, at
    return newdata.copy(), one.design.fixed.rebuild(newdata), at
