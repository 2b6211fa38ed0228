"""Small pieces shared by the figures: logarithmic ticks, a zero line, group legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from longsurv.figures.style import group_style, plain_ticks, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers inside [low, high] for a logarithmic axis, at most `most` of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in (
        (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
        (1, 1.5, 2, 3, 5, 7),
        (1, 2, 5),
        (1, 3),
        (1,),
    ):
        ticks = [s * 10.0**k for k in range(first, last + 1) for s in steps]
        ticks = [t for t in ticks if low * 0.999 <= t <= high * 1.001]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def set_log_axis(ax: Axes, which: str, low: float, high: float, most: int = 6) -> None:
    """Make one axis logarithmic over [low, high] with plainly written ticks."""
    from matplotlib.ticker import NullLocator

    axis = ax.xaxis if which == "x" else ax.yaxis
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    (ax.set_xlim if which == "x" else ax.set_ylim)(low, high)
    ticks = log_ticks(low, high, most)
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(ticks, plain_ticks(ticks))


def padded(
    values: Sequence[float] | np.ndarray, *, log: bool = False, by: float = 0.05
) -> tuple[float, float]:
    """Limits a little wider than the finite values; (0, 1) or (0.5, 2) when there are none."""
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array) & (array > 0 if log else True)]
    if array.size == 0:
        return (0.5, 2.0) if log else (0.0, 1.0)
    if log:
        array = np.log(array)
    low, high = float(array.min()), float(array.max())
    pad = by * (high - low) if high > low else max(abs(high) * 0.1, 0.1)
    low, high = low - pad, high + pad
    return (math.exp(low), math.exp(high)) if log else (low, high)


def risk_times(start: float, end: float, unit: str, most: int = 7) -> list[float]:
    """Round times for the axis between `start` and `end`; whole weeks when the unit is days."""
    weeks = unit.startswith("day") and end - start >= 14
    steps = (7, 14, 28, 91, 182, 364) if weeks else (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
    step = next((s for s in steps if (end - start) / s <= most), (end - start) / most)
    first = step * np.ceil(start / step - 1e-9)
    times = [float(t) + 0.0 for t in np.arange(first, end + step * 1e-6, step)]
    return times if times and times[0] == start else [float(start), *times]


def group_handles(
    groups: Sequence[str],
    length: int = 30,
    **how: Any,  # any: keywords of Line2D
) -> list[Line2D]:
    """Legend entries with each group's colour, line and mark; `how` goes before these."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], label=shorten(str(group), length), **(group_style(k) | how))
        for k, group in enumerate(groups)
    ]


def group_legend(ax: Axes, groups: Sequence[str]) -> None:
    """A frameless legend with each group's colour, line and mark."""
    handles = group_handles(groups, 300, linewidth=1.8, markersize=5)
    ax.legend(handles=handles, frameon=False, loc="best", handlelength=2.6, fontsize=10.5)
