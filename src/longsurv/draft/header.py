"""Where a table begins in a grid of cells: titles, one or two rows of names, a row of units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from longsurv.draft.layout import read_time
from longsurv.draft.units import tidy_unit
from longsurv.reading.dates import looks_like_dates
from longsurv.reading.durations import unit_of_time

Row = Sequence[str]  # cells as text, "" where empty
LOOK = 25
_NUMBER = re.compile(r"[<>≤≥]?\s*[+-]?[\d.,' ]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*%?")


@dataclass(frozen=True)
class Header:
    """The names of the columns and where the data begin.

    Attributes
    ----------
    names : list of str
    units : dict
        Position of a column to its unit, where a row of units follows.
    titles : int
        Rows above the names.
    first : int
        The first row of data.
    groups : bool
        Whether two rows of names were put together.
    """

    names: list[str]
    units: dict[int, str]
    titles: int
    first: int
    groups: bool


def _is_name(cell: str) -> bool:
    return bool(cell) and not _NUMBER.fullmatch(cell) and not looks_like_dates([cell])


def find_header(rows: Sequence[Row]) -> Header | None:
    """Find the names in the first rows of a grid; None if no row can be one of names."""
    width = max((sum(map(bool, row)) for row in rows), default=0)
    for k, row in enumerate(rows[:LOOK]):
        filled = [cell for cell in row if cell]
        named = sum(map(_is_name, filled))
        if len(filled) < max(1, 0.6 * width) or named < 0.75 * len(filled):
            continue
        if width > 1 and len(filled) < 2:
            continue
        below = rows[k + 1] if k + 1 < len(rows) else []
        runs = sum(bool(a) and a == b for a, b in pairwise(row))
        if runs >= 0.3 * len(filled) and _is_names_row(below, width):
            return _join(rows, k + 1, row)
        above = rows[k - 1] if k else []
        repeated = len(set(filled)) < len(filled)
        if repeated and sum(map(bool, above)) >= 2:
            return _join(rows, k, _spread(above, row))
        return _with_units(rows, k, [*row], groups=False, titles=k)
    return None


def _is_names_row(row: Row, width: int) -> bool:
    filled = [cell for cell in row if cell]
    named = sum(map(_is_name, filled))
    # Days alone ("1", "3", "7") may stand under the name of a marker.
    return len(filled) >= 0.6 * width and (named >= 2 or all(map(_NUMBER.fullmatch, filled)))


def _spread(above: Row, names: Row) -> list[str]:
    """Carry a name over the empty cells right of it, as merged cells are saved to text."""
    spread, last = [], ""
    counts = {name: list(names).count(name) for name in names}
    for k in range(len(names)):
        cell = above[k] if k < len(above) else ""
        last = cell or last
        spread.append(last if counts[names[k]] > 1 else cell)
    return spread


def _join(rows: Sequence[Row], at: int, groups: Row) -> Header:
    below = list(rows[at])
    counts = {name: below.count(name) for name in below}
    names = []
    for k, name in enumerate(below):
        group = groups[k] if k < len(groups) else ""
        if not name or name == group:
            names.append(group or name)
        elif group and (counts[name] > 1 or read_time(name)):
            names.append(f"{name} {group}" if _has_number(group) else f"{group} {name}")
        else:
            names.append(name)
    return _with_units(rows, at, names, groups=True, titles=max(at - 1, 0))


def _has_number(text: str) -> bool:
    return any(c.isdigit() for c in text)


def _with_units(
    rows: Sequence[Row], at: int, names: list[str], *, groups: bool, titles: int
) -> Header:
    following = list(rows[at + 1]) if at + 1 < len(rows) else []
    filled = [cell for cell in following if cell]
    measured = [k for k, cell in enumerate(following) if tidy_unit(cell)]
    if measured and all(tidy_unit(c) or _is_no_cell(c) for c in filled):
        units = {k: following[k].strip("[]() ") for k in measured}
        return Header(names, units, titles, at + 2, groups)
    return Header(names, {}, titles, at + 1, groups)


def _is_no_cell(cell: str) -> bool:
    """Whether a cell stands in a row of units beside them: "days", "-", "m/f"."""
    bare = cell.strip("[]() ")
    return (
        unit_of_time(bare) != ""
        or re.fullmatch(r"-+|[^\W\d_]+/[^\W\d_]+|0/1|1/0", bare) is not None
    )


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with none twice and none empty."""
    seen: dict[str, int] = {}
    made = []
    for k, name in enumerate(names, 1):
        name = " ".join(str(name).split()) or f"unnamed {k}"
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return made
