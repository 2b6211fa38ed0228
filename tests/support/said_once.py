"""What a report says twice: whole sentences, columns of one value, tables with the same rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable

from longsurv.numbers import MISSING
from longsurv.report.content import Heading, Item
from longsurv.report.sections.checks import LIGHTS
from longsurv.report.sections.common import Picture
from longsurv.tables.display import ALIKE, DisplayTable

FAILED = f": {LIGHTS['red']}."
FEWEST_WORDS = 10
"""Of a sentence that is more than a turn of phrase."""
REASONS = ("Not to be relied on", "Not estimated")
"""What stands beside each number, or the want of one, that it is about."""


def sentences(text: str) -> list[str]:
    """The longer sentences of a text."""
    if FAILED in text:  # a fit says all of its reasons where it stands
        return []
    found = re.split(r"(?<=[.;:]) (?=[A-Z])", text)
    return [
        one for one in found if len(one.split()) >= FEWEST_WORDS and not one.startswith(REASONS)
    ]


def said_twice(items: Iterable[Item], apart: Collection[str] = ()) -> list[str]:
    """Sentences of paragraphs, notes and captions that stand in several places, and tables that
    repeat themselves or each other.

    Parameters
    ----------
    items : iterable
        What `content` found.
    apart : collection of str
        Texts that may say again what others do, as a paragraph that is to be taken away.
    """
    said: Counter[str] = Counter()
    found: list[str] = []
    tables: dict[tuple[tuple[str, ...], ...], str] = {}
    for item in items:
        if isinstance(item, DisplayTable):
            said.update(set(sentences(item.note)))
            found += _repeating(item)
            if len(item.rows) > 1 and item.rows in tables:
                found.append(f"{item.caption} has the rows of {tables[item.rows]}")
            tables[item.rows] = item.caption
        elif isinstance(item, Picture):
            said.update(set(sentences(item.caption)))
        elif not isinstance(item, Heading) and item not in apart:
            said.update(set(sentences(item)))
    return found + [f"{count} times: {text}" for text, count in said.items() if count > 1]


def _repeating(table: DisplayTable) -> list[str]:
    """Columns that say the same in each of several rows, after the first."""
    headers = [column.header for column in table.columns]
    columns = zip(*table.rows, strict=True)
    return [
        f"{table.caption}: every row has {cells[0]!r}"
        for k, cells in enumerate(columns)
        if k
        and len(cells) >= ALIKE
        and len(set(cells)) == 1
        and cells[0] not in ("", MISSING)
        and headers[k]
        and headers.count(headers[k]) == 1
    ]
