"""Tables in a Word document: their pages, their rows and their words stay whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from docx import Document
from docx.enum.section import WD_ORIENT
from docx.oxml.ns import qn
from docx.shared import Cm

from longsurv.tables.display import Column, DisplayTable, display
from longsurv.tables.word import (
    BROAD_WIDTH,
    CELL_MARGINS,
    TEXT_WIDTH,
    WIDTH_OF_A_LETTER,
    add_table,
    column_widths,
    new_document,
    page_for,
    save,
)

CELL = "\N{MINUS SIGN}12.9 (\N{MINUS SIGN}34.7 to 9.5)"
OTHER = CELL.replace("2.9", "3.9")


def table(columns: int, rows: int = 30) -> DisplayTable:
    frame = pd.DataFrame({f"c{k}": [OTHER, *[CELL] * (rows - 1)] for k in range(columns)})
    shown = [Column("Overlap weights", "c0", numeric=False)]
    shown += [Column(f"Number {k}", f"c{k}") for k in range(1, columns)]
    return display(frame, f"Of {columns} columns", shown, "A note.")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Document:
    document = new_document("Tables")
    for columns in (3, 8, 4):
        add_table(document, table(columns))
    path = tmp_path_factory.mktemp("word") / "tables.docx"
    document.save(path)
    return Document(str(path))


def test_headers_are_repeated_and_rows_not_broken(written: Document) -> None:
    for grid in written.tables:
        assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for row in grid.rows)
        repeated = [row._tr.trPr.find(qn("w:tblHeader")) is not None for row in grid.rows]
        assert repeated == [True] + [False] * 30
        assert grid.rows[0].cells[0].paragraphs[0].paragraph_format.keep_with_next


def test_a_note_stands_on_the_page_of_its_last_row() -> None:
    for note in ("", "What it means."):
        document = new_document("Tables")
        add_table(document, replace(table(3), note=note))
        last = document.tables[0].rows[-1].cells[0].paragraphs[0]
        assert last.paragraph_format.keep_with_next is bool(note)


def test_broad_letters_need_more_than_narrow_ones() -> None:
    """By more than Arial Bold's own widths, in units of its size: headers and first columns."""
    arial_bold = dict(zip("RemarkAPCHEwon", (0.722, 0.556, 0.889, 0.556, 0.389, 0.556, 0.722,
                      0.667, 0.722, 0.722, 0.667, 0.778, 0.611, 0.611), strict=True))  # fmt: skip
    words = ["Remark", "APACHE", "women", "more"]
    shown = DisplayTable("", tuple(Column(word, word) for word in words), (("",) * 4,))
    for word, of in zip(words, column_widths(shown, 0.0, 8.0), strict=True):
        own = sum(arial_bold[c] for c in word) * 8.0 * 2.54 / 72
        assert own + CELL_MARGINS - 0.02 < of


def test_a_column_of_remarks_without_one_is_left_out() -> None:
    """As long as there are rows; other empty columns say that a number is not there."""
    frame = pd.DataFrame({"a": ["x", "y"], "p": ["", ""], "remark": ["", ""]})
    columns = [
        Column("A", "a", numeric=False), Column("p", "p"),
        Column("Remark", "remark", numeric=False, prose=True),
    ]  # fmt: skip
    shown = display(frame, "", columns)
    assert [c.header for c in shown.columns] == ["A", "p"]
    assert shown.rows == (("x", ""), ("y", ""))
    told = display(frame.assign(remark=["", "none"]), "", columns)
    assert [row[-1] for row in told.rows] == ["", "none"]
    assert len(display(frame[:0], "", columns).columns) == 3


def test_what_every_row_says_is_said_once() -> None:
    """Of three rows or more, and not where the table is to be whole or the column names the row."""
    frame = pd.DataFrame({"a": ["x"] * 3, "n": ["41"] * 3, "p": ["0.1", "0.2", "0.2"]})
    columns = [Column("A", "a", numeric=False), Column("Patients", "n"), Column("p", "p")]
    shown = display(frame, "", columns, "A note.")
    assert [c.header for c in shown.columns] == ["A", "p"]
    assert shown.note == "In every row: Patients 41. A note."
    assert len(display(frame, "", columns, whole=True).columns) == 3
    assert len(display(frame[:2], "", columns).columns) == 3
    # Of two columns called the same nobody would know which it was.
    both = [*columns, Column("Patients", "n")]
    assert len(display(frame, "", both).columns) == 4
    empty = display(frame.assign(n=""), "", columns)
    assert len(empty.columns) == 3 and not empty.note


