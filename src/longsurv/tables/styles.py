"""How journals write the table of patients at baseline: dashes, signs, decimals of a percentage.

`plain` is this package's own. The others follow what the journals print: means with their standard
deviations after a plus-minus sign (NEJM) or in brackets (JAMA), quartiles joined by a dash, counts
with a percentage without its sign. Percentages have no decimals of fewer than 100 patients, and one
from there on (AMA Manual of Style, 11th edition, chapter 18). All have a decimal point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from longsurv import numbers
from longsurv.arguments import choice

type StyleName = Literal["plain", "nejm", "jama"]
FEW = 100
"""Patients below which a percentage is a whole number."""


@dataclass(frozen=True)
class Style:
    """How one journal writes a summary of a variable.

    Parameters
    ----------
    name : str
    mean, median, count : str
        What the summaries are called.
    spread : str
        How a standard deviation follows its mean, with {} in its place.
    quartiles : str
        Likewise, with {low} and {high}.
    joined : str
        How quartiles are joined where one is negative and a dash would be read as a minus.
    percent : callable
        From a part and a whole to the percentage.
    """

    name: str
    mean: str
    median: str
    count: str
    spread: str
    quartiles: str
    joined: str
    percent: Callable[[float, float], str]

    def of_mean(self, mean: float, sd: float) -> str:
        """A mean with its standard deviation; alone where there is none.

        Parameters
        ----------
        mean, sd : float
            In the unit of the variable; NaN where there is none.
        """
        if mean != mean:
            return numbers.MISSING
        return numbers.number(mean) + ("" if sd != sd else self.spread.format(numbers.number(sd)))

    def of_median(self, median: float, low: float, high: float) -> str:
        """A median with its quartiles.

        Parameters
        ----------
        median, low, high : float
            The median, the first and the third quartile.
        """
        if median != median:
            return numbers.MISSING
        ends = {"low": numbers.datum(low), "high": numbers.datum(high)}
        between = self.quartiles if low >= 0 else self.joined
        return numbers.datum(median) + between.format(**ends)

    def of_count(self, count: float, whole: float) -> str:
        """A count with its percentage.

        Parameters
        ----------
        count, whole : float
            How many, and of how many.
        """
        return f"{int(count):,} ({self.percent(count, whole)})"


def _bare(part: float, whole: float) -> str:
    """A percentage without its sign, with as many decimals as its denominator carries."""
    if whole == 0:
        return numbers.MISSING
    return f"{100 * part / whole:.{0 if whole < FEW else 1}f}"


STYLES: Mapping[str, Style] = MappingProxyType({
    "plain": Style(
        "plain", "mean (SD)", "median [quartiles]", "n (%)", " ({})", " [{low} to {high}]",
        " [{low} to {high}]", numbers.percent,
    ),
    "nejm": Style(
        "nejm", "mean \N{PLUS-MINUS SIGN} SD", "median (IQR)", "no. (%)",
        "\N{PLUS-MINUS SIGN}{}", " ({low}\N{EN DASH}{high})", " ({low} to {high})", _bare,
    ),
    "jama": Style(
        "jama", "mean (SD)", "median (IQR)", "No. (%)", " ({})", " ({low}-{high})",
        " ({low} to {high})", _bare,
    ),
})  # fmt: skip


def style_of(name: str) -> Style:
    """The style of a name.

    Parameters
    ----------
    name : {"plain", "nejm", "jama"}

    Raises
    ------
    ArgumentError
        For another name.
    """
    choice("style", name, STYLES)
    return STYLES[name]
