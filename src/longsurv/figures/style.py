"""One look for every figure: colours safe for colour-blind readers, backed by line and mark."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinguishable with every common colour-vision deficiency.
GROUP_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
GROUP_LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
GROUP_MARKS = ("o", "s", "^", "D")

INK = "#1f2429"
MUTED = "#667079"
RULE = "#cfd5da"
PAPER = "#fffffe"  # its own shade, so that the page can tell it from any other white
BAYES = "#7a4ea3"

NARROWEST = 480
"""Width in CSS pixels below which a figure is drawn for a phone."""

UNITS_PER_INCH = 72  # one SVG unit is one CSS pixel at full size

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.size": 11.5,
    "text.parse_math": False,  # a "$" in a label is a dollar
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 11.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "xtick.major.size": 3.5,
    "ytick.major.size": 3.5,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.minor.visible": False,
    "lines.solid_capstyle": "butt",
    "lines.dash_capstyle": "butt",
    "lines.scale_dashes": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": False,
    "svg.fonttype": "none",  # text stays text: searchable, and in the reader's own font
    "svg.hashsalt": "longsurv",  # the same figure gives the same bytes
}


def styled[F: Callable[..., Any]](function: F) -> F:
    """Draw with the report's settings, leaving matplotlib's own as they were."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        from matplotlib import rc_context

        with rc_context(_SETTINGS):
            return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in CSS pixels, outside pyplot's global list."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH), dpi=UNITS_PER_INCH)
    FigureCanvasSVG(figure)
    return figure


def new_axes(
    width: float,
    height: float,
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> Axes:
    """Axes in a new figure, with margins in CSS pixels."""
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    return new_figure(width, height).add_axes(box)


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
) -> Iterator[Axes]:
    """Axes side by side in a new figure, row after row, with margins around each in CSS pixels.

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
    """
    across = max(across, 1)
    row = top + panel + bottom
    height = key + row * -(-count // across)
    figure, box = new_figure(width, height), (width - (across - 1) * gap) / across
    for k in range(count):
        down, column = divmod(k, across)
        x, y = column * (box + gap) + left, height - key - down * row - top - panel
        inside = (x / width, y / height, (box - left - right) / width, panel / height)
        yield figure.add_axes(inside)


def is_wide(width: float) -> bool:
    """Whether a figure is for a desk or paper, and not for a phone."""
    return width >= NARROWEST


def group_style(position: int) -> dict[str, Any]:
    """Colour, line and mark of the group at this position (0 is the reference)."""
    k = position % len(GROUP_COLOURS)
    return {"color": GROUP_COLOURS[k], "linestyle": GROUP_LINES[k], "marker": GROUP_MARKS[k]}


def shorten(label: str, length: int) -> str:
    """`label` cut to `length` characters with an ellipsis."""
    label = " ".join(str(label).split())
    return (
        label
        if len(label) <= length
        else label[: max(1, length - 1)].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    )


def text_width(text: str, size: float) -> float:
    """Width of a line of text in CSS pixels, estimated on the safe side without a renderer."""
    widths = {"W": 1.0, "F": 1.0}  # East Asian wide and full-width characters
    em = sum(
        widths.get(unicodedata.east_asian_width(c), 0.0)
        or (
            0.95
            if c in "MW@%"
            else 0.36
            if c in "ijlIt.,:;|!()[]' "
            else 0.74
            if c.isupper()
            else 0.62
        )
        for c in text
    )
    return em * size


def plain_ticks(values: Sequence[float]) -> list[str]:
    """Tick labels without needless zeros: 0.1, 1, 10, 1,000."""
    return [f"{v:,.6g}".replace("-", "\N{MINUS SIGN}") for v in values]
