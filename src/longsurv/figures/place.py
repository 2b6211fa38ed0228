"""Where a figure is drawn: alone, in a window or notebook, or in the place of a user's axes.

Margins are in CSS pixels, which are points: what they hold is text, whose size does not depend on
the size of the figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from longsurv.errors import ArgumentError
from longsurv.figures.style import ALARM, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.transforms import Transform

UNITS_PER_INCH = 72  # one SVG unit is one CSS pixel at full size
MOST = 0.75
"""Share of a user's axes that margins may take."""

type Where = Axes | Literal["window"] | None
"""Axes of a user, whose place is taken; a figure of pyplot's, which shows it; or one of its own."""
type Box = tuple[float, float, float, float]
"""Left, bottom, width and height, in fractions of the figure."""


def new_figure(width: float, height: float, where: Where = None) -> Figure:
    """An empty figure of a size in CSS pixels, outside pyplot's list unless it is for a window."""
    size = (width / UNITS_PER_INCH, height / UNITS_PER_INCH)
    if where is not None:
        from matplotlib import pyplot as plt

        return plt.figure(figsize=size, facecolor="white")
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=UNITS_PER_INCH)
    FigureCanvasSVG(figure)
    return figure


def width_in(where: Where, width: float) -> float:
    """Width of the place in CSS pixels; `width` where there is none yet."""
    return width if where is None or isinstance(where, str) else _size(where)[0]


def new_axes(
    width: float,
    height: float,
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
    ax: Where = None,
) -> Axes:
    """Axes with margins in CSS pixels, in a new figure or within the place of `ax`."""
    if ax is not None and not isinstance(ax, str):
        wide, high = _size(ax)
        ax.set_position(_within(_box(ax), wide, high, left, right, top, bottom))
        ax.spines[["top", "right"]].set_visible(False)  # as in a figure of its own
        return ax
    whole = (0.0, 0.0, 1.0, 1.0)
    inside = _within(whole, width, height, left, right, top, bottom)
    return new_figure(width, height, ax).add_axes(inside)


def panels(
    width: float,
    count: int,
    across: int,
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
    panel: float,
    key: float = 0.0,
    gap: float = 0.0,
    ax: Where = None,
) -> Iterator[Axes]:
    """Axes side by side, row after row, with margins around each in CSS pixels.

    Each is made when it is asked for, so that what is laid over one comes before the next.

    Parameters
    ----------
    width : float
        Of the figure; its height follows.
    count, across : int
        How many there are, and how many stand side by side.
    left, right, top, bottom : float
        Margins of each.
    panel : float
        Height of each between its margins.
    key : float
        Room above all of them.
    gap : float
        More room between neighbours.
    ax : Axes or "window", optional
        Whose place they take; it is the first of them.
    """
    across = max(across, 1)
    down = -(-count // across)
    figure: Figure | SubFigure
    if ax is None or isinstance(ax, str):
        height = key + (top + panel + bottom) * down
        figure, whole = new_figure(width, height, ax), (0.0, 0.0, 1.0, 1.0)
    else:
        figure, whole = ax.figure, _box(ax)
        width, height = _size(ax)
    row, box = (height - key) / down, (width - (across - 1) * gap) / across
    for k in range(count):
        line, column = divmod(k, across)
        cell = (
            whole[0] + whole[2] * column * (box + gap) / width,
            whole[1] + whole[3] * (height - key - (line + 1) * row) / height,
            whole[2] * box / width,
            whole[3] * row / height,
        )
        inside = _within(cell, box, row, left, right, top, bottom)
        if k == 0 and ax is not None and not isinstance(ax, str):
            ax.set_position(inside)
            ax.spines[["top", "right"]].set_visible(False)
            yield ax
        else:
            yield figure.add_axes(inside)


def legend_above(
    ax: Axes,
    left: float,
    above: float,
    **how: Any,  # any: keywords of `Figure.legend`
) -> None:
    """A frameless legend at a distance from the upper left corner of the axes.

    Parameters
    ----------
    ax : Axes
    left, above : float
        How far left of the corner and above it the legend's own begins, in CSS pixels.
    **how
        Of `matplotlib.figure.Figure.legend`.
    """
    ax.figure.legend(
        loc="upper left", bbox_to_anchor=(0.0, 0.0), bbox_transform=_corner(ax, left, above),
        frameon=False, **how,
    )  # fmt: skip


def place_of(ax: object) -> Where:
    """Where `plot(ax=...)` draws: in the axes given, or for a window.

    Raises
    ------
    ArgumentError
        If it is neither Axes of matplotlib nor None.
    """
    if ax is None:
        return "window"
    if any(not hasattr(type(ax), name) for name in ("get_position", "set_position", "get_xlim")):
        raise ArgumentError(f"ax is Axes of matplotlib, not {type(ax).__name__}")
    return cast("Axes", ax)


def warned(ax: Axes, warnings: Sequence[str], above: float = 5.0, width: float = 0.0) -> None:
    """Say over the axes what is wrong with the answer, if anything is.

    Parameters
    ----------
    ax : Axes
    warnings : sequence of str
    above : float
        Distance from the axes in CSS pixels.
    width : float
        That there is for it; by default that of the axes.
    """
    if warnings:
        text = shorten("; ".join(warnings), max(30, int((width or _size(ax)[0]) / 6)))
        ax.annotate(
            text, (0.0, 1.0), (0.0, above), "axes fraction", "offset points", color=ALARM,
            fontsize=10, annotation_clip=False,
        )  # fmt: skip


def described(ax: Axes, text: str) -> Axes:
    """The axes, with what they show in a sentence as their label: the text alternative."""
    ax.set_label(text)
    return ax


def _corner(ax: Axes, left: float, above: float) -> Transform:
    """From points, right and up of a place near the upper left corner of the axes, to pixels."""
    from matplotlib.transforms import Affine2D, ScaledTranslation

    shift = ScaledTranslation(
        -left / UNITS_PER_INCH, above / UNITS_PER_INCH, ax.figure.dpi_scale_trans
    )
    return Affine2D().translate(0.0, 1.0) + ax.transAxes + shift


def _box(ax: Axes) -> Box:
    x, y, width, height = ax.get_position(original=True).bounds
    return x, y, width, height


def _size(ax: Axes) -> tuple[float, float]:
    """Of the place, in CSS pixels."""
    _, _, width, height = _box(ax)
    whole, unit = ax.figure.bbox, ax.figure.dpi / UNITS_PER_INCH
    return width * whole.width / unit, height * whole.height / unit


def _within(
    box: Box, wide: float, high: float, left: float, right: float, top: float, bottom: float
) -> Box:
    """The box less its margins, which are narrower where they would leave nothing."""
    sides = min(1.0, MOST * wide / max(left + right, 1e-9))
    ends = min(1.0, MOST * high / max(top + bottom, 1e-9))
    return (
        box[0] + box[2] * sides * left / wide,
        box[1] + box[3] * ends * bottom / high,
        box[2] * (1.0 - sides * (left + right) / wide),
        box[3] * (1.0 - ends * (top + bottom) / high),
    )
