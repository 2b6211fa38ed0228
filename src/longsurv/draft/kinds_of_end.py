"""A row for each kind of end of a patient, as relapse and death: in columns beside each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show
from longsurv.draft.cells import read_column
from longsurv.draft.names import says
from longsurv.draft.sheet import Sheet


def with_ends_apart(sheet: Sheet) -> Sheet:
    """The table with one row a patient, where its rows are the kinds of end of each.

    Nothing may vary within a patient but a time, a status, and the kind that both are of.

    Parameters
    ----------
    sheet : Sheet
        With its column of patients.

    Returns
    -------
    Sheet
        The same one if it is of another form.
    """
    if not sheet.repeats or sheet.filled_down:
        return sheet
    varying = [name for name in sheet.columns if sheet.varies(name) and name != sheet.patient]
    rows = [name for name in varying if says(name, "row") >= 2]
    varying = [name for name in varying if name not in rows]
    status = [name for name in varying if says(name, "status") >= 2 and _is_coded(sheet, name)]
    times = [name for name in varying if says(name, "exit") >= 2 and name not in status]
    kinds = [name for name in varying if name not in (*status, *times) and _is_kind(sheet, name)]
    if (len(status), len(times), len(kinds)) != (1, 1, 1) or len(varying) != 3:
        return sheet
    if sheet.columns[times[0]].kind != "number" or says(kinds[0], "treatment") >= 2:
        return sheet
    return _apart(sheet, kinds[0], [times[0], status[0]], rows)


def _is_coded(sheet: Sheet, name: str) -> bool:
    return set(sheet.columns[name].texts) <= {"0", "1"}


def _is_kind(sheet: Sheet, name: str) -> bool:
    """Whether each patient has a row of each of a few kinds, and none has two of one."""
    column, owner = sheet.columns[name], sheet.owner
    if not 2 <= column.distinct <= 4 or (column.codes < 0).any() or (owner < 0).any():
        return False
    pairs = owner * column.distinct + column.codes
    return len(np.unique(pairs)) == len(pairs) == len(sheet.people) * column.distinct


def _apart(sheet: Sheet, kind: str, values: list[str], rows: list[str]) -> Sheet:
    raw, ident = sheet.raw, sheet.patient
    rest = raw.frame.drop(columns=[*rows, kind, *values]).groupby(ident, sort=False).first()
    wide = raw.frame.pivot(index=ident, columns=kind, values=values)
    wide.columns = pd.Index([f"{a} ({kind} {b})" for a, b in wide.columns])
    frame = rest.join(wide.infer_objects()).reset_index()
    name, gone = raw.variable, [*rows, kind, *values]
    lines = (
        f"rest = {name}.drop(columns={gone!r}).groupby({ident!r}, sort=False).first()",
        f"wide = {name}.pivot(index={ident!r}, columns={kind!r}, values={values!r})",
        f"wide.columns = [f'{{a}} ({kind} {{b}})' for a, b in wide.columns]",
        f"{name} = rest.join(wide.infer_objects()).reset_index()",
    )
    note = f"a row of each {show(kind)} was put into columns of its own"
    done = replace(raw, frame=frame, lines=(*raw.lines, *lines), notes=(*raw.notes, note),
                   straight=False)  # fmt: skip
    columns = {c: read_column(frame[c], c) for c in frame.columns}
    return replace(sheet, raw=done, columns=columns)
