"""The report reads results, not their words: where it looks into a text at all, and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src/longsurv"
SHOWS = ("figures", "report", "tables")
LOOKS_INTO = {
    "startswith", "endswith", "partition", "rpartition", "split", "rsplit", "splitlines", "match",
    "search", "fullmatch", "findall", "contains", "find", "sub", "removeprefix", "removesuffix",
    "extract",
}  # fmt: skip
"""Methods of texts, and functions of `re`."""

ALLOWED = {
    # files: their names, the markup of a figure, what a spreadsheet would take for a formula
    "report/export.py": {"file_name", "nameless", "standalone"},
    "figures/svg.py": {"to_svg"},
    "report/spreadsheet.py": {"plain_text"},
    # (and, of a document, how wide a word is)
    "tables/word.py": {"_add_grid", "column_widths"},
    # how a number, a unit, a label too long or a bracket is set
    "figures/style.py": {"in_two_lines", "shorten"},
    "figures/tipping.py": {"_cell"},
    # and a unit
    "figures/axes.py": {"risk_times"},
    "report/sections/common.py": {"unit_one", "unit_text"},
    "report/sections/mortality.py": {"_counts"},
    "report/next_trial.py": {"next_trial_page"},
    "report/simulation.py": {"simulation_page"},
    "tables/display.py": {"_longest", "tied"},
    "tables/escape.py": {"_one_line", "printable"},
    # names: of attributes, of columns of a table, of a class
    "tables/elsewhere.py": {"advice"},
    "tables/frame.py": {"__call__"},
    "tables/notebook.py": {"in_words"},
    "tables/result.py": {"__getattr__"},
    # what a person wrote in the study file
    "report/page.py": {"_head", "_unbroken"},
    # the names of a section's own parts
    "report/content.py": {"_items"},
    "report/word.py": {"_is_for_later"},
    # several notes of one answer, joined in its table, each said once; those that differ in their
    # numbers together, whatever they say
    "report/sections/adjustments.py": {"_remark", "remarks", "_without_numbers"},
    # what two methods end with, whatever it is
    "report/sections/methods.py": {"_of_the_same"},
}
"""By file the functions that may look into a text; none of them looks into a result's label."""


def looks(source: str) -> Iterator[str]:
    """Names of the functions of a file in which a text is looked into."""

    def walk(node: ast.AST, inside: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef):
            inside = node.name
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in LOOKS_INTO:
                yield inside
            case ast.Compare(
                left=ast.Constant(value=str()),
                ops=[ast.In() | ast.NotIn()],
                comparators=[
                    ast.Subscript(slice=ast.Constant(value="note" | "method" | "words" | "label"))
                    | ast.Name(id="note" | "method" | "words" | "label")
                ],
            ):
                yield inside
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    return walk(ast.parse(source), "")


def test_no_label_or_note_of_a_result_is_taken_apart() -> None:
    found = {
        path.relative_to(SOURCE).as_posix(): set(looks(path.read_text(encoding="utf-8")))
        for folder in SHOWS
        for path in sorted((SOURCE / folder).rglob("*.py"))
    }
    assert {name: where for name, where in found.items() if where} == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        'def f(table):\n    return table["method"].str.startswith("Cox")',
        'def f(row):\n    return re.match(_PRIOR, row["method"])',
        'def f(row):\n    return _PRIOR.match(row["method"])',
        'def f(note):\n    return "adjust=" in note',
        'def f(row):\n    return "adjust=" in row["note"]',
    ],
)
def test_the_reading_of_a_label_is_seen(source: str) -> None:
    assert list(looks(source)) == ["f"]
