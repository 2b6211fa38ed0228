"""The tidy copy, one row a patient and one a measurement, and the pandas lines that make it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from longsurv.draft import recipes
from longsurv.draft.cells import SheetColumn
from longsurv.draft.layout import read_time
from longsurv.draft.markers import name_and_unit
from longsurv.draft.names import DAYS, plain
from longsurv.draft.people import Field
from longsurv.draft.series import Series
from longsurv.draft.sheet import Sheet
from longsurv.draft.tables import SHEET_FUNCTION
from longsurv.draft.understanding import Understanding
from longsurv.words import plural

# Not "time", which a study takes without being told: a doubtful time must be named.
TIME, MARKER, VALUE, EXIT, DIED = "measurement_time", "marker", "value", "exit", "died"


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
    late, early, twice, strangers : int
        Measurements after the end of follow-up, before time zero, at a time that has one already,
        and of patients who are not in the patient table.
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


def make_tidy(found: Understanding) -> Tidy:
    """Put the tables into the form a study is read from."""
    frames, lines = _prepared(found.sheets)
    ident = (
        found.sheets[0].patient if found.treatment is None else found.treatment.field.sheet.patient
    )
    whole = _whole_days(found)
    patients = _patients(found, frames, ident, lines)
    tidy = Tidy(patients, lines=lines, names={"id": ident})
    for sheet in found.sheets:
        tidy.notes += [f"{sheet.name}: {note}" for note in sheet.raw.notes]
    tidy.unit = found.outcome.unit or next((p.unit for p in found.series if p.unit), "")
    if any(p.time and p.sheet.columns[p.time].kind == "date" for p in found.series):
        tidy.unit = found.outcome.unit or "days"
    _add_outcome(found, tidy, whole, frames)
    if found.series:
        parts = [_measurements(found, part, frames, tidy, whole) for part in found.series]
        tidy.measurements = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
        if len(parts) > 1:
            names = ", ".join(f"part_{part.sheet.raw.variable}" for part in found.series)
            lines.append(f"measurements = pd.concat([{names}], ignore_index=True)")
        _count(tidy)
    return tidy


def script(found: Understanding, tidy: Tidy, stem: str) -> str:
    """The pandas lines as a file that makes the tidy copy again."""
    read = [line for sheet in found.sheets for line in sheet.raw.lines]
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


def _cleaned(cells: pd.Series, column: SheetColumn, extra: Sequence[str] = ()) -> pd.Series:
    units = sorted(column.units, key=len, reverse=True)
    return recipes.clean(cells, [*column.words, *extra], column.decimal, column.thousands, units)


def _prepared(sheets: Sequence[Sheet]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Every table with its identifiers as text in each row."""
    frames, lines = {}, []
    for sheet in sheets:
        name, key = sheet.raw.variable, sheet.patient
        frame = sheet.raw.frame.copy(deep=False)
        texts = np.array([*sheet.people, None], dtype=object)
        frame[key] = texts[sheet.columns[key].codes]  # as `identifier` would, each once
        lines.append(f"{name}[{key!r}] = identifier({name}[{key!r}])")
        if sheet.filled_down:
            frame[key] = frame[key].ffill()
            lines.append(f"{name}[{key!r}] = {name}[{key!r}].ffill()")
        frames[name] = frame
    return frames, lines


def _patients(
    found: Understanding, frames: dict[str, pd.DataFrame], ident: str, lines: list[str]
) -> pd.DataFrame:
    made: pd.DataFrame | None = None
    for sheet in sorted(found.sheets, key=lambda s: s.repeats):
        names = [f.name for f in found.fields if f.sheet is sheet]
        if not names:
            continue
        variable, key = sheet.raw.variable, sheet.patient
        frame = frames[variable]
        call = f"{variable}.groupby({key!r}, sort=False)[{names!r}].first().reset_index()"
        part = frame.groupby(key, sort=False)[names].first().reset_index()
        if key != ident:
            part = part.rename(columns={key: ident})
            call += f".rename(columns={{{key!r}: {ident!r}}})"
        if made is None:
            made = part
            lines.append(f"patients = {call}")
        else:
            made = made.merge(part, on=ident, how="outer")
            lines.append(f"patients = patients.merge({call}, on={ident!r}, how='outer')")
    if made is None:
        first = found.sheets[0]
        made = frames[first.raw.variable][[first.patient]].drop_duplicates().reset_index(drop=True)
        lines.append(
            f"patients = {first.raw.variable}[[{first.patient!r}]].drop_duplicates()"
            ".reset_index(drop=True)"
        )
    for one in found.fields:
        arguments = cleaning(one.column) if one.column.kind == "number" else ""
        if arguments and not one.column.native:
            made[one.name] = _cleaned(made[one.name], one.column)
            lines.append(f"patients[{one.name!r}] = clean(patients[{one.name!r}], {arguments})")
    return made


