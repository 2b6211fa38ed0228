"""A date and the time of day that belongs to it, where they stand in two columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv.draft.cells import SheetColumn
from longsurv.draft.names import plain
from longsurv.draft.raw import RawTable

_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]\.?m\.?)?", re.IGNORECASE)
_KINDS = re.compile(
    r"date|datum|time|zeit|uhr|clock|hour|heure|jour|day|日付|時刻|日|時間|\s|(?<=\w)s\b"
)


def date_of(name: str, columns: Mapping[str, SheetColumn]) -> str | None:
    """The column of dates whose time of day a column holds; None if it holds none.

    It is the one called alike, as "sample_date" beside "sample_time", or that just before it.
    """
    column = columns[name]
    if column.kind != "text" or not all(map(_CLOCK.fullmatch, column.texts)):
        return None
    dates = [n for n, c in columns.items() if c.kind == "date" and not _clocked(c)]
    alike = [n for n in dates if _KINDS.sub("", plain(n)) == _KINDS.sub("", plain(name))]
    if len(alike) == 1:
        return alike[0]
    names = list(columns)
    before = names[names.index(name) - 1] if names.index(name) else ""
    return before if before in dates else None


def _clocked(column: SheetColumn) -> bool:
    known = column.dates[~np.isnat(column.dates)]
    return bool(np.any(known != known.astype("datetime64[D]")))


def with_clock(table: RawTable, date: str, clock: str) -> RawTable:
    """The table with one column of both, and the pandas lines that make it."""
    days = table.frame[date].astype("string").str.removesuffix(" 00:00:00").str.strip()
    hours = table.frame[clock].astype("string").str.strip()
    frame = table.frame.drop(columns=clock)
    frame[date] = pd.Series(days.str.cat(hours, sep=" ", na_rep=""), dtype=object).where(
        days.notna(), None
    )
    lines = (
        f"days = TABLE[{date!r}].astype('string').str.removesuffix(' 00:00:00').str.strip()",
        f"hours = TABLE[{clock!r}].astype('string').str.strip()",
        f"TABLE[{date!r}] = days.str.cat(hours, sep=' ', na_rep='').where(days.notna())",
    )
    made = tuple(line.replace("TABLE", table.variable) for line in lines)
    return replace(table, frame=frame, lines=(*table.lines, *made), straight=False)
