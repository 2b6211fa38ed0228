"""When follow-up ended, and how: a time and a status, or dates of admission and death."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longsurv.cohort.problems import show, show_list
from longsurv.draft.cells import not_dated, unread_dates
from longsurv.draft.fates import is_alive
from longsurv.draft.follow_up import (
    find_entry,
    find_exit,
    find_two_times,
    is_of_death,
    only_of_events,
)
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.layout import read_time
from longsurv.draft.names import plain, says, time_unit
from longsurv.draft.people import Field
from longsurv.draft.sheet import Sheet
from longsurv.draft.status import Outcome, find_status, levels_of
from longsurv.draft.treatment import yes_no
from longsurv.words import plural, verb


def find_outcome(fields: Sequence[Field], used: Sequence[str]) -> tuple[Outcome, list[Guess]]:
    """Choose among the columns with one value a patient; `used` are taken for something else."""
    free = [f for f in fields if f.name not in used]
    dates = _dates(free)
    status, guesses = find_status(free)
    exit_, of_exit = find_exit(free)
    untold = status.status is None and status.mark is None and dates[1] is None
    if untold:  # years of something, where nothing has an end
        of_exit = [replace(g, sureness="likely") if g.sureness == "sure" else g for g in of_exit]
    zero, death, end = dates
    outcome = replace(status, zero=zero, death=death, end=end)
    pairs = _named_after_a_time(free) if untold else []
    if pairs:
        return _of_pairs(pairs, outcome)
    # A time that is there is taken as it is, unless dates alone are named like an outcome.
    by_date = outcome.zero is not None and (outcome.death is not None or outcome.end is not None)
    if exit_ is not None and not (by_date and of_exit[0].sureness == "doubtful"):
        outcome = replace(outcome, exit=exit_, unit=time_unit(exit_.name), death=None, end=None)
        if outcome.status is None and outcome.mark is None and death is not None:
            outcome = replace(outcome, death=death)
            guesses = [_by_death(death)]
        outcome, told = _of_some(outcome, free, of_exit[0], guesses)
        of_exit, guesses = told[:1], told[1:]
        entry, of_entry = find_entry(free, exit_)
        return replace(outcome, entry=entry), [*of_exit, *guesses, *of_entry]
    if by_date:
        return _from_dates(outcome, guesses)
    said = status.status or status.mark
    if exit_ is None and said is not None:
        of_exit = [_without_time(said, free)]
    return outcome, [*of_exit, *guesses]


def _of_some(
    outcome: Outcome, fields: Sequence[Field], time: Guess, guesses: list[Guess]
) -> tuple[Outcome, list[Guess]]:
    """A time that only those with the event have: with another of the rest, or in doubt."""
    exit_, status = outcome.exit, outcome.status
    assert exit_ is not None
    if status is None and outcome.mark is None and outcome.death is None:
        both = find_two_times(fields, exit_)
        if both is not None:
            sooner, later = both
            why = f"{show(sooner.name)}, or {show(later.name)} for those without it"
            outcome = replace(outcome, exit=later, sooner=sooner, mark=sooner)
            return outcome, [Guess("time", "exit", why, "likely"), _by_mark(sooner)]
        if is_of_death(exit_) and len(exit_.told()) < len(exit_.sheet.people):
            outcome, guesses = replace(outcome, mark=exit_), [_by_mark(exit_)]
    alone = (
        only_of_events(exit_, status, outcome.event)
        if status is not None
        else outcome.mark is not None and exit_.told().index.isin(outcome.mark.told().index).all()
    )
    if alone:
        why = (
            "; it is empty for those without the event, and nothing says how long they were"
            " followed: add the day of their last contact"
        )
        time = replace(time, reason=time.reason + why, sureness="doubtful")
    return outcome, [time, *guesses]


def _named_after_a_time(fields: Sequence[Field]) -> list[tuple[Field, Field]]:
    """Pairs of a time to something, "time.to.relapse", and the yes or no called after it."""
    said = {plain(f.name): f for f in fields if yes_no(f.column.texts) and f.column.distinct == 2}
    found = []
    for f in fields:
        match = _TIME_TO.fullmatch(plain(f.name))
        if match is not None and f.column.kind == "number" and match[1] in said:
            found.append((f, said[match[1]]))
    return found


_TIME_TO = re.compile(
    r"(?:time|days|weeks|months|years|zeit|delai) (?:to |until |bis |jusqu a )?(.+)"
)


def _of_pairs(
    pairs: Sequence[tuple[Field, Field]], outcome: Outcome
) -> tuple[Outcome, list[Guess]]:
    """One of several ends, each with a time and a yes or no of its own: the first, in doubt."""
    time, status = pairs[0]
    said = f"{time.place()} is called after {show(status.name)}, which says whether"
    how: Sureness = "doubtful" if len(pairs) > 1 else "likely"
    times, ends = (tuple(show(pair[k].name) for pair in pairs[1:5]) for k in (0, 1))
    levels, _ = levels_of(status)
    done = replace(
        outcome, exit=time, status=status, event=levels.event, censored=levels.censored,
        unit=time_unit(time.name),
    )  # fmt: skip
    return done, [
        Guess("time", time.name, said, how, times),
        Guess("status", status.name, f"the end that {show(time.name)} is the time of", how, ends),
    ]


def _without_time(status: Field, fields: Sequence[Field]) -> Guess:
    """An outcome of yes and no, of which nothing says when."""
    for f in fields:
        if f.column.kind == "text" and says(f.name, "exit") >= 2:
            said = [text for text in f.column.texts if read_time(text) is not None]
            if len(said) > 0.5 * f.column.distinct:
                reason = (
                    f"{f.place()} has texts such as {show(said[0])}; write numbers of one unit, and"
                    " the unit into the name"
                )
                return Guess("time", "", reason, "doubtful")
    return Guess(
        "time", "", f"{status.place()} says whether, and no column says when or how long each"
        " patient was followed; a study takes times to an event. Add the day of the event, or of"
        " the last contact; yes and no alone are compared by longsurv.estimands.two_by_two",
        "doubtful",
    )  # fmt: skip


def find_episodes(sheets: Sequence[Sheet]) -> tuple[Outcome, list[Guess]] | None:
    """Start-stop rows: an end and a status of each, from which the first event is taken."""
    for sheet in sheets:
        if not sheet.repeats:
            continue
        varying = [
            n for n in sheet.columns if sheet.varies(n) and sheet.columns[n].kind == "number"
        ]
        stops = [n for n in varying if says(n, "stop") == 3]
        status = [n for n in varying if set(sheet.columns[n].texts) == {"0", "1"}
                  and says(n, "status") >= 2]  # fmt: skip
        if len(stops) == 1 and len(status) == 1:
            reason = (
                f"{sheet.name} has several rows a patient, each ending at {show(stops[0])}; the"
                " time to the first event is taken, or to the last row's end"
            )
            where = (sheet.raw.variable, stops[0], status[0])
            said = f"1 in {show(status[0])} usually means the event; later ones are left out"
            time: Sureness = "likely"
            if _begins_late(sheet):
                reason += "; some begin after time zero, from when alone they are at risk"
                time = "doubtful"
            how: Sureness = "likely"
            kinds = _kinds_of_event(sheet)
            if kinds:
                said += f"; {show_list(kinds)} may tell events of several kinds apart"
                how = "doubtful"
            return (
                Outcome(stop=where, event=["1"], censored=["0"], unit=time_unit(stops[0])),
                [Guess("time", "exit", reason, time), Guess("status", "event", said, how)],
            )
    return None


_KIND = re.compile(
    r"\b(from|to|trans|transition|state|states|cause|(?:e|event|end ?point) ?type)\b"
)


def _kinds_of_event(sheet: Sheet) -> list[str]:
    """Columns that may say from which state to which a row goes, or what kind its event is."""
    return [name for name in sheet.columns if sheet.varies(name) and _KIND.search(plain(name))]


def _begins_late(sheet: Sheet) -> bool:
    """Whether the first of some patient's rows begins after time zero."""
    for name, column in sheet.columns.items():
        if says(name, "entry") == 3 and column.kind == "number":
            known = np.isfinite(column.numbers) & (sheet.owner >= 0)
            first = np.full(len(sheet.people), np.inf)
            np.minimum.at(first, sheet.owner[known], column.numbers[known])
            return bool(np.any((first > 0) & np.isfinite(first)))
    return False