# The outcome -------------------------------------------------------------------------------------


def _whole_days(found: Understanding) -> bool:
    """Whether some date that matters has no time of day, so that none can be compared by it."""
    columns = [f.column for f in (found.outcome.zero, found.outcome.death, found.outcome.end)
               if f is not None]  # fmt: skip
    columns += [p.sheet.columns[p.time] for p in found.series if p.time]
    stamps = [c.dates[~np.isnat(c.dates)] for c in columns if c.kind == "date"]
    clocked = [bool(np.any(s != s.astype("datetime64[D]"))) for s in stamps if len(s)]
    return any(clocked) and not all(clocked)


def _when(one: Field, whole: bool) -> str:
    first = one.column.order != "month"
    return f"when(patients[{one.name!r}], {first}, {whole})"


def _stamps(one: Field, patients: pd.DataFrame, whole: bool) -> pd.Series:
    return recipes.when(patients[one.name], one.column.order != "month", whole)


def _days(span: pd.Series) -> pd.Series:
    return (span.dt.total_seconds() / 86400).round(6)


_TO_DAYS = ".dt.total_seconds() / 86400).round(6)"


def _first_events(
    tidy: Tidy,
    where: tuple[str, str, str],
    frames: dict[str, pd.DataFrame],
    names: tuple[str, str],
) -> None:
    """Time to the first event of start-stop rows, or to the end of the last."""
    variable, stop, status = where
    ident, (exit_, event) = tidy.names["id"], names
    frame = frames[variable]
    rows = pd.DataFrame(
        {
            ident: frame[ident],
            exit_: pd.to_numeric(frame[stop]),
            event: pd.to_numeric(frame[status]),
        }
    )
    ends = rows.groupby(ident)[exit_].max()
    first = rows[rows[event] == 1].groupby(ident)[exit_].min()
    tidy.patients[exit_] = tidy.patients[ident].map(first.reindex(ends.index).fillna(ends))
    tidy.patients[event] = tidy.patients[ident].isin(first.index).astype(int)
    tidy.names.update(exit=exit_, status=event)
    tidy.lines += [
        f"rows = {variable}.assign(stop_=pd.to_numeric({variable}[{stop!r}]),"
        f" event_=pd.to_numeric({variable}[{status!r}]))",
        f'ends = rows.groupby({ident!r})["stop_"].max()',
        f'first = rows[rows["event_"] == 1].groupby({ident!r})["stop_"].min()',
        f"patients[{exit_!r}] = patients[{ident!r}].map(first.reindex(ends.index).fillna(ends))",
        f"patients[{event!r}] = patients[{ident!r}].isin(first.index).astype(int)",
    ]


def _add_outcome(
    found: Understanding, tidy: Tidy, whole: bool, frames: dict[str, pd.DataFrame]
) -> None:
    outcome, patients, lines = found.outcome, tidy.patients, tidy.lines
    exit_name, died_name = _free(EXIT, patients), _free(DIED, patients)
    if outcome.stop is not None:
        _first_events(tidy, outcome.stop, frames, (exit_name, died_name))
        return
    if outcome.exit is not None:
        tidy.names["exit"] = outcome.exit.name
    elif outcome.zero is not None and (outcome.death is not None or outcome.end is not None):
        last = [one for one in (outcome.death, outcome.end) if one is not None]
        stop = _stamps(last[0], patients, whole)
        text = _when(last[0], whole)
        if len(last) == 2:
            stop = stop.fillna(_stamps(last[1], patients, whole))
            text += f".fillna({_when(last[1], whole)})"
        patients[exit_name] = _days(stop - _stamps(outcome.zero, patients, whole))
        lines.append(
            f"patients[{exit_name!r}] = (({text} - {_when(outcome.zero, whole)}){_TO_DAYS}"
        )
        tidy.names["exit"] = exit_name
    if outcome.status is not None:
        tidy.names["status"] = outcome.status.name
    elif outcome.death is not None:
        day_first = outcome.death.column.order != "month"
        patients[died_name] = recipes.when(patients[outcome.death.name], day_first).notna()
        patients[died_name] = patients[died_name].astype(int)
        lines.append(
            f"patients[{died_name!r}] = when(patients[{outcome.death.name!r}], {day_first})"
            ".notna().astype(int)"
        )
        tidy.names["status"] = died_name


