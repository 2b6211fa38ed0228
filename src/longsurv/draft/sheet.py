"""A table with its columns read: the ground on which everything else is guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.draft.cells import SheetColumn, read_column
from longsurv.draft.clocks import date_of, with_clock
from longsurv.draft.raw import RawTable
from longsurv.reading.dates import Order


@dataclass(frozen=True)
class Sheet:
    """A table and the profiles of its columns.

    Attributes
    ----------
    raw : RawTable
    columns : dict of str to SheetColumn
    decimal : str
        The decimal mark of its text columns.
    patient : str
        The column of identifiers, "" while unknown.
    filled_down : bool
        Whether identifiers stand only in the first row of each patient.
    """

    raw: RawTable
    columns: dict[str, SheetColumn]
    decimal: str = "."
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

    @property
    def people(self) -> list[str]:
        """The identifiers, as text."""
        return self.columns[self.patient].texts

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
    decimal = votes.most_common(1)[0][0] if votes else "."
    return Sheet(table, columns, decimal)


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
    return replace(sheet, columns=columns)
