"""Marker trajectories: patients or their quartiles, and the fitted mean of each group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import group_legend, padded, set_log_axis
from longsurv.figures.place import Where, new_axes
from longsurv.figures.style import PAPER, group_style, shorten, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


PANEL = (226.0, 190.0)  # CSS pixels: four side by side on a desk, two on a phone
PATIENTS_SHOWN = 60  # of each group; more lines than this are a smear and a heavy page
BESIDE = 0.07  # how far outside the mark of the other engine, where a phase is 1 from the next


@styled
def trajectory(
    points: pd.DataFrame,
    curve: pd.DataFrame | None,
    *,
    groups: Sequence[str],
    title: str = "",
    xlabel: str = "",
    ticks: Mapping[float, str] | None = None,
    log: bool = False,
    legend: bool = False,
    width: float = PANEL[0],
    height: float = PANEL[1],
    ax: Where = None,
) -> Axes:
    """One marker: patients, or their quartiles, faint; fitted means with 95 % bands over them.

    Maximum likelihood is drawn full and thick, Bayes over it thin: open marks beside the filled
    ones, or the outline of its band.

    Parameters
    ----------
    points : DataFrame
        Columns `patient`, `group`, `x`, `value` (raw scale), one row a measurement: a line a
        patient. Or `group`, `x`, `low`, `value`, `high`, quartiles of several: a bar each.
    curve : DataFrame or None
        Columns `group`, `x`, `estimate`, `conf_low`, `conf_high` (raw scale) and, if there is more
        than one, `engine` ("ml" or "bayes"); None when the model could not be fitted.
    groups : sequence of str
        Treatment levels, the reference first.
    ticks : mapping of x to label, optional
        For phases: the places on the axis and their names. Groups are then drawn side by side.
    log : bool
        A logarithmic value axis.
    legend : bool
        Name the groups.
    width, height : float
        In CSS pixels.
    ax : Axes or "window", optional
        Axes to draw in, as they are; a figure of its own otherwise.
    """
    if ax is None or isinstance(ax, str):
        bottom = 36 if xlabel else 22
        ax = new_axes(width, height, left=48, right=6, top=26, bottom=bottom, ax=ax)
    shift = _shifts(groups) if ticks else dict.fromkeys(groups, 0.0)
    for k, group in enumerate(groups):
        colour = group_style(k)["color"]
        part = points[points["group"].astype(str) == str(group)]
        draw_data = _draw_lines if "patient" in points.columns else _draw_quartiles
        draw_data(ax, part, shift[group], colour)
        if curve is not None:
            own = curve[curve["group"].astype(str) == str(group)]
            engines = own.get("engine", pd.Series("ml", own.index))
            for engine in ("ml", "bayes"):
                draw = _draw_phases if ticks else _draw_band
                draw(ax, own[engines == engine], k, shift[group], thin=engine == "bayes")

    if log:
        values = [points[c] for c in ("low", "value", "high") if c in points.columns]
        if curve is not None and "low" in points.columns:
            values += [curve["conf_low"], curve["conf_high"]]
        set_log_axis(ax, "y", *padded(np.concatenate(values), log=True), most=5)
    else:
        ax.locator_params(axis="y", nbins=5)
    if ticks:
        ax.set_xticks(list(ticks), [shorten(t, 12) for t in ticks.values()])
        ax.set_xlim(min(ticks) - 0.35, max(ticks) + 0.35)
    else:
        ax.locator_params(axis="x", nbins=5, integer=True)
        ax.margins(x=0.02)
    if xlabel:
        ax.set_xlabel(xlabel, labelpad=3)
    if title:
        ax.set_title(
            shorten(title, 30),
            loc="left",
            x=0.0 if ax.figure.axes[1:] or width > PANEL[0] else -0.16,
            pad=8,
            fontsize=11,
        )
    if legend:
        group_legend(ax, groups)
    return ax


def _shifts(groups: Sequence[str]) -> dict[str, float]:
    """Sideways offsets that set the groups of a phase apart."""
    places = np.linspace(-0.11, 0.11, len(groups)) if len(groups) > 1 else [0.0]
    return dict(zip(groups, map(float, places), strict=True))


def _draw_lines(ax: Axes, part: pd.DataFrame, shift: float, colour: str) -> None:
    """A faint line a patient, a dot where there is one value only."""
    part = part.sort_values(["patient", "x"])
    x, y = _joined(part)  # one broken line a group keeps the file small
    ax.plot(x + shift, y, color=colour, linewidth=0.6, alpha=0.34, zorder=1)
    single = part.groupby("patient")["x"].transform("size") == 1
    at, value = part.loc[single, "x"] + shift, part.loc[single, "value"]
    ax.plot(at, value, ".", color=colour, markersize=2.5, alpha=0.4, zorder=1)


def _draw_quartiles(ax: Axes, part: pd.DataFrame, shift: float, colour: str) -> None:
    """A pale bar from the lower to the upper quartile, with a line at the median."""
    x = part["x"].to_numpy(dtype=float) + shift
    low, high = part["low"], part["high"]
    ax.vlines(x, low, high, colors=colour, linewidth=7.0, alpha=0.22, zorder=1)
    ax.plot(x, part["value"], "_", color=colour, markersize=7, alpha=0.7, zorder=1)


def _joined(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Every patient's visits end to end, a gap (NaN) between patients."""
    x = part["x"].to_numpy(dtype=float)
    y = part["value"].to_numpy(dtype=float)
    patient = part["patient"].to_numpy()
    breaks = np.flatnonzero(patient[1:] != patient[:-1]) + 1
    return np.insert(x, breaks, np.nan), np.insert(y, breaks, np.nan)