# Dates -------------------------------------------------------------------------------------------


def _dates(fields: Sequence[Field]) -> tuple[Field | None, Field | None, Field | None]:
    """The dates of time zero, of death and of the end of follow-up, by their names."""
    columns = [f for f in fields if f.column.kind == "date" and not says(f.name, "birth")]
    # "Date of death or discharge" is an end, whichever it was.
    deaths = [f for f in columns if says(f.name, "end date") < 2]
    death = _best(deaths, "death date", ())
    # Of those who lived there is none.
    patients = max((len(f.sheet.people) for f in fields), default=0)
    if death is not None and len(death.told()) == patients:
        death = None
    rest = [f for f in columns if f is not death]
    zero = _best(rest, "zero date", ("end date",))
    # Last contact goes before discharge: it is later, and sees what came after.
    end = _best([f for f in rest if f is not zero], "end date", ("discharge",))
    if zero is None and len(rest) == 1 and end is None and death is not None:
        zero = rest[0]
    return zero, death, end


def _best(fields: Sequence[Field], role: str, against: Sequence[str]) -> Field | None:
    scored = [
        (says(f.name, role) - 0.6 * max((says(f.name, a) for a in against), default=0), -k, f)
        for k, f in enumerate(fields)
    ]
    good = [s for s in scored if s[0] > 0]
    return max(good, key=lambda s: s[:2])[2] if good else None


