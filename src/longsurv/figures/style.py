"""One look for every figure: colours safe for colour-blind readers, backed by line and mark."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

# Okabe and Ito's palette: distinguishable with every common colour-vision deficiency.
GROUP_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
GROUP_LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
GROUP_MARKS = ("o", "s", "^", "D")
MARKS = (*GROUP_MARKS, "v", "P")
"""Of more kinds than groups."""

INK = "#1f2429"
MUTED = "#667079"
RULE = "#cfd5da"
PAPER = "#fffffe"  # its own shade, so that the page can tell it from any other white
BAYES = "#7a4ea3"
ALARM = "#b00020"

NARROWEST = 480
"""Width in CSS pixels below which a figure is drawn for a phone."""

LABEL_SIZE = 11.5
"""Of the names of axes, in CSS pixels."""

type Style = dict[str, Any]  # any: keywords of matplotlib, each of a type of its own

_SETTINGS: Any = {  # any: matplotlib's type of it is a Literal of hundreds of keys
    "font.family": "sans-serif",
    "font.size": 11.5,
    "text.parse_math": False,  # a "$" in a label is a dollar
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": LABEL_SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # where matplotlib would put it, which it is slow to find out
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


def styled[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Draw with the report's settings, leaving matplotlib's own as they were."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        from matplotlib import rc_context

        with rc_context(_SETTINGS):
            return function(*args, **kwargs)

    return wrapper


def is_wide(width: float) -> bool:
    """Whether a figure is for a desk or paper, and not for a phone."""
    return width >= NARROWEST


def group_style(position: int) -> Style:
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


def in_two_lines(label: str, length: int) -> list[str]:
    """`label` in one or two lines of at most `length` characters, the second cut to that."""
    first, *rest = textwrap.wrap(" ".join(str(label).split()), length) or [""]
    return [first, shorten(" ".join(rest), length)] if rest else [first]


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