def test_captions_count_and_word_can_count_them_anew(written: Document) -> None:
    captions = [p for p in written.paragraphs if p.style.name == "Caption"]
    assert [p.text for p in captions] == [
        "Table 1. Of 3 columns", "Table 2. Of 8 columns", "Table 3. Of 4 columns",
    ]  # fmt: skip
    codes = [p._p.xpath("string(.//w:instrText)") for p in captions]
    assert all("SEQ Table" in code for code in codes)


def test_a_broad_table_has_a_page_on_its_side_to_itself(written: Document) -> None:
    assert [page_for(table(n))[0] > TEXT_WIDTH for n in (3, 8, 4)] == [False, True, False]
    sides = [section.orientation for section in written.sections]
    assert sides == [WD_ORIENT.PORTRAIT, WD_ORIENT.LANDSCAPE, WD_ORIENT.PORTRAIT]
    body = [e.tag for e in written.element.body if e.tag == qn("w:tbl") or e.xpath(".//w:sectPr")]
    assert body.index(qn("w:tbl")) == 0 and len(body) >= 5


@pytest.mark.parametrize("broad", ["abb", "bba", "bbb", "abbba", "b", "ab", "babab"])
def test_no_page_is_empty_where_broad_tables_follow_each_other(broad: str, tmp_path: Path) -> None:
    """Every section has a table of its own kind in it, also the last."""
    document = new_document("Tables")
    for one in broad:
        add_table(document, table(8 if one == "b" else 3))
    written = Document(str(save(document, tmp_path / "tables.docx")))
    kinds, inside = [], []
    for element in written.element.body:
        if element.tag == qn("w:tbl"):
            inside.append("b" if len(element.xpath("./w:tblGrid/w:gridCol")) == 8 else "a")
        if element.tag == qn("w:sectPr") or element.xpath("./w:pPr/w:sectPr"):
            kinds.append("".join(inside))
            inside = []
    assert "".join(kinds) == broad and all(len(set(kind)) == 1 for kind in kinds[1:])
    sides = [section.orientation for section in written.sections]
    lies = [WD_ORIENT.LANDSCAPE if "b" in kind else WD_ORIENT.PORTRAIT for kind in kinds]
    assert sides == lies


def test_the_last_rows_of_a_long_table_stay_together(written: Document) -> None:
    for grid in written.tables:
        kept = [row.cells[0].paragraphs[0].paragraph_format.keep_with_next for row in grid.rows]
        assert kept[0] and not any(kept[1:-4]) and all(kept[-4:-1])


def test_the_same_document_is_the_same_bytes_in_any_second(tmp_path: Path) -> None:
    """Zip archives note when each part was packed: with another clock nothing may change."""
    written = []
    for second in (1_000_000_000.0, 1_700_000_000.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.time", lambda now=second: now)
            document = new_document("Tables")
            add_table(document, table(3))
            written.append(save(document, tmp_path / f"{second:.0f}.docx").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("columns", [2, 3, 5, 6, 8])
def test_no_word_is_broken_and_the_page_is_not_left(columns: int) -> None:
    shown = table(columns)
    width, size = page_for(shown)
    widths = column_widths(shown, width, size)
    assert sum(widths) <= width + 1e-9
    for of, characters in zip(widths, shown.narrowest, strict=True):
        assert of >= characters * WIDTH_OF_A_LETTER * size + CELL_MARGINS - 1e-9
    assert shown.narrowest[0] == len("weights") < shown.narrowest[1] == 20


def test_columns_of_the_file_have_these_widths(written: Document) -> None:
    for grid, columns in zip(written.tables, (3, 8, 4), strict=True):
        total = sum(cell.width for cell in grid.rows[0].cells)
        assert total <= Cm(BROAD_WIDTH if columns == 8 else TEXT_WIDTH) + 2000
