"""Tables in a Word document."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.files import plainly, write_whole
from longsurv.tables.display import DisplayTable
from longsurv.tables.escape import printable

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

TEXT_WIDTH = 16.5  # cm, of A4 with its margins
BROAD_WIDTH = 25.2  # cm, of A4 on its side
SMALL, SMALLEST = 8.0, 7.0  # points
WIDTH_OF_A_LETTER = 0.0205  # cm a point of its size, of Arial's figures with some room
BOLD, CAPITAL, BROAD = 1.1, 1.2, 1.5  # times as wide as an ordinary letter
BROAD_LETTERS = "mwMW%@"
CELL_MARGINS = 0.4  # cm
BETWEEN_ROWS = 2.0  # points
LONGEST_LINE = 40  # characters after which a text may as well go on below
PAGES = ((TEXT_WIDTH, SMALL), (TEXT_WIDTH, SMALLEST), (BROAD_WIDTH, SMALL), (BROAD_WIDTH, SMALLEST))
TOGETHER = 12  # rows of a table that is not broken
LAST = 4  # rows of a longer one that none is left alone
LONGEST_TITLE = 255  # characters, of a document's properties
WRITTEN = (2000, 1, 1, 0, 0, 0)
"""The date of a file and of its parts: the true one would make two runs of one study differ."""


def new_document(title: str) -> WordDocument:
    """An empty document of A4 pages, of python-docx."""
    from docx import Document
    from docx.shared import Cm, Pt

    document = Document()
    for page in document.sections:
        page.page_width, page.page_height = Cm(21.0), Cm(29.7)
        page.left_margin = page.right_margin = Cm(2.25)
        page.top_margin = page.bottom_margin = Cm(2.0)
    normal = document.styles["Normal"]
    # A font that every office program has, or one of the same widths: columns are made to measure.
    normal.font.name, normal.font.size = "Arial", Pt(9.5)
    normal.paragraph_format.space_after, normal.paragraph_format.line_spacing = Pt(3), 1.0
    for name in ("Title", "Heading 1", "Heading 2", "Caption"):
        style = document.styles[name]
        style.font.name = "Arial"
        for key in [key for key in style.element.rPr.rFonts.attrib if "Theme" in key]:
            del style.element.rPr.rFonts.attrib[key]
    document.core_properties.title = printable(title)[:LONGEST_TITLE]
    document.core_properties.author = "longsurv"
    document.core_properties.created = datetime(*WRITTEN, tzinfo=UTC)
    return document


def save(document: WordDocument, path: Path) -> Path:
    """Write a document whole or not at all, the same bytes whenever it is written.

    A .docx is a zip archive, whose parts bear the time at which they were packed.

    Parameters
    ----------
    document : Document
    path : Path

    Returns
    -------
    Path
        Of the file written.

    Raises
    ------
    LongsurvError
        If it cannot be written there.
    """
    if _just_turned(document):
        _turn(document)  # or an empty page would be the last
    packed, again = io.BytesIO(), io.BytesIO()
    document.save(packed)
    with zipfile.ZipFile(packed) as parts, zipfile.ZipFile(again, "w") as dated:
        for part in parts.namelist():
            named = zipfile.ZipInfo(part, WRITTEN)
            named.compress_type = zipfile.ZIP_DEFLATED
            dated.writestr(named, parts.read(part))
    with plainly(path):
        write_whole(path, lambda file: file.write(again.getvalue()))
    return path


def add_table(document: WordDocument, table: DisplayTable) -> None:
    """Add a table under its numbered caption, and its note.

    The header is repeated on every page, no row is broken between two, no word within itself; a
    table too broad for the page has one of its own that lies on its side.

    Parameters
    ----------
    document : Document
    table : DisplayTable
    """
    lines = [tuple(column.header for column in table.columns), *table.rows]
    width, size = page_for(table)
    if width > TEXT_WIDTH:
        _turn(document)
    widths = column_widths(table, width, size)
    _add_caption(document, table.caption)
    _add_grid(document, table, lines, widths, size)
    add_small(document, table.note, BETWEEN_ROWS)  # on the page of the last row
    if width > TEXT_WIDTH:
        _turn(document)


def page_for(table: DisplayTable) -> tuple[float, float]:
    """Width of a page in cm, and size of letters in points, with which no word is broken.

    Parameters
    ----------
    table : DisplayTable

    Returns
    -------
    (float, float)
        Letters become smaller before the page is turned; the last pair where none is enough.
    """
    for width, size in PAGES:
        if sum(column_widths(table, width, size)) <= width:
            break
    return width, size


def _add_caption(document: WordDocument, text: str) -> None:
    """ "Table 3. What it shows", of which Word counts the number anew where tables come and go."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    caption = document.add_paragraph("Table ", style="Caption")
    caption.paragraph_format.keep_with_next = True
    begin, code, middle, end = (caption.add_run() for _ in range(4))
    for run, kind in ((begin, "begin"), (middle, "separate")):
        mark = OxmlElement("w:fldChar")
        mark.set(qn("w:fldCharType"), kind)
        run._r.append(mark)
    instruction = OxmlElement("w:instrText")
    instruction.text = r" SEQ Table \* ARABIC "
    code._r.append(instruction)
    end.text = str(len(document.tables) + 1)
    mark = OxmlElement("w:fldChar")
    mark.set(qn("w:fldCharType"), "end")
    caption.add_run()._r.append(mark)
    caption.add_run(f". {printable(text)}")


