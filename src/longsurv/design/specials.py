"""Terms of a formula that are no covariates: offset(), and of survival strata(), cluster() and
frailty()."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from longsurv.design.formula import Formula, RandomTerm, top_level_terms
from longsurv.design.names import is_name, split, unquoted
from longsurv.errors import FormulaError

SPECIALS = ("strata", "cluster", "offset", "frailty")


def take_out_specials(
    parsed: Formula, names: Sequence[str] = SPECIALS
) -> tuple[Formula, dict[str, list[str]]]:
    """The formula without those of strata(), cluster() and offset() that are named, and what was
    in them.

    ``frailty(site)`` is read as the random term ``(1 | site)``.
    """
    special: dict[str, list[str]] = {name: [] for name in names}
    rest = []
    for sign, term in top_level_terms(parsed.fixed, parsed.text):
        found = re.fullmatch(rf"({'|'.join(names)})\s*\((.*)\)", term, flags=re.DOTALL)
        if found is None:
            bare = re.sub(r"`[^`]*`", "", term)
            inside = re.search(rf"\b({'|'.join(names)})\s*\(", bare)
            if inside:
                name = inside.group(1)
                raise FormulaError(
                    f"{name}() is a term of its own, as in '+ {name}(x)'; "
                    f"got {term!r} in {parsed.text!r}"
                )
            rest.append((sign, term))
            continue
        name, content = found.group(1), found.group(2).strip()
        parts = [content] if name == "offset" else split(content, ",")
        if sign == "-" or not all(parts) or (name != "offset" and not all(map(is_name, parts))):
            raise FormulaError(
                f"cannot read {sign!r} {term!r} in {parsed.text!r}: {name}() has columns, by name, "
                "in back-quotes where they have spaces or signs"
            )
        if name != "offset":
            parts = [unquoted(part) for part in parts]
        special[name] += parts
    for name in ("cluster", "offset", "frailty"):
        if len(special.get(name, ())) > 1:
            raise FormulaError(f"a formula has one {name}() of one column; got {parsed.text!r}")
    fixed = " ".join(f"{sign} {term}" for sign, term in rest).removeprefix("+ ") or "1"
    shared = tuple(RandomTerm("1", f"`{group}`") for group in special.pop("frailty", ()))
    return replace(parsed, fixed=fixed, random=(*parsed.random, *shared)), special
