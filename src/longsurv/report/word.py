"""The report as a Word document: the same headings, sentences, tables and figures, to be edited."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longsurv.figures.style import styled
from longsurv.figures.svg import any_glyph
from longsurv.report.content import Heading, content
from longsurv.report.files import plainly
from longsurv.report.sections.common import WIDE, Picture
from longsurv.study.store import write_whole
from longsurv.tables.display import DisplayTable
from longsurv.tables.escape import printable

if TYPE_CHECKING:
    from longsurv.study import StudyResults

DPI = 200
TEXT_WIDTH = 16.5  # cm, of A4 with its margins
PANEL_WIDTH = 5.4
SMALL = 8.5  # points
LONGEST_TITLE = 255  # characters, of a document's properties


def write_word(results: StudyResults, path: str | Path) -> Path:
    """Write the report's text, tables and figures as a .docx file.

    Parameters
    ----------
    results : StudyResults
    path : str or Path

    Returns
    -------
    Path
        Of the file written.
    """
    from docx import Document
    from docx.shared import Cm, Pt

    target = Path(path)
    document = Document()
    for page in document.sections:
        page.page_width, page.page_height = Cm(21.0), Cm(29.7)
        page.left_margin = page.right_margin = Cm(2.25)
        page.top_margin = page.bottom_margin = Cm(2.0)
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(10.5)
    title = printable(results.cohort.title or "Study report")
    document.core_properties.title = title[:LONGEST_TITLE]
    document.core_properties.author = "longsurv"
    # The file's own date would make two runs of one study differ.
    document.core_properties.created = datetime(2000, 1, 1, tzinfo=UTC)
    document.add_heading(title, 0)
    if results.cohort.note:
        document.add_paragraph().add_run(printable(results.cohort.note)).italic = True
    for item in content(results):
        if isinstance(item, Picture):
            image, reason = results.faults.attempt(f"Figure {item.name!r}", partial(png, item))
            if image is None:
                document.add_paragraph(f"This figure could not be drawn. {reason}")
            else:
                _add_picture(document, item, image)
        else:
            _add(document, item)
    with plainly(target):
        write_whole(target, document.save)
    return target


def _add(document: Any, item: Heading | str | DisplayTable) -> None:
    if isinstance(item, Heading):
        document.add_heading(printable(item.text), item.level)
    elif isinstance(item, DisplayTable):
        _add_table(document, item)
    else:
        document.add_paragraph(printable(item))


def _add_table(document: Any, table: DisplayTable) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    caption = document.add_paragraph(printable(table.caption), style="Caption")
    caption.paragraph_format.keep_with_next = True
    lines = [tuple(column.header for column in table.columns), *table.rows]
    grid = document.add_table(rows=len(lines), cols=len(table.columns), style="Light Shading")
    look = grid._tbl.tblPr.find(qn("w:tblLook"))
    look.set(qn("w:noHBand"), "1")  # lines, not grey bands
    look.set(qn("w:val"), "06A0")
    grid.autofit = False
    widths = [Cm(width) for width in _column_widths(lines)]
    for column, width in zip(grid.columns, widths, strict=True):
        column.width = width
    for row, line in zip(grid.rows, lines, strict=True):
        for shown, cell, width, text in zip(table.columns, row.cells, widths, line, strict=True):
            cell.width = width
            paragraph = cell.paragraphs[0]
            paragraph.add_run(printable(text)).font.size = Pt(SMALL)
            if shown.numeric:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    _add_small(document, table.note)


def _column_widths(lines: Sequence[Sequence[str]]) -> list[float]:
    """Centimetres for each column, shared out by the longest text in it."""
    longest = [min(max(map(len, column), default=1), 32) + 6 for column in zip(*lines, strict=True)]
    return [TEXT_WIDTH * size / sum(longest) for size in longest]


def _add_picture(document: Any, picture: Picture, image: bytes) -> None:
    """A figure with its caption; small ones without a caption stand side by side."""
    from docx.shared import Cm

    small = not picture.caption
    last = document.paragraphs[-1]
    beside = small and bool(last.runs) and not last.text and bool(last._p.xpath(".//pic:pic"))
    paragraph = last if beside else document.add_paragraph()
    width = Cm(PANEL_WIDTH if small else TEXT_WIDTH)
    shape = paragraph.add_run().add_picture(io.BytesIO(image), width=width)
    # What a screen reader says.
    shape._inline.docPr.set("descr", printable(picture.label))
    _add_small(document, picture.caption)


def _add_small(document: Any, text: str) -> None:
    from docx.shared import Pt

    if text:
        document.add_paragraph().add_run(printable(text)).font.size = Pt(SMALL)


@styled
def png(picture: Picture, dpi: float = DPI) -> bytes:
    """The figure at its wide size on white, as PNG."""
    buffer = io.BytesIO()
    figure = picture.draw(WIDE).figure.figure
    with any_glyph():
        figure.savefig(
            buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None}
        )
    return buffer.getvalue()
