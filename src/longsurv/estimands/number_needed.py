"""The number needed to treat, with an interval that passes through infinity where it must.

One over a difference of risks. A difference of 0 is an infinite number, and an interval of the
difference that holds 0 becomes, on the scale of numbers, two pieces that meet at infinity: from
the number of patients treated for one to benefit (NNTB) up to infinity, and from there down to the
number treated for one to be harmed (NNTH). It is never the stretch between the inverses of the
two limits, which holds exactly the numbers that the data exclude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from longsurv import numbers
from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.tables.notebook import Quantities

INFINITE = "\N{INFINITY}"


@dataclass(frozen=True)
class NumberNeeded(Quantities):
    """How many have to be treated for one event to be prevented, or caused.

    Attributes
    ----------
    estimate : float
        Positive for benefit (NNTB), negative for harm (NNTH), infinite where the risks are equal.
    benefit, harm : tuple of float, optional
        The least and the largest number of the interval on either side, both positive; None where
        the interval does not reach that side. Where both are there, both end at infinity, where
        they meet.
    """

    estimate: float
    benefit: tuple[float, float] | None
    harm: tuple[float, float] | None

    @property
    def through_infinity(self) -> bool:
        """Whether the interval holds both benefit and harm."""
        return self.benefit is not None and self.harm is not None

    def __str__(self) -> str:
        if math.isinf(self.estimate):
            head = INFINITE
        else:
            head = _named("NNTB" if self.estimate > 0 else "NNTH", abs(self.estimate))
        if self.benefit and self.harm:
            low, high = _named("NNTB", self.benefit[0]), _named("NNTH", self.harm[0])
            ends = (low, high) if self.estimate > 0 else (high, low)
            return f"{head} ({ends[0]} to {INFINITE} to {ends[1]})"
        side, name = (self.benefit, "NNTB") if self.benefit else (self.harm, "NNTH")
        if side is None:
            return head
        return f"{head} ({_named(name, side[0])} to {_named(name, side[1])})"


@checked
def number_needed_to_treat(
    difference: float, conf_low: float = math.nan, conf_high: float = math.nan
) -> NumberNeeded:
    """Turn a difference of risks and its interval into a number needed to treat.

    Of any difference of risks by a time: of two proportions, two cumulative incidences, two
    standardised risks, and of a posterior's, with its equal-tailed interval. It belongs to that
    time, and to patients at the reference's risk.

    Parameters
    ----------
    difference : float
        Risk of an unwanted event under treatment less that without: negative if treatment helps.
    conf_low, conf_high : float, optional
        Limits of the difference.

    Returns
    -------
    NumberNeeded
        Prints as in ``NNTB 10 (NNTB 4 to \N{INFINITY} to NNTH 20)``.

    Raises
    ------
    LongsurvError
        For what is no difference of risks, or limits that are in the wrong order.

    References
    ----------
    Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312. Altman
    DG, Andersen PK. Calculating the number needed to treat for trials where the outcome is time to
    an event. BMJ 1999;319:1492-1495.
    """
    limited = not (math.isnan(conf_low) and math.isnan(conf_high))
    values = [difference, *([conf_low, conf_high] if limited else [])]
    if not all(-1 <= value <= 1 for value in values):
        raise LongsurvError(
            "a difference of two risks lies between -1 and 1, as do its limits (as -0.13, not"
            f" 13 %); got {', '.join(f'{value:g}' for value in values)}"
        )
    if not limited:
        return NumberNeeded(_inverse(-difference), None, None)
    if not conf_low <= difference <= conf_high:
        raise LongsurvError(
            f"the difference lies between its limits; got {difference:g} and {conf_low:g} to"
            f" {conf_high:g}"
        )
    benefit = harm = None
    if conf_low < 0:
        benefit = (_inverse(-conf_low), _inverse(max(-conf_high, 0.0)))
    if conf_high > 0:
        harm = (_inverse(conf_high), _inverse(max(conf_low, 0.0)))
    return NumberNeeded(_inverse(-difference), benefit, harm)


def _inverse(value: float) -> float:
    return 1.0 / value if value else math.inf


def _named(name: str, value: float) -> str:
    """A number to two digits, above 10 whole; never below 1, which nobody can treat."""
    if math.isinf(value):
        return INFINITE
    return f"{name} {f'{value:,.0f}' if value >= 9.95 else numbers.fixed(value, 1)}"
