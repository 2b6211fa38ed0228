"""Scores with a cut-off: shares and mean scores by group and phase, and their difference in change.

Averaged over all patients, not those of a typical one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.records import Record
from longsurv.study.scored import reaches

if TYPE_CHECKING:
    from longsurv.study.found import Found
    from longsurv.study.marker_stages import ScoreResult

MEAN, CHANGE = "mean", "difference in change"
COLUMNS = [
    "marker", "label", "cutoff", "model", "quantity", "what", "level", "phase", "engine",
    "estimate", "conf_low", "conf_high", "p_value", "prob_positive", "mcse", "observed",
    "n",
]  # fmt: skip
MODELS = {"binary": "binary", "ordinal": "ordinal"}


def scores_table(results: Found, score: ScoreResult) -> pd.DataFrame:
    """Everything estimated about one score.

    Returns
    -------
    DataFrame
        `COLUMNS`: model ("binary", "ordinal"), quantity ("share" beyond the cut-off, "mean" score),
        what ("mean" in a group and phase, or "difference in change" of the group against the
        reference), engine; observed (share or mean of the n measurements) for a mean.
    """
    cohort, rows = results.cohort, []
    treatment, reference = cohort.schema.treatment, cohort.groups[0]
    for (model, engine, quantity), (means, differences) in score.means.items():
        own = {"model": model, "quantity": quantity, "engine": engine}
        data = score.models[model].data
        seen = data["value"] if quantity == "mean" else reaches(data, score.cutoff)
        cells = [data[treatment].astype(str), data["phase"].astype(str)]
        observed = seen.astype(float).groupby(cells).agg(["mean", "size"])
        for row in means.to_dict("records"):
            cell = (row[treatment], row["phase"])
            mean, n = observed.loc[cell] if cell in observed.index else (np.nan, 0)
            where = {"what": MEAN, "level": cell[0], "phase": cell[1]}
            rows.append(own | where | _numbers(row) | {"observed": mean, "n": int(n)})
        for change in results.study.contrasts:
            found = differences[
                (differences[treatment] == f"{change.level} - {reference}")
                & (differences["phase"] == f"{change.end} - {change.start}")
            ]
            where = {"what": CHANGE, "level": str(change.level), "phase": str(change.end)}
            for row in found.to_dict("records"):
                rows.append(own | where | _numbers(row))
    table = pd.DataFrame(rows, columns=COLUMNS)
    marker = score.marker
    return table.assign(marker=marker.name, label=marker.label, cutoff=float(score.cutoff))


def _numbers(row: Record) -> dict[str, float]:
    names = ("estimate", "conf_low", "conf_high", "p_value", "prob_positive")
    found = {name: float(row.get(name, np.nan)) for name in names}
    return found | {"mcse": float(row.get("mcse_mean", np.nan))}
