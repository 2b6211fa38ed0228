"""How follow-up ended and when: a status and a time, or dates of admission and death."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from longsurv.cohort.problems import show, show_list
from longsurv.draft import markers
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.names import plain, says, time_unit
from longsurv.draft.people import Field
from longsurv.draft.sheet import Sheet

_DEAD = {"dead", "died", "deceased", "death", "exitus", "expired", "verstorben", "tot", "gestorben",
         "tod", "decede", "mort", "dcd", "deces", "死亡", "死", "nonsurvivor", "non survivor",
         "exitus letalis", "event"}  # fmt: skip
_ALIVE = {"alive", "living", "survived", "survivor", "lebt", "lebend", "am leben", "lebendig",
          "uberlebt", "vivant", "vivante", "en vie", "survivant", "生存", "生", "censored", "cens",
          "zensiert", "censure", "打ち切り", "no event", "event free"}  # fmt: skip
_AWAY = {"discharged", "discharge", "discharged alive", "transplant", "transplanted", "entlassen",
         "sorti", "退院", "transferred", "verlegt", "transfere", "transplantation", "転院",
         "home", "rehab"}  # fmt: skip
_LOST = {"lost to follow up", "lost", "ltfu", "perdu de vue", "withdrawn", "dropout", "verloren",
         "administrative"}  # fmt: skip
_YES = {
    "yes",
    "y",
    "ja",
    "j",
    "oui",
    "o",
    "true",
    "t",
    "1",
    "あり",
    "有",
    "はい",
    "wahr",
    "vrai",
    "有り",
}
_NO = {
    "no",
    "n",
    "nein",
    "non",
    "false",
    "f",
    "0",
    "なし",
    "無",
    "いいえ",
    "falsch",
    "faux",
    "無し",
}
_DEATH_NAME = re.compile(
    r"\b(death|died|dead|deceased|mort|mortality|verstorben|gestorben|exitus|deces|decede|tod|expired?"
    r"|\w*mortalitat|\w*sterblichkeit)\b|死亡|expire flag"
)
_ALIVE_NAME = re.compile(r"\b(alive|survived|survivor|survival|uberlebt|vivant|lebt)\b|生存")
_CENSOR_NAME = re.compile(r"\bcens\w*|\bzensier\w*|打ち切り")


@dataclass(frozen=True)
class Outcome:
    """Where time and status of the end of follow-up come from.

    Attributes
    ----------
    exit, status : Field or None
        Columns of a time and of a status.
    zero, death, end : Field or None
        Columns of dates.
    event, censored : list of str
        Levels of the status.
    competing : dict of str to list of str
    unit : str
        Of the time, "" if nothing says.
    stop : tuple of str, optional
        Table, time and status of episodes, several rows a patient: the first event counts.
    """

    exit: Field | None = None
    status: Field | None = None
    zero: Field | None = None
    death: Field | None = None
    end: Field | None = None
    event: list[str] = field(default_factory=list)
    censored: list[str] = field(default_factory=list)
    competing: dict[str, list[str]] = field(default_factory=dict)
    unit: str = ""
    stop: tuple[str, str, str] | None = None


def find_outcome(fields: Sequence[Field], used: Sequence[str]) -> tuple[Outcome, list[Guess]]:
    """Choose among the columns with one value a patient; `used` are taken for something else."""
    free = [f for f in fields if f.name not in used]
    dates = _dates(free)
    status, guesses = _status(free)
    exit_, of_exit = _exit(free)
    zero, death, end = dates
    outcome = replace(status, zero=zero, death=death, end=end)
    # A time that is there is taken as it is, unless dates alone are named like an outcome.
    by_date = outcome.zero is not None and (outcome.death is not None or outcome.end is not None)
    if exit_ is not None and not (by_date and of_exit[0].sureness == "doubtful"):
        outcome = replace(outcome, exit=exit_, unit=time_unit(exit_.name), death=None, end=None)
        if outcome.status is None and death is not None:
            outcome = replace(outcome, death=death)
            guesses = [_by_death(death)]
        return outcome, [*of_exit, *guesses]
    if by_date:
        return _from_dates(outcome, guesses)
    if exit_ is None and status.status is not None:
        of_exit = [_without_time(status.status)]
    return outcome, [*of_exit, *guesses]


def _without_time(status: Field) -> Guess:
    """An outcome of yes and no, of which nothing says when."""
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
            return (
                Outcome(stop=where, event=["1"], censored=["0"], unit=time_unit(stops[0])),
                [Guess("time", "exit", reason, "likely"), Guess("status", "event", said, "likely")],
            )
    return None


# Dates -------------------------------------------------------------------------------------------


def _dates(fields: Sequence[Field]) -> tuple[Field | None, Field | None, Field | None]:
    """The dates of time zero, of death and of the end of follow-up, by their names."""
    columns = [f for f in fields if f.column.kind == "date" and not says(f.name, "birth")]
    # "Date of death or discharge" is an end, whichever it was.
    deaths = [f for f in columns if says(f.name, "end date") < 2]
    death = _best(deaths, "death date", ())
    # Of those who lived there is none.
    if death is not None and death.column.filled == len(death.column.codes):
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


def _by_death(death: Field) -> Guess:
    return Guess("status", death.name, f"{death.place()} is filled for those who died", "sure")


def _from_dates(outcome: Outcome, of_status: list[Guess]) -> tuple[Outcome, list[Guess]]:
    zero, death, end = outcome.zero, outcome.death, outcome.end
    assert zero is not None
    guesses = []
    dates = [f.column for f in (zero, death, end) if f is not None]
    order, serial = all(c.order_sure for c in dates), any(c.serial for c in dates)
    sure: Sureness = "doubtful" if not order else "likely" if serial else "sure"
    asked = () if order else ("day first or month first cannot be told from these dates",)
    left = "; dates are written as days of a spreadsheet" if serial else ""
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
                  " long the others were followed: their last measurement is taken", "doubtful")
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
        guesses.append(Guess("status", "died", text, "doubtful" if conflict else "sure"))
        return replace(outcome, status=None, unit="days"), guesses
    return replace(outcome, unit="days"), [*guesses, *of_status]


def _disagrees(outcome: Outcome) -> bool:
    """Whether a status and the dates of death contradict each other (or cannot be compared)."""
    assert outcome.status is not None and outcome.death is not None
    if outcome.status.sheet is not outcome.death.sheet or not outcome.event:
        return True
    column = outcome.status.column
    dead = np.array([t in outcome.event for t in column.texts] + [False])[column.codes]
    return bool(np.any(dead != ~np.isnat(outcome.death.column.dates)))


# A status ----------------------------------------------------------------------------------------


def _status(fields: Sequence[Field]) -> tuple[Outcome, list[Guess]]:
    scored = sorted(((s, f) for f in fields if (s := _status_score(f)) > 0), key=lambda x: -x[0])
    if not scored:
        return Outcome(), [
            Guess("status", "", "no column says how each patient's follow-up ended", "doubtful")
        ]
    score, field_ = scored[0]
    rivals = [f.name for s, f in scored[1:] if s > score - 1.0]
    outcome, guess = _levels(field_)
    if rivals:
        how: Sureness = "doubtful" if guess.sureness != "sure" else "likely"
        guess = replace(guess, sureness=how, choices=(*guess.choices, *map(show, rivals)))
    return outcome, [guess]


def _status_score(f: Field) -> float:
    column = f.column
    if column.kind == "date" or not 1 <= column.distinct <= 6:
        return 0.0
    if column.kind == "number" and not set(column.texts) <= set("012345"):
        return 0.0
    named = says(f.name, "status")
    words = [_word(t) for t in column.texts]
    spoken = any(w in _DEAD - {"event"} for w in words)
    score = float(named) + (3.0 if spoken else 0.0)
    if column.distinct == 1 and not (named and (spoken or column.texts[0] == "1")):
        return 0.0
    if _DEATH_NAME.search(plain(f.name)):
        score += 1.5
    if named and says(f.name, "exit") == 3:
        score -= 1
    return score if named or spoken else 0.0


def _word(text: str) -> str:
    return plain(re.sub(r"^\d+[_. :=-]+", "", text))


_CODE = re.compile(r"(?<![\w.])(\d)\s*[=:]\s*([^\W\d_][^\d,;/|()\[\]]*)")


def _legend(name: str) -> tuple[dict[str, str], str]:
    """What a name says of codes, "status (1 = dead, 0 = alive)", and the name without it."""
    found = {code: word.strip() for code, word in _CODE.findall(name)}
    return found, _CODE.sub(" ", name) if found else name


def _levels(f: Field) -> tuple[Outcome, Guess]:
    """What each level of a status means."""
    legend, bare = _legend(f.name)
    texts, name = sorted(f.column.texts), plain(bare)
    means = {t: legend.get(t, t) for t in texts}  # what a code is said to mean, in the name
    words = {t: _word(means[t]) for t in texts}
    outcome = Outcome(status=f)
    dead = [t for t in texts if words[t] in _DEAD]
    alive = [t for t in texts if words[t] in _ALIVE]
    away = [t for t in texts if words[t] in _AWAY]
    lost = [t for t in texts if words[t] in _LOST]
    said = f"{f.place()} has the levels {show_list(texts, 6)}"
    if dead and len(dead) + len(alive) + len(away) + len(lost) == len(texts):
        competing = {words[t]: [t] for t in away}
        done = replace(outcome, event=dead, censored=[*alive, *lost], competing=competing)
        return done, Guess("status", f.name, said, "sure" if not away else "likely")
    if legend and len(texts) == 2 and len(dead) + len(alive) == 1:
        event = dead or [t for t in texts if t not in alive]
        done = replace(outcome, event=event, censored=[t for t in texts if t not in event])
        return done, Guess("status", f.name, said, "likely")
    yes = [t for t in texts if means[t].casefold() in _YES or words[t] in _YES]
    no = [t for t in texts if means[t].casefold() in _NO or words[t] in _NO]
    if len(yes) + len(no) == len(texts) and len(yes) <= 1 and len(no) <= 1:
        return _yes_or_no(replace(outcome), f, name, yes, no, said)
    if texts == ["1", "2"]:
        return (
            replace(outcome, event=["2"], censored=["1"]),
            Guess("status", f.name, f"{said}, and nothing says which is the event", "doubtful",
                  ("event = 2, censored = 1 (as R codes them)", "event = 1, censored = 2")),
        )  # fmt: skip
    if texts == ["0", "1", "2"]:
        return (
            replace(outcome, event=["1"], censored=["0"], competing={"other": ["2"]}),
            Guess("status", f.name, f"{said}; 0 is usually censored, but 1 and 2 could be either"
                  " event", "doubtful", ("event = 1, another event = 2", "event = 2, another = 1")),
        )  # fmt: skip
    rest = [t for t in texts if t not in dead]
    return (
        replace(outcome, event=dead or texts[:1], censored=rest if dead else texts[1:]),
        Guess("status", f.name, f"{said}; which of them mean the event?", "doubtful"),
    )


def _yes_or_no(
    outcome: Outcome, f: Field, name: str, yes: list[str], no: list[str], said: str
) -> tuple[Outcome, Guess]:
    code = set(yes + no) <= {"0", "1"}
    if _CENSOR_NAME.search(name):
        return (
            replace(outcome, event=yes, censored=no),
            Guess("status", f.name, f"{said}; such an indicator may mean that the event was seen,"
                  " or that it was not", "doubtful",
                  (f"event = {', '.join(yes)}", f"event = {', '.join(no)}")),
        )  # fmt: skip
    if _ALIVE_NAME.search(name) and not _DEATH_NAME.search(name):
        done = replace(outcome, event=no, censored=yes)
        how: Sureness = "likely" if code or ("surviv" in name and "ed" not in name) else "sure"
        return done, Guess("status", f.name, f"{said}, of being alive", how)
    done = replace(outcome, event=yes, censored=no)
    if _DEATH_NAME.search(name):
        how = "sure" if yes and no else "likely"
        return done, Guess("status", f.name, f"{said}, of death", how)
    return done, Guess("status", f.name, f"{said}; yes and 1 usually mean the event", "likely")


# A time ------------------------------------------------------------------------------------------


def _exit(fields: Sequence[Field]) -> tuple[Field | None, list[Guess]]:
    scored = sorted(((s, f) for f in fields if (s := _exit_score(f)) > 0), key=lambda x: -x[0])
    if not scored:
        return None, [
            Guess("time", "", "no column says how long each patient was followed", "doubtful")
        ]
    score, f = scored[0]
    rivals = [g.name for s, g in scored[1:] if s > score - 0.75]
    values = f.column.numbers
    span = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
    sureness: Sureness = "doubtful" if rivals else "sure" if score >= 3 else "likely"
    if re.search(r"\b(los|length of stay|verweildauer)\b", plain(f.name)):
        sureness = "doubtful"
    reason = f"{f.place()} is a time of each patient, {span}"
    return f, [Guess("time", f.name, reason, sureness, tuple(map(show, rivals[:4])))]


def _exit_score(f: Field) -> float:
    column = f.column
    if column.kind != "number" or (column.words and len(column.words) > 2):
        return 0.0
    values = column.numbers[np.isfinite(column.numbers)]
    if not len(values) or values.min() < 0 or column.distinct < 2:
        return 0.0
    if says(f.name, "age") or says(f.name, "sex") or markers.find(f.name) is not None:
        return 0.0
    named = says(f.name, "exit")
    if column.distinct < 4 and named < 3:
        return 0.0
    score = float(named)
    text = plain(f.name)
    if named and says(f.name, "status") and re.search(r"time|days|zeit|temps|delai|日数", text):
        score += 0.5  # "days to death"
    elif says(f.name, "status") >= 2 and column.distinct <= 3:
        return 0.0
    if re.search(
        r"\b(vent|ventilation|dose|icu days|stay|symptom\w*|onset|since|diagnos\w*)\b", text
    ):
        score -= 1.0
    if re.search(r"\b(day|days|time|months?|years?|tage|zeit|jours)\b|日", text) and named == 2:
        score += 0.5
    if re.search(r"follow|surv|fu\b|beobacht|suivi|観察|生存|uberleb|futime|exit", text):
        score += 0.6
    return score
