"""Numbers as a reader wants them: three significant digits, aligned, never over-precise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TEN = "\N{MULTIPLICATION SIGN}10"
SIGNIFICANT = 0.05
"""What readers hold p-values against."""


def exponential(value: float) -> float:
    """exp(value), infinite where that overflows: a separated model has such limits."""
    return math.exp(value) if value < 700 else math.inf


def decimals_for(values: Sequence[float], digits: int = 3) -> int:
    """Decimal places that give the largest of `values` this many significant digits."""
    finite = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if not finite:
        return 0
    return min(8, max(0, digits - 1 - math.floor(math.log10(max(finite)))))


def decimals_within(error: float) -> int:
    """Decimal places of which the last is worth at least `error`, a Monte Carlo standard error; as
    many as are ever shown where there is none."""
    if not (math.isfinite(error) and error > 0.0):
        return 8
    return min(8, max(0, -math.ceil(math.log10(error))))


def fixed(value: float, decimals: int) -> str:
    """Fixed decimals with a true minus sign, thousands separated; no "-0.00"."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else MINUS + "\N{INFINITY}"
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, decimals: int) -> str:
    """Fixed decimals with the sign of either direction: "+0.12", "-0.12" with a true minus sign."""
    text = fixed(value, decimals)
    positive = value > 0 and any(digit in text for digit in "123456789\N{INFINITY}")
    return f"+{text}" if positive else text


def number(value: float, digits: int = 3, error: float = math.nan) -> str:
    """`value` to `digits` significant digits: 0.123, 12.3, 123, 10,900; with no decimal smaller
    than `error`, a Monte Carlo standard error, but for the first that is not 0."""
    value = float(value)
    if not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        power = str(int(exponent)).translate(SUPERSCRIPTS)
        return f"{mantissa}{TEN}{power}".replace("-", MINUS)
    rounded = float(f"{value:.{digits - 1}e}")
    places = decimals_for([rounded], digits)
    within = max(decimals_within(error), decimals_for([rounded], 1))
    return fixed(rounded if within >= places else value, min(places, within))


def plain(value: float) -> str:
    """A number the user wrote, as they wrote it: 28, 0.5, 1,000."""
    return f"{value:,.10g}".replace("-", MINUS)


def datum(value: float) -> str:
    """A value of the data to three significant digits, without zeros nobody recorded: 4, 8.7."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and TEN not in text else text


class Shown(NamedTuple):
    """An estimate as it is printed, and its interval: "-1.2" and "-3.4 to 1.0"."""

    point: str
    interval: str

    @property
    def text(self) -> str:
        """Both: "-1.2 (-3.4 to 1.0)"."""
        return f"{self.point} ({self.interval})"


def shown_difference(
    estimate: float, low: float, high: float, places: int | None = None, error: float = math.nan
) -> Shown:
    """A difference and its interval, all three to the same decimals, none of which is smaller than
    `error`, a Monte Carlo standard error."""
    if places is None:
        places = min(decimals_for([estimate, low, high]), decimals_within(error))
    return Shown(fixed(estimate, places), f"{fixed(low, places)} to {fixed(high, places)}")


def shown_ratio(estimate: float, low: float, high: float, error: float = math.nan) -> Shown:
    """A ratio and its interval, each number to three significant digits, with no decimal smaller
    than `error`, a Monte Carlo standard error: no ratio is 0, so one digit is left of each."""
    point, *ends = (number(value, error=error) for value in (estimate, low, high))
    return Shown(point, " to ".join(ends))


def difference(estimate: float, low: float, high: float) -> str:
    """A difference with its interval, all three to the same decimals: "-1.2 (-3.4 to 1.0)"."""
    return shown_difference(estimate, low, high).text


def in_sds(estimate: float, low: float, high: float) -> str:
    """A difference in standard deviations with its interval, to two decimals."""
    return shown_difference(estimate, low, high, places=2).text


def ratio(estimate: float, low: float, high: float) -> str:
    """A ratio with its interval, each number to three significant digits."""
    return shown_ratio(estimate, low, high).text


def p_value(value: float) -> str:
    """A p-value to three decimals, "<0.001" below that, a dash when there is none.

    With more decimals where three would put it on the other side of 0.05: 0.0499, not 0.050.
    """
    if value is None or math.isnan(value):
        return MISSING
    if value < 0.001:
        return "<0.001"
    if value > 0.999:
        return ">0.999"
    text = f"{value:.3f}"
    places = 4
    while value < SIGNIFICANT <= float(text) and places < 17:
        text = f"{value:.{places}f}"
        places += 1
    return text


def probability(value: float) -> str:
    """A posterior probability to two decimals; a few thousand draws do not give more."""
    if value is None or math.isnan(value):
        return MISSING
    if value < 0.01:
        return "<0.01"
    return ">0.99" if value > 0.99 else f"{value:.2f}"


def percent(part: float, whole: float) -> str:
    """A percentage to one decimal, with the space statisticians put before the sign."""
    return MISSING if whole == 0 else f"{100 * part / whole:.1f}\N{NO-BREAK SPACE}%"


def seconds(value: float) -> str:
    """A duration in words: "40 ms", "0.4 s", "12 s", "3 min 5 s"."""
    if math.isnan(value):
        return MISSING
    if value < 0.1:
        return f"{1000 * value:.0f} ms"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"
