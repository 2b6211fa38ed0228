"""How follow-up ended: the column that says it, and what its levels mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from longsurv.cohort.labels import DEATH_WORDS
from longsurv.cohort.problems import show, show_list
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.names import plain, says
from longsurv.draft.people import Field

_DEAD = DEATH_WORDS | {"nonsurvivor", "non survivor", "event"}
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
    exit, status, entry : Field or None
        Columns of a time, of a status, and of a time from which a patient is at risk.
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
    entry: Field | None = None
    zero: Field | None = None
    death: Field | None = None
    end: Field | None = None
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


def levels_of(f: Field) -> tuple[Outcome, Guess]:
    """What each level of a status means."""
    legend, bare = _legend(f.name)
    texts, name = sorted(f.column.texts), plain(bare)
    means = {t: legend.get(t, t) for t in texts}  # what a code is said to mean, in the name
    words = {t: _word(means[t]) for t in texts}
    outcome = Outcome(status=f)
    said = f"{f.place()} has the levels {show_list(texts, 6)}"
    dead = [t for t in texts if words[t] in _DEAD]
    alive = [t for t in texts if words[t] in _ALIVE]
    away = [t for t in texts if words[t] in _AWAY]
    lost = [t for t in texts if words[t] in _LOST]
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
