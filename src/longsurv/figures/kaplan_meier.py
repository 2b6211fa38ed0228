"""Kaplan-Meier curves with numbers at risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from longsurv.figures.place import Where, new_axes, width_in
from longsurv.figures.style import (
    MUTED,
    group_style,
    is_wide,
    plain_ticks,
    shorten,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform


@styled
def kaplan_meier(
    curves: pd.DataFrame,
    at_risk: pd.DataFrame,
    *,
    groups: Sequence[str],
    xlabel: str,
    ylabel: str = "Survival probability",
    width: float = 760,
    fitted: pd.DataFrame | None = None,
    ax: Where = None,
) -> Axes:
    """Survival by group, 95 % bands, censoring ticks, and numbers at risk under the axis.

    Parameters
    ----------
    curves : DataFrame
        Columns `group`, `time`, `estimate`, `conf_low`, `conf_high`, `censored` (how many
        were censored then). Steps hold until the next time.
    at_risk : DataFrame
        Columns `group`, `time`, `at_risk`: the numbers printed, at the ticks of the axis.
    groups : sequence of str
        Treatment levels, the reference first.
    xlabel, ylabel : str
    width : float
        In CSS pixels.
    fitted : DataFrame, optional
        What a model says: columns `group`, `time`, `estimate`, `conf_low`, `conf_high`. Its curves
        and bands are then drawn, and those of the data faint, without bands.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    narrow = not is_wide(width)
    label_length = 14 if narrow else 24
    names = [shorten(group, label_length) for group in groups]
    left = max(54.0, 12 + max(text_width(name, 10.5) for name in names))
    rows = 18.0 * len(groups)
    bottom, height = 70 + rows, (240 if narrow else 290) + 70 + rows
    ax = new_axes(
        width, height, left=left, right=22, top=14 if fitted is None else 26, bottom=bottom, ax=ax
    )
    for k, group in enumerate(groups):
        part = curves[curves["group"].astype(str) == str(group)].sort_values("time")
        if part.empty:
            continue
        style = group_style(k)
        time, survival = part["time"].to_numpy(), part["estimate"].to_numpy()
        faint = fitted is not None
        if fitted is None:
            _band(ax, part, style["color"], step="post")
        else:
            curve = fitted[fitted["group"].astype(str) == str(group)].sort_values("time")
            _band(ax, curve, style["color"])
            ax.plot(
                curve["time"], curve["estimate"], color=style["color"],
                linestyle=style["linestyle"], linewidth=2,
            )  # fmt: skip
        ax.step(
            time,
            survival,
            where="post",
            color=style["color"],
            linestyle="-" if faint else style["linestyle"],
            linewidth=0.9 if faint else 2,
            alpha=0.6 if faint else 1.0,
        )
        marked = part["censored"].to_numpy() > 0
        ax.plot(
            time[marked],
            survival[marked],
            "|",
            color=style["color"],
            markersize=7,
            markeredgewidth=1.1,
        )

    start, end = float(curves["time"].min()), float(curves["time"].max())
    ticks = sorted(set(at_risk["time"].astype(float)))
    ax.set_xlim(start - 0.01 * (end - start), end + 0.01 * (end - start))
    ax.set_ylim(0, 1.02)
    ax.set_yticks(np.linspace(0, 1, 6), ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    ax.set_xticks(ticks, plain_ticks(ticks))
    ax.set_xlabel(xlabel, labelpad=4)
    ax.set_ylabel(ylabel, labelpad=6)
    _direct_labels(ax, curves, groups)
    _numbers_at_risk(ax, at_risk, groups, label_length, left / (width - left - 22))
    return ax


def _band(ax: Axes, curve: pd.DataFrame, colour: str, step: Literal["post"] | None = None) -> None:
    ax.fill_between(
        curve["time"], curve["conf_low"], curve["conf_high"], step=step, color=colour, alpha=0.13,
        linewidth=0,
    )  # fmt: skip


def _direct_labels(ax: Axes, curves: pd.DataFrame, groups: Sequence[str]) -> None:
    """Name the curves in the empty lower corner, each beside a piece of its own line."""
    for k, group in enumerate(reversed(list(groups))):
        style = group_style(len(groups) - 1 - k)
        y = 0.07 + 0.085 * k
        ax.plot(
            [0.03, 0.10],
            [y, y],
            transform=ax.transAxes,
            color=style["color"],
            linestyle=style["linestyle"],
            linewidth=2,
        )
        ax.text(
            0.12,
            y,
            shorten(group, 40),
            transform=ax.transAxes,
            va="center",
            color=style["color"],
            fontweight="bold",
        )


def _numbers_at_risk(
    ax: Axes,
    at_risk: pd.DataFrame,
    groups: Sequence[str],
    label_length: int,
    left: float,
) -> None:
    def put(
        x: float,
        down: float,
        text: str,
        transform: Transform,
        **style: Any,  # any: keywords of `Axes.annotate`
    ) -> None:
        ax.annotate(
            text,
            (x, 0),
            (0, -down),
            xycoords=transform,
            textcoords="offset points",
            va="center",
            annotation_clip=False,
            **style,
        )

    put(-left, 54, "At risk", ax.transAxes, ha="left", fontsize=10.5, color=MUTED)
    for k, group in enumerate(groups):
        down, colour = 54 + 18 * (k + 1), group_style(k)["color"]
        put(
            -left,
            down,
            shorten(group, label_length),
            ax.transAxes,
            ha="left",
            fontsize=10.5,
            color=colour,
        )
        for record in at_risk[at_risk["group"].astype(str) == str(group)].to_dict("records"):
            put(
                record["time"],
                down,
                f"{int(record['at_risk']):,}",
                ax.get_xaxis_transform(),
                ha="center",
                fontsize=10.5,
                color=colour,
            )
