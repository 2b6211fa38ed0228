"""Values beyond a limit of detection: the censored likelihood beside the main analysis.

The mixed models take such a value at its limit, which it is not: it lies beyond. The censored
likelihood counts it as P(y < limit) or P(y > limit), under the same mean and random effects.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, cast

import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change, difference_in_change
from longsurv.numbers import exponential

if TYPE_CHECKING:
    from longsurv.estimands.changes import Contrasting
    from longsurv.study.bench import Bench
    from longsurv.study.plan import Plan

BEYOND = "beyond"
LIMITS = ("estimate", "conf_low", "conf_high")
COLUMNS = [
    "marker", "label", "unit", "scale", "level", "start", "end", "censored", "values", *LIMITS,
    "p_value", "reason",
]  # fmt: skip


def fit_beyond(bench: Bench) -> pd.DataFrame:
    """The difference in change of every marker with values beyond a limit: `COLUMNS`.

    By maximum of the censored likelihood, on the scale of `StudyResults.changes`.
    """
    study, rows = bench.study, []
    for name in bench.parts["markers"]:
        data = study.marker_data(name)
        if (data["censored"] != "none").any():
            rows += bench.keep(
                "beyond a limit",
                [name, data, study.models.trajectory],
                partial(_of_marker, study, name, data),
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_marker(study: Plan, name: str, data: pd.DataFrame) -> list[dict[str, object]]:
    from longsurv.models import GLMM

    formula = f"y ~ {study.models.trajectory}"  # one grouping: the site is left out
    spec = GLMM(formula, data, family="censored", censored="censored")
    found = []
    for change in study.contrasts:
        try:
            tidy, reason = difference_in_change(cast("Contrasting", spec.fit()), change, data), ""
        except LongsurvError as error:
            tidy, reason = pd.DataFrame([dict.fromkeys(LIMITS, math.nan)]), str(error)
        found.append(_row(study, name, data, change, tidy.iloc[0], reason))
    return found


def _row(
    study: Plan, name: str, data: pd.DataFrame, change: Change, tidy: pd.Series, reason: str
) -> dict[str, object]:
    marker = study.cohort.markers[name]
    log = marker.transform == "log"
    limits = {k: exponential(float(tidy[k])) if log else float(tidy[k]) for k in LIMITS}
    return {
        "marker": name, "label": marker.label, "unit": marker.unit,
        "scale": "ratio" if log else "difference", "level": str(change.level),
        "start": str(change.start), "end": str(change.end),
        "censored": int((data["censored"] != "none").sum()), "values": len(data), **limits,
        "p_value": float(tidy.get("p_value", math.nan)), "reason": reason,
    }  # fmt: skip


def seconds_of_beyond(study: Plan) -> float:
    """Roughly how long `fit_beyond` takes."""
    return 0.1 + 5e-5 * len(study.cohort.measurements)
