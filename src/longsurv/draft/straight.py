"""Whether a study can read the files as they are, or why a tidy copy is needed."""

from __future__ import annotations

import numpy as np

from longsurv.cohort.problems import show
from longsurv.draft.cells import NOT_MEASURED, SheetColumn, unread_dates
from longsurv.draft.names import plain
from longsurv.draft.series import Series
from longsurv.draft.sheet import Sheet
from longsurv.draft.tidy import Tidy
from longsurv.draft.understanding import Understanding, covariates


def reasons(found: Understanding, tidy: Tidy) -> list[str]:
    """Why the files cannot be named in a study file as they are; empty if they can."""
    why = []
    if len(found.series) > 1:
        why.append("several tables hold measurements")
    measured = found.series[0].sheet if found.series else None
    tables = patient_tables(found)
    if len(tables) != 1:
        why.append("what is known of a patient stands in several tables")
    if measured is None and tables[0].repeats:
        why.append("patients have several rows")
    if found.series and found.series[0].shape == "columns" and not wide_pattern(found.series[0]):
        why.append("each marker has a column for each time")
    elsewhere = [f for f in _used(found) if tables and f.sheet is not tables[0]]
    if elsewhere:
        why.append("columns of one value a patient stand in the table of measurements")
    if found.outcome.stop is not None:
        why.append("the first event is found among several rows a patient")
    elif found.outcome.exit is None and "exit" in tidy.names:
        why.append("the time of follow-up is computed from dates")
    if found.outcome.sooner is not None:
        why.append("the time of follow-up stands in two columns")
    if found.outcome.mark is not None:
        why.append("the status is told by a column that is else empty")
    elif found.outcome.death is not None and found.outcome.status is None:
        why.append("the status is told by a date of death")
    for sheet in {id(s): s for s in (*tables, *([measured] if measured else []))}.values():
        why += _of_sheet(sheet, found)
    why += _of_series(found, tidy)
    return list(dict.fromkeys(why))


def patient_tables(found: Understanding) -> list[Sheet]:
    """Tables of what is known of each patient; where there is only one table, that one."""
    measured = found.series[0].sheet if found.series else None
    apart = [sheet for sheet in found.sheets if not sheet.repeats and sheet is not measured]
    return apart or found.sheets


def wide_pattern(part: Series) -> str:
    """The pattern of all columns of a wide table, such as "{marker}_d{time}"; "" if there is none.

    The columns must be called exactly so, with one unit of time.
    """
    spelt = {p.marker for p in part.places}
    if len({plain(marker).replace(" ", "") for marker in spelt}) < len(spelt):
        return ""  # "CRP_d1" and "crp_d3": one marker, in two spellings
    first = part.places[0]
    time = f"{first.time:g}"
    name = first.column
    if name.count(first.marker) != 1 or name.replace(first.marker, "", 1).count(time) != 1:
        return ""
    start = name.index(first.marker)
    end = start + len(first.marker)
    pattern = name[:start].replace(time, "{time}") + "{marker}" + name[end:].replace(time, "{time}")
    if any("{" in c or "}" in c for c in (first.marker, *pattern.split("{marker}"))
           if c.replace("{time}", "") != c.replace("{time}", "").strip("{}")):  # fmt: skip
        return ""
    made = [
        pattern.replace("{time}", f"{p.time:g}").replace("{marker}", p.marker) for p in part.places
    ]
    return pattern if made == [p.column for p in part.places] else ""


def _used(found: Understanding):  # type: ignore[no-untyped-def]
    one = found.outcome
    fields = [one.exit, one.sooner, one.status, one.mark, one.entry, *(covariates(found))]
    if found.treatment is not None:
        fields.append(found.treatment.field)
    return [f for f in fields if f is not None]


def _of_sheet(sheet: Sheet, found: Understanding) -> list[str]:
    why = []
    if sheet.raw.path is None:
        why.append("data frames have no file")
    if not sheet.raw.straight:
        why.append(f"{sheet.name} is not a plain table, or of a kind a study does not read")
    if sheet.filled_down:
        why.append("identifiers stand only in the first row of each patient")
    used = [f.column for f in _used(found) if f.sheet is sheet]
    for part in found.series:
        if part.sheet is sheet:
            used += [sheet.columns[n] for n in _numeric(part)]
    numbers = [c for c in used if c.kind == "number"]
    for column in numbers:
        why += _of_column(column, sheet)
    points = any(c.decimal == "." and _has(c, ".") for c in numbers)
    if points and any(c.decimal == "," for c in numbers):
        why.append("decimal commas and points stand in one table")
    taken = [c for c in used if c.kind in ("number", "text")]
    words = {w for c in taken for w in c.words}
    for column in sheet.columns.values():
        if all(column is not one for one in taken) and words & set(column.texts):
            why.append("a code for a missing value is a value of another column")
            break
    return why


