"""Which column says who was treated, and which of its levels the others are compared with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longsurv.cohort.problems import show, show_list
from longsurv.draft.guess import Guess, Sureness
from longsurv.draft.names import plain, says
from longsurv.draft.people import Field
from longsurv.words import plural

_CONTROL = re.compile(
    r"\b(control|controls|ctrl|placebo|plac|plb|standard|usual|conventional|sham|untreated|none|no"
    r"|kontrolle|kontroll\w*|vergleich\w*|unbehandelt|ohne|standardtherapie|temoin|temoins|controle"
    r"|sans|comparator|soc|best supportive|nicht behandelt|observation|obs|non|saline|nacl"
    r"|kochsalz\w*|vehicle)\b"
    r"|対照|プラセボ|コントロール|非投与|未治療|標準|偽薬"
)
_NOT_ARMS = ("sex", "age", "site", "status", "row", "birth")


@dataclass(frozen=True)
class Treatment:
    """The column of the treatment groups.

    Attributes
    ----------
    field : Field
    levels : list of str
        As written, the reference first.
    """

    field: Field
    levels: list[str]


def find_treatment(
    fields: Sequence[Field], varying: Sequence[str] = ()
) -> tuple[Treatment | None, list[Guess]]:
    """Choose among the columns with one value a patient; `varying` have several."""
    scored = sorted(
        ((score, field) for field in fields if (score := _score(field)) > 0), key=lambda x: -x[0]
    )
    if not scored:
        return None, _no_arms(fields, varying)
    score, field = scored[0]
    rivals = [f for s, f in scored[1:] if s > score - 1.5]
    levels, why, how = _reference(field)
    named = says(field.name, "treatment")
    sureness: Sureness = "sure" if named >= 2 and len(levels) == 2 and not rivals else "likely"
    if rivals or (named == 0 and score < 3):
        sureness = "doubtful"
    reason = f"{field.place()} has {plural(len(levels), 'level')}: {show_list(levels, 6)}"
    if len(levels) > 2:
        reason += "; all are kept, and each is compared with the reference"
    if sureness == "doubtful":
        reason += _within(varying)
    again = _spelt_twice(levels)
    if again:
        sureness = "doubtful"
        reason += f"; {show_list(again)} may be one group: write it in one way in the file"
    guesses = [
        Guess("treatment", field.name, reason, sureness, tuple(show(f.name) for f in rivals[:4])),
        Guess("reference", levels[0], why, how, tuple(show(v) for v in levels[1:])),
    ]
    return Treatment(field, levels), guesses


def _spelt_twice(levels: Sequence[str]) -> list[str]:
    """Levels that differ in capitals or blanks only."""
    spelt = ["".join(level.casefold().split()) for level in levels]
    return [v for v, word in zip(levels, spelt, strict=True) if Counter(spelt)[word] > 1]


def _score(field: Field) -> float:
    column = field.column
    if column.kind == "date" or not 2 <= column.distinct <= 8:
        return 0.0
    if column.kind == "number" and not _small_whole(field):
        return 0.0
    named = says(field.name, "treatment")
    if not named and any(says(field.name, role) for role in _NOT_ARMS):
        return 0.0
    if column.kind == "number" and column.native and named == 0:
        return 0.0
    controlled = sum(_is_control(text) for text in column.texts) if named else sum(
        _is_control(text) and not _is_denied(text, column.texts) for text in column.texts
    )  # fmt: skip
    score = {3: 6.0, 2: 3.5, 1: 1.0, 0: 0.0}[named]
    if controlled == 1 and not yes_no(column.texts):
        score += 2.5
    if column.distinct == 2:
        score += 1.0 if column.kind == "text" and not yes_no(column.texts) else 0.2
    elif column.distinct > 3:
        score -= 1.0
    if re.search(r"\b(age|risk|blood|diagnos\w*|ethnic|race|prior|prev\w*)\b", plain(field.name)):
        score -= 3.0
    if named == 0 and (column.kind != "text" or yes_no(column.texts)):
        return 0.0
    return score


def _small_whole(field: Field) -> bool:
    values = field.column.numbers
    values = values[np.isfinite(values)]
    return bool(np.all(values == np.floor(values)) and values.min() >= 0 and values.max() <= 9)


def _is_control(text: str) -> bool:
    return _CONTROL.search(plain(re.sub(r"^\d+[_. -]", "", text))) is not None


def _is_denied(text: str, texts: Sequence[str]) -> bool:
    """Whether a level is another with a "no" before it: a finding that a patient has or has not."""
    said = re.sub(r"^(no|non|not|kein|keine|ohne|sans|without) ", "", plain(text))
    return said != plain(text) and said in map(plain, texts)


_YES_NO = {"yes", "no", "y", "n", "ja", "nein", "j", "oui", "non", "o", "true", "false", "0", "1",
           "t", "f", "あり", "なし", "有", "無", "はい", "いいえ"}  # fmt: skip


def yes_no(texts: Sequence[str]) -> bool:
    """Whether all texts are yes or no, in one of four languages, or 1 or 0."""
    return all(text.casefold() in _YES_NO for text in texts)


def _reference(field: Field) -> tuple[list[str], str, Sureness]:
    """Levels with the reference first; why, and how sure."""
    texts = sorted(field.column.texts, key=lambda t: (len(t), t) if t.isdigit() else (99, t))
    controls = [t for t in texts if _is_control(t)]
    zero = [
        t for t in texts if t.casefold() in ("0", "no", "n", "nein", "non", "false", "なし", "無")
    ]
    how: Sureness = "likely"
    if len(controls) == 1 and not yes_no(texts):
        first, why, how = controls[0], f"{show(controls[0])} names a control group", "sure"
    elif len(zero) == 1:
        first, why, how = zero[0], f"{show(zero[0])} usually means not treated", "likely"
    else:
        first = texts[0]
        why, how = (
            "no level is named as a control; this only turns the sign of every answer",
            "likely",
        )
    return [first, *(t for t in texts if t != first)], why, how


def _within(varying: Sequence[str]) -> str:
    """Say which columns are named like a treatment and have several values a patient."""
    given = [name for name in varying if says(name, "treatment") >= 2]
    if not given:
        return ""
    return f"; {show_list(given)} varies within patients, who must each be in one group"


def _no_arms(fields: Sequence[Field], varying: Sequence[str]) -> list[Guess]:
    """What could be compared, where nothing is named like a treatment."""
    maybe = [
        f for f in fields
        if 2 <= f.column.distinct <= 3 and f.column.kind in ("text", "number")
        and not says(f.name, "status")
    ]  # fmt: skip
    reason = "no column with one value a patient is named like a treatment or group"
    reason += _within(varying)
    first = sorted(maybe[0].column.texts)[0] if maybe else "control"
    shown = first if first.isdigit() else show(first)
    return [
        Guess("treatment", "", reason, "doubtful", tuple(show(f.name) for f in maybe[:6])),
        Guess("reference", "", "the level others are compared with", "doubtful", (shown,)),
    ]
