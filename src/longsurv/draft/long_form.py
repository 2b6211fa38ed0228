"""Measurements put into one row each: patient, time, marker, value; and the pandas lines for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from longsurv.draft import recipes
from longsurv.draft.layout import read_time, read_times
from longsurv.draft.markers import name_and_unit
from longsurv.draft.measured import FoundMarker
from longsurv.draft.names import DAYS, plain
from longsurv.draft.series import Series
from longsurv.draft.tidy import (
    MARKER,
    TIME,
    TO_DAYS,
    VALUE,
    Tidy,
    cleaned,
    cleaning,
    dates_of,
    days_of,
    when_text,
)
from longsurv.draft.understanding import Understanding
from longsurv.words import plural

# Hours and minutes, as "47:30", in hours.
_HOURS = "lambda t: sum(int(part) / 60**k for k, part in enumerate(t))"

# What a melted table calls its columns for a moment: names that no column of a file has.
_COLUMN, _CELL = "column of the table", "cell of the table"


def measured(
    found: Understanding,
    part: Series,
    frames: dict[str, pd.DataFrame],
    tidy: Tidy,
    whole: bool,
) -> pd.DataFrame:
    """The measurements of one table in long form: patient, time, marker, value."""
    sheet, ident = part.sheet, tidy.names["id"]
    name = "measurements" if len(found.series) == 1 else f"part_{sheet.raw.variable}"
    frame = frames[sheet.raw.variable]
    spell = {plain(m.name).replace(" ", ""): m for m in found.markers}
    if part.shape == "columns":
        long = _melt_places(part, frame, tidy, name, spell)
    else:
        time, expression = _times(found, part, frame, tidy, whole)
        variable = sheet.raw.variable
        tidy.lines.append(f"{variable} = {variable}.assign(**{{{TIME + '_'!r}: {expression}}})")
        frame = frame.assign(**{TIME + "_": time})
        if part.shape == "long":
            long = _rename_long(part, frame, tidy, name, found)
        else:
            long = _melt_visits(part, frame, tidy, name, spell)
    long = long.rename(columns={sheet.patient: ident}).dropna(subset=[VALUE])
    tidy.lines.append(
        f"{name} = {name}.rename(columns={{{sheet.patient!r}: {ident!r}}})"
        f".dropna(subset=[{VALUE!r}])"
    )
    return long.reset_index(drop=True)


def _clean_markers(
    part: Series,
    columns: Sequence[str],
    frame: pd.DataFrame,
    tidy: Tidy,
    codes: dict[str, list[str]],
) -> pd.DataFrame:
    """Clean the columns of values, those alike together."""
    frame = frame.copy(deep=False)
    alike: dict[str, list[str]] = {}
    for name in columns:
        column, extra = part.sheet.columns[name], codes.get(name, [])
        arguments = cleaning(column, extra)
        if arguments:
            frame[name] = cleaned(frame[name], column, extra)
            alike.setdefault(arguments, []).append(name)
    variable = part.sheet.raw.variable
    for arguments, names in alike.items():
        tidy.lines.append(f"for name in {names!r}:")
        tidy.lines.append(f"    {variable}[name] = clean({variable}[name], {arguments})")
    return frame


def _melt_places(
    part: Series, frame: pd.DataFrame, tidy: Tidy, name: str, spell: Mapping[str, FoundMarker]
) -> pd.DataFrame:
    columns = [p.column for p in part.places]
    codes = {p.column: list(spell[_key(p.marker)].codes) for p in part.places
             if _key(p.marker) in spell}  # fmt: skip
    frame = _clean_markers(part, columns, frame, tidy, codes)
    ident, variable = part.sheet.patient, part.sheet.raw.variable
    scale = _scale(part.unit, tidy.unit)
    where = {
        p.column: (spell[_key(p.marker)].name if _key(p.marker) in spell else p.marker,
                   round(p.time * scale, 6))
        for p in part.places
    }  # fmt: skip
    long = frame[[ident, *columns]].melt([ident], columns, var_name=_COLUMN, value_name=_CELL)
    long[MARKER] = long[_COLUMN].map({c: m for c, (m, _) in where.items()})
    long[TIME] = long[_COLUMN].map({c: t for c, (_, t) in where.items()})
    long = long.rename(columns={_CELL: VALUE})
    tidy.lines += [
        f"places = {where!r}",
        f"{name} = {variable}[[{ident!r}, *places]].melt([{ident!r}], list(places),"
        f" var_name={_COLUMN!r}, value_name={_CELL!r})",
        f"{name}[{MARKER!r}] = {name}[{_COLUMN!r}].map({{c: m for c, (m, _) in places.items()}})",
        f"{name}[{TIME!r}] = {name}[{_COLUMN!r}].map({{c: t for c, (_, t) in places.items()}})",
        f"{name} = {name}.rename(columns={{{_CELL!r}: {VALUE!r}}})",
        f"{name} = {name}[[{ident!r}, {TIME!r}, {MARKER!r}, {VALUE!r}]]",
    ]
    return long[[ident, TIME, MARKER, VALUE]]


def _melt_visits(
    part: Series, frame: pd.DataFrame, tidy: Tidy, name: str, spell: Mapping[str, FoundMarker]
) -> pd.DataFrame:
    bare = {c: _spelled(c, spell) for c in part.columns}
    codes = {c: list(spell[_key(b)].codes) for c, b in bare.items() if _key(b) in spell}
    frame = _clean_markers(part, part.columns, frame, tidy, codes)
    ident, variable = part.sheet.patient, part.sheet.raw.variable
    keep = [ident, TIME + "_"]
    long = frame.melt(keep, part.columns, var_name=_COLUMN, value_name=_CELL)
    long[_COLUMN] = long[_COLUMN].map(bare)
    long.columns = pd.Index([ident, TIME, MARKER, VALUE])
    tidy.lines += [
        f"{name} = {variable}.melt({keep!r}, {part.columns!r}, var_name={_COLUMN!r},"
        f" value_name={_CELL!r})",
        f"{name}[{_COLUMN!r}] = {name}[{_COLUMN!r}].map({bare!r})",
        f"{name}.columns = {[ident, TIME, MARKER, VALUE]!r}",
    ]
    return long


def _rename_long(
    part: Series, frame: pd.DataFrame, tidy: Tidy, name: str, found: Understanding
) -> pd.DataFrame:
    frame = _clean_markers(part, [part.value], frame, tidy, {})
    ident, variable = part.sheet.patient, part.sheet.raw.variable
    keep = [ident, TIME + "_", part.marker, part.value]
    long = frame[keep].copy()
    long.columns = pd.Index([ident, TIME, MARKER, VALUE])
    texts = part.sheet.columns[part.marker].texts
    bare = {t: name_and_unit(t)[0] for t in texts if name_and_unit(t)[0] != t}
    tidy.lines += [
        f"{name} = {variable}[{keep!r}].copy()",
        f"{name}.columns = {[ident, TIME, MARKER, VALUE]!r}",
    ]
    if bare:
        long[MARKER] = long[MARKER].replace(bare)
        tidy.lines.append(f"{name}[{MARKER!r}] = {name}[{MARKER!r}].replace({bare!r})")
    for one in found.markers:
        if one.codes:
            values = [float(c) for c in one.codes]
            coded = pd.to_numeric(long[VALUE], errors="coerce").isin(values)
            long.loc[(long[MARKER] == one.name) & coded, VALUE] = pd.NA
            tidy.lines.append(
                f"{name}.loc[({name}[{MARKER!r}] == {one.name!r})"
                f" & pd.to_numeric({name}[{VALUE!r}], errors='coerce').isin({values!r}),"
                f" {VALUE!r}] = pd.NA"
            )
    return long


def _key(marker: str) -> str:
    return plain(marker).replace(" ", "")


def _spelled(column: str, spell: Mapping[str, FoundMarker]) -> str:
    bare = name_and_unit(column)[0]
    return spell[_key(bare)].name if _key(bare) in spell else bare


def _scale(unit: str, to: str) -> float:
    """What a time in one unit is multiplied by to be in the other."""
    return DAYS[unit] / DAYS[to] if unit in DAYS and to in DAYS else 1.0


def _times(
    found: Understanding, part: Series, frame: pd.DataFrame, tidy: Tidy, whole: bool
) -> tuple[pd.Series, str]:
    """Times of the rows in the study's unit, and the pandas expression that makes them."""
    variable = part.sheet.raw.variable
    if not part.time:
        return pd.Series(0.0, index=frame.index), "0.0"
    column, cells = part.sheet.columns[part.time], f"{variable}[{part.time!r}]"
    if column.kind == "date":
        return _since(found, part, frame, tidy, whole)
    scale = _scale(part.unit, tidy.unit)
    if column.kind == "text":
        pattern = r"(\d+(?:[.,]\d+)?)"
        known = read_times(column.texts)[0]
        read = {t: known.get(t, np.nan) for t in column.texts}
        plainly = [read_time(t) for t in column.texts]
        values = frame[part.time].astype("string").str.strip().map(read).astype(float)
        if all(":" in t for t in column.texts):
            text = f"{cells}.str.strip().str.split(':').map({_HOURS}, na_action='ignore')"
        elif all(any(c.isdigit() for c in t) for t in column.texts) and [*read.values()] == [
            found[0] for found in plainly if found is not None
        ]:
            text = f"{cells}.str.extract(r{pattern!r})[0].str.replace(',', '.').astype(float)"
        else:
            text = f"{cells}.str.strip().map({read!r}).astype(float)"
    else:
        arguments = cleaning(column)
        values = pd.Series(column.numbers, index=frame.index)
        text = f"clean({cells}, {arguments})" if arguments else cells
        text = f"pd.to_numeric({text})"
    if scale != 1.0:
        tidy.notes.append(f"times of {part.sheet.name} were turned from {part.unit} to {tidy.unit}")
        return (values * scale).round(6), f"({text} * {scale!r}).round(6)"
    return values, text


