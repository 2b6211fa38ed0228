"""Forest plot of subgroups that is read from all patients inwards, not row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.figures.forest import forest
from longsurv.figures.place import Where
from longsurv.figures.rows import Mark
from longsurv.figures.style import BAYES, MUTED, PAPER
from longsurv.words import NO_ANSWER, capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVAL = ["estimate", "conf_low", "conf_high"]
MARKS = (
    Mark(MUTED, PAPER, "o", size=4.5, edge=0.9, line=0.8),
    Mark(BAYES, BAYES, "D", size=6.5, line=2.4),
)
"""Faint for a subgroup alone, solid for what is to be read."""


def subgroup_rows(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """What `forest` draws of a table of subgroups.

    Parameters
    ----------
    table : DataFrame
        Of one quantity: column, level, engine, estimate, conf_low, conf_high, answered, as
        `longsurv.analyses.mortality.subgroups.SubgroupEffects` has them.
    quantity : {"hazard ratio", "risk difference"}
        Risk differences are drawn in percentage points.

    Returns
    -------
    DataFrame
    """
    by, said = (1.0, numbers.ratio)
    if quantity == "risk difference":
        by, said = 100.0, numbers.difference
    shown = table.assign(
        row=table["level"].map(capital), section=table["column"],
        series=np.where(table["engine"] == "bayes", "Shrunken", "Alone"),
        **{name: by * table[name] for name in INTERVAL},
    )  # fmt: skip
    shown["text"] = [
        said(*(float(row[name]) for name in INTERVAL)) if row["answered"] else NO_ANSWER
        for row in shown.to_dict("records")
    ]
    return shown


def subgroup_forest(
    table: pd.DataFrame,
    quantity: str,
    *,
    text_heading: str = "",
    left_label: str = "",
    right_label: str = "",
    width: float = 760,
    ax: Where = None,
) -> Axes:
    """Draw every level's effect, alone (faint) and shrunken (solid), over that in all patients.

    Parameters
    ----------
    table : DataFrame
        As `subgroup_rows` takes it; the rows of all patients have the column "".
    quantity : {"hazard ratio", "risk difference"}
    text_heading, left_label, right_label, width, ax
        See `forest`.
    """
    shown, log = subgroup_rows(table, quantity), quantity == "hazard ratio"
    overall = shown[(shown["column"] == "") & (shown["series"] == "Alone")].iloc[0]
    unit = " (logarithmic axis)" if log else ", percentage points"
    return forest(
        shown, xlabel=capital(quantity) + unit, log=log, width=width, text_heading=text_heading,
        left_label=left_label, right_label=right_label, marks=MARKS,
        band=[float(overall[name]) for name in INTERVAL], ax=ax,
    )  # fmt: skip
