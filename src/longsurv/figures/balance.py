"""Covariates in balance: a love plot of standardised differences before and after weighting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.place import Where, described, new_axes, width_in
from longsurv.figures.style import BAYES, INK, MUTED, shorten, styled, text_width
from longsurv.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGE = 0.1
"""A standardised difference that is usually called imbalance."""
WIDEST = 10.0
"""Drawn at the edge from here on."""


@styled
def love_plot(table: pd.DataFrame, *, width: float = 760, ax: Where = None) -> Axes:
    """Draw each covariate's standardised difference in means, before and after weighting.

    Parameters
    ----------
    table : DataFrame
        `PropensityWeights.balance()`: covariate, std_difference, std_difference_weighted.
    width : float
        In CSS pixels.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    before = table["std_difference"].abs().clip(upper=WIDEST).to_numpy(dtype=float)
    after = table["std_difference_weighted"].abs().clip(upper=WIDEST).to_numpy(dtype=float)
    order = np.argsort(-before, kind="stable")
    names = [shorten(str(table["covariate"].iloc[k]), 30) for k in order]
    left = max(60.0, 20 + max((text_width(name, 10.5) for name in names), default=40.0))
    height = 24.0 * len(names) + 110
    ax = new_axes(width, height, left=left, right=24, top=34, bottom=52, ax=ax)
    y = np.arange(len(names))
    ax.axvline(LARGE, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=0)
    ax.hlines(y, before[order], after[order], color=MUTED, linewidth=0.8, zorder=1)
    ax.plot(before[order], y, "o", markerfacecolor="none", color=INK, label="before weighting")
    ax.plot(after[order], y, "o", color=BAYES, label="after weighting")
    ax.set_yticks(y, names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(left=-0.02 * max(ax.get_xlim()[1], LARGE))
    ax.set_xlabel("Absolute standardised difference in means", labelpad=6)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False)
    said = "; ".join(
        f"{row['covariate']} {number(abs(row['std_difference']))} before,"
        f" {number(abs(row['std_difference_weighted']))} after"
        for row in table.to_dict("records")
    )
    return described(ax, f"Standardised differences in means: {said}.")
