"""Cumulative incidence of the event and of what competes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import group_handles
from longsurv.figures.place import Where, legend_above, panels, width_in
from longsurv.figures.style import group_style, is_wide, plain_ticks, shorten, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 54.0, 14.0, 34.0, 46.0, 17.0
_KEY, _PANEL = 26.0, 190.0


@styled
def incidence(
    curves: pd.DataFrame,
    *,
    groups: Sequence[str],
    xlabel: str,
    ticks: Sequence[float],
    width: float = 760,
    ax: Where = None,
) -> Axes:
    """Draw the cumulative incidence of every cause, a panel each, on one scale.

    Parameters
    ----------
    curves : DataFrame
        Columns `cause` (its label), `group`, `time`, `estimate`, `conf_low`, `conf_high`; steps
        hold until the next time.
    groups : sequence of str
        Treatment levels, the reference first.
    xlabel : str
    ticks : sequence of float
        Of the time axis.
    width : float
        In CSS pixels; below 480 the panels stand one under the other.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.

    Returns
    -------
    Axes
        Of the first cause; the others are in its figure.
    """
    width = width_in(ax, width)
    causes = list(dict.fromkeys(curves["cause"]))
    across = min(len(causes), 3) if is_wide(width) else 1
    axes = list(panels(
        width, len(causes), across, left=_LEFT, right=_RIGHT, top=_TOP, bottom=_BOTTOM,
        panel=_PANEL, key=_KEY, gap=_GAP, ax=ax,
    ))  # fmt: skip
    most = float(np.nanmax(np.append(curves["conf_high"].to_numpy(dtype=float), 0.1)))
    top = min(1.0, 0.1 * np.ceil(10 * most))
    for k, (panel, cause) in enumerate(zip(axes, causes, strict=True)):
        _draw(panel, curves[curves["cause"] == cause], groups)
        room = width / across - _LEFT - _RIGHT
        panel.set_title(shorten(str(cause), 40 if room > 250 else 28))
        panel.set_xlim(min(ticks), max(max(ticks), float(curves["time"].max())))
        panel.set_ylim(0, top * 1.02)
        panel.set_xticks(list(ticks), plain_ticks(ticks))
        steps = np.linspace(0, top, 6 if round(10 * top) % 5 == 0 else 5)
        panel.set_yticks(steps, [f"{100 * s:.3g}" for s in steps])
        panel.set_xlabel(xlabel, labelpad=4)
        if k % across == 0:
            panel.set_ylabel("Patients (%)", labelpad=5)
    _key(axes[0], groups, is_wide(width))
    return axes[0]


def _draw(ax: Axes, curves: pd.DataFrame, groups: Sequence[str]) -> None:
    for k, group in enumerate(groups):
        part = curves[curves["group"].astype(str) == str(group)].sort_values("time")
        style = group_style(k)
        ax.fill_between(
            part["time"], part["conf_low"], part["conf_high"], step="post",
            color=style["color"], alpha=0.13, linewidth=0,
        )  # fmt: skip
        ax.step(
            part["time"], part["estimate"], where="post", color=style["color"],
            linestyle=style["linestyle"], linewidth=2,
        )  # fmt: skip


def _key(ax: Axes, groups: Sequence[str], wide: bool) -> None:
    handles = group_handles(groups, 44 if wide else 24, linewidth=2, marker="")
    legend_above(
        ax, _LEFT, _TOP + _KEY, handles=handles, ncols=len(groups) if wide else 2,
        handlelength=2.6, columnspacing=1.6, borderaxespad=0.1, fontsize=11,
    )  # fmt: skip
