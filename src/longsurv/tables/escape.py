"""What may stand in a text: nothing invisible, nothing its reader takes for an instruction."""

from __future__ import annotations

import re

# Control characters; signs that turn the direction of writing, which would reach beyond the label
# they stand in; halves of surrogate pairs; the two that are no characters.
_SILENT = (
    range(9), range(11, 32), range(127, 160), range(0x202A, 0x202F), range(0x2066, 0x206A),
    range(0xD800, 0xE000), range(0xFFFE, 0x10000),
)  # fmt: skip
# As a pattern: translating each character of a page by a table takes ten times as long.
_UNPRINTABLE = re.compile("[" + "".join(f"{chr(s[0])}-{chr(s[-1])}" for s in _SILENT) + "]")


def printable(text: object) -> str:
    """The text without what XML cannot hold, or what no reader sees but is misled by."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text))


_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    # Other letters than these in the encoding that LaTeX begins with:
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    # At the beginning of a row these belong to the end of the row before:
    "[": "{[}", "*": "{*}",
    "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "\N{NO-BREAK SPACE}": "~",
    "\N{INFINITY}": r"$\infty$", "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
})  # fmt: skip
_MARKDOWN = str.maketrans(
    {character: f"\\{character}" for character in "\\`*_{}[]()#+!|~$"}
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
_ASCII = str.maketrans({
    "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{NO-BREAK SPACE}": " ", "\N{INFINITY}": "inf",
    "\N{MULTIPLICATION SIGN}": "x", "\N{HORIZONTAL ELLIPSIS}": "...",
})  # fmt: skip


def latex(text: object) -> str:
    """The text as LaTeX shows it, whatever letters it has."""
    return _one_line(text).translate(_LATEX)


def markdown(text: object) -> str:
    """The text as Markdown shows it, also in the cell of a table."""
    return _one_line(text).translate(_MARKDOWN)


def ascii_signs(text: object) -> str:
    """The text with the signs of numbers that every console has."""
    return printable(text).translate(_ASCII)


def _one_line(text: object) -> str:
    return " ".join(printable(text).split("\n"))
