"""Figures of checks: predicted against observed risk, residuals over time, and ranked values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import group_legend, padded
from longsurv.figures.place import Where, described, new_axes, panels, width_in
from longsurv.figures.style import (
    GROUP_COLOURS,
    INK,
    MUTED,
    NARROWEST,
    RULE,
    group_style,
    shorten,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 560.0
_PANEL = 190.0
_MOST = 20


@styled
def calibration(table: pd.DataFrame, *, ax: Where = None) -> Axes:
    """Observed against predicted risk, a panel a landmark, with the line on which both are one.

    Parameters
    ----------
    table : DataFrame
        Columns `landmark`, `predicted`, `observed`, `conf_low`, `conf_high`.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, _WIDTH)
    parts = list(table.groupby("landmark", sort=False))
    values = table[["predicted", "observed", "conf_high"]].to_numpy(dtype=float)
    top = min(1.0, padded([0.0, *values[np.isfinite(values)]])[1])
    axes = list(panels(width, len(parts), min(len(parts), 3), left=48, right=12, top=30, bottom=46,
                       panel=_PANEL, gap=10, ax=ax))  # fmt: skip
    for k, (place, (landmark, part)) in enumerate(zip(axes, parts, strict=True)):
        place.plot([0, top], [0, top], color=RULE, linewidth=1.0)
        low, high = part["observed"] - part["conf_low"], part["conf_high"] - part["observed"]
        spread = np.nan_to_num(np.maximum(np.array([low, high]), 0.0))
        place.errorbar(
            part["predicted"], part["observed"], yerr=spread, fmt="o", color=GROUP_COLOURS[1],
            markersize=5, linewidth=1.3,
        )  # fmt: skip
        place.set_xlim(0, top)
        place.set_ylim(0, top)
        place.set_title(f"From {landmark:g}", loc="left", fontsize=11)
        place.set_xlabel("Predicted risk")
        if k == 0:
            place.set_ylabel("Observed risk")
    return axes[0]


@styled
def residuals_over_time(
    time: np.ndarray,
    residuals: Mapping[str, np.ndarray],
    *,
    xlabel: str,
    points: bool = True,
    width: float = _WIDTH,
    ax: Where = None,
) -> Axes:
    """Scaled Schoenfeld residuals of each coefficient, with the running mean of a quarter of them.

    Parameters
    ----------
    time : ndarray, shape (events,)
    residuals : mapping of str to ndarray
        By term; level where the hazard ratio is the same at all times.
    xlabel : str
    points : bool
        Whether each residual has a mark.
    width : float
        In CSS pixels, of a figure of its own.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    across = min(len(residuals), 1 if width < NARROWEST else 3)
    axes = list(panels(width, len(residuals), across, left=52, right=12, top=30,
                       bottom=46, panel=_PANEL, gap=10, ax=ax))  # fmt: skip
    order = np.argsort(time, kind="stable")
    window = max(1, len(time) // 4)
    for place, (term, values) in zip(axes, residuals.items(), strict=True):
        if points:
            place.plot(time, values, "o", color=MUTED, markersize=3.5, alpha=0.6)
        if len(time) >= 2 * window:
            mean = np.convolve(values[order], np.ones(window) / window, mode="valid")
            middle = np.convolve(time[order], np.ones(window) / window, mode="valid")
            place.plot(middle, mean, color=GROUP_COLOURS[1], linewidth=1.8)
        place.set_title(shorten(term, 20), loc="left", fontsize=11)
        place.set_xlabel(xlabel)
    axes[0].set_ylabel("Log hazard ratio")
    return axes[0]


@styled
def ranked(
    patients: pd.DataFrame, measure: str, *, xlabel: str, words: str, ax: Where = None
) -> Axes:
    """The patients without whom most changes, as marks in rows, and in words.

    Parameters
    ----------
    patients : DataFrame
        Who they are, in the first column, and how much changes.
    measure : str
        The column of how much.
    xlabel : str
        What it is called.
    words : str
        What it comes to.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    worst = patients.sort_values(measure, ascending=False).head(_MOST)
    rows = np.arange(len(worst))
    height = 22.0 * len(worst) + 68
    ax = new_axes(width_in(ax, _WIDTH), height, left=150, right=20, top=12, bottom=50, ax=ax)
    for y in range(len(rows)):
        ax.axhline(y, color=RULE, linewidth=0.8, zorder=0)
    ax.axvline(0.0, color=INK, linewidth=0.8)
    ax.plot(worst[measure], rows, markersize=6, **{**group_style(0), "linestyle": ""})
    ax.set_yticks(rows, [shorten(str(label), 24) for label in worst.iloc[:, 0]])
    ax.set_ylim(len(worst) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    return described(ax, f"{xlabel} without each patient. {words}")


@styled
def densities(
    x: np.ndarray, curves: Mapping[str, np.ndarray], *, xlabel: str, ax: Where = None
) -> Axes:
    """Densities over one axis, each with its name.

    Parameters
    ----------
    x : ndarray, shape (n,)
    curves : mapping of str to ndarray, each shape (n,)
    xlabel : str
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    ax = new_axes(width_in(ax, _WIDTH), 260, left=40, right=20, top=16, bottom=46, ax=ax)
    for k, values in enumerate(curves.values()):
        ax.plot(x, values, linewidth=1.8, **{**group_style(k), "marker": ""})
    ax.set_xlabel(xlabel)
    ax.set_ylabel("Density")
    ax.set_yticks([])
    group_legend(ax, list(curves))
    return ax
