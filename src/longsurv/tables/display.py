"""From a DataFrame to what a reader sees: headers, alignment, rounding."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pandas as pd

from longsurv.numbers import MISSING
from longsurv.records import Record

PAGE = 132
"""Characters that a line of a table has room for on a page of A4 on end."""
MARGIN = 2
"""Characters between two columns."""
MOST_CELLS = 40
ALIKE = 3
"""Rows from which on a column that says the same in each is told once."""


@dataclass(frozen=True)
class Column:
    """One column of a displayed table.

    Parameters
    ----------
    header : str
    text : str or callable
        A column of the DataFrame, or a function of one row (a dict) that gives the text.
    numeric : bool
        Aligned right.
    prose : bool
        Holds sentences, and is given room for them.
    """

    header: str
    text: str | Callable[[Record], str]
    numeric: bool = True
    prose: bool = False

    def of(self, row: Record) -> str:
        """The cell's text in this row.

        Parameters
        ----------
        row : dict of str to object

        Returns
        -------
        str
        """
        value = row[self.text] if isinstance(self.text, str) else self.text(row)
        return "" if value is None or (isinstance(value, float) and value != value) else str(value)


@dataclass(frozen=True)
class DisplayTable:
    """A table ready for the page: every cell is text.

    Parameters
    ----------
    caption : str
    columns : tuple of Column
    rows : tuple of tuple of str
    note : str
    name : str
        By which others refer to it; empty for a table that nothing refers to.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    name: str = ""

    def of(self, what: str) -> Self:
        """The same with what it is of in its caption, if that does not say it.

        Parameters
        ----------
        what : str
            Such as which of several comparisons; empty where there is but one.
        """
        if not what or not self.caption or what in self.caption:
            return self
        return replace(self, caption=f"{self.caption}: {what}")

    @property
    def narrowest(self) -> tuple[int, ...]:
        """Characters that each column needs at least: numbers stay on one line, text may wrap.

        Returns
        -------
        tuple of int
        """
        return tuple(
            max([_longest(c.header), *(map(len if c.numeric else _longest, cells))])
            for c, *cells in zip(self.columns, *self.rows, strict=True)
        )

    @property
    def is_broad(self) -> bool:
        """Whether a page on end is too narrow for it."""
        room = sum(
            MARGIN + max(n, 14 * c.prose) for n, c in zip(self.narrowest, self.columns, strict=True)
        )
        return room > PAGE

    @property
    def is_short(self) -> bool:
        """Whether few enough cells stand in it to be read one under the other, as on a phone."""
        return len(self.columns) > 2 and len(self.columns) * len(self.rows) <= MOST_CELLS


def _longest(text: str) -> int:
    """Characters of the longest word."""
    return max(map(len, text.split(" ")), default=0)


def display(
    table: pd.DataFrame, caption: str, columns: Sequence[Column], note: str = "", name: str = "",
    *, whole: bool = False,
) -> DisplayTable:  # fmt: skip
    """Lay out `table` with these columns; an empty table has no rows and is not shown.

    A column of remarks in which nothing is remarked is left out. One that says the same in every
    row, of three or more, is told once, at the head of the note; not the first, which names them,
    none of two that are called the same, and none of a table that is to be `whole`.
    """
    records = table.to_dict("records")
    laid = [
        (replace(column, header=tied(column.header)), cells)
        for column in columns
        for cells in [[column.of(row) for row in records]]
        if any(cells) or not (column.prose and records)
    ]
    headers = [column.header for column, _ in laid]
    told = [
        k > 0 and not whole and headers.count(column.header) == 1 and _is_one(column, cells)
        for k, (column, cells) in enumerate(laid)
    ]
    shown = [one for one, once in zip(laid, told, strict=True) if not once]
    same = [
        cells[0] if column.prose else f"{column.header} {cells[0]}"
        for (column, cells), once in zip(laid, told, strict=True) if once
    ]  # fmt: skip
    note = f"In every row: {'; '.join(same)}. {note}".rstrip() if same else note
    rows = tuple(zip(*(cells for _, cells in shown), strict=True))
    return DisplayTable(caption, tuple(column for column, _ in shown), rows, note, name)


def _is_one(column: Column, cells: Sequence[str]) -> bool:
    """Whether a column says one thing, in so many rows that once is enough."""
    said = bool(column.header and cells) and cells[0] not in ("", MISSING)
    return said and len(cells) >= ALIKE and len(set(cells)) == 1


def tied(text: str) -> str:
    """Keep short brackets such as "(95 % CI)" and "P(HR < 1)" on one line."""
    return re.sub(
        r"\([^()]{1,14}\)", lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text
    )


EMPTY = DisplayTable("", (), ())
