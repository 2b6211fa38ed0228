"""What is known of each patient: the columns with one value a patient, from all tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.draft.cells import SheetColumn
from longsurv.draft.sheet import Sheet


@dataclass(frozen=True)
class Field:
    """A column of one value a patient, and where it stands."""

    sheet: Sheet
    name: str

    @property
    def column(self) -> SheetColumn:
        """Its profile."""
        return self.sheet.columns[self.name]

    def told(self) -> pd.Series:
        """What is said of each patient of whom something is, as text, by identifier."""
        column, owner = self.column, self.sheet.owner
        there = (column.codes >= 0) & (owner >= 0)
        if column.kind == "number":
            there &= np.isfinite(column.numbers)
        elif column.kind == "date":
            there &= ~np.isnat(column.dates)
        names = np.array(self.sheet.people, dtype=object)[owner[there]]
        texts = np.array(column.texts, dtype=object)[column.codes[there]]
        said = pd.Series(texts, index=names, dtype=object)
        return said[~said.index.duplicated()]

    def place(self) -> str:
        """Where it is, in words."""
        return f'"{self.name}" of {self.sheet.name}'


def patient_fields(sheets: Sequence[Sheet], taken: set[str]) -> list[Field]:
    """Columns with one value a patient; those of tables with one row a patient come first.

    Parameters
    ----------
    sheets : sequence of Sheet
    taken : set of str
        Columns that are known to be measurements, as "variable:column".
    """
    fields: list[Field] = []
    seen: set[str] = set()
    for sheet in sorted(sheets, key=lambda s: s.repeats):
        for name, column in sheet.columns.items():
            if name == sheet.patient or column.kind == "empty" or name in seen:
                continue
            if f"{sheet.raw.variable}:{name}" in taken or sheet.varies(name):
                continue
            seen.add(name)
            fields.append(Field(sheet, name))
    return fields
