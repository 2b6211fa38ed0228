"""Every marker's difference in change under each adjustment: a row a marker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.arguments import choice
from longsurv.errors import LongsurvError
from longsurv.figures.axes import padded
from longsurv.figures.place import Where, legend_above, new_axes, width_in
from longsurv.figures.rows import Dash, Mark, interval, only_values, sides, value_axis
from longsurv.figures.style import (
    BAYES,
    GROUP_COLOURS,
    INK,
    MUTED,
    PAPER,
    RULE,
    is_wide,
    shorten,
    styled,
    text_width,
)
from longsurv.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Not the colours of the first two groups, which mean something else on the same page.
_STYLES: Mapping[str, tuple[str, str]] = {
    "unadjusted": (INK, "o"),
    "baseline": (GROUP_COLOURS[2], "s"),
    "overlap": (GROUP_COLOURS[3], "^"),
    "clda": (BAYES, "D"),
}
_SCALES = {"sd": ("std_estimate", "std_low", "std_high"), "ratio": ("estimate", "conf_low",
                                                                    "conf_high")}  # fmt: skip
_LINE, _GAP, _BOTTOM = 8.0, 14.0, 50.0
_DASHED: Dash = (0, (3, 1.6))
_KEY = 16.0  # height of a line of the key


@styled
def adjustments(
    table: pd.DataFrame,
    *,
    scale: str = "sd",
    width: float = 760,
    left_label: str = "",
    right_label: str = "",
    ax: Where = None,
) -> Axes:
    """Draw the difference in change of every marker under each adjustment, by both engines.

    Parameters
    ----------
    table : DataFrame
        `AdjustedChanges.table`. Filled marks with full lines are maximum likelihood, open ones with
        dashed lines Bayes; the colour and the mark say which adjustment.
    scale : {"sd", "ratio"}
        Standard deviations of the first value, which every marker has; or ratios of geometric means
        on a logarithmic axis, for the markers analysed as logarithms only.
    width : float
        In CSS pixels; the height follows from the rows.
    left_label, right_label : str
        What lies to either side of no difference.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.

    Raises
    ------
    LongsurvError
        If no marker can be drawn on this scale.
    """
    choice("scale", scale, _SCALES)
    width = width_in(ax, width)
    log = scale == "ratio"
    shown = table[table["scale"] == "ratio"] if log else table
    if shown.empty:
        raise LongsurvError("no marker is analysed as a logarithm; draw them with scale='sd'")
    shown = shown.assign(**dict(zip(("x", "low", "high"), _values(shown, scale), strict=True)))
    kinds = [kind for kind in _STYLES if (shown["adjustment"] == kind).any()]
    engines = [engine for engine in ("ml", "bayes") if (shown["engine"] == engine).any()]
    row = _LINE * len(kinds) * len(engines) + _GAP
    markers = list(dict.fromkeys(shown["marker"]))

    wide = is_wide(width)
    names = shown.drop_duplicates("marker").set_index("marker")["label"]
    labels = [shorten(names[marker], 30 if wide else 18) for marker in markers]
    size = 11.5 if wide else 10.5
    left = 14 + max(text_width(label, size) for label in labels)
    across = 1 if not wide else 3 if len(kinds) <= 3 else 2
    key_lines = math.ceil(len(kinds) / across)
    engine_lines = 0 if len(engines) == 1 else 1 if wide else 2
    top = 14 + _KEY * (key_lines + engine_lines)
    height = row * len(markers)
    ax = new_axes(
        width, height + top + _BOTTOM, left=left, right=16, top=top, bottom=_BOTTOM, ax=ax
    )
    ax.set_ylim(height, 0)
    low, high = _limits(shown, log)
    value_axis(ax, low, high, log=log, ticks=(7, 8) if wide else (4, 4))
    if not log:
        ax.set_xticks([tick for tick in ax.get_xticks() if low <= tick <= high])

    for k, (marker, label) in enumerate(zip(markers, labels, strict=True)):
        if k:
            ax.axhline(k * row, color=RULE, linewidth=0.5, zorder=0)
        ax.annotate(
            label, (0, k * row + row / 2), (-8, 0), ("axes fraction", "data"), "offset points",
            ha="right", va="center", fontsize=size, annotation_clip=False,
        )  # fmt: skip
        part = shown[shown["marker"] == marker]
        for record in part.to_dict("records"):
            place = kinds.index(record["adjustment"]) * len(engines)
            line = place + engines.index(record["engine"]) + 0.5
            _draw(ax, record, k * row + _GAP / 2 + line * _LINE)
    what = "ratio of geometric means" if log else "SD of the first value"
    only_values(ax, f"Difference in change, {what}" if wide else what)
    _keys(ax, shown, kinds, engines, across, key_lines, 11 if wide else 10.5, left, top)
    sides(ax, left_label, right_label, 10.5 if wide else 9.5)
    return ax


def _values(table: pd.DataFrame, scale: str) -> Sequence[np.ndarray]:
    return [table[name].to_numpy(dtype=float) for name in _SCALES[scale]]


def _limits(table: pd.DataFrame, log: bool) -> tuple[float, float]:
    """Limits that hold no difference and all but hopeless intervals."""
    ends = np.append(table[["x", "low", "high"]].to_numpy(dtype=float), 1.0 if log else 0.0)
    ends = ends[np.isfinite(ends)]
    centre = 1.0 if log else 0.0
    away = np.abs(np.log(np.maximum(ends, 1e-300))) if log else np.abs(ends - centre)
    reach = 3.0 * float(np.quantile(away, 0.9)) + 1e-12
    low, high = (math.exp(-reach), math.exp(reach)) if log else (-reach, reach)
    return padded(np.clip(ends, low, high), log=log, by=0.03)


def _draw(ax: Axes, record: Record, y: float) -> None:
    """One interval and its mark, or that there is none."""
    mark = _mark(record["adjustment"], record["engine"])
    x, start, end = (float(record[name]) for name in ("x", "low", "high"))
    if math.isnan(x):
        ax.annotate(
            "not estimated", (0, y), (4, 0), ("axes fraction", "data"), "offset points",
            va="center", fontsize=8, color=mark.colour,
        )  # fmt: skip
    else:
        interval(ax, x, start, end, y, mark)


def _mark(adjustment: str, engine: str) -> Mark:
    colour, shape = _STYLES[adjustment]
    face, dash = (PAPER, _DASHED) if engine == "bayes" else (colour, "-")
    return Mark(colour, face, shape, size=5, edge=1.2, line=1.3, dash=dash, arrow=4)


def _keys(
    ax: Axes,
    table: pd.DataFrame,
    kinds: Sequence[str],
    engines: Sequence[str],
    across: int,
    lines: int,
    size: float,
    left: float,
    above: float,
) -> None:
    """The adjustments by colour and mark; below, what filled and open marks mean."""
    from matplotlib.lines import Line2D

    names = table.drop_duplicates("adjustment").set_index("adjustment")["adjustment_label"]
    colours = [
        Line2D([], [], color=_STYLES[k][0], marker=_STYLES[k][1], markersize=5.5, label=names[k])
        for k in kinds
    ]
    filled = Line2D([], [], color=MUTED, marker="o", markersize=5.5, label="Maximum likelihood")
    hollow = Line2D(
        [], [], color=MUTED, linestyle=_DASHED, marker="o", markersize=5.5,
        markerfacecolor=PAPER, label="Bayes",
    )  # fmt: skip
    rows = [(colours, 0, across)]
    if len(engines) > 1:
        rows.append(([filled, hollow], lines, across if across == 1 else 2))
    for handles, line, columns in rows:
        legend_above(
            ax, left, above - line * _KEY, handles=handles, ncols=columns, handlelength=2.6,
            columnspacing=1.6, labelspacing=0.25, borderaxespad=0.1, fontsize=size,
        )  # fmt: skip
