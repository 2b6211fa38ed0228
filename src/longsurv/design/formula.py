"""The formula language: a response, fixed effects, and random effects in brackets.

    log(bili) ~ year * drug + (year | id)
    log(bili) ~ year * drug + (year || id)          the same without the correlation
    log(bili) ~ year * drug + (1 | site/id)         patients within sites
    Surv(entry, exit, event) ~ drug + age

Fixed effects are read by formulaic; this module takes the formula apart before it gets there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from longsurv.errors import FormulaError


@dataclass(frozen=True)
class RandomTerm:
    """One random-effects term, ``(effects | group)``.

    Attributes
    ----------
    effects : str
        Right-hand side for the columns of Z, as in ``year`` or ``1`` or ``0 + year``.
    group : str
        Column whose values share random effects, or several joined by ``:`` (site:id).
    correlated : bool
        False for ``||``: every column of Z has a variance of its own and no correlation with
        another, the columns of one factor included.
    """

    effects: str
    group: str
    correlated: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that make up the group."""
        return tuple(self.group.split(":"))


@dataclass(frozen=True)
class Formula:
    """A formula taken apart.

    Attributes
    ----------
    text : str
        As the user wrote it.
    response : str
        Left-hand side; for a survival formula the empty string.
    fixed : str
        Right-hand side without the random terms.
    random : tuple of RandomTerm
    surv : tuple of str
        Arguments of ``Surv(...)``: (exit, event) or (entry, exit, event); empty otherwise.
    """

    text: str
    response: str
    fixed: str
    random: tuple[RandomTerm, ...] = ()
    surv: tuple[str, ...] = ()


def parse(text: str) -> Formula:
    """Take a formula apart.

    Raises
    ------
    FormulaError
        If there is no ``~``, a bracket does not close, or a term cannot be read.
    """
    if not isinstance(text, str) or text.count("~") != 1:
        raise FormulaError(
            f"a formula needs exactly one '~', as in 'y ~ x + (1 | id)'; got {text!r}"
        )
    left, right = (side.strip() for side in text.split("~"))
    if not left or not right:
        raise FormulaError(f"the formula {text!r} needs something on both sides of '~'")
    fixed, random = [], []
    for sign, term in top_level_terms(right, text):
        bar = _bar(term)
        if bar is None:
            fixed.append((sign, term))
        elif sign == "-":
            raise FormulaError(f"a random term cannot be subtracted: {term!r} in {text!r}")
        else:
            random.extend(_random_terms(term, bar, text))
    joined = " ".join(f"{sign} {term}" for sign, term in fixed).removeprefix("+ ") or "1"
    surv = _surv(left, text)
    return Formula(text, "" if surv else left, joined, tuple(random), surv)


def top_level_terms(side: str, text: str) -> list[tuple[str, str]]:
    """Split at + and - outside brackets and quotes."""
    terms, depth, sign, current, quote = [], 0, "+", "", ""
    for character in side:
        if quote or character in "`'\"":
            quote = "" if character == quote else quote or character
            current += character
            continue
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            raise FormulaError(f"a bracket closes that never opened in {text!r}")
        if depth == 0 and character in "+-":
            if current.strip():
                terms.append((sign, current.strip()))
            sign, current = character, ""
        else:
            current += character
    if depth or quote:
        raise FormulaError(f"a {'quote' if quote else 'bracket'} does not close in {text!r}")
    if not current.strip():
        raise FormulaError(f"the formula {text!r} ends in a sign with nothing after it")
    terms.append((sign, current.strip()))
    return terms


def _bar(term: str) -> int | None:
    """Position of the bar of a random term, or None for a fixed term."""
    if not (term.startswith("(") and term.endswith(")")):
        return None
    depth = 0
    for position, character in enumerate(term):
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 1:
            return position
    return None


def _random_terms(term: str, bar: int, text: str) -> list[RandomTerm]:
    """The term of each grouping: ``site/id`` stands for site and site:id."""
    effects, group = term[1:bar].strip(), term[bar + 1 : -1].strip()
    correlated = not group.startswith("|")
    group = re.sub(r"\s*([:/])\s*", r"\1", group.removeprefix("|").strip())
    if not effects or not group:
        raise FormulaError(f"a random term reads '(effects | group)', got {term!r} in {text!r}")
    if not re.fullmatch(r"\w+(:\w+)*(/\w+)*", group):
        raise FormulaError(
            f"the group of {term!r} must be a column name, or nested ones as in site/id, got "
            f"{group!r}"
        )
    outer, *inner = group.split("/")
    levels = [":".join([outer, *inner[:depth]]) for depth in range(len(inner) + 1)]
    return [RandomTerm(effects, level, correlated) for level in levels]


def _surv(left: str, text: str) -> tuple[str, ...]:
    if not re.match(r"Surv\s*\(", left):
        return ()
    inside = re.fullmatch(r"Surv\s*\((.*)\)", left)
    parts = tuple(part.strip() for part in inside.group(1).split(",")) if inside else ()
    if len(parts) not in (2, 3) or not all(re.fullmatch(r"\w+", part) for part in parts):
        raise FormulaError(
            f"write Surv(time, event) or Surv(entry, exit, event) with column names; got {left!r} "
            f"in {text!r}"
        )
    return parts
