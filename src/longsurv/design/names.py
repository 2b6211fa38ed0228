"""Names of columns in formulas: ``age`` as it is, ``Patient No`` between back-quotes.

Everything that takes a formula apart or puts one together quotes and splits here, so that no
character of a name means anything else.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Hashable, Iterable, Iterator

import pandas as pd

from longsurv.errors import FormulaError

QUOTES = "`'\""
PLAIN = re.compile(r"[^\W\d][\w.]*")
WORDS = frozenset(("Intercept", *keyword.kwlist))
"""Names that mean something in a formula and need quotes as names of columns."""


def quoted(name: str) -> str:
    """The name as a formula has to write it.

    Raises
    ------
    FormulaError
        For a name with a back-quote in it, which no formula can write.
    """
    if PLAIN.fullmatch(name) and name not in WORDS:
        return name
    if "`" in name or not name:
        raise FormulaError(f"a column called {name!r} cannot stand in a formula; rename it")
    return f"`{name}`"


def unquoted(text: str) -> str:
    """The name without its back-quotes, if it has any."""
    bare = text.strip()
    return bare[1:-1] if len(bare) > 2 and bare[0] == bare[-1] == "`" else bare


def is_name(text: str) -> bool:
    """Whether a text is the name of one column, quoted where it must be."""
    bare = text.strip()
    return bool(re.fullmatch(r"`[^`]+`|[\w.]+", bare))


def outside(text: str) -> Iterator[tuple[int, str, int]]:
    """Position, character and depth of brackets of all that is not inside quotes.

    An opening bracket has the depth inside it, a closing one that outside.

    Raises
    ------
    FormulaError
        If a quote or a bracket does not close, or one closes that never opened.
    """
    depth, quote = 0, ""
    for position, character in enumerate(text):
        if quote or character in QUOTES:
            quote = "" if character == quote else quote or character
            continue
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            raise FormulaError(f"a bracket closes that never opened in {text!r}")
        yield position, character, depth
    if depth or quote:
        raise FormulaError(f"a {'quote' if quote else 'bracket'} does not close in {text!r}")


def split(text: str, separators: str) -> list[str]:
    """The parts between separators (single characters) outside quotes and brackets, stripped."""
    cuts = [p for p, character, depth in outside(text) if depth == 0 and character in separators]
    starts, ends = [0, *(p + 1 for p in cuts)], [*cuts, len(text)]
    return [text[a:b].strip() for a, b in zip(starts, ends, strict=True)]


def free(name: Hashable, own: Iterable[Hashable], suffix: str = "_variable") -> Hashable:
    """A column's name beside those that a table has of its own: with a suffix if it is one."""
    taken = set(own)
    while name in taken:
        name = f"{name}{suffix}"
    return name


def apart(frame: pd.DataFrame, own: Iterable[Hashable], suffix: str = "_newdata") -> pd.DataFrame:
    """The frame, with a suffix after the names of columns that a table has of its own: neither a
    covariate called "estimate" nor the estimate is lost."""
    taken, known = set(own), {*own, *frame.columns}
    names = {name: free(name, known, suffix) for name in frame.columns if name in taken}
    return frame.rename(columns=names) if names else frame
