"""Which column says who was treated, and which of its levels the others are compared with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longsurv.cohort.problems import show, show_list
from longsurv.draft.alike import SHEET
from longsurv.draft.fates import is_fate, legend_in
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
# Groups by what patients are or had, not by what they were given in the study.
_OF_OTHERS = re.compile(
    r"\b(age|risk|blood|diagnos\w*|ethnic\w*|race|prior|prev\w*|past|weight|bmi|severity|income|sex"
    r"|disease|organ|pathogen|alter\w*|blut\w*|risiko\w*|vor|sanguin|concomitant|other|rescue)\b"
)
_BESIDE = {"a", "an", "and", "at", "by", "de", "der", "des", "du", "id", "in", "is", "la", "name",
           "of", "or", "patient", "patients", "received", "study", "the", "to", "trial", "type",
           "was", "with", "yn", "code", "no", "number", "nr", "s"}  # fmt: skip
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
    whole = named >= 2 and _is_all_of_treatment(field.name)
    sureness: Sureness = "sure" if whole and len(levels) == 2 and not rivals else "likely"
    if field.name == SHEET:  # sheets may as well be years, or hospitals
        sureness = "likely" if any(map(_is_control, levels)) else "doubtful"
    if (
        rivals
        or (named == 0 and field.name != SHEET and score < 3)
        or _OF_OTHERS.search(plain(field.name))
    ):
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
    """Levels that differ in capitals or blanks only, or in one letter of a long word."""
    spelt = ["".join(level.casefold().split()) for level in levels]
    near = [
        any(_is_slip(word, other) for other in spelt) or Counter(spelt)[word] > 1 for word in spelt
    ]
    return [level for level, again in zip(levels, near, strict=True) if again]


def _is_slip(one: str, other: str) -> bool:
    """Whether a long word is another with one letter more, less, changed, or two swapped."""
    short, long = sorted((one, other), key=len)
    if one == other or len(short) < 7 or len(long) > len(short) + 1:
        return False
    first = next((k for k in range(len(short)) if short[k] != long[k]), len(short))
    if len(long) > len(short):
        return long[first].isalpha() and short[first:] == long[first + 1 :]
    a, b = short[first:], long[first:]
    changed = a[1:] == b[1:] and 0 < first < len(short) - 1 and (a[0] + b[0]).isalpha()
    return changed or (a[1::-1] == b[:2] and a[2:] == b[2:] and a[:2].isalpha())


def _is_all_of_treatment(name: str) -> bool:
    """Whether every word of a name speaks of a treatment: not "ward group"."""
    if says(name, "treatment") == 3 or not plain(name).isascii():
        return True
    bare = re.sub(r"[(\[].*?[)\]]", " ", name)
    words = [w for w in plain(bare).split() if w not in _BESIDE and not w.isdigit()]
    return all(says(word, "treatment") >= 2 or says(word, "patient") == 3 for word in words)


def _score(field: Field) -> float:
    column = field.column
    if column.kind == "date" or not 2 <= column.distinct <= 8:
        return 0.0
    if column.kind == "number" and not _small_whole(field):
        return 0.0
    named = 1 if field.name == SHEET else says(field.name, "treatment")
    if all(map(is_fate, column.texts)):  # a group of those who survived is no treatment
        return 0.0
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
    if _OF_OTHERS.search(plain(field.name)):
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
    said = legend_in(field.name)[0]  # "group (0 = placebo, 1 = drug)"
    controls = [t for t in texts if _is_control(said.get(t, t))]
    zero = [
        t for t in texts if t.casefold() in ("0", "no", "n", "nein", "non", "false", "なし", "無")
    ]
    how: Sureness = "likely"
    if len(controls) == 1 and (not yes_no(texts) or controls[0] in said):
        control = said.get(controls[0], controls[0])
        first, why, how = controls[0], f"{show(control)} names a control group", "sure"
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


_DOSE = re.compile(r"\b(dose|dosis|dosage|amount|gabe|menge|units given|mg|g kg|mg kg)\b|投与量")
_BEGUN = re.compile(
    r"\b(start\w*|began|begun|begin\w*|first|administ\w*|given|infusion|dose|gabe|debut)\b|投与"
)


def _given(fields: Sequence[Field]) -> str:
    """Say which doses or dates of giving, that some patients have, may tell who was treated."""
    told = []
    for f in fields:
        numbers, text = f.column.numbers, plain(f.name)
        some = len(f.told()) < len(f.sheet.people)
        none = some or bool(np.any(numbers == 0))
        dosed = none and bool(np.any(numbers > 0)) and _DOSE.search(text) is not None
        begun = f.column.kind == "date" and some and _BEGUN.search(text) is not None
        marked = says(f.name, "treatment") >= 2 and f.column.distinct == 1 and some
        if dosed or begun or marked:
            told.append(f.name)
    if not told:
        return ""
    return f"; {show_list(told, 3)} may tell who was treated: add a column of yes and no for that"


def _no_arms(fields: Sequence[Field], varying: Sequence[str]) -> list[Guess]:
    """What could be compared, where nothing is named like a treatment."""
    maybe = [
        f for f in fields
        if 2 <= f.column.distinct <= 3 and f.column.kind in ("text", "number")
        and not says(f.name, "status")
    ]  # fmt: skip
    reason = "no column with one value a patient is named like a treatment or group"
    reason += _within(varying) + _given(fields)
    first = sorted(maybe[0].column.texts)[0] if maybe else "control"
    shown = first if first.isdigit() else show(first)
    return [
        Guess("treatment", "", reason, "doubtful", tuple(show(f.name) for f in maybe[:6])),
        Guess("reference", "", "the level others are compared with", "doubtful", (shown,)),
    ]
