"""What was measured repeatedly: which columns hold the markers, and which the time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show, show_list
from longsurv.draft import markers
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.layout import Place, find_families, read_time, read_times
from longsurv.draft.markers import name_and_unit
from longsurv.draft.names import plain, says, time_unit
from longsurv.draft.sheet import Sheet
from longsurv.words import plural

Shape = Literal["long", "visits", "columns"]


@dataclass(frozen=True)
class Series:
    """The measurements of one table.

    Attributes
    ----------
    sheet : Sheet
    shape : {"long", "visits", "columns"}
        One row a measurement; one row a visit and a column a marker; or one row a patient and a
        column a marker and time.
    time : str
        Column of the time; "" for columns that have it in their names.
    unit : str
        Unit of the time, "" if nothing says.
    marker, value, units : str
        Columns of a long table.
    places : list of Place
        Of a table with a column a marker and time.
    columns : list of str
        Of a table of visits.
    """

    sheet: Sheet
    shape: Shape
    time: str = ""
    unit: str = ""
    marker: str = ""
    value: str = ""
    units: str = ""
    places: list[Place] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)

    @property
    def taken(self) -> set[str]:
        """Its columns, as "variable:column"."""
        names = {self.time, self.marker, self.value, self.units, *self.columns}
        names |= {place.column for place in self.places}
        return {f"{self.sheet.raw.variable}:{name}" for name in names if name}


def find_series(sheets: Sequence[Sheet]) -> tuple[list[Series], list[Guess]]:
    """The measurements of every table that has some."""
    found, guesses = [], []
    for sheet in sheets:
        series, said = _repeated(sheet) if sheet.repeats else _columns(sheet)
        if series is not None:
            found.append(series)
        guesses += said
    several = [sheet.name for sheet in sheets if sheet.repeats]
    if not found and several:
        varying = [
            name for sheet in sheets if sheet.repeats for name in sheet.columns
            if sheet.varies(name) and not says(name, "row")
        ]  # fmt: skip
        reason = f"{show_list(several)}: several rows a patient, but no marker in them"
        if varying:
            reason += f"; of what varies ({show_list(varying, 6)}) nothing is taken for one"
        guesses.append(Guess("measurements", "", reason, "doubtful"))
    elif not found:
        guesses.append(_none(sheets))
    return found, guesses


def _none(sheets: Sequence[Sheet]) -> Guess:
    """Say that nothing was measured repeatedly, unless columns begin with one marker's name."""
    reason = "no table holds repeated measurements"
    for sheet in sheets:
        first: dict[str, list[str]] = {}
        for name, column in sheet.columns.items():
            word = re.split(r"[\s_.]", name)[0].rstrip("0123456789")
            if column.kind == "number" and markers.find(word) is not None and word != name:
                first.setdefault(word, []).append(name)
        several = max(first.values(), key=len, default=[])
        if len(several) > 2:
            reason += f"; but {show_list(several, 4)} may be one marker at several times"
            return Guess("measurements", "", reason, "doubtful")
    return Guess("measurements", "", reason, "likely")


def _columns(sheet: Sheet) -> tuple[Series | None, list[Guess]]:
    numeric = [
        name for name, c in sheet.columns.items()
        if name != sheet.patient and (c.kind in ("number", "empty"))
    ]  # fmt: skip
    places = find_families(numeric)
    full = {p.marker for p in places if sheet.columns[p.column].kind == "number"}
    places = [p for p in places if p.marker in full]
    if not places:
        return None, []
    words = {p.word for p in places if p.word not in ("", "base")}
    times = sorted({p.time for p in places})
    names = list(dict.fromkeys(p.marker for p in places))
    example = places[0].column
    several = len(words) > 1
    if several and len(words - {"t"}) == 1:  # "T0", "T24h"
        words, several = words - {"t"}, False
    unit = words.pop() if len(words) == 1 else ""
    alike = len({p.word for p in places if p.time > 0}) == 1
    how: Sureness = "sure" if alike and unit not in ("", "t", "visit") else "likely"
    reason = (
        f"{sheet.name} has one row a patient and a column a marker and time, such as"
        f" {show(example)}: {show_list(names, 6)} at {', '.join(f'{t:g}' for t in times[:8])}"
    )
    choices: tuple[str, ...] = ()
    if unit == "visit":
        how, choices = "doubtful", ("these may be numbers of visits, not times",)
    elif unit == "" and times == list(range(1, len(times) + 1)) and len(times) > 2:
        how, choices = "doubtful", ("1, 2, 3 may be numbers of visits, not times",)
    elif several:
        how, choices = "doubtful", ("the names use several units of time",)
    return (
        Series(sheet, "columns", unit="" if unit in ("t", "visit") else unit, places=places),
        [Guess("measurements", sheet.name, reason, how, choices)],
    )


