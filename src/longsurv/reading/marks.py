"""Which mark a column has before its decimals, and which between its thousands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from longsurv.reading.numbers import DecimalMark, is_grouped, number_in


class Marks(NamedTuple):
    """The marks of a column's numbers.

    Attributes
    ----------
    decimal : {".", ","}
    sure : bool
        Whether only this reading is possible.
    thousands : str
        "" if there is no mark between thousands.
    """

    decimal: DecimalMark
    sure: bool
    thousands: str


def find_marks(texts: Sequence[str], table: str = ".") -> Marks:
    """The marks of numbers in texts.

    Parameters
    ----------
    texts : sequence of str
        Distinct cells of a column.
    table : {".", ","}
        The decimal mark of the table, as its other columns tell it.
    """
    found = [number_in(text) for text in texts if "," in text or "." in text]
    commas, points = [n for n in found if "," in n], [n for n in found if "." in n]
    both = [n for n in commas if "." in n]
    if both:
        comma_last = all(n.rfind(",") > n.rfind(".") for n in both)
        return Marks(",", True, ".") if comma_last else Marks(".", True, ",")
    for mark, other in ((",", "."), (".", ",")):  # no number has two decimal marks
        if any(n.count(mark) > 1 and is_grouped(n) for n in found):
            return Marks(other, True, mark)  # type: ignore[arg-type]
    if not commas:
        if table == "," and points and all(map(is_grouped, points)):
            return Marks(",", False, ".")
        return Marks(".", True, "")
    if not all(map(is_grouped, commas)):
        # "75,5" beside "182.000"; beside "1.5" one of them is a mistake, and nothing says which.
        return Marks(",", all(map(is_grouped, points)), "." if points else "")
    if points:  # "182,000" beside "75.5"
        return Marks(".", True, ",")
    if table == ",":
        return Marks(",", True, "")
    return Marks(".", False, ",")  # every comma has three figures after it
