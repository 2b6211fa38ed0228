"""Tables put into one row a patient, with the outcome, and one a measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from longsurv.draft import recipes
from longsurv.draft.long_form import count, measured
from longsurv.draft.sheet import Sheet
from longsurv.draft.tidy import (
    DIED,
    EXIT,
    HAD_EVENT,
    TO_DAYS,
    Tidy,
    cleaned,
    cleaning,
    dates_of,
    days_of,
    when_text,
)
from longsurv.draft.understanding import Understanding
from longsurv.words import plural


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
        parts = [measured(found, part, frames, tidy, whole) for part in found.series]
        tidy.measurements = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
        if len(parts) > 1:
            names = ", ".join(f"part_{part.sheet.raw.variable}" for part in found.series)
            lines.append(f"measurements = pd.concat([{names}], ignore_index=True)")
        count(tidy, found)
        tidy.notes += _coded(found)
    return tidy


def _coded(found: Understanding) -> list[str]:
    """What was taken for a missing value although it is a number, and how often."""
    coded = [m for m in found.markers if m.coded]
    if not coded:
        return []
    codes = sorted({code for m in coded for code in m.codes}, key=float)
    values = plural(sum(m.coded for m in coded), "value")
    return [f"{values} of {plural(len(coded), 'marker')} taken for missing: {', '.join(codes)}"]


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
        names = [f.name for f in found.fields if f.sheet is sheet and f.name != ident]
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
        if one.column.kind == "text" and one.column.words:
            words = list(one.column.words)
            made[one.name] = made[one.name].mask(made[one.name].isin(words))
            lines.append(
                f"patients[{one.name!r}] = patients[{one.name!r}].mask(patients[{one.name!r}]"
                f".isin({words!r}))"
            )
        arguments = cleaning(one.column) if one.column.kind == "number" else ""
        if arguments and not one.column.native:
            made[one.name] = cleaned(made[one.name], one.column)
            lines.append(f"patients[{one.name!r}] = clean(patients[{one.name!r}], {arguments})")
    return made


def _whole_days(found: Understanding) -> bool:
    """Whether some date that matters has no time of day, so that none can be compared by it."""
    columns = [f.column for f in (found.outcome.zero, found.outcome.death, found.outcome.end)
               if f is not None]  # fmt: skip
    columns += [p.sheet.columns[p.time] for p in found.series if p.time]
    stamps = [c.dates[~np.isnat(c.dates)] for c in columns if c.kind == "date"]
    clocked = [bool(np.any(s != s.astype("datetime64[D]"))) for s in stamps if len(s)]
    return any(clocked) and not all(clocked)


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
    if outcome.stop is not None:  # of what kind nothing says
        _first_events(tidy, outcome.stop, frames, (exit_name, _free(HAD_EVENT, patients)))
        return
    if outcome.exit is not None and outcome.sooner is not None:
        sooner, later = (f"pd.to_numeric(patients[{one.name!r}], errors='coerce')"
                       for one in (outcome.sooner, outcome.exit))  # fmt: skip
        patients[exit_name] = pd.to_numeric(patients[outcome.sooner.name], errors="coerce").fillna(
            pd.to_numeric(patients[outcome.exit.name], errors="coerce")
        )
        lines.append(f"patients[{exit_name!r}] = {sooner}.fillna({later})")
        tidy.names["exit"] = exit_name
    elif outcome.exit is not None:
        tidy.names["exit"] = outcome.exit.name
    elif outcome.zero is not None and (outcome.death is not None or outcome.end is not None):
        last = [one for one in (outcome.death, outcome.end) if one is not None]
        stop = dates_of(last[0], patients, whole)
        text = when_text(last[0], whole)
        if len(last) == 2:
            stop = stop.fillna(dates_of(last[1], patients, whole))
            text += f".fillna({when_text(last[1], whole)})"
        patients[exit_name] = days_of(stop - dates_of(outcome.zero, patients, whole))
        lines.append(
            f"patients[{exit_name!r}] = (({text} - {when_text(outcome.zero, whole)}){TO_DAYS}"
        )
        tidy.names["exit"] = exit_name
    if outcome.status is not None:
        tidy.names["status"] = outcome.status.name
    elif outcome.mark is not None:
        mark = outcome.mark.name
        patients[died_name] = patients[mark].notna().astype(int)
        lines.append(f"patients[{died_name!r}] = patients[{mark!r}].notna().astype(int)")
        tidy.names["status"] = died_name
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
