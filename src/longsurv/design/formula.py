"""The formula language: a response, fixed effects, and random effects in brackets.

    log(bili) ~ year * drug + (year | id)
    log(bili) ~ year * drug + (year || id)          the same without the correlation
    log(bili) ~ year * drug + (1 | site/id)         patients within sites
    Surv(entry, exit, event) ~ drug + age
    log(`IL 6`) ~ drug + (1 | `Patient No`)         names with spaces or signs in back-quotes

This module takes the formula apart: the left-hand side is an expression
(`longsurv.design.expression`), fixed effects and the columns of Z are terms
(`longsurv.design.terms`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from longsurv.design.expression import Functions
from longsurv.design.names import is_name, outside, split, unquoted
from longsurv.errors import FormulaError

LONGEST = 200_000
"""Characters of a formula."""
DEEPEST = 10
"""Columns of one group."""


@dataclass(frozen=True)
class RandomTerm:
    """One random-effects term, ``(effects | group)``.

    Attributes
    ----------
    effects : str
        Right-hand side for the columns of Z, as in ``year`` or ``1`` or ``0 + year``.
    group : str
        Column whose values share random effects, or several joined by ``:`` (site:id); in
        back-quotes what has one of ``:/'"`` in it.
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
        return joined_columns(self.group)

    @property
    def name(self) -> str:
        """The group's name, as results show it."""
        return ":".join(self.columns)


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
        Arguments of ``Surv(...)``: (exit, event) or (entry, exit, event), or (left, right) with
        `between`; empty otherwise.
    between : bool
        Whether it is ``Surv(left, right, type="interval2")``.
    functions : mapping of str to callable
        The user's own, which the formula may call.
    """

    text: str
    response: str
    fixed: str
    random: tuple[RandomTerm, ...] = ()
    surv: tuple[str, ...] = ()
    functions: Functions = field(default_factory=dict)
    between: bool = False


def parse(text: str, functions: Functions | None = None) -> Formula:
    """Take a formula apart.

    Parameters
    ----------
    text : str
    functions : mapping of str to callable, optional
        The user's own.

    Raises
    ------
    FormulaError
        If there is no ``~``, a bracket does not close, or a term cannot be read.
    """
    whole = text if isinstance(text, str) else ""
    if len(whole) > LONGEST:
        raise FormulaError(f"a formula has at most {LONGEST} characters; got {text[:60]!r}...")
    tildes = [position for position, character, _ in outside(whole) if character == "~"]
    if len(tildes) != 1:
        raise FormulaError(
            f"a formula needs exactly one '~', as in 'y ~ x + (1 | id)'; got {text!r}"
        )
    left, right = text[: tildes[0]].strip(), text[tildes[0] + 1 :].strip()
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
    surv, between = _surv(left, text)
    own = dict(functions or {})
    return Formula(text, "" if surv else left, joined, tuple(random), surv, own, between)


def joined_columns(group: str) -> tuple[str, ...]:
    """The columns of a group such as ``site:id``."""
    return tuple(part.strip("`") for part in re.findall(r"`[^`]+`|[^:]+", group))


def top_level_terms(side: str, text: str) -> list[tuple[str, str]]:
    """Split at + and - outside brackets and quotes."""
    terms, sign, start = [], "+", 0
    try:
        signs = [(p, c) for p, c, depth in outside(side) if depth == 0 and c in "+-"]
    except FormulaError as error:
        raise FormulaError(f"{str(error).removesuffix(f' in {side!r}')} in {text!r}") from None
    for position, character in [*signs, (len(side), "")]:
        term = side[start:position].strip()
        if term:
            terms.append((sign, term))
        elif not character:
            raise FormulaError(f"the formula {text!r} ends in a sign with nothing after it")
        sign, start = character, position + 1
    return terms


def _bar(term: str) -> int | None:
    """Position of the bar of a random term, or None for a fixed term."""
    if not (term.startswith("(") and term.endswith(")")):
        return None
    return next(
        (p for p, character, depth in outside(term) if character == "|" and depth == 1), None
    )


def _random_terms(term: str, bar: int, text: str) -> list[RandomTerm]:
    """The term of each grouping: ``site/id`` stands for site and site:id."""
    effects, group = term[1:bar].strip(), term[bar + 1 : -1].strip()
    correlated = not group.startswith("|")
    group = group.removeprefix("|").strip()
    if not effects or not group:
        raise FormulaError(f"a random term reads '(effects | group)', got {term!r} in {text!r}")
    nested = [split(level, ":") for level in split(group, "/")]
    columns = [column for level in nested for column in level]
    if not all(map(is_name, columns)) or any(len(level) > 1 for level in nested[1:]):
        raise FormulaError(
            f"the group of {term!r} must be a column name (in back-quotes where it has spaces or "
            f"signs), or nested ones as in site/id, got {group!r}"
        )
    if len(columns) > DEEPEST:
        raise FormulaError(f"the group of {term[:60]!r} has more than {DEEPEST} columns")
    shown = [_joined(column) for column in columns]
    outer = len(nested[0])
    return [
        RandomTerm(effects, ":".join(shown[:depth]), correlated)
        for depth in range(outer, len(shown) + 1)
    ]


def _joined(column: str) -> str:
    """A column as part of a group's name."""
    name = unquoted(column)
    return f"`{name}`" if re.search("[:/'\"]", name) else name


def _surv(left: str, text: str) -> tuple[tuple[str, ...], bool]:
    """The columns of Surv(...), and whether they are the ends of intervals."""
    if not re.match(r"Surv\s*\(", left):
        return (), False
    inside = re.fullmatch(r"Surv\s*\((.*)\)", left, flags=re.DOTALL)
    parts = split(inside.group(1), ",") if inside else []
    kind = re.fullmatch(r"type\s*=\s*(['\"])(.*)\1", parts[-1]) if parts else None
    if kind is not None:
        if kind[2] != "interval2" or len(parts) != 3 or not all(map(is_name, parts[:2])):
            raise FormulaError(
                "the type of Surv that has to be named is Surv(left, right, type='interval2'), of"
                " two columns: the last time seen without the event and the first with it (missing"
                f" where there is none); got {left!r} in {text!r}"
            )
        names = tuple(map(unquoted, parts[:2]))
        if names[0] == names[1]:
            raise FormulaError(
                f"{left!r} has {names[0]!r} for both ends; give the last time without the event and"
                f" the first with it as two columns, in {text!r}"
            )
        return names, True
    if len(parts) not in (2, 3) or not all(map(is_name, parts)):
        raise FormulaError(
            f"write Surv(time, event) or Surv(entry, exit, event) with column names; got {left!r} "
            f"in {text!r}"
        )
    return tuple(map(unquoted, parts)), False
