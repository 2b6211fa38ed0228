"""A table with its columns read: the ground on which everything else is guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.draft.cells import SheetColumn, read_column, without_unknown
from longsurv.draft.clocks import date_of, with_clock
from longsurv.draft.names import says
from longsurv.draft.raw import RawTable
from longsurv.reading.dates import Order
from longsurv.reading.numbers import is_grouped, number_in

_SAVED = re.compile(r"\d+\.0")


@dataclass(frozen=True)
class Sheet:
    """A table and the profiles of its columns.

    Attributes
    ----------
    raw : RawTable
    columns : dict of str to SheetColumn
    decimal : str
        The decimal mark of its text columns.
    decimal_sure : bool
        Whether some of its numbers can be read with this mark only.
    patient : str
        The column of identifiers, "" while unknown.
    filled_down : bool
        Whether identifiers stand only in the first row of each patient.
    """

    raw: RawTable
    columns: dict[str, SheetColumn]
    decimal: str = "."
    decimal_sure: bool = True
    patient: str = ""
    filled_down: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.raw.name

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.raw.frame)

    @cached_property
    def owner(self) -> np.ndarray:
        """Position of each row's patient among `people`, -1 for none, shape (rows,)."""
        codes = self.columns[self.patient].codes
        if not self.filled_down:
            return codes
        return pd.Series(codes).mask(codes < 0).ffill().fillna(-1).to_numpy(dtype=np.int64)

    @cached_property
    def people(self) -> list[str]:
        """The identifiers, as text."""
        texts = self.columns[self.patient].texts
        if all(map(_SAVED.fullmatch, texts)):  # as `recipes.identifier` has them
            return [text.removesuffix(".0") for text in texts]
        return texts

    @cached_property
    def repeats(self) -> bool:
        """Whether some patient has several rows."""
        owner = self.owner[self.owner >= 0]
        return len(owner) > len(self.people)

    @cached_property
    def constant(self) -> frozenset[str]:
        """Columns that never take two values within a patient."""
        return frozenset(name for name in self.columns if self._is_constant(name))

    def _is_constant(self, name: str) -> bool:
        codes, owner = self.columns[name].codes, self.owner
        there = (codes >= 0) & (owner >= 0)
        codes, owner = codes[there], owner[there]
        one = np.zeros(owner.max(initial=-1) + 1, dtype=codes.dtype)
        one[owner] = codes
        return bool((codes == one[owner]).all())

    def unclear(self, name: str) -> str:
        """A number of a column that may be another, thousand times as large; "" if none is.

        Parameters
        ----------
        name : str
            Of the column.

        Returns
        -------
        str
        """
        column = self.columns[name]
        if column.kind != "number" or column.native:
            return ""
        marked = [number_in(text) for text in column.texts if "," in text or "." in text]
        if column.thousands:
            told = column.decimal_sure or (column.decimal == "," and self.decimal_sure)
            return "" if told else next(filter(is_grouped, marked), "")
        zeros = all(number.endswith(",000") for number in marked)
        said = self.decimal_sure or not marked or column.decimal != "," or not zeros
        return "" if said else marked[0]

    def varies(self, name: str) -> bool:
        """Whether a column takes several values within some patient.

        Parameters
        ----------
        name : str
            Of the column.

        Returns
        -------
        bool
        """
        return name not in self.constant


def read_sheets(tables: Sequence[RawTable]) -> list[Sheet]:
    """Profile every column, letting each table's other columns say decimal mark and date order."""
    first = [_with_clocks(_profiled(table)) for table in tables]
    order = _order([column for sheet in first for column in sheet.columns.values()])
    return [_again(sheet, order) for sheet in first]


def _profiled(table: RawTable) -> Sheet:
    columns = {name: read_column(table.frame[name], name) for name in table.frame.columns}
    votes = Counter(c.decimal for c in columns.values() if _votes(c))
    # A semicolon separates where the comma is taken.
    otherwise = "," if table.separator == ";" else "."
    decimal = votes.most_common(1)[0][0] if votes else otherwise
    return Sheet(table, columns, decimal, bool(votes))


def _with_clocks(sheet: Sheet) -> Sheet:
    """Put the time of day that has a column of its own behind its date."""
    for name in sheet.columns:
        date = date_of(name, sheet.columns)
        if date is not None:
            raw = with_clock(sheet.raw, date, name)
            columns = {**sheet.columns, date: read_column(raw.frame[date], date)}
            del columns[name]
            sheet = replace(sheet, raw=raw, columns=columns)
    return sheet


def _votes(column: SheetColumn) -> bool:
    if column.kind != "number" or column.native or not column.decimal_sure:
        return False
    return column.decimal == "," or any("." in text for text in column.texts[:200])


def _order(columns: Sequence[SheetColumn]) -> Order:
    """Which of day and month comes first in all files, "" if they disagree or never say."""
    said = {c.order for c in columns if c.kind == "date" and c.order and c.order_sure}
    return said.pop() if len(said) == 1 else ""


def _again(sheet: Sheet, order: Order) -> Sheet:
    columns = dict(sheet.columns)
    for name, column in sheet.columns.items():
        unsure = not column.order_sure and order
        comma = sheet.decimal == "," and not column.native and column.kind == "number"
        if unsure or (comma and column.decimal != ","):
            columns[name] = read_column(sheet.raw.frame[name], name, order, sheet.decimal)
        elif column.kind == "text" and (says(name, "treatment") >= 2 or says(name, "status") >= 2):
            columns[name] = without_unknown(column)
    return replace(sheet, columns=columns)
