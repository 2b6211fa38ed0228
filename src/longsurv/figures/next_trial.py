"""Assurance of a next trial by its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.place import Where, legend_above, new_axes, width_in
from longsurv.figures.style import GROUP_COLOURS, INK, MARKS, MUTED, styled
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _TOP = 60.0, 58.0


@styled
def next_trial_axes(table: pd.DataFrame, *, width: float = 760.0, ax: Where = None) -> Axes:
    """Draw assurance by the number of patients, a line a prior.

    Parameters
    ----------
    table : DataFrame
        Of a `longsurv.simulate.next_trial.NextTrial`.
    width : float
        In CSS pixels.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.

    Returns
    -------
    Axes
    """
    from matplotlib.ticker import PercentFormatter

    width = width_in(ax, width)
    ax = new_axes(width, 340, left=_LEFT, right=25, top=_TOP, bottom=52, ax=ax)
    for k, (name, part) in enumerate(table.groupby("prior", sort=False)):
        colour = GROUP_COLOURS[k % len(GROUP_COLOURS)]
        shown = part.sort_values("n")
        ax.plot(
            shown["n"], shown["assurance"], color=colour, marker=MARKS[k % len(MARKS)],
            markersize=6, linewidth=1.6, label=capital(str(name)),
        )  # fmt: skip
    sizes = sorted(set(table["n"]))
    if len(sizes) > 1:
        ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
    ax.minorticks_off()
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.axhline(0.8, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.set_xlabel("Patients in the next trial (logarithmic axis)", color=INK)
    ax.set_ylabel("Assurance", color=INK)
    handles, _ = ax.get_legend_handles_labels()
    legend_above(
        ax, _LEFT, _TOP, handles=handles, ncols=min(len(handles), 5 if width > 600 else 2),
        handlelength=1.6, columnspacing=1.3, borderaxespad=0.3, fontsize=11,
        title="Prior of the effect before this study", title_fontsize=11, alignment="left",
    )  # fmt: skip
    return ax