def _free(name: str, frame: pd.DataFrame) -> str:
    """A name no column has yet."""
    while name in frame.columns:
        name += "_"
    return name


# The measurements --------------------------------------------------------------------------------


def _measurements(
    found: Understanding,
    part: Series,
    frames: dict[str, pd.DataFrame],
    tidy: Tidy,
    whole: bool,
) -> pd.DataFrame:
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
            frame[name] = _cleaned(frame[name], column, extra)
            alike.setdefault(arguments, []).append(name)
    variable = part.sheet.raw.variable
    for arguments, names in alike.items():
        tidy.lines.append(f"for name in {names!r}:")
        tidy.lines.append(f"    {variable}[name] = clean({variable}[name], {arguments})")
    return frame


def _melt_places(
    part: Series, frame: pd.DataFrame, tidy: Tidy, name: str, spell: dict
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
    long = frame.melt([ident], columns, var_name="column", value_name=VALUE)
    long[MARKER] = long["column"].map({c: m for c, (m, _) in where.items()})
    long[TIME] = long["column"].map({c: t for c, (_, t) in where.items()})
    tidy.lines += [
        f"places = {where!r}",
        f'{name} = {variable}.melt([{ident!r}], list(places), var_name="column",'
        f" value_name={VALUE!r})",
        f'{name}[{MARKER!r}] = {name}["column"].map({{c: m for c, (m, _) in places.items()}})',
        f'{name}[{TIME!r}] = {name}["column"].map({{c: t for c, (_, t) in places.items()}})',
        f"{name} = {name}[[{ident!r}, {TIME!r}, {MARKER!r}, {VALUE!r}]]",
    ]
    return long[[ident, TIME, MARKER, VALUE]]


def _melt_visits(
    part: Series, frame: pd.DataFrame, tidy: Tidy, name: str, spell: dict
) -> pd.DataFrame:
    bare = {c: _spelled(c, spell) for c in part.columns}
    codes = {c: list(spell[_key(b)].codes) for c, b in bare.items() if _key(b) in spell}
    frame = _clean_markers(part, part.columns, frame, tidy, codes)
    ident, variable = part.sheet.patient, part.sheet.raw.variable
    keep = [ident, TIME + "_"]
    long = frame.melt(keep, part.columns, var_name=MARKER, value_name=VALUE)
    long[MARKER] = long[MARKER].map(bare)
    long.columns = pd.Index([ident, TIME, MARKER, VALUE])
    tidy.lines += [
        f"{name} = {variable}.melt({keep!r}, {part.columns!r}, var_name={MARKER!r},"
        f" value_name={VALUE!r})",
        f"{name}[{MARKER!r}] = {name}[{MARKER!r}].map({bare!r})",
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


def _spelled(column: str, spell: dict) -> str:
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
        read = {t: (read_time(t) or (np.nan, ""))[0] for t in column.texts}
        values = frame[part.time].astype("string").str.strip().map(read).astype(float)
        if all(any(c.isdigit() for c in t) for t in column.texts):
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
        expression = f"(({text} - {text}.groupby({variable}[{ident!r}]).transform('min')){_TO_DAYS}"
        return _days(stamps - begin), expression
    start = _stamps(zero, tidy.patients, whole)
    start = pd.Series(start.to_numpy(), index=tidy.patients[tidy.names["id"]])
    begin = frame[ident].map(start[~start.index.duplicated()])
    expression = (
        f"(({text} - {variable}[{ident!r}].map(patients.assign(zero={_when(zero, whole)})"
        f".set_index({tidy.names['id']!r})['zero'])){_TO_DAYS}"
    )
    values = _days(stamps - begin)
    unit = tidy.unit
    if unit in DAYS and unit != "days":
        return (values / DAYS[unit]).round(6), f"({expression} / {DAYS[unit]!r}).round(6)"
    return values, expression


def _count(tidy: Tidy) -> None:
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
        tidy.late = int((frame[TIME].to_numpy(dtype=float) > last + 1e-9).sum())
    tidy.twice = int(frame.duplicated([ident, TIME, MARKER]).sum())
