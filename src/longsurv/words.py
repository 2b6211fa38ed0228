"""Counts in words, with the grammar of one and many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NO_ANSWER = "no usable answer"
"""What stands in place of a number that a method could not give, before the reason."""


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 patient", "41 patients", "1,945 visits"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counted(event: str) -> str:
    """What is counted of an event: deaths, or events, as "relapsed" and 再発 have no plural."""
    return event if event in ("death", "event") else "event"


def verb(count: int, one: str, many: str) -> str:
    """ "was" of one and "were" of several."""
    return one if count == 1 else many


def told_apart(values: Sequence[float], digits: int = 4) -> list[str]:
    """Numbers with as few significant digits, `digits` or more, as give different ones different
    texts: 2015.1 and 2015.4 are both 2015 with four."""
    for more in range(digits, 17):
        texts = [f"{value:.{more}g}" for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [repr(float(value)) for value in values]


def shortened(text: str, most: int = 300) -> str:
    """A text without its middle, if it is longer than anybody reads."""
    return text if len(text) <= most else f"{text[: most // 2]} [...] {text[-most // 2 :]}"


def cannot_be_fitted(formula: str, why: str) -> str:
    """That a model has no estimate, and why; of a formula of a thousand terms its two ends."""
    return f"{shortened(formula)!r} cannot be fitted: {why}"


def listed(items: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


def some(values: Iterable[object]) -> str:
    """The first five of many values, each once: "3, 7, ..."."""
    each = list(dict.fromkeys(values))
    return ", ".join(str(value) for value in each[:5]) + (", ..." if len(each) > 5 else "")


def capital(text: str) -> str:
    """The text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]
