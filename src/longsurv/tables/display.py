"""From a DataFrame to what a reader sees: headers, alignment, rounding."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from longsurv.records import Record


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


def display(
    table: pd.DataFrame, caption: str, columns: Sequence[Column], note: str = "", name: str = ""
) -> DisplayTable:
    """Lay out `table` with these columns; an empty table has no rows and is not shown."""
    columns = [replace(column, header=tied(column.header)) for column in columns]
    rows = tuple(tuple(column.of(row) for column in columns) for row in table.to_dict("records"))
    return DisplayTable(caption, tuple(columns), rows, note, name)


def tied(text: str) -> str:
    """Keep short brackets such as "(95 % CI)" and "P(HR < 1)" on one line."""
    return re.sub(
        r"\([^()]{1,14}\)", lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text
    )


EMPTY = DisplayTable("", (), ())