def _by_mark(f: Field) -> Guess:
    return Guess("status", "died", f"{f.place()} is filled for those who died", "likely")


def _by_death(death: Field) -> Guess:
    how: Sureness = "doubtful" if _unread(death) else "sure"
    said = f"{death.place()} is filled for those who died"
    return Guess("status", death.name, said + _unread(death), how)


def _unread(death: Field) -> str:
    """Say what stands in a column of dates of death and is none, nor says that there is none.

    Such as "unknown", or a date without its day: of somebody who may well have died.
    """
    odd = [w for w in death.column.words if not not_dated(w) and not is_alive(w)]
    if not odd:
        return ""
    count = sum(death.column.words[w] for w in odd)
    has = verb(count, "has", "have")
    return f"; {plural(count, 'cell')} {has} {show_list(odd, 4)}, which is no date: did they die?"


def _from_dates(outcome: Outcome, of_status: list[Guess]) -> tuple[Outcome, list[Guess]]:
    zero, death, end = outcome.zero, outcome.death, outcome.end
    assert zero is not None
    guesses = []
    dates = [f.column for f in (zero, death, end) if f is not None]
    order, serial = all(c.order_sure for c in dates), any(c.serial for c in dates)
    sure: Sureness = "doubtful" if not order else "likely" if serial else "sure"
    asked = () if order else ("day first or month first cannot be told from these dates",)
    left = "; dates are written as days of a spreadsheet" if serial else ""
    if any(unread_dates(c) for c in dates):
        sure = "likely" if order else sure
        left += "; some cells are no dates"
    if end is not None and says(end.name, "discharge"):
        # Who goes home alive is no longer at risk of dying there: that is no censoring by chance.
        sure = "likely" if order else sure
        left += "; a death after discharge is not seen, and who was discharged counts as censored"
    guesses.append(Guess("time_zero", zero.name, f"{zero.place()} is the date of time zero",
                         sure if says(zero.name, "zero date") >= 2 else "likely"))  # fmt: skip
    if death is not None and end is not None:
        guesses.append(
            Guess("time", "exit", f"from {show(zero.name)} to {show(death.name)}, or to"
                  f" {show(end.name)} for those without{left}", sure, asked)
        )  # fmt: skip
    elif death is not None:
        guesses.append(
            Guess("time", "exit", f"from {show(zero.name)} to {show(death.name)}; nothing says how"
                  " long the others were followed: add the date of their last contact", "doubtful")
        )  # fmt: skip
    elif end is not None:
        guesses.append(Guess("time", "exit", f"from {show(zero.name)} to {show(end.name)}{left}",
                             sure, asked))  # fmt: skip
    if death is None:
        return replace(outcome, unit="days"), [*guesses, *of_status]
    if outcome.status is None or _disagrees(outcome):
        conflict = outcome.status is not None
        text = f"{death.place()} is filled for those who died"
        if conflict:
            assert outcome.status is not None
            text += f", but {show(outcome.status.name)} says otherwise of some"
        text += _unread(death)
        doubt = conflict or bool(_unread(death))
        guesses.append(Guess("status", "died", text, "doubtful" if doubt else "sure"))
        return replace(outcome, status=None, unit="days"), guesses
    return replace(outcome, unit="days"), [*guesses, *of_status]


def _disagrees(outcome: Outcome) -> bool:
    """Whether a status and the dates of death contradict each other, or one is not told of all."""
    assert outcome.status is not None and outcome.death is not None
    if not outcome.event:
        return True
    ends, dead = outcome.status.told(), outcome.death.told().index
    died = ends.isin(outcome.event)
    return bool(np.any(died != ends.index.isin(dead))) or not dead.isin(ends.index).all()
