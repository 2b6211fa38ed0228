"""The report as a Word document: the same headings, sentences, tables and figures, to be edited."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.figures.style import styled
from longsurv.figures.svg import any_glyph
from longsurv.report.content import Heading, Item, content
from longsurv.report.sections.common import WIDE, Picture
from longsurv.report.sections.mortality_part import OF_COMPARISON
from longsurv.tables.display import DisplayTable
from longsurv.tables.escape import printable
from longsurv.tables.word import (
    TEXT_WIDTH,
    add_small,
    add_table,
    new_document,
    page_for,
    save,
)

if TYPE_CHECKING:
    from docx.document import Document

    from longsurv.study import StudyResults

DPI = 300.0  # of a figure across the page
INCH = 2.54  # cm
PANEL_WIDTH = 4.0
HIGHEST = 12.0  # cm, of a figure
APPENDIX = frozenset((
    "adjusted-curves", "adjustments", "agreement", "bends", "coefficients", "comparison",
    "equations", "families", "forest-hazards", "guideline", "hazards-over-time",
    "imputed", "independent", "linearity", "measurements", "methods_hazard_ratio", "methods_others",
    "methods_risk_difference", "models", "priors", "priors_before", "proportional", "quantiles",
    "quantiles-adjusted", "remarks", "replicated", "replicates", "residual-bands",
    "residual-bands-adjusted", "scales", "score_changes", "shrunken", "subgroups", "truncated",
    "truncated_questions", "unchecked", "within",
))  # fmt: skip
"""Tables and figures by their names that stand at the end: the rest can be read in one go."""


def write_word(
    results: StudyResults,
    path: str | Path,
    items: Iterable[Item] | None = None,
    paint: Callable[[Picture], bytes] | None = None,
) -> Path:
    """Write the report's text, tables and figures as a .docx file.

    Parameters
    ----------
    results : StudyResults
    path : str or Path
    items : iterable, optional
        What `content` found, where others use it too.
    paint : callable, optional
        From a figure to its PNG, likewise.

    Returns
    -------
    Path
        Of the file written.
    """
    target = Path(path)
    title = printable(results.cohort.title or "Study report")
    document = new_document(title)
    document.add_heading(title, 0)
    if results.cohort.note:
        document.add_paragraph().add_run(printable(results.cohort.note)).italic = True
    paint = paint or png
    add = partial(_add, document, results, paint)
    later: list[Picture | DisplayTable] = []
    told = 0  # of what stands in the appendix
    for item in content(results) if items is None else items:
        if isinstance(item, Picture | DisplayTable) and _is_for_later(item):
            later.append(item)
        else:
            told = _tell(document, later, told)
            add(item)
    _tell(document, later, told)
    if later:
        document.add_heading("Appendix", 1).paragraph_format.page_break_before = True
    # What needs turned pages stands last, so that they follow one another and are filled.
    for item in sorted(later, key=_is_broad):
        add(item)
    return save(document, target)


def _is_for_later(item: Picture | DisplayTable) -> bool:
    """Whether it stands in the appendix: named there, or a table that needs a turned page."""
    return _is_broad(item) or item.name.partition(OF_COMPARISON)[0] in APPENDIX


def _is_broad(item: Picture | DisplayTable) -> bool:
    return isinstance(item, DisplayTable) and page_for(item)[0] > TEXT_WIDTH


def _tell(document: Document, later: Sequence[Picture | DisplayTable], told: int) -> int:
    """Say in one line which of them belong here, from the first that has not been told."""
    names = [i.caption if isinstance(i, DisplayTable) else i.title for i in later[told:]]
    if names:
        add_small(document, f"In the appendix: {'; '.join(names)}.")
    return len(later)


def _add(
    document: Document, results: StudyResults, paint: Callable[[Picture], bytes], item: Item
) -> None:
    if isinstance(item, Picture):
        image, reason = results.faults.attempt(f"Figure {item.name!r}", partial(paint, item))
        if image is None:
            document.add_paragraph(f"This figure could not be drawn. {reason}")
        else:
            _add_picture(document, item, image)
    elif isinstance(item, Heading):
        document.add_heading(printable(item.text), item.level)
    elif isinstance(item, DisplayTable):
        add_table(document, item)
    else:
        document.add_paragraph(printable(item))


def _add_picture(document: Document, picture: Picture, image: bytes) -> None:
    """A figure with its caption; small ones without a caption stand side by side."""
    from docx.shared import Cm

    small = not picture.caption
    last = document.paragraphs[-1]
    beside = small and bool(last.runs) and not last.text and bool(last._p.xpath(".//pic:pic"))
    paragraph = last if beside else document.add_paragraph()
    width = Cm(PANEL_WIDTH if small else TEXT_WIDTH)
    shape = paragraph.add_run().add_picture(io.BytesIO(image), width=width)
    if shape.height > Cm(HIGHEST):
        shape.width = round(shape.width * Cm(HIGHEST) / shape.height)
        shape.height = Cm(HIGHEST)
    paragraph.paragraph_format.keep_with_next = bool(picture.caption)
    # What a screen reader says.
    shape._inline.docPr.set("descr", printable(picture.alternative))
    add_small(document, picture.caption)


@styled
def png(picture: Picture, dpi: float | None = None) -> bytes:
    """The figure at its wide size on white, as PNG.

    Parameters
    ----------
    picture : Picture
    dpi : float, optional
        Of the figure as drawn; by default so many that it has `DPI` across the text of a page,
        a small one, too.
    """
    buffer = io.BytesIO()
    figure = picture.draw(WIDE).figure.figure
    dpi = dpi or DPI * TEXT_WIDTH / INCH / figure.get_figwidth()
    with any_glyph():
        figure.savefig(
            buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None}
        )
    return buffer.getvalue()
