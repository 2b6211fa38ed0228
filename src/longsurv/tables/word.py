"""Tables in a Word document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from longsurv.tables.display import DisplayTable
from longsurv.tables.escape import printable

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

TEXT_WIDTH = 16.5  # cm, of A4 with its margins
SMALL = 8.5  # points
LONGEST_TITLE = 255  # characters, of a document's properties


def new_document(title: str) -> WordDocument:
    """An empty document of A4 pages, of python-docx."""
    from docx import Document
    from docx.shared import Cm, Pt

    document = Document()
    for page in document.sections:
        page.page_width, page.page_height = Cm(21.0), Cm(29.7)
        page.left_margin = page.right_margin = Cm(2.25)
        page.top_margin = page.bottom_margin = Cm(2.0)
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(10.5)
    document.core_properties.title = printable(title)[:LONGEST_TITLE]
    document.core_properties.author = "longsurv"
    # The file's own date would make two runs of one study differ.
    document.core_properties.created = datetime(2000, 1, 1, tzinfo=UTC)
    return document


def add_table(document: WordDocument, table: DisplayTable) -> None:
    """Add a table under its caption, and its note."""
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
    add_small(document, table.note)


def _column_widths(lines: Sequence[Sequence[str]]) -> list[float]:
    """Centimetres for each column, shared out by the longest text in it."""
    longest = [min(max(map(len, column), default=1), 32) + 6 for column in zip(*lines, strict=True)]
    return [TEXT_WIDTH * size / sum(longest) for size in longest]


def add_small(document: WordDocument, text: str) -> None:
    """Add a paragraph in small letters, if there is a text."""
    from docx.shared import Pt

    if text:
        document.add_paragraph().add_run(printable(text)).font.size = Pt(SMALL)


def add_text(document: WordDocument, text: str, *, bold: bool = False) -> None:
    """Add a paragraph."""
    document.add_paragraph().add_run(printable(text)).bold = bold


def add_facts(document: WordDocument, facts: Sequence[tuple[str, str]]) -> None:
    """Add names and values in two columns, if there are any."""
    from docx.shared import Cm, Pt

    if not facts:
        return
    grid = document.add_table(rows=len(facts), cols=2)
    grid.autofit = False
    for row, fact in zip(grid.rows, facts, strict=True):
        for cell, text, width in zip(row.cells, fact, (4.0, TEXT_WIDTH - 4.0), strict=True):
            cell.width = Cm(width)
            cell.paragraphs[0].add_run(printable(text)).font.size = Pt(SMALL)
