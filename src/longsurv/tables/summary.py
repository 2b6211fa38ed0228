"""A result in words and numbers, printed as statistics programs do, and written in other forms."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from longsurv.errors import ArgumentError
from longsurv.files import writable
from longsurv.tables import escape
from longsurv.tables.display import DisplayTable

NARROWEST = 72
GAP = "  "


@dataclass(frozen=True, repr=False, eq=False)
class Summary:
    """What a result says: a heading, tables and notes.

    It prints as text and shows itself in a notebook; `to_markdown`, `to_latex` and `to_docx` write
    the same for elsewhere.

    Attributes
    ----------
    title : str
        The model in one line.
    tables : tuple of DisplayTable
        Every cell is text.
    facts : tuple of (str, str)
        The block under the title: names and values.
    warnings : tuple of str
        What is wrong with the answer; it stands before the numbers.
    notes : tuple of str
        What else a reader must know.
    words : tuple of str
        The answer in sentences, before the tables.
    """

    title: str
    tables: tuple[DisplayTable, ...]
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.to_text()

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_text(self) -> str:
        """As lines of text."""
        blocks = [list(_grid(table)) for table in self.tables if table.rows]
        facts = [(f"{name}:", value) for name, value in _plain(self.facts)]
        longest = max((len(line) for block in blocks for line in block), default=0)
        width = max(NARROWEST, longest)
        title = escape.ascii_signs(self.title)
        lines = [*(line.center(width).rstrip() for line in textwrap.wrap(title, width))]
        lines += [line for text in self.warnings for line in _wrapped(text, width)]
        lines.append("=" * width)
        if facts:
            lines += [*_two_columns(facts, width), "-" * width]
        for text in self.words:
            lines += _wrapped(text, width)
        for k, (table, block) in enumerate(
            zip((t for t in self.tables if t.rows), blocks, strict=True)
        ):
            lines += ["-" * width] * (k > 0)
            lines += _wrapped(table.caption, width) if table.caption else []
            lines += block
            lines += _wrapped(table.note, width) if table.note else []
        lines.append("=" * width)
        lines += [line for note in self.notes for line in _wrapped(f"Note: {note}", width)]
        return "\n".join(lines)

    def to_html(self) -> str:
        """As HTML, for a page or a notebook."""
        return "".join(_html(self))

    def to_markdown(self) -> str:
        """As Markdown, with pipe tables."""
        parts = [f"**{escape.markdown(self.title)}**"]
        parts += [f"**{escape.markdown(text)}**" for text in self.warnings]
        if self.facts:
            parts.append(_pipes(("", ""), self.facts, (False, False)))
        parts += [escape.markdown(text) for text in self.words]
        for table in self.tables:
            if table.rows:
                parts += [escape.markdown(table.caption)] if table.caption else []
                headers = [column.header for column in table.columns]
                parts.append(_pipes(headers, table.rows, [c.numeric for c in table.columns]))
                parts += [escape.markdown(table.note)] if table.note else []
        parts += [f"Note: {escape.markdown(note)}" for note in self.notes]
        return "\n\n".join(parts) + "\n"

    def to_latex(self) -> str:
        """As LaTeX: tables that need no package, with the notes under them."""
        parts = [f"\\textbf{{{escape.latex(self.title)}}}"]
        parts += [f"\\textbf{{{escape.latex(text)}}}" for text in self.warnings]
        if self.facts:
            parts.append(_tabular((), self.facts, (False, False)))
        parts += [escape.latex(text) for text in self.words]
        for table in self.tables:
            if table.rows:
                parts += [escape.latex(table.caption)] if table.caption else []
                headers = [column.header for column in table.columns]
                parts.append(_tabular(headers, table.rows, [c.numeric for c in table.columns]))
                parts += [escape.latex(table.note)] if table.note else []
        parts += [f"Note: {escape.latex(note)}" for note in self.notes]
        return "\n\n".join(parts) + "\n"

    def to_docx(self, path: str | Path) -> Path:
        """Write a Word document.

        Parameters
        ----------
        path : str or Path
            With the ending .docx; a file of that name is replaced.

        Returns
        -------
        Path
            Of the file written.

        Raises
        ------
        LongsurvError
            For another ending, or if it cannot be written there.
        """
        from longsurv.tables import word

        if Path(path).suffix.lower() != ".docx":
            raise ArgumentError(f"path is the name of a .docx file, not {str(path)!r}")
        target = writable(path)
        document = word.new_document(self.title)
        word.add_text(document, self.title, bold=True)
        for text in self.warnings:
            word.add_text(document, text, bold=True)
        word.add_facts(document, self.facts)
        for text in self.words:
            word.add_text(document, text)
        for table in self.tables:
            if table.rows:
                word.add_table(document, table)
        for note in self.notes:
            word.add_small(document, f"Note: {note}")
        return word.save(document, target)


def _plain(facts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(escape.ascii_signs(name), escape.ascii_signs(value)) for name, value in facts]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(escape.ascii_signs(text), width, subsequent_indent=GAP)


def _grid(table: DisplayTable) -> Iterator[str]:
    """The lines of a table: numbers to the right, words to the left."""
    headers = tuple(column.header for column in table.columns)
    rows = [headers, *table.rows] if any(headers) else table.rows
    lines = [[escape.ascii_signs(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for k, line in enumerate(lines):
        cells = [
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        ]
        yield GAP.join(cells).rstrip()
        if k == 0 and any(headers):
            yield "-" * (sum(widths) + len(GAP) * (len(widths) - 1))


def _two_columns(facts: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Names and values, the second half beside the first where there is room for both."""
    longest = max(len(name) for name, _ in facts)
    said = [f"{name.ljust(longest)}{GAP}{value}" for name, value in facts]
    half = (len(said) + 1) // 2
    room = max(map(len, said[:half]))
    if room + len(GAP) + max(map(len, said[half:]), default=0) > width:
        for line in said:
            yield from textwrap.wrap(line, width, subsequent_indent=" " * (longest + len(GAP)))
        return
    right = width - max(map(len, said[half:]), default=0)
    for k in range(half):
        other = said[half + k] if half + k < len(said) else ""
        yield f"{said[k].ljust(right)}{other}".rstrip()


