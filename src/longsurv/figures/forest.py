"""Forest plot: one row an estimate, one mark an engine, the numbers beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import padded
from longsurv.figures.place import Where, legend_above, new_axes, width_in
from longsurv.figures.rows import Mark, interval, only_values, sides, value_axis
from longsurv.figures.style import (
    BAYES,
    INK,
    MUTED,
    PAPER,
    RULE,
    Style,
    in_two_lines,
    is_wide,
    shorten,
    styled,
    text_width,
)
from longsurv.records import Record
from longsurv.words import NO_ANSWER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _SECTION, _TOP, _BOTTOM = 36.0, 30.0, 34.0, 50.0
_MISSING = "not estimated"
_BEHIND: Style = {
    "facecolor": PAPER,
    "linewidth": 0,
    "pad": 1.0,
}  # over the null line
_LINE, _TALL = 24.0, 42.0  # a method's row: label beside its mark, and label above it
_APART = 13.0  # between the series of a row
_BESIDE = 8.0  # between the axis and the numbers: SVG drops blanks that a text begins with
_MARKS = (Mark(INK, INK, "o"), Mark(BAYES, PAPER, "D", size=5.5))


@dataclass(frozen=True)
class _Frame:
    """Axes with their values and sections, for the rows to be drawn in.

    `rows` has the height of every section and row, `inside` the width of the axes and `left`
    their left margin, all in pixels.
    """

    ax: Axes
    marks: Mapping[str, Mark]
    rows: Mapping[tuple[str, str], float]
    inside: float
    left: float


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
    marks: Sequence[Mark] = _MARKS,
    band: Sequence[float] | None = None,
    ax: Where = None,
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
    marks : sequence of Mark
        Of the series.
    band : sequence of float, optional
        An estimate and its limits that all rows are to be read against: a line and a band.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    table = table.assign(section=table.get("section", ""))
    wide = is_wide(width) and "text" in table
    size = 11.5 if wide else 10.5
    labels = {
        row: [shorten(row, 34)] if wide else in_two_lines(row, 20) for row in table["row"].unique()
    }
    beside = [*table["text"], text_heading, _MISSING] if wide else []
    lines = [line for label in labels.values() for line in label]
    left = 18 + max((text_width(line, size) for line in lines), default=0)
    right = 18 + max((_BESIDE + text_width(text, 10.5) for text in beside), default=0)
    frame = _frame(
        table, log, width, (left, right), row_height=_ROW, edge=left, wide=wide, marks=marks, at=ax
    )
    ax = frame.ax
    if band is not None and not any(map(math.isnan, band)):
        first, last = ax.get_xlim()
        ax.axvspan(max(band[1], first), min(band[2], last), color=RULE, alpha=0.5, lw=0, zorder=-1)
        ax.axvline(band[0], color=INK, linewidth=1.6, zorder=1)
    axes_x = ax.get_yaxis_transform()  # x in axes fractions, y in data
    step = 0.0 if len(frame.marks) == 1 else _APART
    places = {name: step * (k - (len(frame.marks) - 1) / 2) for k, name in enumerate(frame.marks)}
    for (section, row), y in frame.rows.items():
        ax.axhline(y - _ROW / 2, color=RULE, linewidth=0.5, zorder=0)
        ax.text(
            -10 / frame.inside, y, "\n".join(labels[row]), transform=axes_x, ha="right",
            va="center", fontsize=size,
        )  # fmt: skip
        part = table[(table["row"] == row) & (table["section"] == section)]
        for record in part.to_dict("records"):
            mark, at = frame.marks[record["series"]], y + places[record["series"]]
            text = _drawn(ax, record, at, mark)
            if wide:
                ax.text(
                    1.0 + _BESIDE / frame.inside, at, text, transform=axes_x, va="center",
                    fontsize=10.5, color=mark.colour,
                )  # fmt: skip
    only_values(ax, xlabel)
    _headings(frame, text_heading if wide else "")
    sides(ax, left_label, right_label, 10.5 if wide else 9.5)
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
    ax: Where = None,
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
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    wide = is_wide(width)
    labels = [shorten(row, 44 if wide else 36) for row in table["row"]]
    left = right = 14.0
    if wide:
        beside = [*table["text"], text_heading, NO_ANSWER]
        left = 20 + max(text_width(label, 11) for label in labels)
        right = 18 + max(_BESIDE + text_width(text, 10.5) for text in beside)
    row_height = _LINE if wide else _TALL
    frame = _frame(
        table, log, width, (left, right), row_height=row_height, edge=left - 6 if wide else 0.0,
        wide=wide, at=ax,
    )  # fmt: skip
    ax = frame.ax
    axes_x, edge = ax.get_yaxis_transform(), -(left - 6) / frame.inside if wide else 0.0
    up, down = (0.0, 0.0) if wide else (9.0, 10.0)
    for label, record in zip(labels, table.to_dict("records"), strict=True):
        y = frame.rows[(record["section"], record["row"])]
        ax.axhline(y - row_height / 2, color=RULE, linewidth=0.5, zorder=0)
        answered = not math.isnan(float(record["estimate"]))
        mark = frame.marks[record["series"]]
        text = str(record["text"]) if answered else NO_ANSWER
        ax.text(
            edge, y - up, label, transform=axes_x, va="center", fontsize=11 if wide else 10.5,
            color=INK if answered else MUTED, bbox=dict(_BEHIND),
        )  # fmt: skip
        ax.text(
            1.0 + _BESIDE / frame.inside if wide else 1.0, y - up, text, transform=axes_x,
            va="center", ha="left" if wide else "right", fontsize=10.5,
            color=mark.colour if answered else MUTED, bbox=dict(_BEHIND),
        )  # fmt: skip
        _drawn(ax, record, y + down, mark)
    only_values(ax, xlabel)
    _headings(frame, text_heading if wide else "")
    sides(ax, left_label, right_label, 10.5 if wide else 9.5)
    return ax


def _frame(
    table: pd.DataFrame,
    log: bool,
    width: float,
    margins: tuple[float, float],
    *,
    row_height: float,
    edge: float,
    wide: bool,
    at: Where,
    marks: Sequence[Mark] = _MARKS,
) -> _Frame:
    """Axes as high as the rows, with the axis of the values and the names of the sections.

    Parameters
    ----------
    table : DataFrame
    log : bool
    width : float
    margins : (float, float)
        Left and right, in pixels.
    row_height : float
    edge : float
        How far left of the axes a section's name begins, in pixels.
    wide : bool
    at : Axes or "window", optional
    marks : sequence of Mark
    """
    sections, rows, height = _layout(table, row_height)
    left, right = margins
    ax = new_axes(
        width, height + _TOP + _BOTTOM, left=left, right=right, top=_TOP, bottom=_BOTTOM,
        ax=at,
    )  # fmt: skip
    ax.set_ylim(height, 0)
    value_axis(ax, *_limits(table, log), log=log, ticks=(6, 7) if wide else (4, 4))
    inside = width - left - right
    for section, y in sections:
        ax.text(
            -edge / inside, y, section, transform=ax.get_yaxis_transform(), va="center",
            fontsize=11, color=MUTED, style="italic",
        )  # fmt: skip
    series = list(dict.fromkeys(table["series"]))
    return _Frame(ax, dict(zip(series, cycle(marks), strict=False)), rows, inside, left)


type Sections = list[tuple[str, float]]
type Rows = dict[tuple[str, str], float]


def _layout(table: pd.DataFrame, row_height: float) -> tuple[Sections, Rows, float]:
    """Vertical positions, in pixels from the top of the axes, and the height they need."""
    y = 0.0
    sections: Sections = []
    rows: Rows = {}
    for section, part in table.groupby("section", sort=False):
        if section:
            sections.append((str(section), y + _SECTION / 2))
            y += _SECTION
        for row in part["row"].unique():
            rows[(section, row)] = y + row_height / 2
            y += row_height
    return sections, rows, max(y, row_height)


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


def _drawn(ax: Axes, record: Record, y: float, mark: Mark) -> str:
    """Draw what a row of the table has, and return what is written beside it."""
    estimate, low, high = (float(record[name]) for name in ("estimate", "conf_low", "conf_high"))
    if math.isnan(estimate):
        return _MISSING
    interval(ax, estimate, low, high, y, mark)
    return str(record.get("text", ""))


def _headings(frame: _Frame, text_heading: str) -> None:
    """What the marks mean, and what the numbers are."""
    from matplotlib.lines import Line2D

    if len(frame.marks) > 1:
        handles = [
            Line2D(
                [], [], color=mark.colour, marker=mark.shape, markersize=6, linewidth=1.5,
                markerfacecolor=mark.face, markeredgewidth=1.4, label=name,
            )
            for name, mark in frame.marks.items()
        ]  # fmt: skip
        legend_above(
            frame.ax, frame.left, _TOP, handles=handles, ncols=len(handles), handlelength=2.2,
            columnspacing=1.6, borderaxespad=0.1, fontsize=11,
        )  # fmt: skip
    if text_heading:
        frame.ax.text(
            1.0 + _BESIDE / frame.inside, -10, text_heading, fontsize=10.5, color=MUTED,
            transform=frame.ax.get_yaxis_transform(), va="bottom",
        )  # fmt: skip
