"""Whose row it is where no column says so: rows to number, numbers that sites begin anew."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show, show_list
from longsurv.draft.alike import SHEET
from longsurv.draft.cells import SheetColumn, read_column
from longsurv.draft.guess import Guess
from longsurv.draft.names import plain, says
from longsurv.draft.sheet import Sheet
from longsurv.words import plural

_ABOVE = re.compile(
    r"\b(study|studie|trial|cohort|kohorte|country|land|pays|region|register|registry)\b"
)


def numbered(sheet: Sheet) -> tuple[Sheet, Guess]:
    """The table with its rows numbered, each of them a patient's."""
    name = _free("row_number", sheet)
    raw = sheet.raw
    line = f"{raw.variable}[{name!r}] = range(1, len({raw.variable}) + 1)"
    done = _with_patients(sheet, name, pd.Series(np.arange(1, sheet.rows + 1)), line)
    reason = (
        f"{sheet.name} has no column that could identify patients; if each of its"
        f" {sheet.rows:,} rows is another patient, they can be numbered as they stand"
    )
    return done, Guess("patient", name, reason, "doubtful")


def told_apart(
    sheets: Sequence[Sheet], guesses: Sequence[Guess]
) -> tuple[list[Sheet], list[Guess]]:
    """Put the site before numbers that begin anew in each, and doubt numbers of several persons.

    Parameters
    ----------
    sheets : sequence of Sheet
        With their columns of patients.
    guesses : sequence of Guess
        About the patients.

    Returns
    -------
    list of Sheet
    list of Guess
    """
    said = list(guesses)
    told = [(s, *_several_persons(s)) for s in sheets if s.repeats and not s.filled_down]
    for sheet, mixed, several in sorted(told, key=lambda one: not one[1]):
        site = _site_above(sheet, mixed)
        if site and all(_may_be_joined(s, site, sheet.patient) for s in sheets):
            done = [_joined(s, site) for s in sheets]
            return done, _of_sites(done, said, sheet, site, mixed)
        if mixed:
            why = (
                f"but {show_list(mixed)} varies within {several:,} of them, so that rows of one"
                f" {show(sheet.patient)} may be of several persons"
            )
            said = [
                replace(g, reason=f"{g.reason}, {why}", sureness="doubtful")
                if g.value == sheet.patient and g.reason.startswith(f"{sheet.name}: ") else g
                for g in said
            ]  # fmt: skip
    return list(sheets), said


def _several_persons(sheet: Sheet) -> tuple[list[str], int]:
    """Columns of what a person has for life that vary within many identifiers; in how many."""
    mixed, several = [], 0
    many = np.bincount(sheet.owner[sheet.owner >= 0], minlength=len(sheet.people)) > 1
    for name, column in sheet.columns.items():
        sex = says(name, "sex") == 3 and column.distinct <= 4
        birth = says(name, "birth") >= 2 and column.kind == "date"
        if (sex or birth) and sheet.varies(name):
            found = int(np.sum(_kinds(sheet.owner, column.codes) > 1))
            if found >= 3 and found > 0.1 * many.sum():  # fewer are slips of the pen
                mixed.append(name)
                several = max(several, found)
    return mixed, several


def _kinds(owner: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How many values each owner has, shape (owners,)."""
    there = (owner >= 0) & (codes >= 0)
    pairs = np.unique(np.column_stack([owner[there], codes[there]]), axis=0)
    return np.bincount(pairs[:, 0], minlength=int(owner.max(initial=-1)) + 1)


def _site_above(sheet: Sheet, mixed: Sequence[str]) -> str:
    """The site in which identifiers are those of patients, "" if nothing says that they are not."""
    for name, column in sheet.columns.items():
        above = says(name, "site") >= 2 or name == SHEET or _ABOVE.search(plain(name))
        if name == sheet.patient or not above or not sheet.varies(name) or column.distinct > 500:
            continue
        if (column.codes < 0).any():
            continue
        if mixed:
            pair = sheet.owner * column.distinct + column.codes
            pair = np.where(sheet.owner < 0, -1, pair)
            pair = np.unique(pair, return_inverse=True)[1] - int(np.any(pair < 0))
            if all(_kinds(pair, sheet.columns[m].codes).max() == 1 for m in mixed):
                return name
        elif _begins_anew(sheet, column):
            return name
    return ""


def _begins_anew(sheet: Sheet, site: SheetColumn) -> bool:
    """Whether every site numbers its patients from 1 on, nearly without gaps."""
    numbers = sheet.columns[sheet.patient].numbers
    if sheet.columns[sheet.patient].kind != "number":
        return False
    for code in range(site.distinct):
        own = np.unique(numbers[(site.codes == code) & np.isfinite(numbers)])
        if len(own) < 3 or own[0] != 1 or len(own) < 0.9 * own[-1]:
            return False
    return site.distinct > 1


def _may_be_joined(sheet: Sheet, site: str, patient: str) -> bool:
    return site in sheet.columns and sheet.patient == patient and not sheet.filled_down


def _joined(sheet: Sheet, site: str) -> Sheet:
    """The table with site and number of each patient in one column."""
    name = _free(f"{site}_{sheet.patient}", sheet)
    raw, parts = sheet.raw, (site, sheet.patient)
    texts = [np.array([*sheet.columns[p].texts, ""], dtype=object) for p in parts]
    first, second = (t[sheet.columns[p].codes] for t, p in zip(texts, parts, strict=True))
    known = (sheet.columns[site].codes >= 0) & (sheet.owner >= 0)
    cells = pd.Series(np.where(known, first + "-" + second, None), dtype=object)
    left, right = (f"identifier({raw.variable}[{p!r}])" for p in parts)
    return _with_patients(sheet, name, cells, f'{raw.variable}[{name!r}] = {left} + "-" + {right}')


def _of_sites(
    done: Sequence[Sheet], guesses: Sequence[Guess], sheet: Sheet, site: str, mixed: Sequence[str]
) -> list[Guess]:
    """What is said of the joined identifiers, which only who made the table can know."""
    told = [g for g in guesses if g.value != sheet.patient]
    for one in done:
        people = plural(len(one.people), "patient")
        why = (
            f"{one.name}: {show(sheet.patient)} begins anew in each {show(site)}"
            + (f", as {show_list(mixed)} of its rows tells" if mixed else "")
            + f"; both together identify {people} in {one.rows:,} rows"
        )
        told.append(Guess("patient", one.patient, why, "doubtful", (show(sheet.patient),)))
    return told


def _with_patients(sheet: Sheet, name: str, cells: pd.Series, line: str) -> Sheet:
    """The table with a further column, which identifies its patients."""
    frame = sheet.raw.frame.copy(deep=False)
    frame[name] = cells.to_numpy()
    raw = replace(sheet.raw, frame=frame, lines=(*sheet.raw.lines, line), straight=False)
    columns = {**sheet.columns, name: read_column(frame[name], name)}
    return replace(sheet, raw=raw, columns=columns, patient=name)


def _free(name: str, sheet: Sheet) -> str:
    while name in sheet.columns:
        name += "_"
    return name