def _html(summary: Summary) -> Iterator[str]:
    def text(value: str) -> str:
        return html.escape(escape.printable(value))

    yield '<div class="longsurv-summary">'
    for warning in summary.warnings:
        yield f'<p style="color:#b00020;font-weight:bold">{text(warning)}</p>'
    yield f"<p><b>{text(summary.title)}</b></p>"
    if summary.facts:
        rows = (f"<tr><th>{text(n)}</th><td>{text(v)}</td></tr>" for n, v in summary.facts)
        yield f"<table>{''.join(rows)}</table>"
    for words in summary.words:
        yield f"<p>{text(words)}</p>"
    for table in summary.tables:
        if not table.rows:
            continue
        side = ["right" if column.numeric else "left" for column in table.columns]
        yield "<table>"
        if table.caption:
            yield f"<caption>{text(table.caption)}</caption>"
        heads = "".join(
            f'<th style="text-align:{at}">{text(c.header)}</th>'
            for at, c in zip(side, table.columns, strict=True)
        )
        yield f"<thead><tr>{heads}</tr></thead><tbody>"
        for row in table.rows:
            cells = (
                f'<td style="text-align:{at}">{text(cell)}</td>'
                for at, cell in zip(side, row, strict=True)
            )
            yield f"<tr>{''.join(cells)}</tr>"
        yield "</tbody></table>"
        if table.note:
            yield f"<p>{text(table.note)}</p>"
    for note in summary.notes:
        yield f"<p>Note: {text(note)}</p>"
    yield "</div>"


def _pipes(headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    rule = ["---:" if right else ":---" for right in numeric]
    lines = [map(escape.markdown, headers), rule, *(map(escape.markdown, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _tabular(headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(escape.latex, cells)) + r" \\"

    sides = "".join("r" if right else "l" for right in numeric)
    body = [rf"\begin{{tabular}}{{{sides}}}", r"\hline"]
    body += [line(headers), r"\hline"] if headers else []
    return "\n".join([*body, *map(line, rows), r"\hline", r"\end{tabular}"])
