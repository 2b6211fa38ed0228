"""A cell read as a number: its detection limit, decimal mark, thousands and what stands behind."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

DecimalMark = Literal[".", ","]

_BELOW = (
    r"<=|<|≤|(?:(?:less|lower|smaller) than|below|under|unter|kleiner als|kleiner|inférieur à"
    r"|inferieur a|inf\.? à|lt)(?= )"
)
_ABOVE = (
    r">=|>|≥|(?:(?:greater|more|higher) than|above|over|über|größer als|groesser als|größer"
    r"|supérieur à|superieur a|sup\.? à|gt)(?= )"
)
_GAPS = " '\u2019\u00a0\u202f"
_GROUPED = rf"[1-9]\d{{0,2}}(?:[{_GAPS}]\d{{3}})+(?:[.,]\d+)?(?!\d)"
_NUMBER = rf"[+-]?(?:{_GROUPED}|\d[\d.,]*|[.,]\d+)(?:[eE][+-]?\d{{1,3}}(?!\d))?"
_CELL = re.compile(
    rf"(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE}))?\s*(?P<number>{_NUMBER})(?P<tail>.*)",
    re.IGNORECASE | re.DOTALL,
)
_EXTREME = re.compile(
    r"\s*(?:(?:is\s+(?:the\s+)?)?(?:(?P<highest>highest)|lowest)(?:\s+value)?"
    r"(?:\s+(?:measured|reportable))?|(?P<over>以上)|未満|以下)",
    re.IGNORECASE,
)
# Behind a number comes a blank, or what no number goes on with: 12 10^9/L, 12mg/L, 12%.
_APART = re.compile(r"\s+(?=\S)|(?=[^\W\d_]|[%°↑↓*!(\[])")
_THOUSANDS = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:[,.{_GAPS}]\d{{3}})+")
_COMMA = re.compile(r"[+-]?\d+,(\d+)(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")


_RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
# What a parser may read as a number though no person would, or end the process at.
_ODD = re.compile(r"_|[eE][+-]?[0-9]{4}|0[xX]|[0-9]{300}")


FLAGS = frozenset({"H", "L", "HH", "LL", "*", "**", "+", "-", "(H)", "(L)", "high", "low", "High",
                   "Low", "HIGH", "LOW", "↑", "↓", "(+)", "(-)", "!", "A"})  # fmt: skip
"""What laboratories write behind a number outside its usual range."""


_LARGEST = 10**300


class Reading(NamedTuple):
    """A number as a cell says it.

    Attributes
    ----------
    value : float
    code : int
        0 observed, 1 below the number, 2 above it.
    tail : str
        What stands behind the number, such as a unit; "" for nothing.
    spoken : bool
        Whether the limit is in words ("LESS THAN 2").
    """

    value: float
    code: int
    tail: str
    spoken: bool


def normal(text: object) -> str:
    """A cell as plain text: full-width digits and signs as usual ones, 10⁹ as 10^9, no blanks."""
    said = str(text)
    if not said.isascii():
        said = unicodedata.normalize("NFKC", _RAISED.sub(r"^\g<0>", said))
    return said.strip()


def plain_numbers(column: pd.Series) -> np.ndarray:
    """Numbers of a column of any values, NaN where a value is none, shape (rows,)."""
    odd = np.fromiter(map(_is_odd, column), bool, len(column))
    return np.array(pd.to_numeric(column.mask(odd), errors="coerce"), dtype=float)


def _is_odd(value: object) -> bool:
    if isinstance(value, str):
        return _ODD.search(value) is not None
    return type(value) is int and abs(value) > _LARGEST  # pandas 3 reads one of any length


def read_number(text: object, decimal: str = ".", thousands: str = "") -> Reading | None:
    """Read "3.1", "<0.02", "≥ 500", "LESS THAN 2", "12 mg/L" or "150 IS HIGHEST MEASURED".

    None if it begins with no number, or with one that the marks do not fit: "1,5" with a point,
    or "1.5" where points stand between thousands.
    """
    match = _CELL.fullmatch(normal(text))
    if match is None:
        return None
    value = _value(match["number"], decimal, thousands)
    if value is None:
        return None
    code = 1 if match["below"] else 2 if match["above"] else 0
    spoken = (match["below"] or match["above"] or " ")[0].isalpha()
    tail = match["tail"]
    extreme = _EXTREME.fullmatch(tail)
    if extreme is not None and not code:
        return Reading(value, 2 if extreme["highest"] or extreme["over"] else 1, "", True)
    if tail and _APART.match(tail) is None:
        return None
    return Reading(value, code, tail.strip(), spoken)


def _value(number: str, decimal: str, thousands: str) -> float | None:
    plain = number
    if any(gap in plain for gap in _GAPS):
        plain = "".join(c for c in plain if c not in _GAPS)
    if thousands and thousands in plain:
        whole, mark, rest = plain.partition(decimal)
        if thousands in rest or not _THOUSANDS.fullmatch(whole):
            return None
        plain = whole.replace(thousands, "") + mark + rest
    if decimal == ",":
        if "." in plain:
            return None
        plain = plain.replace(",", ".")
    try:
        return float(plain)
    except ValueError:
        return None


def number_in(text: str) -> str:
    """The figures of a cell's number as they stand, with their marks; "" if it begins with none."""
    match = _CELL.fullmatch(normal(text))
    return "" if match is None else match["number"]


def is_grouped(number: str) -> bool:
    """Whether marks in a number stand before three figures each, as those of thousands do."""
    return _THOUSANDS.fullmatch(number) is not None


def decimals(texts: Sequence[str]) -> tuple[set[int], bool]:
    """How many figures follow the comma of numbers, and whether some number has a point."""
    commas: set[int] = set()
    point = False
    for text in texts:
        if "," not in text and "." not in text:
            continue
        number = number_in(text)
        comma = _COMMA.fullmatch(number)
        if comma is not None:
            commas.add(len(comma[1]))
        point = point or _POINT.fullmatch(number) is not None
    return commas, point
