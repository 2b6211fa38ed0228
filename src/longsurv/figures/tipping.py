"""How many unseen deaths in either arm would change the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.place import legend_above, new_axes
from longsurv.figures.style import GROUP_COLOURS, INK, MUTED, PAPER, is_wide, shorten, styled
from longsurv.records import Record
from longsurv.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 66.0, 50.0
_PRINTED = 13  # cells across in which a number can still be read
_WIDEST = 56.0
_BARE = 17.0  # the height of a cell without a number: many of them are no page of their own


@styled
def tipping(
    grid: pd.DataFrame,
    *,
    group: str,
    reference: str,
    event: str = "death",
    width: float = 760,
) -> Axes:
    """Draw the probability that the group's risk is the lower, for every number of unseen deaths.

    A cell has the colour of the group that fares better, the deeper the surer; the line runs where
    the sign of the risk difference changes; the ring marks what was observed.

    Parameters
    ----------
    grid : DataFrame
        `estimands.tipping.tipping_grid`: columns `extra`, `extra_reference`, `prob_benefit`,
        `risk_difference`.
    group, reference : str
    event : str
    width : float
        In CSS pixels.
    """
    narrow = not is_wide(width)
    across, down = (int(grid[c].max()) + 1 for c in ("extra", "extra_reference"))
    room = width - _LEFT - _RIGHT
    cell = min(room / across, _WIDEST if not narrow else room)
    printed = across <= _PRINTED
    tall = min(cell, (32.0 if narrow else 34.0) if printed else _BARE)
    right = width - _LEFT - cell * across
    height = _TOP + tall * down + _BOTTOM
    ax = new_axes(width, height, left=_LEFT, right=right, top=_TOP, bottom=_BOTTOM)
    for row in grid.to_dict("records"):
        _cell(ax, row, printed, 9.0 if narrow else 10.5)
    _boundary(ax, grid)
    ax.plot(
        [0], [0], "o", markersize=min(cell, tall) * 0.86, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=1.8, clip_on=False, zorder=5,
    )  # fmt: skip
    ax.set_xlim(-0.5, across - 0.5)
    ax.set_ylim(-0.5, down - 0.5)
    ax.set_xticks(range(0, across, 1 if printed else 4))
    ax.set_yticks(range(0, down, 1 if printed else 4))
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    length = 16 if narrow else 40
    ax.set_xlabel(f"Unseen {counted(event)}s in {shorten(group, length)}", labelpad=6)
    ax.set_ylabel(f"Unseen in {shorten(reference, 16)}", labelpad=6)
    _key(ax, shorten(group, 18 if narrow else 40), shorten(reference, 18 if narrow else 40), narrow)
    return ax


def _cell(ax: Axes, row: Record, printed: bool, size: float) -> None:
    from matplotlib.patches import Rectangle

    x, y, probability = row["extra"], row["extra_reference"], float(row["prob_benefit"])
    colour = GROUP_COLOURS[1] if probability > 0.5 else GROUP_COLOURS[0]
    ax.add_patch(
        Rectangle(
            (x - 0.5, y - 0.5), 1, 1, facecolor=colour, alpha=1.2 * abs(probability - 0.5),
            edgecolor=PAPER, linewidth=0.8,
        )
    )  # fmt: skip
    if printed:
        text = f"{probability:.2f}".removeprefix("0")
        text = ">.99" if text.startswith("1") else text if text != ".00" else "<.01"
        ax.text(x, y, text, ha="center", va="center", fontsize=size, color=INK)


def _boundary(ax: Axes, grid: pd.DataFrame) -> None:
    """A line along the edges between cells whose differences have different signs."""
    sign = {
        (int(r["extra"]), int(r["extra_reference"])): (r["risk_difference"] > 0)
        - (r["risk_difference"] < 0)
        for r in grid.to_dict("records")
    }
    for (x, y), here in sign.items():
        right, above = sign.get((x + 1, y), here), sign.get((x, y + 1), here)
        if (here < 0) != (right < 0):
            ax.plot([x + 0.5] * 2, [y - 0.5, y + 0.5], color=INK, linewidth=2, zorder=4)
        if (here < 0) != (above < 0):
            ax.plot([x - 0.5, x + 0.5], [y + 0.5] * 2, color=INK, linewidth=2, zorder=4)


def _key(ax: Axes, group: str, reference: str, narrow: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=GROUP_COLOURS[1], alpha=0.5, label=f"lower risk in {group}"),
        Patch(facecolor=GROUP_COLOURS[0], alpha=0.5, label=f"lower risk in {reference}"),
        Line2D([], [], marker="o", linestyle="", markerfacecolor="none", markeredgecolor=INK,
               markersize=9, markeredgewidth=1.6, label="observed"),
        Line2D([], [], color=INK, linewidth=2, label="sign changes"),
    ]  # fmt: skip
    legend_above(
        ax, _LEFT, _TOP, handles=handles, ncols=2, handlelength=1.6,
        columnspacing=1.2 if narrow else 2.0, borderaxespad=0.2, fontsize=10 if narrow else 11,
        labelcolor=MUTED,
    )  # fmt: skip