def _repeated(sheet: Sheet) -> tuple[Series | None, list[Guess]]:
    time, said = _time(sheet)
    long = _long(sheet, time)
    if long is not None:
        marker, value, units = long
        reason = (
            f"{sheet.name} has one row a measurement: its name in {show(marker)}, its value in"
            f" {show(value)}"
        )
        series = Series(sheet, "long", time, time_unit(time), marker, value, units)
        return series, [Guess("measurements", sheet.name, reason, "sure"), *said]
    columns = _marker_columns(sheet, time)
    if not columns:
        return None, []
    reason = f"{sheet.name} has one row a visit and a column a marker: {show_list(columns, 8)}"
    said = _with_times(sheet, time, columns, said)
    known = all(markers.find(name_and_unit(c)[0]) is not None for c in columns)
    guess = Guess("measurements", sheet.name, reason, "sure" if known else "likely")
    return Series(sheet, "visits", time, _unit(sheet, time), columns=columns), [guess, *said]


def _with_times(sheet: Sheet, time: str, columns: Sequence[str], said: list[Guess]) -> list[Guess]:
    """Doubt times in words, some of which say none although something was measured then."""
    if not time or sheet.columns[time].kind != "text":
        return said
    of = sheet.columns[time]
    measured = np.any([np.isfinite(sheet.columns[c].numbers) for c in columns], axis=0)
    codes = np.unique(of.codes[measured & (of.codes >= 0)])
    unread = [of.texts[k] for k in codes if read_time(of.texts[k]) is None]
    if not unread:
        return said
    why = f"; something was measured at {show_list(unread, 4)}, which say no time"
    return [replace(g, reason=g.reason + why, sureness="doubtful") for g in said]


def _unit(sheet: Sheet, time: str) -> str:
    """The unit of a time, from the column's name or its cells ("Day 4")."""
    if not time:
        return ""
    column = sheet.columns[time]
    if column.kind == "text":
        return read_times(column.texts)[1] or time_unit(time)
    return time_unit(time)


def _time(sheet: Sheet) -> tuple[str, list[Guess]]:
    scored = sorted(
        ((s, name) for name in sheet.columns if (s := _time_score(sheet, name)) > 0),
        key=lambda x: -x[0],
    )
    if not scored:
        return _unnamed_time(sheet)
    score, name = scored[0]
    column = sheet.columns[name]
    rivals = [n for s, n in scored[1:] if s > score - 0.75 and not _is_of_events(n)]
    how: Sureness = "sure" if score >= 3 and not column.serial else "likely"
    if rivals or score < 1.5 or (column.kind == "date" and not column.order_sure):
        how = "doubtful"
    if (
        re.search(r"\bvisit\w*$|visit (no|nr|number)|timepoint", plain(name))
        and column.kind != "date"
    ):
        how = "doubtful" if how == "doubtful" else "likely"
    reason = f"{show(name)} of {sheet.name} varies from row to row of a patient"
    if column.kind == "text" and all(":" in t for t in column.texts):
        hours = max(read[0] for read in map(read_time, column.texts) if read is not None)
        how = "likely" if hours >= 24 and how != "doubtful" else "doubtful"
        reason += ", in hours and minutes" + (
            "" if hours >= 24 else "; a time of day says when only with its date"
        )
    elif column.kind == "text":
        units = {read[1] for read in map(read_time, column.texts) if read is not None and read[1]}
        unlike = len(units) > 1 or None in map(read_time, column.texts)
        how = "likely" if unlike and how == "sure" else how
        if not read_times(column.texts)[2]:
            how, reason = "doubtful", f"{reason}, with several units of time and some without"
    return name, [Guess("measurement time", name, reason, how, tuple(map(show, rivals[:4])))]


