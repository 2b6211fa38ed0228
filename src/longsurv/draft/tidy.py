"""The tidy copy, one row a patient and one a measurement, and the pandas lines that make it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from longsurv.draft import recipes
from longsurv.draft.cells import SheetColumn
from longsurv.draft.people import Field
from longsurv.draft.understanding import Understanding
from longsurv.draft.workbook import SHEET_FUNCTION

# Not "time", which a study takes without being told: a doubtful time must be named.
TIME, MARKER, VALUE, EXIT = "measurement_time", "marker", "value", "exit"
DIED, HAD_EVENT = "died", "had_event"


@dataclass
class Tidy:
    """A tidy copy while it is made.

    Attributes
    ----------
    patients : DataFrame
    measurements : DataFrame or None
    lines : list of str
        Pandas lines that make both from the files.
    notes : list of str
        What was left out or changed, in words.
    names : dict
        What the tidy tables call the patient's identifier, the time, the exit and the status.
    unit : str
        Of all times, "" if nothing says.
    late, early, twice, strangers, posthumous : int
        Measurements after the end of follow-up, before time zero, at a time that has one already,
        of patients who are not in the patient table, and after a date of death.
    """

    patients: pd.DataFrame
    measurements: pd.DataFrame | None = None
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    unit: str = ""
    late: int = 0
    early: int = 0
    twice: int = 0
    strangers: int = 0
    posthumous: int = 0


def script(found: Understanding, tidy: Tidy, stem: str) -> str:
    """The pandas lines as a file that makes the tidy copy again."""
    # Tables that are put together by a key both bring the lines that read them.
    read = list(dict.fromkeys(line for sheet in found.sheets for line in sheet.raw.lines))
    functions = [inspect.getsource(f).replace("  # type: ignore[no-untyped-def]", "")
                 for f in (recipes.clean, recipes.when, recipes.identifier)]  # fmt: skip
    if any("= sheet(" in line for line in read):
        functions.insert(0, SHEET_FUNCTION)
    saved = [f'patients.to_csv("{stem}_patients.csv", index=False)']
    if tidy.measurements is not None:
        saved.append(f'measurements.to_csv("{stem}_measurements.csv", index=False)')
    head = '"""Makes the tidy copy that the study file names. Written by longsurv init."""'
    body = ["", *read, *tidy.lines, *saved, ""]
    return "\n".join([head, "", "import re", "", "import pandas as pd", "", "",
                      "\n\n\n".join(f.rstrip() for f in functions), "", *body])  # fmt: skip


def cleaning(column: SheetColumn, extra: Sequence[str] = ()) -> str:
    """Arguments of `clean` that this column needs, "" if none."""
    parts = []
    missing = [*column.words, *extra]
    if missing:
        parts.append(f"missing={missing!r}")
    if column.decimal == ",":
        parts.append('decimal=","')
    if column.thousands:
        parts.append(f"thousands={column.thousands!r}")
    if column.units:
        units = sorted(column.units, key=len, reverse=True)
        parts.append(f"units={units!r}")
    if not parts and (column.flags or column.spoken):
        parts.append('decimal="."')
    return ", ".join(parts)


def cleaned(cells: pd.Series, column: SheetColumn, extra: Sequence[str] = ()) -> pd.Series:
    """Cells as numbers, as the pandas line with `cleaning`'s arguments makes them."""
    units = sorted(column.units, key=len, reverse=True)
    return recipes.clean(cells, [*column.words, *extra], column.decimal, column.thousands, units)


def when_text(one: Field, whole: bool) -> str:
    """The pandas expression of a date of the patients."""
    first = one.column.order != "month"
    return f"when(patients[{one.name!r}], {first}, {whole})"


def dates_of(one: Field, patients: pd.DataFrame, whole: bool) -> pd.Series:
    """What `when_text` makes: a date of the patients as timestamps."""
    return recipes.when(patients[one.name], one.column.order != "month", whole)


def days_of(span: pd.Series) -> pd.Series:
    """Days of a difference of times, as the pandas line with `TO_DAYS` makes them."""
    return (span.dt.total_seconds() / 86400).round(6)


TO_DAYS = ".dt.total_seconds() / 86400).round(6)"
