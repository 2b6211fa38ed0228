"""What is written in text, HTML, Markdown, LaTeX and Word is what was meant, and nothing more."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from docx import Document
from markdown_it import MarkdownIt

from longsurv.errors import LongsurvError
from longsurv.tables.frame import framed, limits
from longsurv.tables.summary import Summary

NAMES = [
    "a|b", "50 % & more", "x_1^2", "$5$", "{b}", "#1", "~", "\\newline", "[c]", "*d*",
    "<script>e", "`f`", "_g_", '"h"', "![i](j)", "1. k", "+ l", "\N{GREEK SMALL LETTER MU}m",
    "n\no", "-", "&lt;",
]  # fmt: skip
"""Levels of a variable that mean something to one format or another."""
SPOKEN = [" ".join(name.split("\n")) for name in NAMES]


@pytest.fixture(scope="module")
def hostile() -> Summary:
    table = pd.DataFrame({"term": NAMES, "estimate": range(len(NAMES))}).astype({"estimate": float})
    return Summary(
        "y ~ a | b",
        (framed(table, "A & B"),),
        (("Model", "L_M%M"),),
        ("50 % <wrong>",),
        ("$x$ & y",),
    )


class Cells(HTMLParser):
    """The text of every cell, and the tags there are."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.inside = tag == "td"
        if self.inside:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


def cells(page: str) -> Cells:
    found = Cells()
    found.feed(page)
    return found


def test_html_shows_every_name_and_has_no_tag_of_theirs(hostile: Summary) -> None:
    found = cells(hostile.to_html())
    assert found.cells[1::2] == NAMES
    assert "script" not in found.tags
    assert "<wrong>" not in hostile.to_html()


def test_markdown_shows_every_name_as_it_is(hostile: Summary) -> None:
    page = MarkdownIt("commonmark").enable("table").render(hostile.to_markdown())
    found = cells(page)
    assert found.cells[2::2] == SPOKEN
    assert not found.tags & {"script", "em", "img", "code", "a", "h1", "ol", "ul"}


LATEX = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
    r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"\textquotedbl{}": '"',
    r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&", r"\%": "%", r"\#": "#", r"\_": "_",
    "{[}": "[", "{*}": "*",
}  # fmt: skip
"""What LaTeX prints for each; every special character alone would be an instruction."""


def spoken(source: str) -> str:
    """What a cell of LaTeX prints; fails at a special character that is not escaped."""
    out = ""
    while source:
        for code, letter in LATEX.items():
            if source.startswith(code):
                out, source = out + letter, source[len(code) :]
                break
        else:
            assert source[0] not in "\\{}$&%#_^~[*", source
            out, source = out + source[0], source[1:]
    return out


def test_latex_prints_every_name_and_takes_none_for_an_instruction(hostile: Summary) -> None:
    tables = re.findall(
        r"\\begin\{tabular\}\{\w+\}\n(.*?)\\end\{tabular\}", hostile.to_latex(), re.S
    )
    rows = [line.removesuffix(r" \\") for line in tables[1].splitlines() if line != r"\hline"]
    assert [spoken(row.split(" & ")[0]) for row in rows[1:]] == SPOKEN
    assert spoken(tables[0].splitlines()[1].split(" & ")[1].removesuffix(r" \\")) == "L_M%M"


def test_word_holds_every_name(hostile: Summary, tmp_path: Path) -> None:
    path = hostile.to_docx(tmp_path / "a.docx")
    grids = Document(str(path)).tables
    assert [row.cells[0].text for row in grids[1].rows][1:] == NAMES
    again = hostile.to_docx(tmp_path / "b.docx")
    assert path.read_bytes() == again.read_bytes()
    with pytest.raises(LongsurvError, match="does not exist"):
        hostile.to_docx(tmp_path / "none" / "a.docx")


def test_text_is_of_lines_that_every_console_shows(hostile: Summary) -> None:
    lines = str(hostile).splitlines()
    assert lines[1] == "50 % <wrong>"
    assert max(map(len, lines)) <= 100
    table = pd.DataFrame({"term": ["a"], "estimate": [-1.5], "conf_high": [float("inf")]})
    plain = str(Summary("", (framed(table),)))
    assert "-1.500" in plain and "inf" in plain
    plain.encode("ascii")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((-1.0134, 0.3572), ["-1.013", "0.357"]),
        ((1234.567, 98.7654), ["1,234.6", "98.8"]),
        ((0.0, 0.00012345), ["0.000000", "0.000123"]),
        ((float("nan"), float("nan")), ["-", "-"]),
        ((0.71234, float("nan")), ["0.7123", "-"]),
    ],
)
def test_an_estimate_has_the_decimals_of_its_error(row: tuple[float, float], said: list) -> None:
    table = pd.DataFrame([("x", *row), ("y", 1.0, 1.0)], columns=["term", "estimate", "std_error"])
    line = next(x for x in str(Summary("", (framed(table),))).splitlines() if x.startswith("x "))
    assert line.split()[1:] == said


def test_the_headers_of_limits_name_them() -> None:
    assert limits(0.95) == ("2.5 %", "97.5 %")
    assert limits(0.9) == ("5 %", "95 %")