def _numeric(part: Series) -> list[str]:
    names = [part.time, part.value, *part.columns, *(p.column for p in part.places)]
    return [name for name in names if name]


def _has(column: SheetColumn, mark: str) -> bool:
    return not column.native and any(mark in text for text in column.texts[:500])


def _of_column(column: SheetColumn, sheet: Sheet) -> list[str]:
    why = []
    if column.units:
        why.append("units stand in the cells")
    if column.thousands:
        why.append("numbers have marks between thousands")
    if column.flags:
        why.append("marks such as H and L stand after numbers")
    if column.spoken:
        why.append("limits are written in words")
    if column.decimal == "," and sheet.decimal != ",":
        why.append("decimal commas and points stand in one table")
    if column.decimal == "," and column.censored.any():
        loose = [t for t in column.texts if t[:1] in "<>" and t[1:2] == " "]
        if loose:
            why.append(f"limits are written as {show(loose[0])}")
    return why


def _of_series(found: Understanding, tidy: Tidy) -> list[str]:
    if not found.series:
        return []
    part = found.series[0]
    why = []
    if part.time == "time" and found.doubts("measurement time"):
        why.append("the time of the measurements is a choice to make")
    if part.time:
        column = part.sheet.columns[part.time]
        if column.kind == "date":
            why.append("measurements have dates")
        elif column.kind == "text":
            why.append("times of measurements are written in words")
        elif part.unit and tidy.unit and part.unit != tidy.unit:
            why.append("measurements and follow-up have different units of time")
        elif np.isnan(column.numbers).any():
            why.append("some measurements have no time")
    elif part.shape != "columns":
        why.append("measurements have no time")
    elif part.unit and tidy.unit and part.unit != tidy.unit:
        why.append("measurements and follow-up have different units of time")
    if any(m.codes for m in found.markers):
        why.append("numbers stand for missing values")
    if part.shape == "long":
        names = {m.name for m in found.markers}
        if set(part.sheet.columns[part.marker].texts) - names:
            why.append("units stand in the names of markers")
    return why


def file_keys(sheet: Sheet, words: list[str]) -> dict[str, object]:
    """Keys of the study file that say how a file is to be read."""
    keys: dict[str, object] = {}
    raw = sheet.raw
    assert raw.path is not None
    if raw.skip:
        keys["skip_rows"] = raw.skip
    if raw.sheet and raw.path.suffix.lower().startswith(".xls"):
        keys["sheet"] = raw.sheet
    usual = "\t" if raw.path.suffix.lower() == ".tsv" else ","
    if raw.separator and raw.separator != usual:
        keys["separator"] = raw.separator
    if raw.encoding and raw.encoding not in ("utf-8", "utf-8-sig"):
        keys["encoding"] = raw.encoding
    if sheet.decimal == ",":
        keys["decimal"] = ","
    if words:
        keys["missing"] = words
    return keys


def taken_for_missing(found: Understanding) -> list[str]:
    """What stands among numbers, is none, and is no usual word for a missing one either."""
    said = []
    for sheet in found.sheets:
        for column in _columns_used(sheet, found):
            odd = {w: n for w, n in column.words.items() if w.casefold() not in NOT_MEASURED}
            if column.kind == "date" and unread_dates(column):
                shown = [f"{show(w)} ({n:,})" for w, n in list(unread_dates(column).items())[:5]]
                said.append(
                    f"{column.name} of {sheet.name}: {', '.join(shown)} are no dates and are taken"
                    " for missing; correct them if they are"
                )
            if column.kind == "text" and column.words:
                shown = [f"{show(w)} ({n:,})" for w, n in column.words.items()]
                said.append(f"{column.name} of {sheet.name}: {', '.join(shown)} taken for missing")
            if column.kind == "number" and odd:
                shown = [f"{show(word)} ({count:,})" for word, count in list(odd.items())[:5]]
                more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
                said.append(
                    f"{column.name} of {sheet.name}: {', '.join(shown)}{more} are no numbers and"
                    " are taken for missing; correct them if they are values"
                )
    return said


def words_of(sheet: Sheet, found: Understanding) -> list[str]:
    """What stands for a missing value in the columns that are used."""
    columns = _columns_used(sheet, found)
    return sorted({w for c in columns if c.kind in ("number", "text") for w in c.words})


def _columns_used(sheet: Sheet, found: Understanding) -> list[SheetColumn]:
    dates = [found.outcome.zero, found.outcome.death, found.outcome.end]
    fields = [*_used(found), *(f for f in dates if f is not None)]
    columns = [f.column for f in fields if f.sheet is sheet]
    for part in found.series:
        if part.sheet is sheet:
            columns += [sheet.columns[n] for n in _numeric(part)]
    return list({column.name: column for column in columns}.values())