def _since(
    found: Understanding, part: Series, frame: pd.DataFrame, tidy: Tidy, whole: bool
) -> tuple[pd.Series, str]:
    """Days from each patient's time zero, or from the first measurement where there is none."""
    variable, ident = part.sheet.raw.variable, part.sheet.patient
    order = part.sheet.columns[part.time].order != "month"
    stamps = recipes.when(frame[part.time], order, whole)
    text = f"when({variable}[{part.time!r}], {order}, {whole})"
    zero = found.outcome.zero
    if zero is None:
        begin = stamps.groupby(frame[ident]).transform("min")
        tidy.notes.append("time zero is each patient's first measurement: no other date says it")
        expression = f"(({text} - {text}.groupby({variable}[{ident!r}]).transform('min')){TO_DAYS}"
        return days_of(stamps - begin), expression
    start = dates_of(zero, tidy.patients, whole)
    start = pd.Series(start.to_numpy(), index=tidy.patients[tidy.names["id"]])
    begin = frame[ident].map(start[~start.index.duplicated()])
    expression = (
        f"(({text} - {variable}[{ident!r}].map(patients.assign(zero={when_text(zero, whole)})"
        f".set_index({tidy.names['id']!r})['zero'])){TO_DAYS}"
    )
    values = days_of(stamps - begin)
    unit = tidy.unit
    if unit in DAYS and unit != "days":
        return (values / DAYS[unit]).round(6), f"({expression} / {DAYS[unit]!r}).round(6)"
    return values, expression


