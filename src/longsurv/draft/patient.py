"""Which column says whose row it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.cohort.problems import show
from longsurv.draft import markers
from longsurv.draft.alike import SHEET
from longsurv.draft.cells import SheetColumn
from longsurv.draft.guess import Guess
from longsurv.draft.names import says
from longsurv.draft.numbering import numbered, told_apart
from longsurv.draft.sheet import Sheet

_OF_PATIENTS = ("exit", "status", "visit", "value", "site")
_PERSON = re.compile(r"[^\W\d_][^\d_]*[\s,]+[^\W\d_][^\d_]*")


@dataclass(frozen=True)
class Candidate:
    """A column that may hold identifiers, and how much speaks for it."""

    column: str
    score: float
    named: int


def find_patients(sheets: Sequence[Sheet]) -> tuple[list[Sheet], list[Guess]]:
    """Give every table its column of identifiers; tables without one are left out and named."""
    pools = [_candidates(sheet, sheets) for sheet in sheets]
    guesses, found = [], []
    for sheet, pool in zip(sheets, pools, strict=True):
        if not pool and len(sheets) == 1 and sheet.rows > 1:
            done, guess = numbered(sheet)
            found.append(done)
            guesses.append(guess)
            continue
        if not pool:
            guesses.append(
                Guess(
                    "patient", "", f"{sheet.name} has no column that could identify patients;"
                    " it is left out", "likely",
                )
            )  # fmt: skip
            continue
        best, others = pool[0], pool[1:]
        block = _block(sheet, best) if len(sheets) == 1 else ""
        if block:
            found.append(replace(sheet, patient=block))
            guesses.append(_of_block(found[-1], best.column))
            continue
        column = sheet.columns[best.column]
        hollow = _filled_down(column)
        done = replace(sheet, patient=best.column, filled_down=hollow)
        found.append(done)
        rivals = [c.column for c in others if c.score > best.score - 2]
        sure = best.named >= 2 and not rivals
        persons = _persons(column)
        few = column.distinct <= 4  # codes of something, or counts: no study is of four patients
        doubtful = persons or few or _is_count(best.column, column)
        doubtful |= best.named == 0 and len(sheets) == 1
        many = f"{column.distinct:,} patients in {sheet.rows:,} rows"
        reason = f"{sheet.name}: {show(best.column)} identifies {many}"
        if persons:
            reason += "; it looks like names of persons, which two patients may share"
        if hollow:
            reason += "; it stands only in the first row of each, and is carried down"
        guesses.append(
            Guess(
                "patient", best.column, reason,
                "doubtful" if doubtful else "sure" if sure else "likely",
                tuple(show(r) for r in rivals[:3]),
            )
        )  # fmt: skip
    return told_apart(found, guesses)


def _is_count(name: str, column: SheetColumn) -> bool:
    """Whether a bare "no" may be how many there were: one number in rows apart from each other."""
    if says(name, "row") < 3 or _filled_down(column):
        return False
    blocks = int(np.sum(np.diff(column.codes) != 0)) + 1
    return blocks > column.distinct


_SPREAD = 2  # blocks are seen at the same times: no more than twice as many in all as in one


def _block(sheet: Sheet, best: Candidate) -> str:
    """A column whose values each stand in several rows, once at each time; "" if there is none.

    Where the best identifier is not named so and numbers rows, as those of an animal experiment.
    """
    if best.named or sheet.columns[best.column].distinct < sheet.rows:
        return ""
    for name, column in sheet.columns.items():
        few = 4 < column.distinct <= sheet.rows / 2
        if name == best.column or not few or (column.codes < 0).any() or _is_known(name, column):
            continue
        most = int(np.bincount(column.codes).max())
        for other, time in sheet.columns.items():
            if other == name or says(other, "visit") < 2 or (time.codes < 0).any():
                continue
            if not 2 < time.distinct <= _SPREAD * most:
                continue
            pairs = column.codes * time.distinct + time.codes
            if len(np.unique(pairs)) == sheet.rows:
                return name
    return ""


def _is_known(name: str, column: SheetColumn) -> bool:
    """Whether a column is no name of somebody: a number with decimals, an age, a marker."""
    roles = ("visit", "treatment", "status", "exit", "value", "site", "age", "sex", "row")
    if column.kind not in ("number", "text") or (column.kind == "number" and not _whole(column)):
        return True
    return markers.find(name) is not None or any(says(name, role) >= 2 for role in roles)


def _of_block(sheet: Sheet, rows: str) -> Guess:
    column = sheet.columns[sheet.patient]
    reason = (
        f"{sheet.name}: no column is named like a patient; {show(sheet.patient)} has"
        f" {column.distinct:,} values in {sheet.rows:,} rows, each once at a time"
    )
    return Guess("patient", sheet.patient, reason, "doubtful", (f"each row, by {show(rows)}",))


def _filled_down(column: SheetColumn) -> bool:
    """Identifiers with gaps below each, none twice apart: merged cells."""
    gaps = column.codes < 0
    if not gaps.any() or gaps[0] or gaps.mean() < 0.2:
        return False
    written = column.codes[~gaps]
    return len(np.unique(written)) == len(written)


def _candidates(sheet: Sheet, sheets: Sequence[Sheet]) -> list[Candidate]:
    found = []
    for place, (name, column) in enumerate(sheet.columns.items()):
        if column.kind == "number" and not _whole(column):
            continue
        if column.kind in ("date", "empty") or column.distinct < 2:
            continue
        named = says(name, "patient")
        if name == SHEET and _shared(column, sheet, sheets) >= 0.9:
            named = 2  # a sheet of each patient
        if says(name, "age") or says(name, "sex") or (markers.find(name) and named < 3):
            continue
        if any(says(name, role) == 3 for role in ("treatment", "visit", "value")) and named < 3:
            continue
        score = 2.0 * named - 0.1 * place
        score += 3.0 * _shared(column, sheet, sheets)
        if says(name, "row") >= 2 and named < 3:
            score -= 4
        if column.distinct <= 4 < sheet.rows:
            score -= 4
        if _filled_down(column):
            score += 1
        if _persons(column):
            score -= 3
        if column.kind == "text" and max(map(len, column.texts[:50])) > 40:
            score -= 3
        first = place == 0 and column.distinct > 4
        if score > 0 or (first and not any(says(name, role) >= 2 for role in _OF_PATIENTS)):
            found.append(Candidate(name, score, named))
    return sorted(found, key=lambda c: -c.score)


def _persons(column: SheetColumn) -> bool:
    """Whether most texts are two words or more without a digit, as names of persons are."""
    if column.kind != "text":
        return False
    alike = sum(_PERSON.fullmatch(text.strip()) is not None for text in column.texts)
    return alike > 0.8 * column.distinct


def _whole(column: SheetColumn) -> bool:
    values = column.numbers[np.isfinite(column.numbers)]
    return bool(len(values)) and bool(np.all(values == np.floor(values))) and not column.units


def _shared(column: SheetColumn, sheet: Sheet, sheets: Sequence[Sheet]) -> float:
    """How much of a column's values each other table has in one column alike named, added up."""
    mine = set(column.texts)
    if len(mine) <= 4:
        return 0.0
    shared = 0.0
    for other in sheets:
        if other is not sheet:
            alike = [
                len(mine & set(theirs.texts)) / len(mine)
                for name, theirs in other.columns.items()
                if name == column.name
                or (
                    says(name, "patient") and (says(column.name, "patient") or column.name == SHEET)
                )
            ]
            shared += max(alike, default=0.0)
    return shared
