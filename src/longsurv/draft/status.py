"""How follow-up ended: the column that says it, and what its levels mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from longsurv.cohort.problems import show, show_list
from longsurv.draft.fates import ALIVE, AWAY, DEAD, LOST, MARKS, NO, YES, legend_in, word
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.names import plain, says
from longsurv.draft.people import Field
from longsurv.draft.treatment import yes_no

_DEATH_NAME = re.compile(
    r"\b(death|died|dead|deceased|mort|mortality|verstorben|gestorben|exitus|deces|decede|tod|expired?"
    r"|\w*mortalitat|\w*sterblichkeit|muerte|fallecid\w*|fallecimiento|decesso|deceduto|morte|obito"
    r"|overlijden|overleden)\b|死亡|expire flag"
)
_ALIVE_NAME = re.compile(
    r"\b(alive|survived|survivor|survival|uberlebt|vivant|lebt|vivo)\b|生存|存活"
)
# What neither says that death is meant nor that life is.
_EITHER_NAME = re.compile(
    r"\b(outcome|fate|result|vital|discharge|ausgang|devenir|issue|esito|desenlace)\b|転帰|结局"
)
_CENSOR_NAME = re.compile(r"\bcens\w*|\bzensier\w*|打ち切り")


@dataclass(frozen=True)
class Outcome:
    """Where time and status of the end of follow-up come from.

    Attributes
    ----------
    exit, status, entry : Field or None
        Columns of a time, of a status, and of a time from which a patient is at risk.
    zero, death, end : Field or None
        Columns of dates.
    sooner : Field or None
        A time to the event, of those who had it; the others have `exit`.
    mark : Field or None
        A column that is filled for those who had the event, where nothing else tells.
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
    entry: Field | None = None
    zero: Field | None = None
    death: Field | None = None
    end: Field | None = None
    sooner: Field | None = None
    mark: Field | None = None
    event: list[str] = field(default_factory=list)
    censored: list[str] = field(default_factory=list)
    competing: dict[str, list[str]] = field(default_factory=dict)
    unit: str = ""
    stop: tuple[str, str, str] | None = None


# A status ----------------------------------------------------------------------------------------


def find_status(fields: Sequence[Field]) -> tuple[Outcome, list[Guess]]:
    """Choose the column that says how follow-up ended, and read its levels."""
    scored = sorted(((s, f) for f in fields if (s := _status_score(f)) > 0), key=lambda x: -x[0])
    if not scored:
        return Outcome(), [
            Guess("status", "", "no column says how each patient's follow-up ended", "doubtful")
        ]
    score, field_ = scored[0]
    rivals = [f.name for s, f in scored[1:] if s > score - 1.0]
    outcome, guess = levels_of(field_)
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
    words = [word(t) for t in column.texts]
    spoken = any(w in DEAD - {"event"} for w in words)
    if column.distinct == 2 and yes_no(column.texts) and _ALIVE_NAME.search(plain(f.name)):
        named = max(named, 2)  # "survival" of yes and no is no time
    score = float(named) + (3.0 if spoken else 0.0)
    marked = column.texts[0] in MARKS or column.texts[0].casefold() in YES
    if column.distinct == 1 and not (named and (spoken or marked)):
        return 0.0
    if _DEATH_NAME.search(plain(f.name)):
        score += 1.5
    if named and says(f.name, "exit") == 3:
        score -= 1
    return score if named or spoken else 0.0


def levels_of(f: Field) -> tuple[Outcome, Guess]:
    """What each level of a status means."""
    legend, bare = legend_in(f.name)
    texts, name = sorted(f.column.texts), plain(bare)
    means = {t: legend.get(t, t) for t in texts}  # what a code is said to mean, in the name
    words = {t: word(means[t]) for t in texts}
    outcome = Outcome(status=f)
    said = f"{f.place()} has the levels {show_list(texts, 6)}"
    dead = [t for t in texts if words[t] in DEAD]
    alive = [t for t in texts if words[t] in ALIVE]
    away = [t for t in texts if words[t] in AWAY]
    lost = [t for t in texts if words[t] in LOST]
    if sorted(words.values()) == ["a", "d"]:  # letters of their own mean nothing
        dead, alive = ([t for t in texts if words[t] == letter] for letter in "da")
        done = replace(outcome, event=dead, censored=alive)
        return done, Guess("status", f.name, f"{said}, as of dead and alive", "likely")
    if dead and len(dead) + len(alive) + len(away) + len(lost) == len(texts):
        competing = {words[t]: [t] for t in away}
        done = replace(outcome, event=dead, censored=[*alive, *lost], competing=competing)
        return done, Guess("status", f.name, said, "sure" if not away else "likely")
    if legend and len(texts) == 2 and len(dead) + len(alive) == 1:
        event = dead or [t for t in texts if t not in alive]
        done = replace(outcome, event=event, censored=[t for t in texts if t not in event])
        return done, Guess("status", f.name, said, "likely")
    yes = [t for t in texts if means[t].casefold() in YES or words[t] in YES]
    no = [t for t in texts if means[t].casefold() in NO or words[t] in NO]
    if len(texts) == 1 and texts[0] in MARKS:
        yes = texts
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
    if not no and f.column.filled < len(f.column.codes):
        filled = f"{f.place()} says {show(yes[0])}, and is empty for those without the event"
        return replace(outcome, status=None, mark=f), Guess("status", f.name, filled, "likely")
    if _DEATH_NAME.search(name):
        how = "sure" if yes and no else "likely"
        return done, Guess("status", f.name, f"{said}, of death", how)
    said += "; yes and 1 usually mean the event"
    if _EITHER_NAME.search(name) and f.told().isin(yes).mean() > 0.5:
        said += ", but most have it here"
        both = tuple(f"event = {', '.join(levels)}" for levels in (yes, no))
        return done, Guess("status", f.name, said, "doubtful", both)
    return done, Guess("status", f.name, said, "likely")
