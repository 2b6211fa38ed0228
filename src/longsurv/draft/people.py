"""What is known of each patient: the columns with one value a patient, from all tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