def _ordered(curve: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, estimate and limits from left to right."""
    curve = curve.sort_values("x")
    x, y, low, high = (
        curve[c].to_numpy(dtype=float) for c in ("x", "estimate", "conf_low", "conf_high")
    )
    return x, y, low, high


def _draw_phases(ax: Axes, curve: pd.DataFrame, k: int, shift: float, *, thin: bool) -> None:
    """Means with intervals; the thin ones stand just outside the others, without a line."""
    if curve.empty:
        return
    style = group_style(k)
    x, y, low, high = _ordered(curve)
    beside = math.copysign(BESIDE, shift) if thin else 0.0
    ax.errorbar(
        x + shift + beside,
        y,
        yerr=np.vstack([y - low, high - y]),
        color=style["color"],
        linestyle="none" if thin else style["linestyle"],
        linewidth=1.8,
        marker=style["marker"],
        markersize=3.6 if thin else 5,
        markerfacecolor=PAPER if thin else style["color"],
        markeredgewidth=1.0,
        elinewidth=0.9 if thin else 1.4,
        capsize=0 if thin else 2.5,
        zorder=4 if thin else 3,
    )


def _draw_band(ax: Axes, curve: pd.DataFrame, k: int, shift: float, *, thin: bool) -> None:
    """A mean curve in its band; thin, the outline of a band around a thin curve."""
    if curve.empty:
        return
    colour, line = group_style(k)["color"], group_style(k)["linestyle"]
    x, y, low, high = _ordered(curve)
    x = x + shift
    if thin:
        for edge in (low, high):
            ax.plot(x, edge, color=colour, linestyle=(0, (1, 1.6)), linewidth=0.9, zorder=4)
        ax.plot(x, y, color=PAPER, linestyle="-", linewidth=0.6, zorder=4)
    else:
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
        ax.plot(x, y, color=colour, linestyle=line, linewidth=1.9, zorder=3)


def where_measured(curve: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """The curve of each group only between its first and last measured place."""
    reach = points.groupby("group")["x"].agg(["min", "max"])
    first, last = curve["group"].map(reach["min"]), curve["group"].map(reach["max"])
    return curve[(curve["x"] >= first) & (curve["x"] <= last)].reset_index(drop=True)


def sampled(points: pd.DataFrame) -> pd.DataFrame:
    """Evenly chosen patients of each group, all of them when there are few."""
    kept = []
    for _, part in points.groupby("group", sort=False):
        patients = part["patient"].unique()
        if len(patients) > PATIENTS_SHOWN:
            chosen = np.linspace(0, len(patients) - 1, PATIENTS_SHOWN).round().astype(int)
            part = part[part["patient"].isin(patients[chosen])]
        kept.append(part)
    return pd.concat(kept, ignore_index=True) if kept else points
