"""Answers of sentences and tables, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

import pandas as pd

from longsurv.tables.display import DisplayTable
from longsurv.tables.frame import framed
from longsurv.tables.result import Result
from longsurv.tables.summary import Summary

MOST_ROWS = 60


class Readable(Result):
    """An answer that is read as its sentences and tables.

    Attributes
    ----------
    read_as : tuple of str
        Names of the attributes, or methods that need no argument, which it shows in order.
    """

    read_as: ClassVar[tuple[str, ...]] = ("tidy",)

    def summary(self) -> Summary:
        """The answer as a reader sees it: its sentences and tables.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook; `to_markdown`, `to_latex` and `to_docx`
            write it for elsewhere. A table of more than 60 rows is shortened, and says so.
        """
        parts = [getattr(self, name) for name in self.read_as]
        return Summary(
            title=in_words(type(self).__name__),
            words=tuple(part for part in parts if isinstance(part, str)),
            tables=tuple(_shown(part) for part in parts if not isinstance(part, str)),
        )

    def __repr__(self) -> str:
        return str(self.summary())


class Quantities(Readable):
    """An answer of single numbers, which is read as their table."""

    read_as: ClassVar[tuple[str, ...]] = ("quantities",)
    no_plot: ClassVar[str] = "single numbers have no figure; summary() shows them"

    @property
    def quantities(self) -> pd.DataFrame:
        """Name and value of each."""
        names = getattr(self, "_fields", None) or tuple(getattr(self, "__dataclass_fields__", ()))
        values = {name.replace("_", " "): getattr(self, name) for name in names}
        return pd.DataFrame({"quantity": list(values), "value": list(map(_said, values.values()))})


def _said(value: object) -> object:
    """A number as it is; of several, each."""
    if isinstance(value, (tuple, list)):
        return ", ".join(f"{one:.6g}" if isinstance(one, float) else str(one) for one in value)
    return "none" if value is None else value


def in_words(name: str) -> str:
    """The name of a class as words: "Mortality methods"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return words[:1].upper() + words[1:]


def shortened_table(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The first rows of a table, and what is left out in words."""
    left = len(table) - MOST_ROWS
    if left <= 0:
        return table, ""
    return table.head(MOST_ROWS), f"{left:,} more rows are not shown."


def _shown(part: pd.DataFrame | Callable[[], pd.DataFrame]) -> DisplayTable:
    table = part if isinstance(part, pd.DataFrame) else part()
    shown, note = shortened_table(table)
    return framed(shown, note=note)
