"""Which column is the time of each patient's follow-up, and from when a patient is at risk."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from longsurv.cohort.problems import show
from longsurv.draft import markers
from longsurv.draft.cells import CODES
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.names import plain, says, time_unit
from longsurv.draft.people import Field
from longsurv.draft.treatment import yes_no

_STAY = re.compile(r"\b(los|length of stay|verweildauer)\b")
_SOMETHING_ELSE = re.compile(
    r"\b(vent|ventilation|dose|icu days|stay|symptom\w*|onset|since|diag\w*|wait\w*)\b"
)
_UNIT = re.compile(r"\b(day|days|time|months?|years?|tage|zeit|jours|dias|giorni|dagen)\b|[日天]")
_FOLLOWED = re.compile(r"follow|surv|fu\b|beobacht|suivi|観察|生存|uberleb|futime|exit|seguim|随访")
_ROLES = ("exit", "status", "death date", "end date", "discharge", "visit", "patient", "site",
          "stop")  # fmt: skip
_FROM = {
    "from", "since", "after", "post", "desde", "da", "dal", "van", "na", "von", "seit", "ab",
    "nach", "depuis", "apres", "de",
}  # fmt: skip
_WORDS = _FROM | {
    "a", "als", "am", "an", "as", "at", "au", "aux", "auf", "bis", "d", "dans", "dauer", "der",
    "des", "die", "du", "duration", "duree", "e", "en", "event", "events", "first", "follow",
    "for", "h", "hospital", "im", "in", "inclusion", "jusqu", "jusqua", "l", "la", "le", "les",
    "life", "lifetime", "mo", "month", "mos", "n", "no", "nr", "number", "observed", "on", "or",
    "oder", "ou", "of", "patient", "period", "risk", "s", "study", "t", "the", "to", "total",
    "trial", "und", "until", "up", "vom", "w", "week", "weeks", "wk", "y", "yr", "zu", "zum",
    "zur", "con", "dei", "del", "della", "di", "durata", "duracion", "el", "hasta", "los", "per",
    "tot", "voor",
}  # fmt: skip
_ENDS = {
    "censor", "censoring", "death", "dfs", "dis", "efs", "end", "event", "exit", "follow",
    "followup", "fu", "life", "obs", "observation", "os", "overall", "pfs", "rfs", "surv",
    "survival", "s",
}  # fmt: skip
"""What stands before "time" in one word, of the time of an outcome: "rfstime"."""


def find_exit(fields: Sequence[Field]) -> tuple[Field | None, list[Guess]]:
    """The column of a time of each patient that says most that it is the end of follow-up."""
    found = [(s, f) for f in fields if (s := _exit_score(f)) > 0]
    timed = [_timed(f) for _, f in found]
    # What many have not, such as days to death, is not the time of all.
    found = [
        (score if count > 0.8 * max(timed) else score - 2.0, f)
        for (score, f), count in zip(found, timed, strict=True)
    ]
    scored = sorted(found, key=lambda x: -x[0])
    if not scored:
        return None, [
            Guess("time", "", "no column says how long each patient was followed", "doubtful")
        ]
    score, f = scored[0]
    another = _is_another_time(f, fields)
    near = [g for s, g in scored[1:] if s > score - 0.75]
    rivals = [show(g.name) for g in near if another or not _is_another_time(g, fields)][:4]
    values = f.column.numbers
    span = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
    sureness: Sureness = "doubtful" if rivals else "sure" if score >= 3 else "likely"
    if _STAY.search(plain(f.name)):
        sureness = "doubtful"
    coded = _codes(values)
    if coded:
        sureness = "doubtful"
        rivals.append(f'{coded} stands for no time: then write missing = ["{coded}"] with the file')
    if f.sheet.unclear(f.name):
        sureness = "doubtful"
        rivals.append(f"{f.sheet.unclear(f.name)} may be a number with decimals or thousands")
    if another:
        sureness = "doubtful"
        rivals.append("the time of something else than the end of follow-up")
    reason = f"{f.place()} is a time of each patient, {span}"
    return f, [Guess("time", f.name, reason, sureness, tuple(rivals))]


def _timed(f: Field) -> int:
    """How many patients have a time, and no code such as -1 for none."""
    return len(np.unique(f.sheet.owner[(f.sheet.owner >= 0) & (f.column.numbers >= 0)]))


def _codes(values: np.ndarray) -> str:
    """A number among times that may mean that there is none, such as -1 or 999; "" for none."""
    known = np.unique(values[np.isfinite(values)])
    if known[0] < 0:
        return f"{known[0]:g}"
    apart = len(known) > 2 and known[-1] in CODES and known[-1] > 3 * known[-2]
    return f"{known[-1]:g}" if apart else ""


def find_two_times(fields: Sequence[Field], exit_: Field) -> tuple[Field, Field] | None:
    """A time to death of some and the time of those without it, as of last contact."""
    times = [f for f in fields if f is exit_ or _exit_score(f) > 0]
    times = [f for f in times if not f.sheet.unclear(f.name)]
    deaths = [f for f in times if is_of_death(f)]
    for sooner in deaths:
        died = sooner.told().index
        for later in (f for f in times if not is_of_death(f) and exit_ in (f, sooner)):
            alike = time_unit(sooner.name) == time_unit(later.name)
            if alike and 0 < len(died) < len(died.union(later.told().index)):
                return sooner, later
    return None


def is_of_death(f: Field) -> bool:
    """Whether a column of times is called after death or an event."""
    return says(f.name, "status") >= 2 or says(f.name, "death date") >= 2


def only_of_events(f: Field, status: Field, event: Sequence[str]) -> bool:
    """Whether a time is that of those with the event alone: nobody else, or few others, has one."""
    ends = status.told()
    without = ends.index[~ends.isin(event)]
    timed = without.isin(f.told().index)
    return len(without) > 0 and bool(timed.mean() < 0.2)


def _exit_score(f: Field) -> float:
    column = f.column
    if column.kind != "number" or (column.words and len(column.words) > 2):
        return 0.0
    values = column.numbers[np.isfinite(column.numbers)]
    values = values[(values >= 0) | ~np.isin(values, list(CODES))]
    if not len(values) or values.min() < 0 or column.distinct < 2:
        return 0.0
    if says(f.name, "age") or says(f.name, "sex") or markers.find(f.name) is not None:
        return 0.0
    named, text = says(f.name, "exit"), plain(f.name)
    if not named and text.endswith("time"):
        named = 2  # "rfstime", "stime"
    if not named and says(f.name, "end date") >= 2 and time_unit(f.name):
        named = 2  # "last contact (days)"
    if (column.distinct < 4 and named < 3) or yes_no(column.texts):
        return 0.0
    score = float(named)
    if named and says(f.name, "status") and re.search(r"time|days|zeit|temps|delai|日数", text):
        score += 0.5  # "days to death"
    elif says(f.name, "status") >= 2 and column.distinct <= 3:
        return 0.0
    if _SOMETHING_ELSE.search(text):
        score -= 1.0
    if _UNIT.search(text) and named == 2:
        score += 0.5
    if _FOLLOWED.search(text):
        score += 0.6
    return score


def _is_another_time(f: Field, fields: Sequence[Field]) -> bool:
    """Whether a name says a time of something else: of waiting, of surgery, years of smoking.

    What a status is called after, "time to recurrence" beside "recurrence", is an end.
    """
    text = plain(f.name)
    if says(f.name, "exit") == 3 or not text.isascii():
        return False
    if _SOMETHING_ELSE.search(text) and not says(f.name, "status"):
        return True
    ends = {word for g in fields if g is not f and yes_no(g.column.texts)
            for word in plain(g.name).split()}  # fmt: skip
    words = text.split()
    # "days from surgery to death"; "surgery time" is how long that took.
    begins = "zero date" if _FROM & set(words) else "exit"
    return any(
        not _is_of_follow_up(word) and word not in ends and says(word, begins) < 2 for word in words
    )


def _is_of_follow_up(word: str) -> bool:
    """Whether a word of a name may stand in that of a time of follow-up."""
    if word in _WORDS or re.fullmatch(r"\d+\w?", word) or any(says(word, r) >= 2 for r in _ROLES):
        return True
    return word.endswith("time") and word.removesuffix("time") in _ENDS


def find_entry(fields: Sequence[Field], exit_: Field | None) -> tuple[Field | None, list[Guess]]:
    """A time from which a patient is under observation, where that is not time zero."""
    for f in fields if exit_ is not None else ():
        assert exit_ is not None
        column = f.column
        if f is exit_ or f.sheet is not exit_.sheet or column.kind != "number":
            continue
        if says(f.name, "entry") < 2 or says(f.name, "visit") or column.distinct < 4:
            continue
        begins, ends = column.numbers, exit_.column.numbers
        both = np.isfinite(begins) & np.isfinite(ends)
        if not both.any() or begins[both].min() < 0 or np.mean(begins[both] < ends[both]) < 0.9:
            continue
        whole = says(f.name, "entry") == 3
        reason = (
            f"{f.place()} is before {show(exit_.name)}, as a time is from which a patient is under"
            " observation; without it, all count as at risk from time zero"
        )
        return f, [Guess("entry", f.name, reason, "likely" if whole else "doubtful")]
    return None, []
