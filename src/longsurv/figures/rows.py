"""Rows of intervals: what the forest plots and the figure of adjustments have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from longsurv.figures.axes import set_log_axis
from longsurv.figures.place import UNITS_PER_INCH
from longsurv.figures.style import LABEL_SIZE, MUTED, in_two_lines, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 8.0  # pixels between two labels
GOES_DOWN = ((0.0, 0.0), (1.0, -0.5), (1.0, 0.5))
GOES_UP = ((0.0, 0.0), (-1.0, -0.5), (-1.0, 0.5))
"""Arrows whose tip is where they are put: what is written beside the axis stays clear of them."""

type Dash = Literal["-"] | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Mark:
    """How an estimate and its interval are drawn.

    Parameters
    ----------
    colour, face : str
        Of the line and the edge of the mark, and inside it.
    shape : str
        A matplotlib marker.
    size, edge : float
        Of the mark and its edge.
    line : float
        Width of the interval's line.
    dash : "-" or tuple
        A matplotlib line style.
    arrow : float
        Size of the arrow where the interval goes on beyond the axis.
    """

    colour: str
    face: str
    shape: str
    size: float = 6.0
    edge: float = 1.4
    line: float = 1.5
    dash: Dash = "-"
    arrow: float = 5.0


def interval(ax: Axes, estimate: float, low: float, high: float, y: float, mark: Mark) -> None:
    """One interval and its mark; an end beyond the axis has an arrow."""
    first, last = ax.get_xlim()
    ax.plot(
        (max(low, first), min(high, last)), (y, y), color=mark.colour, linewidth=mark.line,
        linestyle=mark.dash, zorder=2,
    )  # fmt: skip
    for end, beyond, arrow in ((first, low < first, GOES_DOWN), (last, high > last, GOES_UP)):
        if beyond:
            ax.plot(
                [end], [y], marker=list(arrow), color=mark.colour, markeredgewidth=0,
                markersize=2.4 * mark.arrow, clip_on=False, zorder=2,
            )  # fmt: skip
    if first <= estimate <= last:
        ax.plot(
            [estimate], [y], marker=mark.shape, markersize=mark.size, markerfacecolor=mark.face,
            markeredgecolor=mark.colour, markeredgewidth=mark.edge, linestyle="none", zorder=3,
        )  # fmt: skip


def value_axis(ax: Axes, low: float, high: float, *, log: bool, ticks: tuple[int, int]) -> None:
    """The axis of the estimates, with its line of no difference.

    Parameters
    ----------
    ax : Axes
    low, high : float
    log : bool
        Ratios on a logarithmic axis, around 1.
    ticks : (int, int)
        How many at most: on a logarithmic axis, and on a linear one.
    """
    if log:
        set_log_axis(ax, "x", low, high, most=ticks[0])
    else:
        ax.set_xlim(low, high)
        ax.locator_params(axis="x", nbins=ticks[1], steps=[1, 2, 2.5, 5, 10])
    ax.axvline(1.0 if log else 0.0, color=MUTED, linewidth=0.9, zorder=0)


def only_values(ax: Axes, xlabel: str) -> None:
    """Leave the axis of the values and take the other away."""
    ax.spines["left"].set_visible(False)
    ax.yaxis.set_visible(False)
    label_values(ax, xlabel)


def label_values(ax: Axes, xlabel: str) -> None:
    """Name the axis of the values under its middle, or, of a long name, within the figure."""
    figure, place = ax.get_figure(root=True), ax.get_position()
    assert figure is not None
    width, needed = UNITS_PER_INCH * figure.get_figwidth(), text_width(xlabel, LABEL_SIZE)
    if needed <= width * (place.width + 2 * min(place.x0, 1.0 - place.x1)):
        ax.set_xlabel(xlabel, labelpad=6)
    else:
        length = int(len(xlabel) * width * place.x1 / needed)
        ax.set_xlabel("\n".join(in_two_lines(xlabel, length)), labelpad=2, loc="right")


def sides(ax: Axes, left: str, right: str, size: float) -> None:
    """Say under the axis what lies to either side of no difference.

    At its ends, or side by side to its right end where it is too short for both.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    inside = UNITS_PER_INCH * figure.get_figwidth() * ax.get_position().width
    left = f"\N{LEFTWARDS ARROW} {left}" if left else ""
    right = f"{right} \N{RIGHTWARDS ARROW}" if right else ""
    of_right = text_width(right, size) + APART
    short = bool(left and right) and text_width(left, size) + of_right > inside
    first = (1, "right", -of_right) if short else (0, "left", 0.0)
    for text, (x, align, by) in ((left, first), (right, (1, "right", 0.0))):
        if text:
            ax.annotate(
                text, (x, 0), (by, -46), "axes fraction", "offset points", ha=align, fontsize=size,
                color=MUTED,
            )  # fmt: skip
