"""The report as a Word document: the same headings, sentences, tables and figures, to be edited."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longsurv.report.content import Heading, Item, content
from longsurv.report.figures.style import styled
from longsurv.report.figures.svg import printable
from longsurv.report.sections.common import WIDE, Picture
from longsurv.report.tables.display import DisplayTable

if TYPE_CHECKING:
    from longsurv.study import StudyResults

DPI = 200
TEXT_WIDTH = 16.5  # cm, of A4 with its margins
PANEL_WIDTH = 8.0
SMALL = 8.5  # points


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
        page.left_margin = page.right_margin = Cm(2.25)
        page.top_margin = page.bottom_margin = Cm(2.0)
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(10.5)
    document.core_properties.title = results.cohort.title or "Study report"
    document.core_properties.author = "longsurv"
    # The file's own date would make two runs of one study differ.
    document.core_properties.created = datetime(2000, 1, 1, tzinfo=UTC)
    document.add_heading(printable(results.cohort.title or "Study report"), 0)
    if results.cohort.note:
        document.add_paragraph().add_run(printable(results.cohort.note)).italic = True
    for item in content(results):
        _add(document, item)
    document.save(str(target))
    return target


def _add(document: Any, item: Item) -> None:
    if isinstance(item, Heading):
        document.add_heading(printable(item.text), item.level)
    elif isinstance(item, DisplayTable):
        _add_table(document, item)
    elif isinstance(item, Picture):
        _add_picture(document, item)
    else:
        document.add_paragraph(printable(item))


def _add_table(document: Any, table: DisplayTable) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    caption = document.add_paragraph(printable(table.caption), style="Caption")
    caption.paragraph_format.keep_with_next = True
    grid = document.add_table(rows=1 + len(table.rows), cols=len(table.columns))
    grid.style = "Light List"
    lines = [[column.header for column in table.columns], *table.rows]
    for cells, line in zip(grid.rows, lines, strict=True):
        for column, cell, text in zip(table.columns, cells.cells, line, strict=True):
            paragraph = cell.paragraphs[0]
            paragraph.add_run(printable(text)).font.size = Pt(SMALL)
            if column.numeric:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    note = document.add_paragraph()
    note.add_run(printable(table.note)).font.size = Pt(SMALL)


def _add_picture(document: Any, picture: Picture) -> None:
    from docx.shared import Cm

    width = TEXT_WIDTH if picture.caption else PANEL_WIDTH
    shape = document.add_picture(io.BytesIO(png(picture)), width=Cm(width))
    # What a screen reader says.
    shape._inline.docPr.set("descr", printable(picture.label))
    if picture.caption:
        document.add_paragraph(printable(picture.caption), style="Caption")


@styled
def png(picture: Picture, dpi: float = DPI) -> bytes:
    """The figure at its wide size on white, as PNG."""
    buffer = io.BytesIO()
    figure = picture.draw(WIDE).figure.figure
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
