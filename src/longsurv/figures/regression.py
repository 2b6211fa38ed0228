"""Change against the value at first, by group: regression to the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.place import Where, legend_above, new_axes, width_in
from longsurv.figures.style import GROUP_COLOURS, GROUP_MARKS, MUTED, is_wide, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 330.0


@styled
def regression(
    points: pd.DataFrame,
    lines: pd.DataFrame,
    *,
    groups: Sequence[str],
    xlabel: str,
    ylabel: str,
    width: float = 760,
    ax: Where = None,
) -> Axes:
    """Draw changes against first values, and each group's line.

    Parameters
    ----------
    points : DataFrame
        group, first, change: patients, or a group's mean where single patients are not to be seen.
    lines : DataFrame
        group, first, change: the ends of each group's line, of one slope.
    groups : sequence of str
        In order, the reference first.
    xlabel, ylabel : str
    width : float
        In CSS pixels.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    ax = new_axes(width, _HEIGHT, left=64, right=12, top=30, bottom=44, ax=ax)
    ax.axhline(0.0, color=MUTED, linewidth=0.8)
    for k, group in enumerate(groups):
        colour, mark = GROUP_COLOURS[k % len(GROUP_COLOURS)], GROUP_MARKS[k % len(GROUP_MARKS)]
        mine, line = (table[table["group"] == group] for table in (points, lines))
        ax.plot(mine["first"], mine["change"], mark, color=colour, markersize=5, label=group)
        ax.plot(line["first"], line["change"], "-", color=colour, linewidth=1.6)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    size = 10.5 if is_wide(width) else 9.5
    legend_above(ax, 4.0, 26.0, ncols=len(groups), fontsize=size)
    return ax