_STEP = re.compile(
    r"\b(period|occasion|wave|session|cycle|round|periode|zyklus|welle|sitzung|vague|seance)\b|回"
)


def _unnamed_time(sheet: Sheet) -> tuple[str, list[Guess]]:
    """What may be the time where no column is named so: an age, or the number of each visit."""
    steps = [name for name in sheet.columns if _is_step(sheet, name)]
    steps.sort(key=lambda name: (not says(name, "age"), not _STEP.search(plain(name))))
    if not steps:
        reason = f"{sheet.name} has no column that could be the time of its measurements"
        return "", [Guess("measurement time", "", reason, "doubtful")]
    first, others = steps[0], steps[1:4]
    reason = (
        f"{show(first)} of {sheet.name} is another one in every row of a patient, and no column is"
        " named as a time"
    )
    return first, [Guess("measurement time", first, reason, "doubtful", tuple(map(show, others)))]


def _is_step(sheet: Sheet, name: str) -> bool:
    """Whether a column of ages or of steps never has one value twice within a patient."""
    column = sheet.columns[name]
    if name == sheet.patient or column.kind != "number" or says(name, "row"):
        return False
    if not sheet.varies(name) or np.isnan(column.numbers).any():
        return False
    if not (says(name, "age") or _STEP.search(plain(name)) or _counts(sheet, name)):
        return False
    return not pd.DataFrame({"owner": sheet.owner, "value": column.numbers}).duplicated().any()


def _is_of_events(name: str) -> bool:
    """Whether a column has the names of a trial's forms, as databases of trials export them."""
    return re.search(r"\bevent name\b", plain(name)) is not None


def _time_score(sheet: Sheet, name: str) -> float:
    column = sheet.columns[name]
    if name == sheet.patient or sheet.varies(name) is False or column.distinct < 2:
        return 0.0
    if markers.find(name_and_unit(name)[0]) is not None or says(name, "value") == 3:
        return 0.0
    named = says(name, "visit")
    if column.kind == "date":
        return 1.5 + named - (1.5 if says(name, "birth") or says(name, "end date") > named else 0)
    if column.kind == "text":
        read = [read_time(t) is not None for t in column.texts]
        if named == 0 and _is_of_events(name) and sum(read) > 1:
            return 1.6  # with events of other forms
        few = len(read) < 400 or all(":" in t for t in column.texts)
        return 1.0 + named if all(read) and few else 0.0
    if column.kind != "number" or column.units or named == 0:
        return 0.0
    score = float(named)
    if says(name, "stop") == 3 or says(name, "entry") == 3:
        score -= 2.0
    if says(name, "age"):
        score -= 1.0
    if re.search(r"visit|visite|timepoint", plain(name)):
        score -= 0.8  # a number of visits beside a time
    return score


