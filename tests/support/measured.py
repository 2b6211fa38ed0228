"""What a reader of a page has before them: words, tables and figures, at once and in folds."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

SILENT = {"style", "script", "svg", "title", "noscript", "nav", "select"}
VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Count:
    """Of one section, or of the page.

    Attributes
    ----------
    prose : int
        Words outside tables: sentences, notes, captions of figures, headings, terms.
    cells : int
        Words of tables, with their captions.
    tables, figures : int
    """

    prose: int = 0
    cells: int = 0
    tables: int = 0
    figures: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.prose + other.prose,
            self.cells + other.cells,
            self.tables + other.tables,
            self.figures + other.figures,
        )


@dataclass
class Measured:
    """A page counted by section: what is seen at once, and what only when a fold is opened."""

    shown: dict[str, Count] = field(default_factory=dict)
    folded: dict[str, Count] = field(default_factory=dict)

    @property
    def at_once(self) -> Count:
        """All that needs no click."""
        return sum(self.shown.values(), Count())

    @property
    def whole(self) -> Count:
        """All, with every fold open."""
        return self.at_once + sum(self.folded.values(), Count())


class _Reader(HTMLParser):
    """Counts while it reads; a closed `details` shows its `summary` only."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Measured()
        self.section = "header"
        self.open: list[str] = []

    def _count(self) -> Count:
        inner = self.open[len(self.open) - self.open[::-1].index("closed") :] if (
            "closed" in self.open) else []  # fmt: skip
        hidden = self.open.count("closed") - ("summary" in inner) > 0
        part = self.found.folded if hidden else self.found.shown
        return part.setdefault(self.section, Count())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in VOID:
            return
        if tag == "section":
            self.section = str(given.get("id"))
        if tag == "table":
            self._count().tables += 1
        if tag == "figure":
            self._count().figures += 1
        self.open.append("closed" if tag == "details" and "open" not in given else tag)

    def handle_endtag(self, tag: str) -> None:
        last = self.open.pop()
        assert last == tag or (last, tag) == ("closed", "details"), f"</{tag}> closes {last}"
        if tag == "section":
            self.section = "footer"

    def handle_data(self, data: str) -> None:
        if not SILENT & set(self.open):
            words = len(data.split())
            if "table" in self.open:
                self._count().cells += words
            else:
                self._count().prose += words


def measured(page: str) -> Measured:
    """Count a page's words, tables and figures."""
    reader = _Reader()
    reader.feed(page)
    return reader.found
