"""Values beyond a limit of detection, counted the other way than in the main analysis.

The main analysis counts them as lying beyond (`longsurv.analyses.markers.responses`), unless the
study says otherwise; here stands what taking them at the limit would have given, or the reverse.
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
    from longsurv.study.found import Found
    from longsurv.study.plan import Plan

BEYOND = "beyond"
LIMITS = ("estimate", "conf_low", "conf_high")
COLUMNS = [
    "marker", "label", "unit", "scale", "level", "start", "end", "censored", "values", "taken",
    *LIMITS, "p_value", "reason",
]  # fmt: skip


def fit_beyond(bench: Bench) -> pd.DataFrame:
    """The difference in change of every marker with values beyond a limit, those counted the other
    way than in the main analysis: `COLUMNS`.

    By maximum likelihood, on the scale of `StudyResults.changes`.
    """
    from longsurv.analyses.markers.responses import has_limits

    study, rows = bench.study, []
    for name in study.cohort.endpoints:
        data = study.marker_data(name)
        if has_limits(data):
            rows += bench.keep(
                "beyond a limit",
                [name, data, study.trajectory],
                partial(_of_marker, study, name, data),
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def counted_beyond(results: Found) -> list[str]:
    """Markers whose main analysis counts values beyond a limit as lying beyond it.

    Parameters
    ----------
    results : Found
    """
    from longsurv.analyses.markers.responses import CENSORED

    study = results.study
    return [name for name, one in results.markers.items() if study.response(one.data) is CENSORED]


def _of_marker(study: Plan, name: str, data: pd.DataFrame) -> list[dict[str, object]]:
    other = study.response(data).other
    found = []
    for change in study.contrasts:
        try:
            fit = cast("Contrasting", study.trajectory_model(data, other).fit())
            tidy, reason = difference_in_change(fit, change, data), ""
        except LongsurvError as error:
            tidy, reason = pd.DataFrame([dict.fromkeys(LIMITS, math.nan)]), str(error)
        found.append(_row(study, name, data, change, tidy.iloc[0], other.words, reason))
    return found


def _row(
    study: Plan, name: str, data: pd.DataFrame, change: Change, tidy: pd.Series, taken: str,
    reason: str,
) -> dict[str, object]:  # fmt: skip
    marker = study.cohort.markers[name]
    log = marker.transform == "log"
    limits = {k: exponential(float(tidy[k])) if log else float(tidy[k]) for k in LIMITS}
    return {
        "marker": name, "label": marker.label, "unit": marker.unit,
        "scale": "ratio" if log else "difference", "level": str(change.level),
        "start": str(change.start), "end": str(change.end),
        "censored": int((data["censored"] != "none").sum()), "values": len(data),
        "taken": taken, **limits,
        "p_value": float(tidy.get("p_value", math.nan)), "reason": reason,
    }  # fmt: skip


def seconds_of_beyond(study: Plan) -> float:
    """Roughly how long `fit_beyond` takes."""
    return 0.1 + 5e-5 * len(study.cohort.measurements)
