"""The share of patients beyond a score's cut-off, by group and phase, by two models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import group_handles
from longsurv.figures.place import legend_above, new_axes
from longsurv.figures.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    Style,
    group_style,
    is_wide,
    shorten,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_APART = 0.16  # between the groups of a phase, where a phase is 1 from the next
_BESIDE = 0.07  # between the engines

_LEFT = 46.0


@styled
def score_shares(
    table: pd.DataFrame, *, groups: Sequence[str], ylabel: str = "", width: float = 640
) -> Axes:
    """Draw shares with 95 % intervals, the models side by side.

    Parameters
    ----------
    table : DataFrame
        model, level, phase, engine, estimate, conf_low, conf_high (between 0 and 1), observed.
        Filled marks are maximum likelihood, open ones Bayes; a short line is the observed share.
    groups : sequence of str
        Treatment levels, the reference first.
    ylabel : str
        What the share is of.
    width : float
        In CSS pixels.
    """
    models = list(dict.fromkeys(table["model"]))
    phases = list(dict.fromkeys(table["phase"]))
    wide = is_wide(width)
    size = 11 if wide else 10
    lines = 2 if wide else 2 + len(groups)
    top = 32 + 17 * lines
    ax = new_axes(width, 260 + top, left=_LEFT, right=8, top=top, bottom=32)
    ax.set_ylim(0, 1)
    ax.set_yticks(np.linspace(0, 1, 6), [f"{tick:.0f} %" for tick in range(0, 101, 20)])
    ax.grid(axis="y", color=RULE, linewidth=0.5)
    ax.set_axisbelow(True)
    places, names = [], []
    for m, model in enumerate(models):
        first = m * (len(phases) + 0.4)
        for p, phase in enumerate(phases):
            places.append(first + p)
            names.append(shorten(phase, 14 if wide else 9))
            part = table[(table["model"] == model) & (table["phase"] == phase)]
            for k, group in enumerate(groups):
                x = first + p + _APART * (2 * k - len(groups) + 1)
                _draw(ax, part[part["level"] == group], x, k)
        ax.annotate(
            shorten(model, 40), (first - 0.5, 1), (2, 8), ("data", "axes fraction"),
            "offset points", fontsize=size, color=MUTED, style="italic",
        )  # fmt: skip
        if m:
            ax.axvline(first - 0.7, color=RULE, linewidth=0.8)
    ax.set_xlim(-0.5, places[-1] + 0.5)
    ax.set_xticks(places, names)
    _key(ax, groups, ylabel, wide, size, top)
    return ax


def _draw(ax: Axes, part: pd.DataFrame, x: float, k: int) -> None:
    style = group_style(k)
    for record in part.to_dict("records"):
        bayes = record["engine"] == "bayes"
        at = x + (_BESIDE if bayes else -_BESIDE)
        if not np.isfinite(record["estimate"]):
            continue
        ends = (record["conf_low"], record["conf_high"])
        ax.plot((at, at), ends, color=style["color"], linewidth=1.0 if bayes else 1.5, zorder=2)
        ax.plot(
            [at], [record["estimate"]], marker=style["marker"], markersize=5.5,
            markerfacecolor=PAPER if bayes else style["color"], markeredgecolor=style["color"],
            markeredgewidth=1.2, linestyle="none", zorder=3,
        )  # fmt: skip
    observed = part["observed"].dropna()
    if len(observed):
        y = float(observed.iloc[0])
        ax.plot((x - 0.15, x + 0.15), (y, y), color=INK, linewidth=1.0, zorder=1)


def _key(ax: Axes, groups: Sequence[str], ylabel: str, wide: bool, size: float, top: float) -> None:
    from matplotlib.lines import Line2D

    handles = group_handles(groups, linestyle="-", markersize=5.5)
    common: Style = {"color": MUTED, "marker": "o", "markersize": 5.5, "linestyle": "none"}
    handles.append(Line2D([], [], label="Maximum likelihood", **common))
    handles.append(Line2D([], [], label="Bayes", markerfacecolor=PAPER, **common))
    handles.append(Line2D([], [], label="observed", color=INK, linewidth=1.0))
    legend_above(
        ax, _LEFT, top - 20, handles=handles, ncols=len(handles) if wide else 2, handlelength=2.0,
        columnspacing=1.2, labelspacing=0.3, borderaxespad=0.1, fontsize=size,
    )  # fmt: skip
    ax.annotate(
        shorten(ylabel, 80 if wide else 46), (0, 1), (4 - _LEFT, top - 14), "axes fraction",
        "offset points", fontsize=size,
    )  # fmt: skip