def _add_grid(
    document: WordDocument,
    table: DisplayTable,
    lines: Sequence[Sequence[str]],
    widths: Sequence[float],
    size: float,
) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    grid = document.add_table(rows=len(lines), cols=len(table.columns), style="Light Shading")
    look = grid._tbl.tblPr.find(qn("w:tblLook"))
    look.set(qn("w:noHBand"), "1")  # lines, not grey bands
    look.set(qn("w:val"), "06A0")
    grid.autofit = False
    for column, width in zip(grid.columns, widths, strict=True):
        column.width = Cm(width)
    for k, (row, line) in enumerate(zip(grid.rows, lines, strict=True)):
        properties = row._tr.get_or_add_trPr()
        properties.append(OxmlElement("w:cantSplit"))
        if k == 0:
            properties.append(OxmlElement("w:tblHeader"))
        for shown, cell, width, text in zip(table.columns, row.cells, widths, line, strict=True):
            cell.width = Cm(width)
            paragraph = cell.paragraphs[0]
            paragraph.add_run(printable(text)).font.size = Pt(size)
            spacing = paragraph.paragraph_format
            spacing.space_before = spacing.space_after = Pt(BETWEEN_ROWS / 2)
            # The header stays with the first row, of a short table all rows together, of any the
            # last ones, and the last one with the note.
            left = len(lines) - 1 - k
            paragraph.paragraph_format.keep_with_next = (
                k == 0 or left < LAST or len(lines) <= TOGETHER if left else bool(table.note)
            )
            if shown.numeric:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def _turn(document: WordDocument) -> None:
    """Go on, on a new page, with paper that lies the other way.

    Where nothing was written since it was turned, it is turned back and no page is left empty.
    """
    from docx.enum.section import WD_ORIENT, WD_SECTION

    if _just_turned(document):
        document.element.body.remove(document.element.body[-2])
        section = document.sections[-1]
    else:
        section = document.add_section(WD_SECTION.NEW_PAGE)
    was_upright = section.orientation == WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = section.page_height, section.page_width
    section.orientation = WD_ORIENT.LANDSCAPE if was_upright else WD_ORIENT.PORTRAIT


def _just_turned(document: WordDocument) -> bool:
    """Whether the last thing in the document is the end of a section."""
    body = document.element.body
    return len(body) > 1 and bool(body[-2].xpath("./w:pPr/w:sectPr"))


def column_widths(table: DisplayTable, width: float, size: float) -> list[float]:
    """Centimetres for each column: its longest word, and a share of what is left by its texts.

    Parameters
    ----------
    table : DisplayTable
    width : float
        Of the page's text, in cm; the columns take more where their words need it.
    size : float
        Of the letters, in points.

    Returns
    -------
    list of float
    """
    letter = WIDTH_OF_A_LETTER * size
    least = [
        size
        * max(
            _across(column.header.split(" "), bold=True),
            _across(
                cells if column.numeric else [word for cell in cells for word in cell.split(" ")],
                bold=k == 0,
            ),
        )
        + CELL_MARGINS
        for k, (column, *cells) in enumerate(zip(table.columns, *table.rows, strict=True))
    ]
    texts = zip(*[[c.header for c in table.columns], *table.rows], strict=True)
    wanted = [
        max(0.0, letter * min(max(map(len, column)), LONGEST_LINE) + CELL_MARGINS - needed)
        for column, needed in zip(texts, least, strict=True)
    ]
    left = width - sum(least)
    share = max(0.0, min(1.0, left / sum(wanted))) if sum(wanted) else 0.0
    return [needed + share * more for needed, more in zip(least, wanted, strict=True)]


def _across(words: Sequence[str], *, bold: bool) -> float:
    """Width of the widest, in cm a point of the letters' size."""
    letters = max(
        (
            sum(BROAD if c in BROAD_LETTERS else CAPITAL if c.isupper() else 1.0 for c in word)
            for word in words
        ),
        default=0.0,
    )
    return WIDTH_OF_A_LETTER * letters * (BOLD if bold else 1.0)


def add_small(document: WordDocument, text: str, before: float = 0.0) -> None:
    """Add a paragraph in small letters, if there is a text, some points below what is before."""
    from docx.shared import Pt

    if text:
        paragraph = document.add_paragraph()
        paragraph.paragraph_format.space_before = Pt(before)
        paragraph.add_run(printable(text)).font.size = Pt(SMALL)


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
