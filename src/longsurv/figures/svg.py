"""A figure as inline SVG: scales with the page, follows light and dark, has a text alternative."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

from longsurv.figures.style import BAYES, GROUP_COLOURS, INK, MUTED, PAPER, RULE, styled
from longsurv.tables.escape import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

# The page's style sheet defines these variables twice, for light and for dark.
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    BAYES: "--bayes",
    **{colour: f"--group-{k}" for k, colour in enumerate(GROUP_COLOURS)},
}


@styled
def to_svg(figure: Figure | SubFigure, name: str, label: str) -> str:
    """Render a figure to an `<svg>` element for the page.

    Parameters
    ----------
    figure : matplotlib Figure
    name : str
        Prefix of every id inside, unique in the page (letters, digits and hyphens).
    label : str
        The text alternative: what the figure shows, in a sentence.

    Returns
    -------
    str
        The same bytes for the same figure.
    """
    buffer = io.StringIO()
    # Text stays text, so a glyph matplotlib's own font lacks is drawn by the browser's.
    with any_glyph():
        figure.figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable}, {colour})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"font: (\w+) ([\d.]+)px [^;\"]*", r"font-weight: \1; font-size: \2px", svg)
    width = re.search(r'viewBox="0 0 ([\d.]+) ', svg)
    opening = (
        f'<svg role="img" aria-label="{escape(label)}" class="figure" '
        f'style="max-width: {float(width.group(1)) if width else 0:.0f}px" '
    )
    svg = re.sub(r"<svg\b", opening, svg, count=1)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = re.sub(r">", f"><title>{escape(label)}</title>", svg, count=1)
    return printable(svg.strip())


@contextmanager
def any_glyph() -> Iterator[None]:
    """Let a label have letters that matplotlib's font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield
