"""Where the two engines stand apart: in the centre of the interval, in its width, or not at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import set_log_axis
from longsurv.figures.place import Where, new_axes, width_in
from longsurv.figures.rows import label_values
from longsurv.figures.style import BAYES, INK, MUTED, RULE, Style, is_wide, shorten, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 400.0
LABELS = 8
# Every verdict of `longsurv.compare`, with the mark that stands for it.
VERDICTS: dict[str, Style] = {
    "agree": {"marker": "o", "facecolor": "none", "edgecolor": MUTED},
    "prior pulls": {"marker": "D", "facecolor": BAYES, "edgecolor": BAYES},
    "asymptotics": {"marker": "s", "facecolor": INK, "edgecolor": INK},
    "boundary": {"marker": "^", "facecolor": "none", "edgecolor": INK},
}


WIDEST = 1e6
"""Ratio of widths, and shift, beyond which one of the two answers is none."""


def drawable(table: pd.DataFrame) -> pd.Series:
    """Which rows have two answers that can be held against each other, as booleans."""
    ratio, shift = table["width_ratio"], table["shift"].abs()
    inside = (ratio < WIDEST) & (ratio > 1.0 / WIDEST) & (shift < WIDEST)
    return inside & (table["verdict"] != "no answer")


@styled
def agreement(
    table: pd.DataFrame,
    *,
    shift_limit: float,
    width_limit: float,
    width: float = 760,
    ax: Where = None,
) -> Axes:
    """Draw one point an estimand: how far apart its two answers are.

    Parameters
    ----------
    table : DataFrame
        Columns `label`, `shift` (Bayes minus maximum likelihood, in standard errors),
        `width_ratio` (Bayes over maximum likelihood), `verdict`. Rows of which one answer is none
        are left out (`drawable`).
    shift_limit, width_limit : float
        Within these the two answers agree; drawn as a box.
    width : float
        In CSS pixels.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    shown = table[drawable(table)]
    ax = new_axes(width, HEIGHT, left=64, right=20, top=34, bottom=52, ax=ax)
    far = max(float(shown["shift"].abs().max()) if len(shown) else 0.0, 2.0 * shift_limit)
    wide = max(
        float(np.exp(np.abs(np.log(shown["width_ratio"]))).max()) if len(shown) else 1.0,
        width_limit**2,
    )
    ax.set_ylim(-1.15 * far, 1.15 * far)
    set_log_axis(ax, "x", wide**-1.12, wide**1.12)
    ax.axhline(0, color=RULE, linewidth=1, zorder=0)
    ax.axvline(1, color=RULE, linewidth=1, zorder=0)
    box_x = [1 / width_limit, width_limit, width_limit, 1 / width_limit]
    box_y = [-shift_limit, -shift_limit, shift_limit, shift_limit]
    ax.fill(box_x, box_y, color=RULE, alpha=0.45, linewidth=0, zorder=0)
    for verdict, mark in VERDICTS.items():
        part = shown[shown["verdict"] == verdict]
        if len(part):
            ax.scatter(
                part["width_ratio"], part["shift"], s=42, linewidths=1.2, label=verdict, **mark
            )
    _name_outliers(ax, shown, width)
    label_values(ax, "Width of the interval, Bayes over maximum likelihood (log axis)")
    ax.set_ylabel("Shift, standard errors")
    if len(shown):
        ax.legend(
            frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0, ncols=4,
            handletextpad=0.2, columnspacing=1.2, fontsize=10.5 if is_wide(width) else 9.5,
        )  # fmt: skip
    return ax


def _name_outliers(ax: Axes, shown: pd.DataFrame, width: float) -> None:
    """Label the points farthest from agreement, away from the labels already there."""
    apart = shown[shown["verdict"] != "agree"]
    distance = apart["shift"].abs() + np.abs(np.log(apart["width_ratio"]))
    taken: list[tuple[float, float]] = []
    size = 10.0 if is_wide(width) else 9.0
    for k in distance.sort_values(ascending=False).index[: LABELS if is_wide(width) else 4]:
        row = apart.loc[k]
        x, y = ax.transData.transform((row["width_ratio"], row["shift"]))
        if any(abs(y - v) < 1.3 * size and abs(x - u) < 200 for u, v in taken):
            continue
        taken.append((x, y))
        right = math.log(row["width_ratio"]) > 0
        ax.annotate(
            shorten(row["label"], 48 if is_wide(width) else 18),
            (row["width_ratio"], row["shift"]),
            xytext=(-8 if right else 8, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=size,
            color=INK,
        )