def _long(sheet: Sheet, time: str) -> tuple[str, str, str] | None:
    """Columns of name, value and unit where a row is a measurement."""
    best, chosen = 0.0, ""
    for name, column in sheet.columns.items():
        if name in (sheet.patient, time) or column.distinct > 2000 or says(name, "unit"):
            continue
        if column.kind != "text" and not _is_code(sheet, name, time):
            continue
        known = [markers.find(name_and_unit(t)[0]) is not None for t in column.texts]
        # A table of one marker names it in each row.
        if not sheet.varies(name) and (np.mean(known) < 1 or says(name, "marker") < 2):
            continue
        score = 4.0 * float(np.mean(known)) + says(name, "marker")
        if score > best and (np.mean(known) >= 0.3 or says(name, "marker") >= 2):
            best, chosen = score, name
    if not chosen:
        return None
    values = sorted(
        (
            (says(n, "value") + (1 if c.kind == "number" else 0) + c.filled / sheet.rows, n)
            for n, c in sheet.columns.items()
            if n not in (sheet.patient, time, chosen) and sheet.varies(n) and c.kind == "number"
            and (says(n, "value") or not (says(n, "row") or _is_key(n)))
        ),
        reverse=True,
    )  # fmt: skip
    if not values or (values[0][0] < 2.5 and len(values) > 1):
        return None
    if len([n for _, n in values if markers.find(name_and_unit(n)[0]) is not None]) > 1:
        return None
    units = [n for n, c in sheet.columns.items() if says(n, "unit") >= 2 and c.kind == "text"]
    return chosen, values[0][1], units[0] if units else ""


def _is_code(sheet: Sheet, name: str, time: str) -> bool:
    """Whether a column of whole numbers says by a code what was measured, beside its value.

    Several codes then stand at one time of a patient.
    """
    column = sheet.columns[name]
    if column.kind != "number" or says(name, "marker") < 2 or column.distinct < 2:
        return False
    known = column.numbers[np.isfinite(column.numbers)]
    whole = bool(np.all((known == np.floor(known)) & (known >= 0)))
    values = [n for n in sheet.columns if n != name and says(n, "value") >= 2]
    if time:
        at = sheet.columns[time]
        pairs = sheet.owner.astype(np.int64) * (at.distinct + 1) + at.codes
        if len(np.unique(pairs)) > 0.9 * len(pairs):
            return False
    return whole and sheet.varies(name) and len(values) > 0


_KEY = re.compile(r"^redcap|(\b|_)(id|key|code|instance)$")


def _is_key(name: str) -> bool:
    """Whether a column is called as one that points to something or numbers forms."""
    return _KEY.search(plain(name)) is not None


_NOT_MARKERS = ("row", "entry", "stop", "age", "sex", "site", "birth")


def _marker_columns(sheet: Sheet, time: str) -> list[str]:
    found = []
    for name, column in sheet.columns.items():
        bare = name_and_unit(name)[0]
        known = markers.find(bare) is not None
        if name in (sheet.patient, time) or column.kind != "number" or not sheet.varies(name):
            continue
        if not known:
            if any(says(name, role) >= 2 for role in _NOT_MARKERS) or says(name, "status"):
                continue
            if says(name, "exit") == 3 or says(name, "visit") >= 2 or says(name, "patient") >= 2:
                continue
            if _is_key(name):
                continue
            if column.distinct <= 2 or _counts(sheet, name) or _is_log(sheet, name):
                continue
        elif _is_log(sheet, name):
            continue
        found.append(name)
    return found


def _counts(sheet: Sheet, name: str) -> bool:
    """Whether a column numbers the rows of each patient: 1, 2, 3, ..."""
    values = pd.Series(sheet.columns[name].numbers)
    owner = pd.Series(sheet.owner)
    if values.isna().any():
        return False
    first = values.groupby(owner).transform("first")
    place = owner.groupby(owner).cumcount()
    return bool((values - first == place).all())


def _is_log(sheet: Sheet, name: str) -> bool:
    """Whether a column is the logarithm of another."""
    match = re.match(r"(?:log|ln)[\s._]+(.+)$", name, re.IGNORECASE)
    if match is None:
        return False
    other = sheet.columns.get(match[1])
    if other is None or other.kind != "number":
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.log(other.numbers)
    mine = sheet.columns[name].numbers
    both = np.isfinite(there) & np.isfinite(mine)
    return bool(both.any()) and bool(np.allclose(mine[both], there[both], atol=1e-3))


def describe(series: Series) -> str:
    """What it holds, in a few words."""
    rows = plural(series.sheet.rows, "row")
    kind = {"long": "a row a measurement", "visits": "a row a visit",
            "columns": "a row a patient"}  # fmt: skip
    return f"{series.sheet.name}: {rows}, {kind[series.shape]}"
