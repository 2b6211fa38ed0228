"""What simulated cohorts showed: power of every estimand, by the size of the true effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.place import Where, legend_above, new_axes, width_in
from longsurv.figures.style import GROUP_COLOURS, INK, MARKS, MUTED, PAPER, RULE, shorten, styled
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _LEFT, _TOP = 26.0, 230.0, 50.0


@styled
def simulation_axes(table: pd.DataFrame, *, width: float = 760.0, ax: Where = None) -> Axes:
    """Power of each estimand, one row each, one mark a size of the effect.

    Parameters
    ----------
    table : DataFrame
        Of a `longsurv.simulate.characteristics.Simulation`.
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
    keys = ["name", "label", "estimand", "level"]
    rows = list(table[keys].drop_duplicates().itertuples(index=False, name=None))
    effects = list(dict.fromkeys(table["effect"]))
    height = _ROW * len(rows) + 120
    ax = new_axes(width, height, left=_LEFT, right=25, top=_TOP, bottom=62, ax=ax)
    several = table["level"].nunique() > 1
    for y, key in enumerate(rows):
        ax.axhline(y, color=RULE, linewidth=0.8, zorder=0)
        part = table[(table[keys] == pd.Series(key, index=keys)).all(axis=1)]
        for record in part.to_dict("records"):
            k = effects.index(record["effect"])
            colour = MUTED if record["truth_is_null"] else GROUP_COLOURS[k % len(GROUP_COLOURS)]
            ax.plot(
                record["power"], y, linestyle="", marker=MARKS[k % len(MARKS)], markersize=6.5,
                color=colour, markerfacecolor=PAPER if record["truth_is_null"] else colour,
            )  # fmt: skip
    asked = table.groupby("name")["estimand"].nunique()
    names = [
        capital(estimand if asked[name] > 1 else label) + f", {level}" * several
        for name, label, estimand, level in rows
    ]
    ax.set_yticks(range(len(rows)), [shorten(name, 34) for name in names])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    for at, dash in ((0.05, (0, (1, 2))), (0.8, (0, (4, 3)))):
        ax.axvline(at, color=MUTED, linewidth=0.9, linestyle=dash, zorder=0)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("Cohorts whose 95 % interval is clear of no effect", color=INK)
    _legend(ax, table, effects)
    return ax


def _legend(ax: Axes, table: pd.DataFrame, effects: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for k, effect in enumerate(effects):
        null = bool(table.loc[table["effect"] == effect, "truth_is_null"].all())
        colour = MUTED if null else GROUP_COLOURS[k % len(GROUP_COLOURS)]
        handles.append(
            Line2D([], [], linestyle="", marker=MARKS[k % len(MARKS)], color=colour,
                   markerfacecolor=PAPER if null else colour, markersize=6.5, label=effect)
        )  # fmt: skip
    legend_above(
        ax, _LEFT, _TOP, handles=handles, ncols=len(handles), handlelength=1.2,
        columnspacing=1.4, borderaxespad=0.3, fontsize=11, title="True effect",
        title_fontsize=11, alignment="left",
    )  # fmt: skip