def count(tidy: Tidy, found: Understanding) -> None:
    """Leave out what has no time or patient; count what the study file has a rule for."""
    frame, ident = tidy.measurements, tidy.names["id"]
    assert frame is not None
    there = frame[TIME].notna() & frame[ident].notna()
    if not there.all():
        count = plural(int((~there).sum()), "measurement")
        tidy.notes.append(f"left out of the tidy copy: {count} without a time or patient")
        frame = tidy.measurements = frame[there].reset_index(drop=True)
        tidy.lines.append(
            f"measurements = measurements.dropna(subset={[ident, TIME]!r}).reset_index(drop=True)"
        )
    people = pd.Index(tidy.patients[ident])
    tidy.strangers = int((~frame[ident].isin(people)).sum())
    tidy.early = int((frame[TIME] < 0).sum())
    exit_ = tidy.names.get("exit")
    if exit_:
        ends = pd.to_numeric(tidy.patients[exit_], errors="coerce").to_numpy(dtype=float)
        at = people.get_indexer(frame[ident]) if people.is_unique else np.full(len(frame), -1)
        last = np.append(ends, np.nan)[at]
        late = frame[TIME].to_numpy(dtype=float) > last + 1e-9
        tidy.late = int(late.sum())
        if found.outcome.death is not None:
            dead = dates_of(found.outcome.death, tidy.patients, False).notna().to_numpy()
            tidy.posthumous = int((late & np.append(dead, False)[at]).sum())
    tidy.twice = int(frame.duplicated([ident, TIME, MARKER]).sum())
