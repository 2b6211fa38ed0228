"""Forest plot: one row an estimate, one mark an engine, the numbers beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from longsurv.report.figures.axes import padded, set_log_axis
from longsurv.report.figures.style import (
    BAYES,
    INK,
    MUTED,
    PAPER,
    RULE,
    new_axes,
    shorten,
    styled,
    text_width,
)
from longsurv.words import NO_ANSWER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

_ROW, _SECTION, _TOP, _BOTTOM = 36.0, 30.0, 34.0, 50.0
_MISSING = "not estimated"
_BEHIND: Mapping[str, Any] = {"facecolor": PAPER, "linewidth": 0, "pad": 1.0}  # over the null line
_LINE, _TALL = 24.0, 42.0  # a method's row: label beside its mark, and label above it
_MARKS: tuple[Mapping[str, str], ...] = (
    {"color": INK, "marker": "o", "facecolor": INK, "linestyle": "-"},
    {"color": BAYES, "marker": "D", "facecolor": PAPER, "linestyle": "-"},
)


@styled
def forest(
    table: pd.DataFrame,
    *,
    xlabel: str,
    log: bool = False,
    width: float = 760,
    text_heading: str = "",
    left_label: str = "",
    right_label: str = "",
) -> Axes:
    """Draw estimates with intervals, the series of a row one under the other.

    Parameters
    ----------
    table : DataFrame
        Columns `row` (label), `series`, `estimate`, `conf_low`, `conf_high`; optional
        `section` (rows are grouped under it) and `text` (numbers at the right, one a mark).
        Rows appear in the order given; a missing estimate is drawn as "not estimated".
    xlabel : str
        What the axis measures, with its unit.
    log : bool
        A logarithmic axis around 1 (ratios) instead of a linear one around 0.
    width : float
        In CSS pixels; the height follows from the rows. Below 480 the numbers are left out.
    text_heading : str
        Heading over the numbers.
    left_label, right_label : str
        What lies to either side of no difference.
    """
    table = table.assign(section=table.get("section", ""))
    series = list(dict.fromkeys(table["series"]))
    wide = width >= 480 and "text" in table
    lines, height = _layout(table)
    labels = [shorten(row, 34 if wide else 20) for row in table["row"].unique()]
    size = 11.5 if wide else 10.5
    left = 14 + max((text_width(label, size) for label in labels), default=0)
    beside = [*table["text"], text_heading, _MISSING] if wide else []
    right = 18 + max((text_width(f"  {text}", 10.5) for text in beside), default=0)
    total = height + _TOP + _BOTTOM
    ax = new_axes(width, total, left=left, right=right, top=_TOP, bottom=_BOTTOM)
    ax.set_ylim(height, 0)

    low, high = _limits(table, log)
    _value_axis(ax, low, high, log, wide)

    axes_x = ax.get_yaxis_transform()  # x in axes fractions, y in data
    for section, y in lines["sections"]:
        ax.text(
            -left / (width - left - right),
            y,
            section,
            transform=axes_x,
            va="center",
            fontsize=11,
            color=MUTED,
            style="italic",
        )
    for (section, row), y in lines["rows"].items():
        ax.axhline(y - _ROW / 2, color=RULE, linewidth=0.5, zorder=0)
        ax.text(
            -10 / (width - left - right),
            y,
            shorten(row, 34 if wide else 20),
            transform=axes_x,
            ha="right",
            va="center",
            fontsize=size,
        )
        part = table[(table["row"] == row) & (table["section"] == section)]
        _draw_row(ax, part, y, series, low, high, axes_x if wide else None)

    ax.spines["left"].set_visible(False)
    ax.yaxis.set_visible(False)
    ax.set_xlabel(xlabel, labelpad=6)
    _headings(ax, series, text_heading if wide else "", left_label, right_label, wide)
    return ax


@styled
def method_forest(
    table: pd.DataFrame,
    *,
    xlabel: str,
    log: bool = False,
    width: float = 760,
    text_heading: str = "",
    left_label: str = "",
    right_label: str = "",
) -> Axes:
    """Draw one quantity by many methods, a row each, with the numbers beside it.

    Parameters
    ----------
    table : DataFrame
        As `forest` takes it, with `section` and `text`; every pair of section and row occurs once.
        A row without an estimate says "no usable answer".
    xlabel, log, text_heading, left_label, right_label
        See `forest`.
    width : float
        In CSS pixels. Below 480 a row's label and numbers stand above its mark.
    """
    series = list(dict.fromkeys(table["series"]))
    wide = width >= 480
    row_height = _LINE if wide else _TALL
    lines, height = _layout(table, row_height)
    rows = [shorten(row, 44 if wide else 36) for row in table["row"]]
    texts = [*table["text"], text_heading, NO_ANSWER]
    left = 20 + max(text_width(row, 11) for row in rows) if wide else 14.0
    right = 18 + max(text_width(f"  {text}", 10.5) for text in texts) if wide else 14.0
    total = height + _TOP + _BOTTOM
    ax = new_axes(width, total, left=left, right=right, top=_TOP, bottom=_BOTTOM)
    ax.set_ylim(height, 0)
    low, high = _limits(table, log)
    _value_axis(ax, low, high, log, wide)

    axes_x = ax.get_yaxis_transform()
    edge = 0.0 if not wide else -(left - 6) / (width - left - right)
    for section, y in lines["sections"]:
        ax.text(
            edge, y, section, transform=axes_x, va="center", fontsize=11, color=MUTED,
            style="italic",
        )  # fmt: skip
    for label, record in zip(rows, table.to_dict("records"), strict=True):
        y = lines["rows"][(record["section"], record["row"])]
        ax.axhline(y - row_height / 2, color=RULE, linewidth=0.5, zorder=0)
        answered = not math.isnan(float(record["estimate"]))
        text = str(record["text"]) if answered else NO_ANSWER
        mark = _MARKS[series.index(record["series"]) % len(_MARKS)]
        colour = mark["color"] if answered else MUTED
        up = 0.0 if wide else 9.0
        ax.text(
            edge, y - up, label, transform=axes_x, va="center", fontsize=11 if wide else 10.5,
            color=INK if answered else MUTED, bbox=dict(_BEHIND),
        )  # fmt: skip
        ax.text(
            1.0, y - up, f"  {text}" if wide else text, transform=axes_x, va="center",
            ha="left" if wide else "right", fontsize=10.5, color=colour, bbox=dict(_BEHIND),
        )  # fmt: skip
        if answered:
            part = pd.DataFrame([record])
            _draw_row(ax, part, y if wide else y + 10, series, low, high, None, step=0.0)

    ax.spines["left"].set_visible(False)
    ax.yaxis.set_visible(False)
    ax.set_xlabel(xlabel, labelpad=6)
    _headings(ax, series, text_heading if wide else "", left_label, right_label, wide)
    return ax


def _value_axis(ax: Axes, low: float, high: float, log: bool, wide: bool) -> None:
    """The axis of the estimates, with its line of no difference."""
    if log:
        set_log_axis(ax, "x", low, high, most=6 if wide else 4)
    else:
        ax.set_xlim(low, high)
        ax.locator_params(axis="x", nbins=7 if wide else 4, steps=[1, 2, 2.5, 5, 10])
    ax.axvline(1.0 if log else 0.0, color=MUTED, linewidth=0.9, zorder=0)


def _layout(table: pd.DataFrame, row_height: float = _ROW) -> tuple[dict, float]:
    """Vertical positions, in pixels from the top of the axes, and the height they need."""
    y, sections, rows = 0.0, [], {}
    for section, part in table.groupby("section", sort=False):
        if section:
            sections.append((str(section), y + _SECTION / 2))
            y += _SECTION
        for row in part["row"].unique():
            rows[(section, row)] = y + row_height / 2
            y += row_height
    return {"sections": sections, "rows": rows}, max(y, row_height)


def _limits(table: pd.DataFrame, log: bool) -> tuple[float, float]:
    """Limits that hold no difference and the intervals; a hopeless interval does not set them."""
    null = 1.0 if log else 0.0
    values = np.append(table[["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float), null)
    if log:
        values = np.clip(values[np.isfinite(values)], 0.01, 100)
    elif len(table) > 2:
        widths = (table["conf_high"] - table["conf_low"]).to_numpy(dtype=float)
        reach = 6 * np.nanmedian(widths) if np.isfinite(widths).any() else 1.0
        centre = float(np.nanmedian(values[np.isfinite(values)]))
        values = np.clip(values[np.isfinite(values)], centre - reach, centre + reach)
    return padded(values, log=log)


def _draw_row(
    ax: Axes,
    part: pd.DataFrame,
    y: float,
    series: Sequence[str],
    low: float,
    high: float,
    text_transform: Transform | None,
    step: float | None = None,
) -> None:
    if step is None:
        step = 0.0 if len(series) == 1 else 13.0
    for record in part.to_dict("records"):
        k = series.index(record["series"])
        style = _MARKS[k % len(_MARKS)]
        at = y + step * (k - (len(series) - 1) / 2)
        estimate, left, right = (float(record[c]) for c in ("estimate", "conf_low", "conf_high"))
        text = str(record.get("text", ""))
        if math.isnan(estimate):
            text = _MISSING
        else:
            shown = max(left, low), min(right, high)
            ax.plot(shown, (at, at), color=style["color"], linewidth=1.5, zorder=2)
            for end, cut, arrow in ((low, left < low, "<"), (high, right > high, ">")):
                if cut:
                    ax.plot(
                        [end],
                        [at],
                        marker=arrow,
                        color=style["color"],
                        markersize=5,
                        clip_on=False,
                        zorder=2,
                    )
            if low <= estimate <= high:
                ax.plot(
                    [estimate],
                    [at],
                    marker=style["marker"],
                    markersize=6 if k == 0 else 5.5,
                    markerfacecolor=style["facecolor"],
                    markeredgecolor=style["color"],
                    markeredgewidth=1.4,
                    zorder=3,
                )
        if text_transform is not None:
            ax.text(
                1.0,
                at,
                "  " + text,
                transform=text_transform,
                va="center",
                fontsize=10.5,
                color=style["color"],
            )


def _headings(
    ax: Axes,
    series: Sequence[str],
    text_heading: str,
    left_label: str,
    right_label: str,
    wide: bool,
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=style["color"],
            marker=style["marker"],
            markersize=6,
            linewidth=1.5,
            markerfacecolor=style["facecolor"],
            markeredgewidth=1.4,
            label=name,
        )
        for name, style in zip(series, _MARKS, strict=False)
    ]
    if len(series) > 1:
        ax.figure.legend(
            handles=handles,
            loc="upper left",
            ncols=len(series),
            frameon=False,
            handlelength=2.2,
            columnspacing=1.6,
            borderaxespad=0.1,
            fontsize=11,
        )
    if text_heading:
        ax.text(
            1.0,
            -10,
            "  " + text_heading,
            transform=ax.get_yaxis_transform(),
            fontsize=10.5,
            color=MUTED,
            va="bottom",
        )
    size = 10.5 if wide else 9.5
    if left_label:
        ax.annotate(
            "\N{LEFTWARDS ARROW} " + left_label,
            (0, 0),
            (0, -46),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=size,
            color=MUTED,
        )
    if right_label:
        ax.annotate(
            right_label + " \N{RIGHTWARDS ARROW}",
            (1, 0),
            (0, -46),
            ha="right",
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=size,
            color=MUTED,
        )
