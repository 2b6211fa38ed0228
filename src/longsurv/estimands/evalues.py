"""E-values: how strong unmeasured confounding would have to be to explain an effect away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.tables.notebook import Quantities

Measure = Literal["risk ratio", "odds ratio", "hazard ratio"]


@dataclass(frozen=True)
class EValue(Quantities):
    """The E-value of an estimate and of the limit of its interval nearer to no effect.

    Attributes
    ----------
    point : float
        The smallest risk ratio that an unmeasured confounder would have to have with both
        treatment and outcome, beyond the measured ones, to move the estimate to 1.
    limit : float
        The same to make the interval include 1; it is 1 if the interval does already, and NaN
        without an interval.
    risk_ratio : float
        The estimate as a risk ratio, converted if it was not one.
    """

    point: float
    limit: float
    risk_ratio: float


@checked
def e_value(
    estimate: float,
    low: float = math.nan,
    high: float = math.nan,
    *,
    measure: Measure = "risk ratio",
    rare: bool = False,
) -> EValue:
    """Return the E-value of a ratio and of its interval.

    E = RR + sqrt(RR (RR - 1)) for RR > 1; a ratio below 1 is inverted first. A common outcome's
    odds ratio is taken as a risk ratio of sqrt(OR), its hazard ratio as one of
    (1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1/HR)).

    Parameters
    ----------
    estimate, low, high : float
        A ratio with its interval; 0 and infinity are ratios too.
    measure : {"risk ratio", "odds ratio", "hazard ratio"}
    rare : bool
        The outcome is rare by the end of follow-up (less than about 15 %), so that odds and
        hazard ratios are near enough to risk ratios.

    Raises
    ------
    LongsurvError
        For a negative ratio, limits that do not enclose the estimate, or an unknown measure.

    References
    ----------
    VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the
    E-value. Ann Intern Med 2017;167:268-274.
    """
    if any(value < 0 for value in (estimate, low, high)):
        raise LongsurvError(f"a ratio cannot be negative: {estimate} ({low} to {high})")
    if low > estimate or high < estimate:
        raise LongsurvError(f"expected low <= estimate <= high, not {low}, {estimate}, {high}")
    convert = (lambda ratio: ratio) if rare else _CONVERSIONS[measure]
    ratio, low, high = convert(estimate), convert(low), convert(high)
    nearer = low if ratio > 1 else high
    if low <= 1 <= high:
        nearer = 1.0
    return EValue(_e_value(ratio), _e_value(nearer), ratio)


def _e_value(ratio: float) -> float:
    if math.isnan(ratio):
        return math.nan
    away = ratio if ratio >= 1 else (1 / ratio if ratio else math.inf)
    return away + math.sqrt(away * (away - 1)) if math.isfinite(away) else math.inf


def _from_hazard_ratio(ratio: float) -> float:
    if ratio == 0 or math.isinf(ratio):
        return ratio
    # The limit of each half as the other hazard goes to zero; expm1 keeps small ones exact.
    halves = math.log(0.5)
    return math.expm1(halves * math.sqrt(ratio)) / math.expm1(halves * math.sqrt(1 / ratio))


_CONVERSIONS = {
    "risk ratio": lambda ratio: ratio,
    "odds ratio": math.sqrt,
    "hazard ratio": _from_hazard_ratio,
}
